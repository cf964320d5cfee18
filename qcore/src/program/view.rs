//! `View`: a value as a layout of the buffer where it was written, perhaps not one that kernels read.

use std::sync::Arc;

use qkernels::elements;
use qkernels::rearrange::StridedCopy;

use super::step::{BufferId, Source};
use crate::ops::{Kernel, Output, TensorSpec};
use crate::tensor::{Layout, MemoryFormat, Rearrangement};
use crate::{Error, Result};

/// The layout of a value in a buffer.
///
/// Rearranging it changes only the layout; it is copied when a kernel reads it that needs its elements in order, and
/// when a new shape has no strides in the old order.
#[derive(Clone, Debug)]
pub(super) struct View {
    buffer: BufferId,
    layout: Layout,
    spec: TensorSpec,
    /// The calls that led from the buffer's order to this one.
    calls: Vec<Arc<str>>,
}

impl View {
    /// The view of a source.
    pub(super) fn of(source: Source) -> Self {
        let start = source.range.start / source.spec.format().element_size();
        let layout = source.spec.layout().starting_at(start);
        Self { buffer: source.buffer, layout, spec: source.spec, calls: Vec::new() }
    }

    pub(super) fn spec(&self) -> &TensorSpec {
        &self.spec
    }

    /// The same elements with another meaning.
    pub(super) fn with_spec(self, spec: TensorSpec) -> Self {
        Self { spec, ..self }
    }

    /// The same in the name of the call `path`.
    pub(super) fn called(mut self, path: &Arc<str>) -> Self {
        self.calls.push(Arc::clone(path));
        self
    }

    /// The rearranged view, if that needs no copy.
    pub(super) fn rearranged(&self, rearrangement: &Rearrangement) -> Option<Self> {
        let layout = self.layout.rearranged(rearrangement)?;
        Some(Self { layout, spec: self.spec.rearranged(rearrangement), ..self.clone() })
    }

    /// The buffer, if the elements are in it in this memory format and without gaps.
    pub(super) fn as_source(&self, buffer: MemoryFormat) -> Option<Source> {
        let spec = self.spec.clone().in_buffer(buffer);
        self.layout.has_strides_of(&spec.layout()).then(|| Source {
            buffer: self.buffer,
            range: self.byte_range(),
            spec,
        })
    }

    /// The copy of these elements into a buffer of their own with the layout `target`, in rows of `row` elements: the
    /// calls that it carries out, the kernel, and the kernel's input.
    pub(super) fn copy_to(&self, target: &Layout, row: usize) -> Result<(Arc<str>, Box<dyn Kernel>, Source)> {
        let order = target.order();
        let in_order = |extents: &[usize]| order.iter().map(|&axis| extents[axis]).collect::<Vec<_>>();
        let (extents, strides) = (in_order(self.layout.shape()), in_order(self.layout.strides()));
        let copy =
            StridedCopy::new(&extents, &strides, 0, row).map_err(|error| Error::kernel("a copy", error))?;
        let element_size = self.spec.format().element_size();
        let path = if self.calls.is_empty() { "copy".into() } else { self.calls.join(" + ").into() };
        let source = Source { buffer: self.buffer, range: self.byte_range(), spec: self.spec.clone() };
        Ok((path, Box::new(CopyKernel { copy, element_size }), source))
    }

    fn byte_range(&self) -> std::ops::Range<usize> {
        let (range, size) = (self.layout.range(), self.spec.format().element_size());
        range.start * size..range.end * size
    }
}

/// Brings elements into another order.
#[derive(Debug)]
struct CopyKernel {
    copy: StridedCopy,
    element_size: usize,
}

impl Kernel for CopyKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, pixel_stride }] = outputs else { return Ok(()) };
        let input = inputs.first().copied().unwrap_or_default();
        match self.element_size {
            1 => self.copy.run(input, bytes, *pixel_stride),
            _ => self.copy.run(elements::view::<i32>(input)?, elements::view_mut(bytes)?, *pixel_stride),
        }
    }

    fn takes_pixel_stride(&self) -> bool {
        self.copy.takes_row_stride()
    }
}
