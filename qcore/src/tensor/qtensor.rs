//! `QTensor`: integers with a scale and zero point, cheap to clone; and the quantization of whole tensors.

use std::sync::Arc;

use half::f16;
use ndarray::{ArrayD, ArrayViewD, Axis, Zip};
use qkernels::QuantizedInteger;
use qkernels::quantize::{
    ChannelExtents, dequantize_per_channel_float_qparams, quantize_per_channel,
    quantize_per_channel_float_qparams, quantize_per_tensor,
};

use super::{DType, FloatQParams, IntRepr, MemoryFormat, QParams, Tensor, check_copy, resolve_axis};
use crate::{Error, Result};

/// A quantized tensor: integers, and how they stand for real numbers.
///
/// A clone shares both. The logical shape of images is `[N, C, H, W]`, whatever the order in memory: a tensor
/// from the convolution kernels is channels-last.
///
/// ```
/// use qcore::{DType, QParams, QTensor, Tensor};
///
/// let x = Tensor::from(ndarray::arr1(&[-1.0, 0.0, 0.26, 99.0]));
/// let q = QTensor::quantize(&x, &QParams::per_tensor(0.5, 10, DType::QUInt8)?)?;
/// assert_eq!(q.int_repr().to_i32().into_raw_vec_and_offset().0, [8, 10, 11, 208]);
/// assert_eq!(q.dequantize().as_slice(), Some(&[-1.0, 0.0, 0.5, 99.0][..]));
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct QTensor {
    integers: IntRepr,
    qparams: Arc<QParams>,
}

impl QTensor {
    /// Quantizes every value into `[quant_min, quant_max]` of the qparams: `round(x * (1 / scale)) + zero_point`,
    /// clamped; ties go to even (`NUMERICS.md` 1). Per tensor, the memory order stays; per channel, the result is
    /// row-major.
    ///
    /// # Errors
    /// When the qparams are invalid, have another number of channels than `x`, or are 4-bit ones (embeddings
    /// have [`FloatQParams`]).
    pub fn quantize(x: &Tensor, qparams: &QParams) -> Result<Self> {
        qparams.validate()?;
        check_channels("QTensor::quantize", qparams.scale.len(), qparams.axis, x.shape())?;
        check_copy::<i32>(x.shape())?;
        let integers = match qparams.dtype {
            DType::QUInt8 => IntRepr::QUInt8(quantized(x, qparams)?.into_shared()),
            DType::QInt8 => IntRepr::QInt8(quantized(x, qparams)?.into_shared()),
            DType::QInt32 => IntRepr::QInt32(quantized(x, qparams)?.into_shared()),
            other => return Err(unsupported(other)),
        };
        Self::from_int_repr(integers, qparams.clone())
    }

    /// A quantized tensor of given integers: a `u8`, `i8` or `i32` array of any rank.
    ///
    /// # Errors
    /// When the qparams are invalid, of another dtype, or have another number of channels.
    pub fn from_int_repr(integers: impl Into<IntRepr>, qparams: impl Into<Arc<QParams>>) -> Result<Self> {
        let (integers, qparams) = (integers.into(), qparams.into());
        qparams.validate()?;
        if integers.dtype() != qparams.dtype {
            return Err(Error::parameter(
                "QTensor",
                format!("qparams of {} for integers of {}", qparams.dtype.name(), integers.dtype().name()),
            ));
        }
        check_channels("QTensor", qparams.scale.len(), qparams.axis, integers.shape())?;
        Ok(Self { integers, qparams })
    }

    /// The real numbers: `(integer - zero_point) * scale`, in the same memory order.
    pub fn dequantize(&self) -> Tensor {
        match &self.integers {
            IntRepr::QUInt8(integers) => dequantized(integers.view(), &self.qparams),
            IntRepr::QInt8(integers) => dequantized(integers.view(), &self.qparams),
            IntRepr::QInt32(integers) => dequantized(integers.view(), &self.qparams),
        }
    }

    /// The integers.
    pub fn int_repr(&self) -> &IntRepr {
        &self.integers
    }

    /// How the integers stand for real numbers.
    pub fn qparams(&self) -> &QParams {
        &self.qparams
    }

    /// Integers and qparams; neither is copied.
    pub fn into_parts(self) -> (IntRepr, Arc<QParams>) {
        (self.integers, self.qparams)
    }

    /// The qparams, shared.
    pub(crate) fn shared_qparams(&self) -> Arc<QParams> {
        Arc::clone(&self.qparams)
    }

    /// The memory format of the integers, if they have one; else contiguous.
    pub(crate) fn memory_format(&self) -> MemoryFormat {
        match &self.integers {
            IntRepr::QUInt8(integers) => MemoryFormat::of(integers),
            IntRepr::QInt8(integers) => MemoryFormat::of(integers),
            IntRepr::QInt32(integers) => MemoryFormat::of(integers),
        }
    }

