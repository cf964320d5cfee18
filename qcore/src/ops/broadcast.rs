//! Broadcasting: how two operands of different shapes are brought to one before and in a kernel.

use super::inputs::element_count;
use super::{Format, Kernel, Planned, PlannedKernel, TensorSpec};
use crate::tensor::{MemoryFormat, Rearrangement};
use crate::{Error, Result};

/// Two operands that broadcast.
pub(super) struct Operands<'a> {
    a: &'a TensorSpec,
    b: &'a TensorSpec,
    /// Of the result.
    shape: Vec<usize>,
    /// The number of images, where the first operand is images and the second has one value for each of their
    /// channels. The kernel repeats these; all else is repeated before it.
    pub(super) images: Option<usize>,
}

impl<'a> Operands<'a> {
    pub(super) fn new(operation: &'static str, a: &'a TensorSpec, b: &'a TensorSpec) -> Result<Self> {
        let shape = broadcast_shape(operation, a.shape(), b.shape())?;
        let is_per_channel = a.shape() == shape
            && b.shape() != shape
            && matches!(b.shape(), [_, _, 1, 1])
            && a.shape()[..2] == b.shape()[..2];
        let images = is_per_channel.then(|| a.shape()[0]);
        Ok(Self { a, b, shape, images })
    }

    /// The plan of a kernel for these operands; one that repeats values has its images in `image_format`.
    pub(super) fn planned(
        self,
        kernel: Box<dyn Kernel>,
        format: Format,
        image_format: MemoryFormat,
    ) -> Planned {
        let Self { a, b, shape, images } = self;
        let is_whole = |operand: &TensorSpec| operand.shape() == shape;
        let like = [a, b].into_iter().find(|operand| is_whole(operand)).cloned();
        let like = like.unwrap_or_else(|| a.with_shape(&shape));
        let buffer = if images.is_some() { image_format } else { like.buffer() };
        let spec = like.with_format(format).in_buffer(buffer);
        let planned = PlannedKernel::new(kernel, vec![spec.clone()]).inputs([buffer; 2]);
        let planned = Planned::Kernel(planned);
        if images.is_some() || (is_whole(a) && is_whole(b)) {
            return planned;
        }
        let repeated = |operand: &TensorSpec| match is_whole(operand) {
            true => Vec::new(),
            false => vec![Rearrangement::Broadcast(shape.clone())],
        };
        let inputs = vec![repeated(a), repeated(b)];
        Planned::Around { inputs, planned: Box::new(planned), output: Vec::new(), spec }
    }
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
