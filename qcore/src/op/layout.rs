//! Memory order of quantized activations: channels-last in and out of kernels, any order elsewhere.
//!
//! Extents are always `[N, C, H, W]`; what lies where is a matter of strides, as in PyTorch. A tensor from a
//! convolution lies channels-last, one quantized from the user's array in row-major order.

use std::borrow::Cow;

use ndarray::{ArcArray, Array, ArrayD, ArrayViewD, CowArray, IxDyn};
use qkernels::EightBit;
use qkernels::quantize::{ImageShape, nchw_to_nhwc, nhwc_to_nchw};

use super::inputs::{image_extents, refused};
use crate::{Error, IntRepr, QParams, QTensor, Result};

/// Integers in an array of any rank and memory order.
pub(super) type Integers<T> = ArcArray<T, IxDyn>;

/// An integer type of activations.
pub(super) trait Activation: EightBit + Default + Into<i32> + 'static {
    /// The integers of a tensor, if they are of this type.
    fn integers(tensor: &QTensor) -> Option<&Integers<Self>>;

    /// The other way round.
    fn into_repr(integers: Integers<Self>) -> IntRepr;
}

impl Activation for u8 {
    fn integers(tensor: &QTensor) -> Option<&Integers<Self>> {
        if let IntRepr::QUInt8(integers) = tensor.int_repr() { Some(integers) } else { None }
    }

    fn into_repr(integers: Integers<Self>) -> IntRepr {
        IntRepr::QUInt8(integers)
    }
}

impl Activation for i8 {
    fn integers(tensor: &QTensor) -> Option<&Integers<Self>> {
        if let IntRepr::QInt8(integers) = tensor.int_repr() { Some(integers) } else { None }
    }

    fn into_repr(integers: Integers<Self>) -> IntRepr {
        IntRepr::QInt8(integers)
    }
}

/// The integers of an operand that must be of the type of the others.
pub(super) fn integers_of<'a, T: Activation>(
    operation: &'static str,
    tensor: &'a QTensor,
) -> Result<&'a Integers<T>> {
    T::integers(tensor).ok_or_else(|| {
        Error::Unsupported(format!(
            "{operation} on {} here, tensors must be of one type",
            tensor.dtype().name()
        ))
    })
}

/// Runs `$body` with the integers of `$x`, whichever 8-bit type they have.
macro_rules! with_integers {
    ($operation:expr, $x:expr, $integers:ident => $body:expr) => {
        match $x.int_repr() {
            $crate::IntRepr::QUInt8($integers) => $body,
            $crate::IntRepr::QInt8($integers) => $body,
            $crate::IntRepr::QInt32(_) => {
                Err($crate::Error::Unsupported(format!("{} on qint32", $operation)))
            }
        }
    };
}
pub(super) use with_integers;

/// Scale and zero point of an activation, as the kernels take them.
pub(super) fn per_tensor(operation: &'static str, qparams: &QParams) -> Result<qkernels::QParams> {
    if qparams.is_per_channel() {
        return Err(Error::Unsupported(format!("{operation} on an activation with per-channel scales")));
    }
    Ok(qkernels::QParams::new(qparams.tensor_scale(), qparams.tensor_zero_point()))
}

/// `integers` with the qparams of `like`.
pub(super) fn with_qparams_of<T: Activation>(like: &QTensor, integers: Integers<T>) -> Result<QTensor> {
    let (_, qparams) = like.clone().into_parts();
    QTensor::from_int_repr(T::into_repr(integers), qparams)
}

/// In which of PyTorch's two memory formats an image lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemoryFormat {
    /// `[N, C, H, W]` in row-major order, or no recognisable order.
    Contiguous,
    /// `[N, H, W, C]` in row-major order; an image of one channel is that too.
    ChannelsLast,
}

impl MemoryFormat {
    /// That of an array of any rank.
    pub(crate) fn of<T>(array: &ArrayViewD<'_, T>) -> Self {
        match array.ndim() {
            4 if array.view().permuted_axes(IxDyn(&[0, 2, 3, 1])).is_standard_layout() => Self::ChannelsLast,
            _ => Self::Contiguous,
        }
    }
}

/// A quantized image, and its integers in channels-last order.
pub(super) struct Image<'a, T: Activation> {
    pub(super) shape: ImageShape,
    pub(super) format: MemoryFormat,
    pub(super) pixels: Cow<'a, [T]>,
}

impl<'a, T: Activation> Image<'a, T> {
    /// Copies only what does not lie channels-last already.
    pub(super) fn new(operation: &'static str, integers: &'a Integers<T>) -> Result<Self> {
        let [batch, channels, height, width] = image_extents(operation, integers.shape())?;
        let shape = ImageShape { batch, channels, height, width };
        let nhwc = integers.view().permuted_axes(IxDyn(&[0, 2, 3, 1]));
        if let Some(pixels) = nhwc.to_slice() {
            return Ok(Self { shape, format: MemoryFormat::ChannelsLast, pixels: Cow::Borrowed(pixels) });
        }
        let pixels = match integers.as_slice() {
            Some(planes) => {
                let mut pixels = vec![T::default(); planes.len()];
                nchw_to_nhwc(planes, shape, &mut pixels).map_err(refused(operation, integers.shape()))?;
                pixels
            }
            None => nhwc.iter().copied().collect(),
        };
        Ok(Self { shape, format: MemoryFormat::Contiguous, pixels: Cow::Owned(pixels) })
    }
}