    /// The bytes of the integers in the order of [`QTensor::memory_format`]; none if they have gaps.
    pub(crate) fn memory_bytes(&self) -> &[u8] {
        fn bytes<T: qkernels::elements::Element>(
            integers: &ndarray::ArcArray<T, ndarray::IxDyn>,
            format: MemoryFormat,
        ) -> &[u8] {
            let values = match format {
                MemoryFormat::ChannelsLast => integers.as_slice_memory_order(),
                MemoryFormat::Contiguous => integers.as_slice(),
            };
            qkernels::elements::bytes(values.unwrap_or_default())
        }
        match &self.integers {
            IntRepr::QUInt8(integers) => bytes(integers, self.memory_format()),
            IntRepr::QInt8(integers) => bytes(integers, self.memory_format()),
            IntRepr::QInt32(integers) => bytes(integers, self.memory_format()),
        }
    }

    /// Whether the integers are in none of the memory formats.
    pub(crate) fn has_gaps(&self) -> bool {
        self.memory_bytes().is_empty() && !self.is_empty()
    }

    /// The same integers in one of the memory formats.
    pub(crate) fn without_gaps(self) -> Self {
        fn row_major<T: Clone>(
            integers: &ndarray::ArcArray<T, ndarray::IxDyn>,
        ) -> ndarray::ArcArray<T, ndarray::IxDyn> {
            integers.as_standard_layout().into_owned().into_shared()
        }
        if !self.has_gaps() {
            return self;
        }
        let integers = match &self.integers {
            IntRepr::QUInt8(integers) => IntRepr::QUInt8(row_major(integers)),
            IntRepr::QInt8(integers) => IntRepr::QInt8(row_major(integers)),
            IntRepr::QInt32(integers) => IntRepr::QInt32(row_major(integers)),
        };
        Self { integers, ..self }
    }

    /// The type of the integers, and these in row-major order as a file holds them.
    pub(crate) fn to_le_bytes(&self) -> (DType, Vec<u8>) {
        (self.dtype(), self.integers.to_le_bytes())
    }

    /// The tensor that [`QTensor::to_le_bytes`] wrote.
    ///
    /// # Errors
    /// When the bytes are too many or too few, or the qparams are invalid or do not fit.
    pub(crate) fn from_le_bytes(bytes: &[u8], shape: &[usize], qparams: QParams) -> Result<Self> {
        let Some(integers) = IntRepr::from_le_bytes(bytes, shape, qparams.dtype)? else {
            return Err(unsupported(qparams.dtype));
        };
        Self::from_int_repr(integers, qparams)
    }

    /// The type of the integers.
    pub fn dtype(&self) -> DType {
        self.integers.dtype()
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        self.integers.shape()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.shape().len()
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.integers.len()
    }

    /// Whether any extent is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The extent of axis `dim`; negative counts from the end, as in PyTorch.
    ///
    /// # Errors
    /// When the tensor has no such axis.
    pub fn size(&self, dim: isize) -> Result<usize> {
        let axis = resolve_axis("size", dim, self.shape())?;
        Ok(self.shape()[axis])
    }
}

impl FloatQParams {
    /// Quantizes every value: `round(zero_point + x * (1 / scale))`, clamped to the dtype; ties go to even and
    /// the zero point is added *before* rounding (`NUMERICS.md` 1). A 4-bit integer takes a byte of its own.
    ///
    /// # Errors
    /// When the parameters are invalid or have another number of channels than `x`.
    pub fn quantize(&self, x: &Tensor) -> Result<ArrayD<u8>> {
        let (low, high) = self.check("FloatQParams::quantize", x.shape())?;
        by_channel(x.view(), 0, self.axis, |input, extents, output| {
            quantize_per_channel_float_qparams(
                input,
                extents,
                &self.scale,
                &self.zero_point,
                low..=high,
                output,
            )
        })
    }

    /// The real numbers: `(integer - zero_point) * scale`.
    ///
    /// # Errors
    /// When the parameters are invalid or have another number of channels than `integers`.
    pub fn dequantize(&self, integers: ArrayViewD<'_, u8>) -> Result<Tensor> {
        self.check("FloatQParams::dequantize", integers.shape())?;
        let x = by_channel(integers, 0.0, self.axis, |input, extents, output| {
            dequantize_per_channel_float_qparams(input, extents, &self.scale, &self.zero_point, output)
        })?;
        Ok(Tensor::from(x))
    }

    /// Smallest and largest integer, if the parameters are valid and fit the shape.
    fn check(&self, operation: &'static str, shape: &[usize]) -> Result<(i32, i32)> {
        self.validate()?;
        check_channels(operation, self.scale.len(), Some(self.axis), shape)?;
        self.dtype.range().ok_or_else(|| unsupported(self.dtype))
    }
}

