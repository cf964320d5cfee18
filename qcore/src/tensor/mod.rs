//! `Tensor`: an f32 array of any rank, cheap to clone; and its layouts, dtypes and quantized forms.

mod any_tensor;
mod dtype;
mod int_repr;
mod layout;
mod qparams;
mod qtensor;
mod rearrangement;

use ndarray::{ArcArray, Array, Array1, ArrayD, ArrayView, ArrayViewD, Axis, Dimension, IxDyn, Slice};
use qkernels::memory;

use crate::ops::element_count;
use crate::{Error, Result};

pub use any_tensor::AnyTensor;
pub use dtype::DType;
pub use int_repr::IntRepr;
pub use layout::MemoryFormat;
pub(crate) use layout::{Layout, is_image};
pub use qparams::{
    FloatQParams, QParams, QScheme, affine_float_qparams, affine_qparams, choose_qparams, symmetric_scale,
    symmetric_zero_point,
};
pub use qtensor::{QTensor, round_to_float16};
pub use rearrangement::Rearrangement;

/// An f32 tensor. Activations of images are `[N, C, H, W]`.
///
/// A clone shares the data; whoever changes a shared tensor gets a copy of its own (copy on write). Any
/// `ndarray` array converts in, and [`Tensor::into_array`] or [`Tensor::view`] out.
///
/// ```
/// use qcore::Tensor;
/// let x = Tensor::from(ndarray::arr2(&[[1.0, 2.0], [3.0, 4.0]]));
/// assert_eq!(x.shape(), [2, 2]);
/// assert_eq!(x.view()[[1, 0]], 3.0);
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    data: ArcArray<f32, IxDyn>,
}

impl Tensor {
    /// A tensor of the given shape from values in row-major order.
    ///
    /// # Errors
    /// When the number of values is not the product of the shape; the error says both numbers.
    pub fn from_vec(shape: &[usize], values: Vec<f32>) -> Result<Self> {
        let found = values.len();
        ArrayD::from_shape_vec(IxDyn(shape), values).map(Self::from).map_err(|_| {
            let message = match element_count(shape) {
                Some(expected) => format!("shape {shape:?} has {expected} values, found {found}"),
                None => format!("shape {shape:?} has more values than can be addressed, found {found}"),
            };
            Error::parameter("Tensor::from_vec", message)
        })
    }

    /// A tensor of the given shape from the values that `buffer` begins with, and with all of its memory.
    ///
    /// # Errors
    /// When the shape needs more values.
    pub(crate) fn from_buffer(shape: &[usize], buffer: Vec<f32>) -> Result<Self> {
        let found = buffer.len();
        let len = shape.iter().fold(1_usize, |len, &extent| len.saturating_mul(extent));
        let mut values = Array1::from_vec(buffer);
        values.slice_axis_inplace(Axis(0), Slice::from(..len.min(found)));
        values
            .into_shape_with_order(IxDyn(shape))
            .map(Self::from)
            .map_err(|_| Error::shape("a buffer", format!("{found} values' worth of shape"), shape))
    }

    /// A tensor of zeros.
    ///
    /// # Panics
    /// When there is no memory for it. For a shape from outside of the program there is [`Tensor::try_zeros`].
    pub fn zeros(shape: &[usize]) -> Self {
        Self::try_zeros(shape).unwrap_or_else(|error| panic!("Tensor::zeros: {error}"))
    }

    /// A tensor of zeros.
    ///
    /// ```
    /// use qcore::{Error, Tensor};
    /// assert_eq!(Tensor::try_zeros(&[2, 3])?.shape(), [2, 3]);
    /// assert!(matches!(Tensor::try_zeros(&[1 << 40, 1 << 20]), Err(Error::Memory { .. })));
    /// # Ok::<(), Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is no memory for it, or one call may not take so much
    /// ([`set_memory_limit`](crate::set_memory_limit)).
    pub fn try_zeros(shape: &[usize]) -> Result<Self> {
        let what = format_args!("a tensor of shape {shape:?}");
        let len = element_count(shape).unwrap_or(usize::MAX);
        let values = memory::zeroed(what, len).map_err(|error| Error::kernel("Tensor::try_zeros", error))?;
        Self::from_vec(shape, values)
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        self.data.shape()
    }

    /// The number of axes.
    pub fn rank(&self) -> usize {
        self.data.ndim()
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether any extent is zero.
    pub fn is_empty(&self) -> bool {
        self.data.is_empty()
    }

    /// The extent of axis `dim`; negative counts from the end, as in PyTorch.
    ///
    /// # Errors
    /// When the tensor has no such axis.
    pub fn size(&self, dim: isize) -> Result<usize> {
        let axis = resolve_axis("size", dim, self.shape())?;
        Ok(self.shape()[axis])
    }

    /// The tensor with an axis of extent 1 before axis `dim`, as in PyTorch: `unsqueeze(0)` makes a batch of one image.
    /// Negative counts from the end, and -1 is behind the last axis. No value is copied.
    ///
    /// ```
    /// use qcore::Tensor;
    /// let image = Tensor::zeros(&[3, 8, 8]);
    /// assert_eq!(image.unsqueeze(0)?.shape(), [1, 3, 8, 8]);
    /// # Ok::<(), qcore::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the tensor has fewer axes.
    pub fn unsqueeze(self, dim: isize) -> Result<Self> {
        let places = self.rank() as isize + 1;
        let axis = if dim < 0 { dim.saturating_add(places) } else { dim };
        if !(0..places).contains(&axis) {
            return Err(Error::shape(
                "unsqueeze",
                format!("a tensor with a place for axis {dim}"),
                self.shape(),
            ));
        }
        Ok(Self { data: self.data.insert_axis(Axis(axis as usize)) })
    }

    /// The values, shared as they are.
    pub(crate) fn into_shared(self) -> ArcArray<f32, IxDyn> {
        self.data
    }

    /// A view of the values.
    pub fn view(&self) -> ArrayViewD<'_, f32> {
        self.data.view()
    }

