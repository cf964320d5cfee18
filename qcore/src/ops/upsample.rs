//! `interpolate`: images in another size, by nearest neighbours or bilinear.

use std::sync::Arc;

use qkernels::resize::{Resize, ResizeAxis};
use serde::{Deserialize, Serialize};

use super::defaults;
use super::inputs::{exactly, float_or_static, image_extents, kernel_error_on, with_eight_bit};
use super::plain::{no_parameters, plain_op};
use super::pool::{self, planned};
use super::{Executable, Lowering, Op, Planned, Size, TensorSpec, unary};
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{Error, Result};

/// Images in another size, `[N, C, H, W]` to `[N, C, OH, OW]`: PyTorch's `interpolate` and `Upsample`.
///
/// In int8 the output has the input's scale (NUMERICS section 9). Used with a size of 0, a factor that is not a positive
/// number, or aligned corners of nearest neighbours it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Upsample {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    size: Option<Size<2>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    scale_factor: Option<[f64; 2]>,
    #[serde(default)]
    mode: UpsampleMode,
    #[serde(default, skip_serializing_if = "defaults::is_no")]
    align_corners: bool,
}

/// Where the values of an image in another size come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UpsampleMode {
    /// The value of the nearest pixel.
    #[default]
    Nearest,
    /// Linear interpolation between four pixels.
    Bilinear,
}

impl Upsample {
    /// To this size, by nearest neighbours.
    pub fn size(size: impl Into<Size<2>>) -> Self {
        Self {
            size: Some(size.into()),
            scale_factor: None,
            mode: UpsampleMode::Nearest,
            align_corners: false,
        }
    }

    /// To the size times this factor, rounded down, by nearest neighbours.
    pub fn scale_factor(factor: f64) -> Self {
        Self { size: None, scale_factor: Some([factor; 2]), ..Self::size(1) }
    }

    /// Factors of height and width.
    pub fn scale_factors(factors: [f64; 2]) -> Self {
        Self { scale_factor: Some(factors), ..Self::scale_factor(1.0) }
    }

    /// Where values come from.
    #[must_use]
    pub fn mode(self, mode: UpsampleMode) -> Self {
        Self { mode, ..self }
    }

    /// Whether the corners of bilinear images are pixels of the input; false if not set.
    #[must_use]
    pub fn align_corners(self, align_corners: bool) -> Self {
        Self { align_corners, ..self }
    }
}

/// The operation `interpolate(x, size, scale_factor, mode, align_corners)`: one of `size` and `scale_factor`; `mode` is
/// `"nearest"` if not given, or `"bilinear"`.
///
/// # Errors
/// When both or none are given, a size is 0, a factor is not a positive number, the mode is another word, or corners of
/// nearest neighbours are to be aligned.
pub fn interpolate(
    size: Option<Size<2>>,
    scale_factor: Option<f64>,
    mode: Option<&str>,
    align_corners: Option<bool>,
) -> Result<Upsample> {
    let mode = match mode {
        None | Some("nearest") => UpsampleMode::Nearest,
        Some("bilinear") => UpsampleMode::Bilinear,
        Some(other) => {
            let message = format!("mode is \"nearest\" or \"bilinear\", not \"{other}\"");
            return Err(Error::parameter(NAME, message));
        }
    };
    let align_corners = align_corners.unwrap_or(false);
    let operation =
        Upsample { size, scale_factor: scale_factor.map(|factor| [factor; 2]), mode, align_corners };
    operation.check()?;
    Ok(operation)
}

const NAME: &str = "interpolate";

no_parameters!(Upsample, "Upsample");

impl Op for Upsample {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let [_, _, height, width] = image_extents(NAME, pass.input(0)?.shape())?;
        let [rows, columns] = self.axes([height, width])?;
        pool::backward(pass, |_, gradients, sums| {
            let pixels = rows.taps().flat_map(|row| columns.taps().map(move |column| (row, column)));
            for (((ys, of_ys), (xs, of_xs)), &gradient) in pixels.zip(gradients) {
                for (y, of_y) in ys.into_iter().zip(of_ys) {
                    for (x, of_x) in xs.into_iter().zip(of_xs) {
                        sums[y * width + x] += gradient * of_y * of_x;
                    }
                }
            }
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check()?;
        let upsample = *self;
        float_or_static(NAME, lowering, move |inputs| {
            let [x] = exactly(NAME, inputs)?;
            upsample.plan(x)
        })
    }
}

impl Upsample {
    fn check(&self) -> Result<()> {
        match (self.size, self.scale_factor) {
            (Some(size), None) => pool::check_positive(NAME, "size", size)?,
            (None, Some(factors)) if factors.iter().all(|factor| factor.is_finite() && *factor > 0.0) => {}
            (None, Some(factors)) => {
                let message = format!("scale_factor {factors:?} is not a positive number");
                return Err(Error::parameter(NAME, message));
            }
            _ => return Err(Error::parameter(NAME, "needs one of size and scale_factor")),
        }
        if self.align_corners && self.mode == UpsampleMode::Nearest {
            return Err(Error::parameter(NAME, "align_corners is for mode \"bilinear\" alone"));
        }
        Ok(())
    }