/// Every value rounded to half precision and back, values beyond its range clamped to +-65504: how `float16`
/// weights are stored (`NUMERICS.md` 1).
pub fn round_to_float16(x: &Tensor) -> Tensor {
    let limit = f16::MAX.to_f32();
    Tensor::from(x.view().mapv(|value| f16::from_f32(value.clamp(-limit, limit)).to_f32()))
}

fn unsupported(dtype: DType) -> Error {
    Error::Unsupported(format!("a quantized tensor of {}", dtype.name()))
}

fn check_channels(
    operation: &'static str,
    channels: usize,
    axis: Option<usize>,
    shape: &[usize],
) -> Result<()> {
    let Some(axis) = axis else { return Ok(()) };
    if shape.get(axis) == Some(&channels) {
        return Ok(());
    }
    Err(Error::shape(operation, format!("{channels} channels along axis {axis}"), shape))
}

fn quantized<T: QuantizedInteger>(x: &Tensor, qparams: &QParams) -> Result<ArrayD<T>> {
    let range = qparams.quant_min..=qparams.quant_max;
    if let Some(axis) = qparams.axis {
        let (scale, zero_point) = (&qparams.scale, &qparams.zero_point);
        return by_channel(x.view(), T::from_i32(0), axis, |input, extents, output| {
            quantize_per_channel(input, extents, scale, zero_point, range, output)
        });
    }
    let kernel = qkernels::QParams::new(qparams.tensor_scale(), qparams.tensor_zero_point());
    let mut integers = x.view().mapv(|_| T::from_i32(0));
    if integers.strides() == x.view().strides()
        && let (Some(input), Some(output)) =
            (x.view().as_slice_memory_order(), integers.as_slice_memory_order_mut())
    {
        quantize_per_tensor(input, kernel, range, output).map_err(failed)?;
        return Ok(integers);
    }
    let whole = ChannelExtents { outer: 1, channels: 1, inner: x.len() };
    in_row_major_order(x.view(), T::from_i32(0), |input, output| {
        quantize_per_channel(input, whole, &qparams.scale, &qparams.zero_point, range, output)
    })
}

fn dequantized<T: QuantizedInteger>(integers: ArrayViewD<'_, T>, qparams: &QParams) -> Tensor {
    let Some(axis) = qparams.axis else {
        let kernel = qkernels::QParams::new(qparams.tensor_scale(), qparams.tensor_zero_point());
        return Tensor::from(integers.mapv(|integer| kernel.dequantize(integer.to_i32())));
    };
    let mut x = integers.mapv(|_| 0.0_f32);
    for (channel, (&scale, &zero_point)) in qparams.scale.iter().zip(&qparams.zero_point).enumerate() {
        let kernel = qkernels::QParams::new(scale, zero_point);
        Zip::from(x.index_axis_mut(Axis(axis), channel))
            .and(integers.index_axis(Axis(axis), channel))
            .for_each(|x, integer| *x = kernel.dequantize(integer.to_i32()));
    }
    Tensor::from(x)
}

/// Runs a kernel that takes and makes row-major data with channels along `axis`.
fn by_channel<I: Copy, O: Copy>(
    input: ArrayViewD<'_, I>,
    zero: O,
    axis: usize,
    kernel: impl FnOnce(&[I], ChannelExtents, &mut [O]) -> qkernels::Result<()>,
) -> Result<ArrayD<O>> {
    let shape = input.shape();
    let extents = ChannelExtents {
        outer: shape[..axis].iter().product(),
        channels: shape[axis],
        inner: shape[axis + 1..].iter().product(),
    };
    in_row_major_order(input, zero, |input, output| kernel(input, extents, output))
}

fn in_row_major_order<I: Copy, O: Copy>(
    input: ArrayViewD<'_, I>,
    zero: O,
    kernel: impl FnOnce(&[I], &mut [O]) -> qkernels::Result<()>,
) -> Result<ArrayD<O>> {
    let mut output = ArrayD::from_elem(input.raw_dim(), zero);
    let input = input.as_standard_layout();
    if let (Some(input), Some(output)) = (input.as_slice(), output.as_slice_mut()) {
        kernel(input, output).map_err(failed)?;
    }
    Ok(output)
}

fn failed(error: qkernels::Error) -> Error {
    Error::kernel("quantize", error)
}

#[cfg(test)]
mod tests {
    use ndarray::Array;

    use super::*;

    fn integers(x: &[f32], qparams: &QParams) -> Vec<i32> {
        let x = Tensor::from_vec(&[x.len()], x.to_vec()).unwrap();
        QTensor::quantize(&x, qparams).unwrap().int_repr().to_i32().into_iter().collect()
    }

