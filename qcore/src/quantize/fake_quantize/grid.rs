//! `FakeQuantGrid`: scales and zero points that floats are rounded to, and the gradients through that.

use qkernels::fake_quantize::{FakeQuantization, fake_quantize};
use qkernels::quantize::ChannelExtents;
use serde::{Deserialize, Serialize};

use crate::{Error, Result, Tensor};

const NAME: &str = "fake_quantize";

/// The numbers that fake quantization rounds to: `(q - zero_point) * scale` with `q` in `quant_min..=quant_max`.
///
/// ```
/// use qcore::{FakeQuantGrid, Tensor};
///
/// let grid = FakeQuantGrid::per_tensor(0.5, 1.0, 0, 3);
/// let x = Tensor::from_vec(&[3], vec![-9.0, 0.3, 9.0])?;
/// let (y, mask) = grid.apply(x)?;
/// assert_eq!(y.as_slice(), Some(&[-0.5, 0.5, 1.0][..]));
/// let gradient = mask.backward(Tensor::from_vec(&[3], vec![1.0, 2.0, 3.0])?)?;
/// assert_eq!(gradient.as_slice(), Some(&[0.0, 2.0, 0.0][..]));
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FakeQuantGrid {
    /// One, or one for each channel along `axis`.
    pub scale: Vec<f32>,
    /// As many; whole numbers unless `is_float_zero_point`.
    pub zero_point: Vec<f32>,
    /// The channel axis, `None` for per tensor.
    pub axis: Option<usize>,
    /// Smallest integer.
    pub quant_min: i32,
    /// Largest integer.
    pub quant_max: i32,
    /// Whether the zero point is a real number, added before rounding.
    pub is_float_zero_point: bool,
}

/// Which values were in the range of the integers: their gradients pass (straight-through estimator).
#[derive(Clone, Debug)]
pub struct FakeQuantMask(Vec<u8>);

impl FakeQuantMask {
    /// Its size in memory.
    pub(crate) fn bytes(&self) -> usize {
        self.0.len()
    }

    /// The gradient of the input from that of the output.
    ///
    /// # Errors
    /// When it has another number of values.
    pub fn backward(&self, gradient: Tensor) -> Result<Tensor> {
        if gradient.len() != self.0.len() {
            let expected = format!("a gradient of {} values", self.0.len());
            return Err(Error::shape(NAME, expected, gradient.shape()));
        }
        let mut gradient = gradient.contiguous();
        for (gradient, &passes) in gradient.as_slice_mut().unwrap_or_default().iter_mut().zip(&self.0) {
            *gradient = if passes == 1 { *gradient } else { 0.0 };
        }
        Ok(gradient)
    }
}

/// The gradients of a learned step size.
#[derive(Clone, Debug)]
pub struct LearnedGradients {
    /// Of the input.
    pub input: Tensor,
    /// Of each scale.
    pub scale: Vec<f32>,
    /// Of each zero point.
    pub zero_point: Vec<f32>,
}

impl FakeQuantGrid {
    /// One scale and zero point for the whole tensor.
    pub fn per_tensor(scale: f32, zero_point: f32, quant_min: i32, quant_max: i32) -> Self {
        let (scale, zero_point) = (vec![scale], vec![zero_point]);
        Self { scale, zero_point, axis: None, quant_min, quant_max, is_float_zero_point: false }
    }

    /// One of each for every channel along `axis`.
    pub fn per_channel(
        scale: Vec<f32>,
        zero_point: Vec<f32>,
        axis: usize,
        quant_min: i32,
        quant_max: i32,
    ) -> Self {
        Self { scale, zero_point, axis: Some(axis), quant_min, quant_max, is_float_zero_point: false }
    }

    pub(super) fn check(&self) -> Result<()> {
        let fail = |message: String| Err(Error::parameter(NAME, message));
        if self.scale.is_empty() || self.scale.len() != self.zero_point.len() {
            return fail(format!("{} scales and {} zero points", self.scale.len(), self.zero_point.len()));
        }
        if self.quant_min >= self.quant_max {
            return fail(format!("{}..={} is not a range of integers", self.quant_min, self.quant_max));
        }
        let is_scale = |scale: &&f32| **scale > 0.0 && scale.is_finite() && scale.recip().is_finite();
        if let Some(scale) = self.scale.iter().find(|scale| !is_scale(scale)) {
            return fail(format!("scale {scale} is not a positive finite number with a finite reciprocal"));
        }
        match self.zero_point.iter().find(|zero_point| !zero_point.is_finite()) {
            Some(zero_point) => fail(format!("zero point {zero_point} is not finite")),
            None => Ok(()),
        }
    }

