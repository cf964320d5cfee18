//! `Step`: a kernel on buffers.

use std::fmt::Display;
use std::ops::Range;
use std::sync::Arc;

use qkernels::memory;

use super::placement::Placement;
use super::profile::StepProfile;
use crate::ops::{Format, Kernel, Output, TensorSpec, element_count};
use crate::{Error, Result};

/// Index of a buffer.
pub(super) type BufferId = usize;

/// As many buffers as are read without an allocation.
const MAX_READS: usize = 8;
/// As many buffers as a step may write, with its scratch.
pub(super) const MAX_WRITES: usize = 8;

/// The buffers of a program.
#[derive(Debug, Default)]
pub(super) struct Buffers {
    list: Vec<Buffer>,
    /// Bytes of all those in the workspace.
    total: usize,
}

#[derive(Debug)]
struct Buffer {
    bytes: usize,
    /// Whose memory it is, if it is not the workspace's.
    input: Option<usize>,
}

impl Buffers {
    /// A buffer in the workspace.
    ///
    /// # Errors
    /// When it is larger than one call's memory may be, or all of them are more than can be addressed.
    pub(super) fn add(&mut self, what: impl Display, bytes: usize) -> Result<BufferId> {
        memory::check(what, bytes).map_err(|error| Error::kernel("a buffer", error))?;
        let total = self.total.checked_add(bytes).filter(|&total| isize::try_from(total).is_ok());
        self.total = total
            .ok_or_else(|| Error::Unsupported("values that take more memory than can be addressed".into()))?;
        self.list.push(Buffer { bytes, input: None });
        Ok(self.list.len() - 1)
    }

    /// A buffer in the workspace for values of this shape and format.
    ///
    /// # Errors
    /// As [`Buffers::add`], and when an empty value has strides that cannot be addressed.
    pub(super) fn add_value(&mut self, spec: &TensorSpec) -> Result<BufferId> {
        let what = format_args!("a value of shape {:?}", spec.shape());
        let is_addressable = element_count(spec.shape()).is_some();
        self.add(what, if is_addressable { spec.byte_len() } else { usize::MAX })
    }

    /// The memory of an input.
    pub(super) fn add_input(&mut self, bytes: usize, input: usize) -> BufferId {
        self.list.push(Buffer { bytes, input: Some(input) });
        self.list.len() - 1
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    pub(super) fn bytes(&self, buffer: BufferId) -> usize {
        self.list[buffer].bytes
    }

    /// The input whose memory this is.
    pub(super) fn input(&self, buffer: BufferId) -> Option<usize> {
        self.list[buffer].input
    }
}

/// A kernel with its inputs and outputs.
#[derive(Debug)]
pub(super) struct Step {
    /// The calls in the model that it stands for.
    pub(super) path: Arc<str>,
    /// The call that errors name: of a conversion the one that made the value.
    pub(super) blamed: Arc<str>,
    pub(super) kernel: Box<dyn Kernel>,
    pub(super) inputs: Vec<Source>,
    pub(super) outputs: Vec<Target>,
    pub(super) scratch: Option<BufferId>,
}

/// A buffer that is read, or a part of it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) buffer: BufferId,
    /// In bytes.
    pub(super) range: Range<usize>,
    pub(super) spec: TensorSpec,
}

impl Source {
    pub(super) fn whole(buffer: BufferId, spec: TensorSpec) -> Self {
        Self { buffer, range: 0..spec.byte_len(), spec }
    }
}

/// A buffer that is written, or a part of it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) buffer: BufferId,
    pub(super) spec: TensorSpec,
    /// The byte where it begins.
    pub(super) offset: usize,
    /// Elements from one pixel to the next.
    pub(super) pixel_stride: usize,
}

impl Target {
    pub(super) fn whole(buffer: BufferId, spec: TensorSpec) -> Self {
        let pixel_stride = spec.pixel_stride();
        Self { buffer, spec, offset: 0, pixel_stride }
    }

    /// Whether pixels follow each other without room between them.
    pub(super) fn is_dense(&self) -> bool {
        self.offset == 0 && self.pixel_stride == self.spec.pixel_stride()
    }
}

impl Step {
    /// The buffers that this writes.
    pub(super) fn written(&self) -> impl Iterator<Item = BufferId> {
        self.outputs.iter().map(|target| target.buffer).chain(self.scratch)
    }

    pub(super) fn run(&self, bytes: &mut [u8], inputs: &[&[u8]], placement: &Placement) -> Result<()> {
        let mut split = placement.split(bytes, self);
        let mut few: [&[u8]; MAX_READS] = [&[]; MAX_READS];
        let many: Vec<&[u8]>;
        let sources = if self.inputs.len() <= MAX_READS {
            for (slice, source) in few.iter_mut().zip(&self.inputs) {
                *slice = split.read(placement, inputs, source);
            }
            &few[..self.inputs.len()]
        } else {
            many = self.inputs.iter().map(|source| split.read(placement, inputs, source)).collect();
            &many
        };
        let mut outputs: [Output<'_>; MAX_WRITES] =
            std::array::from_fn(|index| match self.outputs.get(index) {
                Some(target) => {
                    let bytes = split.write(index);
                    let offset = target.offset.min(bytes.len());
                    Output { bytes: &mut bytes[offset..], pixel_stride: target.pixel_stride }
                }
                None => Output { bytes: &mut [], pixel_stride: 0 },
            });
        let scratch = if self.scratch.is_some() { split.write(self.outputs.len()) } else { &mut [] };
        let written = &mut outputs[..self.outputs.len()];
        let failed = |error: qkernels::Error| match error {
            qkernels::Error::NotFinite { index, value } => {
                Error::NotFinite { what: "a value that becomes an integer".into(), value, index }
                    .in_layer(&self.blamed)
            }
            error => Error::kernel("a kernel", error).in_layer(&self.blamed),
        };
        self.kernel.run(sources, written, scratch).map_err(failed)
    }

    pub(super) fn profile(&self, nanoseconds: u64) -> StepProfile {
        let inputs = self.inputs.iter().map(|source| &source.spec);
        let outputs = self.outputs.iter().map(|target| &target.spec);
        let is_float = |spec: &TensorSpec| *spec.format() == Format::F32;
        let domain = match (inputs.clone().all(is_float), outputs.clone().all(is_float)) {
            (true, true) => "float",
            (true, false) => "quantize",
            (false, true) => "dequantize",
            (false, false) => "int8",
        };
        let bytes = inputs.clone().chain(outputs.clone()).map(|spec| spec.byte_len() as u64).sum();
        StepProfile {
            path: self.path.to_string(),
            domain,
            inputs: inputs.map(|spec| spec.shape().to_vec()).collect(),
            output: outputs.map(|spec| spec.shape().to_vec()).next().unwrap_or_default(),
            activation_bytes: bytes,
            cost: self.kernel.cost(),
            nanoseconds,
        }
    }
}