    /// Where rows and columns of the output lie in an input of these extents.
    fn axes(&self, input: [usize; 2]) -> Result<[ResizeAxis; 2]> {
        let axis = |axis: usize| {
            let (extent, factor) = (input[axis], self.scale_factor.map(|factors| factors[axis]));
            // As in Python `floor(float(extent) * factor)`; what is too large saturates.
            let scaled = factor.map(|factor| (extent as f64 * factor).floor() as usize);
            let output = scaled.or(self.size.map(|size| size.0[axis])).unwrap_or(0);
            let scale = factor.map(|factor| (1.0 / factor) as f32);
            let axis = match self.mode {
                UpsampleMode::Nearest => ResizeAxis::nearest(extent, output, scale),
                UpsampleMode::Bilinear => ResizeAxis::linear(extent, output, scale, self.align_corners),
            };
            axis.map_err(kernel_error_on(NAME, &input))
        };
        Ok([axis(0)?, axis(1)?])
    }

    fn plan(&self, x: &TensorSpec) -> Result<Planned> {
        let [batch, channels, height, width] = image_extents(NAME, x.shape())?;
        let axes = self.axes([height, width])?;
        let shape = [batch, channels, axes[0].taps().count(), axes[1].taps().count()];
        let Some(dtype) = x.dtype() else {
            let planes = batch.saturating_mul(channels);
            let resize = Resize::new(planes, 1, axes).map_err(kernel_error_on(NAME, x.shape()))?;
            let kernel = match self.mode {
                UpsampleMode::Nearest => unary::<f32, f32>(NAME, move |x, y| resize.nearest(x, y)),
                UpsampleMode::Bilinear => unary::<f32, f32>(NAME, move |x, y| resize.bilinear_float(x, y)),
            };
            return Ok(planned(kernel, x, &shape, x.memory_format()));
        };
        let resize = Resize::new(batch, channels, axes).map_err(kernel_error_on(NAME, x.shape()))?;
        let (mode, qparams, format) = (self.mode, x.qparams(NAME)?, x.memory_format());
        with_eight_bit!(NAME, dtype, T => {
            let kernel = unary::<T, T>(NAME, move |x, y| match mode {
                UpsampleMode::Nearest => resize.nearest(x, y),
                UpsampleMode::Bilinear => resize.bilinear(qparams, format == MemoryFormat::ChannelsLast, x, y),
            });
            Ok(planned(kernel, x, &shape, format))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, counting, float, int8, integers, qtensor, refuses};
    use serde_json::json;

    #[test]
    fn sizes_are_given_or_follow_from_factors() {
        let x = counting(&[1, 1, 1, 2]);
        assert_values(&float(&Upsample::size((1, 3)), &[&x]).unwrap(), &[0.0, 0.0, 1.0]);
        let y = float(&Upsample::scale_factor(2.0), &[&x]).unwrap();
        assert_eq!(y.shape(), [1, 1, 2, 4]);
        let y = float(&Upsample::scale_factors([1.0, 1.6]), &[&x]).unwrap();
        assert_eq!(y.shape(), [1, 1, 1, 3]);
        let bilinear = Upsample::size((1, 4)).mode(UpsampleMode::Bilinear);
        assert_values(&float(&bilinear, &[&x]).unwrap(), &[0.0, 0.25, 0.75, 1.0]);
        let corners = Upsample::size((1, 3)).mode(UpsampleMode::Bilinear).align_corners(true);
        assert_values(&float(&corners, &[&x]).unwrap(), &[0.0, 0.5, 1.0]);
        assert!(float(&Upsample::scale_factor(0.2), &[&x]).is_err());
        assert!(float(&Upsample::size(usize::MAX), &[&x]).is_err());
        assert!(float(&Upsample::size(2), &[&counting(&[1, 2, 2])]).is_err());
    }

    #[test]
    fn arguments_that_do_not_fit_together_are_refused() {
        assert!(interpolate(None, None, None, None).is_err());
        assert!(interpolate(Some(2.into()), Some(2.0), None, None).is_err());
        assert!(interpolate(Some((0, 1).into()), None, None, None).is_err());
        assert!(interpolate(None, Some(f64::NAN), None, None).is_err());
        assert!(interpolate(None, Some(2.0), Some("bicubic"), None).is_err());
        assert!(interpolate(None, Some(2.0), None, Some(true)).is_err());
        assert!(interpolate(None, Some(2.0), Some("bilinear"), Some(true)).is_ok());
        assert!(refuses::<Upsample>(json!({"scale_factor": [-1.0, 2.0]})));
    }

    #[test]
    fn integers_keep_their_scale() {
        let x = qtensor(&[1, 1, 1, 2], &[10, 20], 0.5, 3);
        let y = int8(&Upsample::size((1, 4)).mode(UpsampleMode::Bilinear), &[&x]).unwrap();
        // 12.5 and 17.5 are 9.5 and 14.5 steps from the zero point, ties to even.
        assert_eq!((integers(&y), y.qparams()), (vec![10, 13, 17, 20], x.qparams()));
    }
}