    fn extents(&self, shape: &[usize]) -> Result<ChannelExtents> {
        let inner = shape.iter().product();
        let Some(axis) = self.axis else { return Ok(ChannelExtents { outer: 1, channels: 1, inner }) };
        if shape.get(axis) != Some(&self.scale.len()) {
            let expected = format!("a tensor with {} channels along axis {axis}", self.scale.len());
            return Err(Error::shape(NAME, expected, shape));
        }
        Ok(ChannelExtents {
            outer: shape[..axis].iter().product(),
            channels: shape[axis],
            inner: shape[axis + 1..].iter().product(),
        })
    }

    /// Rounds `x` to the grid (NUMERICS section 12.1), bit for bit as PyTorch's `fake_quantize_per_tensor_affine` and
    /// `fake_quantize_per_channel_affine`.
    ///
    /// # Errors
    /// When a scale is not a positive finite number, the range is empty, or the channels are not those of `x`.
    pub fn apply(&self, x: Tensor) -> Result<(Tensor, FakeQuantMask)> {
        self.check()?;
        let extents = self.extents(x.shape())?;
        let mut y = x.contiguous();
        let values = y.as_slice_mut().unwrap_or_default();
        let what = format_args!("the mask of a fake quantization");
        let mut mask = qkernels::memory::zeroed(what, values.len()).map_err(|e| Error::kernel(NAME, e))?;
        let quantization = FakeQuantization {
            scale: &self.scale,
            zero_point: &self.zero_point,
            range: [self.quant_min as f32, self.quant_max as f32],
            is_float_zero_point: self.is_float_zero_point,
        };
        fake_quantize(&quantization, extents, values, &mut mask).map_err(|e| Error::kernel(NAME, e))?;
        Ok((y, FakeQuantMask(mask)))
    }

    /// The grid with zero points rounded into the range, as a learned one is used (NUMERICS section 12.2).
    fn with_whole_zero_points(&self) -> Self {
        let (low, high) = (self.quant_min as f32, self.quant_max as f32);
        let zero_point =
            self.zero_point.iter().map(|zero_point| zero_point.round_ties_even().clamp(low, high));
        Self { zero_point: zero_point.collect(), is_float_zero_point: false, ..self.clone() }
    }

    /// [`FakeQuantGrid::apply`] with scales and zero points that are learned, and so are real numbers (NUMERICS section
    /// 12.2).
    ///
    /// # Errors
    /// As [`FakeQuantGrid::apply`].
    pub fn apply_learned(&self, x: Tensor) -> Result<(Tensor, FakeQuantMask)> {
        self.with_whole_zero_points().apply(x)
    }

    /// The gradients of [`FakeQuantGrid::apply_learned`] for the input `x` (LSQ); those of scales and zero points are times
    /// `grad_factor`.
    ///
    /// Per tensor the zero point is rounded as PyTorch's backward pass does, by `trunc(zero_point + 0.5)`.
    ///
    /// # Errors
    /// As [`FakeQuantGrid::apply`], and when `gradient` has another shape than `x`.
    pub fn backward_learned(
        &self,
        x: &Tensor,
        gradient: &Tensor,
        grad_factor: f32,
    ) -> Result<LearnedGradients> {
        self.check()?;
        if gradient.shape() != x.shape() {
            return Err(Error::shape(NAME, format!("a gradient of shape {:?}", x.shape()), gradient.shape()));
        }
        let ChannelExtents { channels, inner, .. } = self.extents(x.shape())?;
        let mut grid = self.with_whole_zero_points();
        let (low, high) = (self.quant_min as f32, self.quant_max as f32);
        if self.axis.is_none() {
            grid.zero_point[0] = (self.zero_point[0] + 0.5).clamp(low, high).trunc();
        }
        let (x, mut input) = (x.clone().contiguous(), gradient.clone().contiguous());
        let mut sums = vec![[0.0_f64; 2]; self.scale.len()];
        let values = x.as_slice().unwrap_or_default();
        let gradients = input.as_slice_mut().unwrap_or_default();
        for (index, (&x, gradient)) in values.iter().zip(gradients).enumerate() {
            let channel = if channels == 1 { 0 } else { index / inner % channels };
            let (scale, zero_point) = (grid.scale[channel], grid.zero_point[channel]);
            let inverse = 1.0 / scale;
            let t = (x * inverse).round_ties_even() + zero_point;
            let (of_scale, of_zero_point) = match t {
                t if t < low => (low - zero_point, -scale),
                t if t > high => (high - zero_point, -scale),
                t => (((t - zero_point) * scale - x) * inverse, 0.0),
            };
            sums[channel][0] += f64::from(*gradient * of_scale * grad_factor);
            sums[channel][1] += f64::from(*gradient * of_zero_point * grad_factor);
            if of_zero_point != 0.0 {
                *gradient = 0.0;
            }
        }
        let part = |index: usize| sums.iter().map(|sums| sums[index] as f32).collect();
        Ok(LearnedGradients { input, scale: part(0), zero_point: part(1) })
    }
}