    #[test]
    fn rounding_comes_before_the_zero_point() {
        let even = QParams::per_tensor(1.0, 0, DType::QUInt8).unwrap();
        let odd = QParams::per_tensor(1.0, 1, DType::QUInt8).unwrap();
        assert_eq!(integers(&[0.5, 1.5, 2.5], &even), [0, 2, 2]);
        assert_eq!(integers(&[0.5, 1.5, 2.5], &odd), [1, 3, 3]);
    }

    #[test]
    fn values_far_out_saturate() {
        let far = [1e30, -1e30, f32::INFINITY, f32::NEG_INFINITY];
        for (dtype, zero_point) in [(DType::QUInt8, 255), (DType::QInt8, -128), (DType::QInt32, 0)] {
            let (low, high) = dtype.range().unwrap();
            let qparams = QParams::per_tensor(1e-3, zero_point, dtype).unwrap();
            assert_eq!(integers(&far, &qparams), [high, low, high, low]);
        }
    }

    #[test]
    fn a_narrower_range_clamps() {
        let qparams = QParams::per_tensor(1.0, 0, DType::QInt8).unwrap().with_range(-127, 127).unwrap();
        assert_eq!(integers(&[-500.0, 500.0], &qparams), [-127, 127]);
        assert_eq!(integers(&[-500.0, 500.0], &qparams.over_full_range()), [-128, 127]);
    }

    #[test]
    fn memory_order_stays_and_channels_follow_the_axis() {
        let x = Array::from_shape_fn((2, 3, 4, 5), |(n, c, h, w)| (n + 10 * c + 3 * h + w) as f32);
        let nhwc = x.view().permuted_axes([0, 2, 3, 1]).as_standard_layout().into_owned();
        let channels_last = Tensor::from(nhwc.permuted_axes([0, 3, 1, 2]));
        let qparams = QParams::per_channel(vec![0.5, 1.0, 2.0], vec![0, 1, 2], 1, DType::QUInt8).unwrap();
        let plain = QTensor::quantize(&Tensor::from(x), &qparams).unwrap();
        let other = QTensor::quantize(&channels_last, &qparams).unwrap();
        assert_eq!(plain, other);
        assert_eq!(plain.dequantize(), other.dequantize());
        let one_scale = QParams::per_tensor(0.5, 3, DType::QUInt8).unwrap();
        let other = QTensor::quantize(&channels_last, &one_scale).unwrap();
        assert_eq!(other.int_repr().as_u8().unwrap().strides(), [60, 1, 15, 3]);

        let mut every_second = channels_last.into_array();
        every_second.slice_axis_inplace(Axis(2), ndarray::Slice::from(..).step_by(2));
        assert!(every_second.as_slice_memory_order().is_none());
        let packed = Tensor::from(every_second.as_standard_layout().into_owned());
        assert_eq!(
            QTensor::quantize(&Tensor::from(every_second), &one_scale).unwrap(),
            QTensor::quantize(&packed, &one_scale).unwrap()
        );
    }

    #[test]
    fn what_does_not_fit_is_failed() {
        let qparams = QParams::per_channel(vec![1.0; 3], vec![0; 3], 1, DType::QInt8).unwrap();
        assert!(QTensor::quantize(&Tensor::zeros(&[3, 2]), &qparams).is_err());
        assert!(QTensor::quantize(&Tensor::zeros(&[3]), &qparams).is_err());
        assert!(QTensor::from_int_repr(ndarray::arr2(&[[1_u8, 2, 3]]), qparams.clone()).is_err());
        assert!(QTensor::from_int_repr(ndarray::arr2(&[[1_i8, 2, 3]]), qparams).is_ok());
    }

    #[test]
    fn bytes_of_a_file_come_back() {
        for dtype in [DType::QUInt8, DType::QInt8, DType::QInt32] {
            let qparams = QParams::per_tensor(0.5, 3, dtype).unwrap();
            let x = Tensor::from(ndarray::arr2(&[[1.0, -2.0], [30.0, 4.0]]).reversed_axes());
            let q = QTensor::quantize(&x, &qparams).unwrap();
            let (_, bytes) = q.to_le_bytes();
            assert_eq!(QTensor::from_le_bytes(&bytes, &[2, 2], qparams.clone()).unwrap(), q);
            assert!(QTensor::from_le_bytes(&bytes, &[2, 3], qparams.clone()).is_err());
            assert!(QTensor::from_le_bytes(&bytes, &[usize::MAX, 2], qparams).is_err());
        }
    }

    #[test]
    fn half_precision_clamps() {
        let x = Tensor::from(ndarray::arr1(&[1e6, -65520.0, 0.1]));
        assert_eq!(round_to_float16(&x).as_slice(), Some(&[65504.0, -65504.0, 0.099_975_586][..]));
    }
}