/// An image of `pixels` in channels-last order.
pub(super) fn channels_last<T: Activation>(
    operation: &'static str,
    shape: ImageShape,
    pixels: Vec<T>,
) -> Result<Integers<T>> {
    let nhwc = [shape.batch, shape.height, shape.width, shape.channels];
    let found = pixels.len();
    Array::from_shape_vec(IxDyn(&nhwc), pixels)
        .map(|array| array.permuted_axes(IxDyn(&[0, 3, 1, 2])).into_shared())
        .map_err(|_| Error::shape(operation, format!("{found} pixels"), &nhwc))
}

/// As [`channels_last`], brought to `format`.
pub(super) fn image_in_format<T: Activation>(
    operation: &'static str,
    shape: ImageShape,
    pixels: Vec<T>,
    format: MemoryFormat,
) -> Result<Integers<T>> {
    if format == MemoryFormat::ChannelsLast {
        return channels_last(operation, shape, pixels);
    }
    let nchw = [shape.batch, shape.channels, shape.height, shape.width];
    let mut planes = vec![T::default(); pixels.len()];
    nhwc_to_nchw(&pixels, shape, &mut planes).map_err(refused(operation, &nchw))?;
    let found = planes.len();
    Array::from_shape_vec(IxDyn(&nchw), planes)
        .map(Array::into_shared)
        .map_err(|_| Error::shape(operation, format!("{found} pixels"), &nchw))
}

/// The integers that a kernel writes for each integer, in the memory order of the input.
pub(super) fn map_in_memory_order<T: Activation>(
    operation: &'static str,
    integers: &Integers<T>,
    kernel: impl FnOnce(&[T], &mut [T]) -> qkernels::Result<()>,
) -> Result<Integers<T>> {
    let dense;
    let (input, values) = match integers.as_slice_memory_order() {
        Some(values) => (integers, values),
        None => {
            dense = row_major(integers);
            (&dense, dense.as_slice_memory_order().unwrap_or_default())
        }
    };
    let mut output = input.to_owned();
    // A dense array and its copy have the same order in memory.
    let written = output.as_slice_memory_order_mut().unwrap_or_default();
    kernel(values, written).map_err(refused(operation, integers.shape()))?;
    Ok(output.into_shared())
}

/// The same integers, lying in row-major order; no copy if they do already.
pub(super) fn row_major<T: Clone>(integers: &ArcArray<T, IxDyn>) -> ArcArray<T, IxDyn> {
    if integers.is_standard_layout() {
        return integers.clone();
    }
    integers.as_standard_layout().into_owned().into_shared()
}

/// The axes from the outermost in memory to the innermost: in this order a dense array is row-major.
pub(super) fn memory_order<T>(array: &ArrayViewD<'_, T>) -> Vec<usize> {
    let mut axes: Vec<usize> = (0..array.ndim()).collect();
    // Axes of extent 1 have meaningless strides; they go where it does not matter.
    let stride =
        |axis: usize| if array.shape()[axis] <= 1 { isize::MAX } else { array.strides()[axis].abs() };
    axes.sort_by_key(|&axis| std::cmp::Reverse(stride(axis)));
    axes
}

/// `array` broadcast to `shape` with its axes in `order`, in row-major order of those axes.
pub(super) fn broadcast_in_order<'a, T: Clone>(
    array: &'a ArcArray<T, IxDyn>,
    shape: &[usize],
    order: &[usize],
) -> Option<CowArray<'a, T, IxDyn>> {
    // `view().broadcast` would borrow the view; a full-shape operand needs no broadcasting at all.
    if array.shape() == shape {
        let view = array.view().permuted_axes(IxDyn(order));
        return Some(match view.is_standard_layout() {
            true => CowArray::from(view),
            false => CowArray::from(view.as_standard_layout().into_owned()),
        });
    }
    let view = array.broadcast(IxDyn(shape))?.permuted_axes(IxDyn(order));
    Some(CowArray::from(view.as_standard_layout().into_owned()))
}

/// Undoes the axis order of [`broadcast_in_order`].
pub(super) fn from_order<T>(array: ArrayD<T>, order: &[usize]) -> ArrayD<T> {
    let mut inverse = vec![0; order.len()];
    for (position, &axis) in order.iter().enumerate() {
        inverse[axis] = position;
    }
    array.permuted_axes(IxDyn(&inverse))
}

/// The shape that two tensors broadcast to.
pub(super) fn broadcast_shape(operation: &'static str, a: &[usize], b: &[usize]) -> Result<Vec<usize>> {
    let rank = a.len().max(b.len());
    let extent =
        |shape: &[usize], axis: usize| (axis + shape.len()).checked_sub(rank).map_or(1, |axis| shape[axis]);
    let shape: Option<Vec<usize>> = (0..rank)
        .map(|axis| match (extent(a, axis), extent(b, axis)) {
            (a, b) if a == b => Some(a),
            (1, other) | (other, 1) => Some(other),
            _ => None,
        })
        .collect();
    shape
        .filter(|shape| element_count(shape).is_some())
        .ok_or_else(|| Error::shape(operation, format!("a shape that broadcasts with {a:?}"), b))
}

/// The number of values of a shape, if they can be addressed.
pub(super) fn element_count(shape: &[usize]) -> Option<usize> {
    if shape.contains(&0) {
        return Some(0);
    }
    let count = shape.iter().try_fold(1_usize, |count, &extent| count.checked_mul(extent))?;
    isize::try_from(count).is_ok().then_some(count)
}