    /// The values as an owned array; no copy when nobody shares them.
    pub fn into_array(self) -> ArrayD<f32> {
        self.data.into_owned()
    }

    /// The values, if they are in row-major order in memory.
    pub fn as_slice(&self) -> Option<&[f32]> {
        self.data.as_slice()
    }

    /// The values, to change them, if they are in row-major order in memory. Shared data is copied first.
    pub(crate) fn as_slice_mut(&mut self) -> Option<&mut [f32]> {
        self.data.as_slice_mut()
    }

    /// The memory format of the values, if they have one; else contiguous.
    pub(crate) fn memory_format(&self) -> MemoryFormat {
        MemoryFormat::of(&self.data)
    }

    /// The values in the order of [`Tensor::memory_format`], if there are no gaps.
    pub(crate) fn as_memory_slice(&self) -> Option<&[f32]> {
        match self.memory_format() {
            MemoryFormat::ChannelsLast => self.data.as_slice_memory_order(),
            MemoryFormat::Contiguous => self.data.as_slice(),
        }
    }

    /// The same values in one of the memory formats.
    pub(crate) fn without_gaps(self) -> Self {
        if self.as_memory_slice().is_some() { self } else { self.contiguous() }
    }

    /// The memory of row-major values that nobody shares, which may be longer than they are.
    pub(crate) fn into_unshared_vec(self) -> Option<Vec<f32>> {
        if !self.data.is_standard_layout() {
            return None;
        }
        let values = self.data.try_into_owned_nocopy().ok()?;
        Some(values.into_raw_vec_and_offset().0)
    }

    /// The same values, lying in memory in row-major order.
    #[must_use]
    pub fn contiguous(self) -> Self {
        if self.data.is_standard_layout() {
            return self;
        }
        Self { data: self.data.as_standard_layout().into_owned().into_shared() }
    }

    /// `Ok` if the tensor is in row-major order, or can be copied to it.
    pub(crate) fn check_copy(&self) -> Result<()> {
        if self.data.is_standard_layout() {
            return Ok(());
        }
        check_copy::<f32>(self.shape())
    }

    /// Applies `f` to every value, in place when nobody shares the data.
    #[must_use]
    pub fn map(mut self, f: impl Fn(f32) -> f32 + Sync) -> Self {
        match self.data.as_slice_memory_order_mut() {
            Some(values) => qkernels::float::map(values, f),
            None => self.data.mapv_inplace(f),
        }
        self
    }

    /// The index and value of the first NaN or infinity, if there is one.
    pub fn first_non_finite(&self) -> Option<(usize, f32)> {
        // Without a branch, at the speed of memory: layers in float ask at every call.
        let are_finite = |values: &[f32]| values.iter().fold(true, |all, value| all & value.is_finite());
        if self.as_memory_slice().is_some_and(are_finite) {
            return None;
        }
        self.data.iter().copied().enumerate().find(|(_, value)| !value.is_finite())
    }
}

/// `Ok` if there is memory for a copy of a tensor of `T`.
pub(crate) fn check_copy<T>(shape: &[usize]) -> Result<()> {
    let bytes = element_count(shape).unwrap_or(usize::MAX).saturating_mul(size_of::<T>());
    let what = format_args!("a copy of a tensor of shape {shape:?}");
    memory::check_free(what, bytes).map_err(|error| Error::kernel("a copy", error))
}

/// Axis `dim` of `shape`, negative from the end.
pub(crate) fn resolve_axis(operation: &'static str, dim: isize, shape: &[usize]) -> Result<usize> {
    let rank = shape.len() as isize;
    let axis = if dim < 0 { dim.saturating_add(rank) } else { dim };
    if (0..rank).contains(&axis) {
        Ok(axis as usize)
    } else {
        Err(Error::shape(operation, format!("a tensor with an axis {dim}"), shape))
    }
}

impl<D: Dimension> From<Array<f32, D>> for Tensor {
    fn from(array: Array<f32, D>) -> Self {
        Self { data: array.into_dyn().into_shared() }
    }
}

impl<D: Dimension> From<ArcArray<f32, D>> for Tensor {
    fn from(array: ArcArray<f32, D>) -> Self {
        Self { data: array.into_dyn() }
    }
}

impl<D: Dimension> From<ArrayView<'_, f32, D>> for Tensor {
    fn from(view: ArrayView<'_, f32, D>) -> Self {
        Self::from(view.to_owned())
    }
}

impl From<Tensor> for ArrayD<f32> {
    fn from(tensor: Tensor) -> Self {
        tensor.into_array()
    }
}

impl From<&Tensor> for Tensor {
    fn from(tensor: &Tensor) -> Self {
        tensor.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn map_copies_only_what_is_shared() {
        let x = Tensor::from_vec(&[2], vec![1.0, -1.0]).unwrap();
        let shared = x.clone();
        let y = x.map(|v| v.max(0.0));
        assert_eq!(y.as_slice(), Some(&[1.0, 0.0][..]));
        assert_eq!(shared.as_slice(), Some(&[1.0, -1.0][..]));
    }

    #[test]
    fn size_counts_from_the_end() {
        let x = Tensor::zeros(&[2, 3]);
        assert_eq!(x.size(-1).unwrap(), 3);
        assert!(x.size(2).is_err());
    }
}
