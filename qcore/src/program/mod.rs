//! `Program`: a network made ready for inputs of one shape.
//!
//! Every call becomes a [`Step`](step::Step), a kernel on buffers of bytes, and between float and integers stand the
//! conversions that are needed, each at most once ([`record`]). Moving values is no step, but a [`view`] of where they
//! are, until a kernel needs them in order. Then an addition or a clamp moves into the kernel before it, what is
//! concatenated is written where it belongs ([`fusion`]), and every buffer gets its place in one block of memory
//! ([`placement`]). Running a program is a loop over its steps, which takes no lock and allocates nothing.

mod buffer_pool;
mod cache;
mod convert;
mod evaluate;
mod fusion;
mod non_finite;
mod output;
mod placement;
mod profile;
mod record;
mod step;
#[cfg(test)]
mod tests;
mod view;
mod walk;
mod workspace;

use std::time::Instant;

use qkernels::memory;

use crate::tensor::MemoryFormat;
use crate::{Error, Result, Tensor};

pub(crate) use cache::Programs;
pub use evaluate::evaluate;
pub(crate) use evaluate::{evaluate_float, evaluate_floats, evaluate_within, recycle, release};
pub use non_finite::NonFinite;
pub(crate) use output::ProgramOutput;
pub use placement::MemoryReport;
pub use profile::{Profile, StepProfile};
pub(crate) use walk::{Walk, read_by};

use placement::Placement;
use step::{Source, Step};
use workspace::Workspace;

/// The steps of a network for inputs of one shape, and the placement of their buffers.
#[derive(Debug)]
pub(crate) struct Program {
    inputs: Vec<InputKey>,
    steps: Vec<Step>,
    outputs: Vec<Source>,
    placement: Placement,
    /// Of the workspace and of all outputs in float.
    bytes_of_run: usize,
}

/// The inputs that a program was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputKey {
    shape: Vec<usize>,
    format: MemoryFormat,
}

impl InputKey {
    fn of(input: &Tensor) -> Self {
        Self { shape: input.shape().to_vec(), format: input.memory_format() }
    }

    fn fits(&self, input: &Tensor) -> bool {
        self.shape == input.shape() && self.format == input.memory_format()
    }
}

impl Program {
    fn new(
        inputs: Vec<InputKey>,
        mut steps: Vec<Step>,
        outputs: Vec<Source>,
        buffers: &step::Buffers,
    ) -> Self {
        fusion::fuse_posts(&mut steps, buffers, &outputs);
        fusion::write_parts_in_place(&mut steps, buffers, &outputs);
        let placement = Placement::new(&steps, &outputs, buffers);
        let floats = outputs.iter().map(|output| output.spec.len().saturating_mul(size_of::<f32>()));
        let bytes_of_run = floats.fold(placement.len(), usize::saturating_add);
        Self { inputs, steps, outputs, placement, bytes_of_run }
    }

    /// Runs on inputs of the shapes that this was made for; `take` gets the outputs, one after the other.
    fn run(
        &self,
        workspace: &mut Workspace,
        inputs: &[&Tensor],
        take: &mut dyn FnMut(usize, ProgramOutput<'_>) -> Result<()>,
    ) -> Result<()> {
        self.with_input_bytes(inputs, |inputs| self.run_steps(workspace, inputs, take, None))
    }

    /// [`Program::run`] with a look at the clock around every step.
    fn profile(&self, workspace: &mut Workspace, inputs: &[&Tensor]) -> Result<Profile> {
        let mut times = vec![0; self.steps.len()];
        self.with_input_bytes(inputs, |inputs| {
            self.run_steps(workspace, inputs, &mut |_, _| Ok(()), Some(&mut times))
        })?;
        Ok(Profile { steps: self.steps.iter().zip(times).map(|(step, time)| step.profile(time)).collect() })
    }

    pub(crate) fn memory(&self) -> MemoryReport {
        self.placement.report()
    }

    /// Bytes of the workspace in which it runs.
    fn workspace_len(&self) -> usize {
        self.placement.len()
    }

    /// Calls `run` with the bytes of the inputs in memory order. An input with gaps is copied.
    fn with_input_bytes<T>(&self, inputs: &[&Tensor], run: impl FnOnce(&[&[u8]]) -> Result<T>) -> Result<T> {
        /// As many inputs as are handed on without an allocation.
        const MAX: usize = 8;
        if inputs.len() > MAX || inputs.iter().any(|input| input.as_memory_slice().is_none()) {
            inputs.iter().try_for_each(|input| input.check_copy())?;
            let inputs: Vec<Tensor> = inputs.iter().map(|&input| input.clone().without_gaps()).collect();
            let bytes: Vec<&[u8]> = inputs.iter().map(bytes_of).collect();
            return run(&bytes);
        }
        let mut bytes: [&[u8]; MAX] = [&[]; MAX];
        for (bytes, input) in bytes.iter_mut().zip(inputs) {
            *bytes = bytes_of(input);
        }
        run(&bytes[..inputs.len()])
    }

    fn run_steps(
        &self,
        workspace: &mut Workspace,
        inputs: &[&[u8]],
        take: &mut dyn FnMut(usize, ProgramOutput<'_>) -> Result<()>,
        mut nanoseconds: Option<&mut [u64]>,
    ) -> Result<()> {
        memory::check_held("a run with its outputs", self.bytes_of_run)
            .map_err(|error| Error::kernel("a run", error))?;
        let bytes = workspace.bytes(self.placement.len())?;
        for (index, step) in self.steps.iter().enumerate() {
            let start = nanoseconds.is_some().then(Instant::now);
            step.run(bytes, inputs, &self.placement)?;
            if let (Some(nanoseconds), Some(start)) = (&mut nanoseconds, start) {
                nanoseconds[index] = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            }
        }
        for (index, output) in self.outputs.iter().enumerate() {
            let bytes = self.placement.read(bytes, inputs, output);
            take(index, ProgramOutput::new(bytes, &output.spec))?;
        }
        Ok(())
    }
}

/// The values in memory order; `None` if there are gaps.
fn bytes_of(tensor: &Tensor) -> &[u8] {
    qkernels::elements::bytes(tensor.as_memory_slice().unwrap_or_default())
}
