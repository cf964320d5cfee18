//! `View`: an int8 value in the buffer where it was made, perhaps in another order than kernels read.

use std::sync::Arc;

use qkernels::rearrange::StridedCopy;

use super::step::{BufferId, Source};
use crate::op::{ActivationSpec, Arrangement, Kernel, Rearrangement};
use crate::{Error, Result};

/// Where a value lies in a buffer.
///
/// Rearranging it changes only what is known of it; it is copied when somebody reads it who needs its bytes in order,
/// and when a new shape has no strides in the old order.
#[derive(Clone, Debug)]
pub(super) struct View {
    buffer: BufferId,
    arrangement: Arrangement,
    spec: ActivationSpec,
    /// The calls that led from the buffer's order to this one.
    calls: Vec<Arc<str>>,
}

impl View {
    /// What kernels read.
    pub(super) fn of(source: Source) -> Self {
        let arrangement = Arrangement::of_buffer(source.spec.shape()).starting_at(source.range.start);
        Self { buffer: source.buffer, arrangement, spec: source.spec, calls: Vec::new() }
    }

    pub(super) fn spec(&self) -> &ActivationSpec {
        &self.spec
    }

    /// The same bytes with another meaning.
    pub(super) fn with_spec(self, spec: ActivationSpec) -> Self {
        Self { spec, ..self }
    }

    /// The same in the name of the call `path`.
    pub(super) fn called(mut self, path: &Arc<str>) -> Self {
        self.calls.push(Arc::clone(path));
        self
    }

    /// What a rearrangement makes of it, if that needs no copy.
    pub(super) fn rearranged(&self, rearrangement: &Rearrangement) -> Option<Self> {
        let arrangement = self.arrangement.rearranged(rearrangement)?;
        Some(Self { arrangement, spec: self.spec.rearranged(rearrangement), ..self.clone() })
    }

    /// The bytes, if they lie as kernels read them.
    pub(super) fn as_source(&self) -> Option<Source> {
        let in_order = Arrangement::of_buffer(self.spec.shape());
        self.arrangement.lies_as(&in_order).then(|| Source {
            buffer: self.buffer,
            range: self.arrangement.range(),
            spec: self.spec.clone(),
        })
    }

    /// The copy of these values into a buffer of their own, where they lie as `target`, in rows of `row` bytes.
    pub(super) fn copy_to(&self, target: &Arrangement, row: usize) -> Result<Copied> {
        let order = target.order();
        let in_order = |extents: &[usize]| order.iter().map(|&axis| extents[axis]).collect::<Vec<_>>();
        let (extents, strides) = (in_order(self.arrangement.shape()), in_order(self.arrangement.strides()));
        let refused = |error: qkernels::Error| Error::parameter("a copy", error.to_string());
        let kernel = StridedCopy::new(&extents, &strides, 0, row).map_err(refused)?;
        let (range, spec) = (self.arrangement.range(), self.spec.clone());
        let path = if self.calls.is_empty() { "copy".into() } else { self.calls.join(" + ").into() };
        Ok(Copied {
            path,
            kernel: Box::new(CopyKernel(kernel)),
            source: Source { buffer: self.buffer, range, spec },
        })
    }
}

/// A copy of a view: the calls that it carries out, and how.
pub(super) struct Copied {
    pub(super) path: Arc<str>,
    pub(super) kernel: Box<dyn Kernel>,
    pub(super) source: Source,
}

/// Brings bytes into another order.
#[derive(Debug)]
struct CopyKernel(StridedCopy);

impl Kernel for CopyKernel {
    fn run(&self, inputs: &[&[u8]], output: &mut [u8], pitch: usize) -> qkernels::Result<()> {
        self.0.run(inputs.first().copied().unwrap_or_default(), output, pitch)
    }

    fn takes_pitch(&self) -> bool {
        self.0.takes_pitch()
    }
}
