//! `Program`: what a converted model runs for inputs of one shape.
//!
//! The generated network is walked once with symbolic [`Value`]s ([`record`]); every call becomes a [`Step`], and
//! between int8 and float stand the conversions that are needed, each at most once. Moving values is no step, but a
//! [`view`] of where they are, until a kernel needs them in order. Then an addition moves into the convolution before
//! it, what is concatenated is written where it belongs ([`fusion`]), and every buffer gets its place in one block of
//! memory ([`placement`]). Running a program is a loop over its steps.

mod cache;
mod fusion;
mod held;
mod placement;
mod profile;
mod record;
mod step;
#[cfg(test)]
mod tests;
mod value;
mod view;
mod workspace;

use std::time::Instant;

use crate::{Result, Tensor};

pub(crate) use cache::Programs;
pub use placement::MemoryReport;
pub use profile::{Profile, StepProfile};
pub(crate) use record::Recorder;
pub use value::Value;

use held::Held;
use placement::Placement;
use step::{Output, Step};
use workspace::Workspace;

/// The steps of a model for inputs of one shape, and where their buffers lie.
#[derive(Debug)]
pub(crate) struct Program {
    inputs: Vec<InputKey>,
    steps: Vec<Step>,
    /// For each step the slots that nobody reads after it.
    released: Vec<Vec<usize>>,
    outputs: Vec<Output>,
    placement: Placement,
    slots: usize,
}

/// What a program was made for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputKey {
    shape: Vec<usize>,
    is_channels_last: bool,
}

impl InputKey {
    fn of(input: &Tensor) -> Self {
        Self { shape: input.shape().to_vec(), is_channels_last: input.is_channels_last() }
    }

    fn fits(&self, input: &Tensor) -> bool {
        self.shape == input.shape() && self.is_channels_last == input.is_channels_last()
    }
}

impl Program {
    /// `buffers` are sizes in bytes; `slots` show what each slot will hold.
    fn new(
        inputs: Vec<InputKey>,
        mut steps: Vec<Step>,
        outputs: Vec<Output>,
        buffers: Vec<usize>,
        slots: &[Held],
    ) -> Self {
        let slot_bytes: Vec<usize> = slots.iter().map(Held::byte_len).collect();
        fusion::fuse_clamps(&mut steps, &buffers, &outputs);
        fusion::fuse_residuals(&mut steps, &buffers, &outputs);
        fusion::write_pieces_in_place(&mut steps, &buffers, &outputs);
        let released = held::released(&steps, &outputs, slot_bytes.len());
        let placement = Placement::new(&steps, &outputs, &buffers, &slot_bytes);
        Self { inputs, steps, released, outputs, placement, slots: slot_bytes.len() }
    }

    /// Runs on inputs of the shapes that this was made for; `take` gets the outputs, one after the other.
    pub(crate) fn run<'a>(
        &self,
        inputs: impl Iterator<Item = &'a Tensor>,
        take: &mut dyn FnMut(usize, Answer<'_>) -> Result<()>,
    ) -> Result<()> {
        self.run_steps(inputs, take, None)
    }

    /// [`Program::run`] with a look at the clock around every step.
    pub(crate) fn profile<'a>(&self, inputs: impl Iterator<Item = &'a Tensor>) -> Result<Profile> {
        let mut times = vec![0; self.steps.len()];
        self.run_steps(inputs, &mut |_, _| Ok(()), Some(&mut times))?;
        Ok(Profile { steps: self.steps.iter().zip(times).map(|(step, time)| step.profile(time)).collect() })
    }

    pub(crate) fn memory(&self) -> MemoryReport {
        self.placement.report()
    }

    fn run_steps<'a>(
        &self,
        inputs: impl Iterator<Item = &'a Tensor>,
        take: &mut dyn FnMut(usize, Answer<'_>) -> Result<()>,
        mut nanoseconds: Option<&mut [u64]>,
    ) -> Result<()> {
        let mut workspace = Workspace::take();
        workspace.resize(self.placement.len(), self.slots);
        let (bytes, slots) = workspace.parts();
        // The inputs have the first slots.
        for (slot, input) in slots.iter_mut().zip(inputs) {
            *slot = Held::Float(input.clone());
        }
        for (index, (step, released)) in self.steps.iter().zip(&self.released).enumerate() {
            let start = nanoseconds.is_some().then(Instant::now);
            step.run(bytes, slots, released, &self.placement)?;
            if let (Some(nanoseconds), Some(start)) = (&mut nanoseconds, start) {
                nanoseconds[index] = u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
            }
        }
        for (index, output) in self.outputs.iter().enumerate() {
            take(index, output.answer(bytes, slots, &self.placement)?)?;
        }
        workspace.give_back();
        Ok(())
    }
}

/// An output where the program left it.
#[derive(Debug)]
pub(crate) enum Answer<'a> {
    /// An int8 activation.
    Bytes(&'a [u8], &'a crate::op::ActivationSpec),
    /// A float tensor, or an int8 tensor of another kind that was made float.
    Tensor(Tensor),
}

impl Answer<'_> {
    /// The output in float, images in row-major order.
    pub(crate) fn into_tensor(self) -> Result<Tensor> {
        match self {
            Self::Bytes(bytes, spec) => {
                let mut values = vec![0.0; bytes.len()];
                held::dequantize_row_major(bytes, spec, &mut values)?;
                Tensor::from_vec(spec.shape(), values)
            }
            Self::Tensor(tensor) => Ok(tensor),
        }
    }

    /// The output in float, in the memory of `tensor` if its shape fits and nobody shares it.
    pub(crate) fn write_to(self, tensor: &mut Tensor) -> Result<()> {
        if let Self::Bytes(bytes, spec) = &self
            && tensor.shape() == spec.shape()
            && let Some(values) = tensor.as_slice_mut()
        {
            return held::dequantize_row_major(bytes, spec, values);
        }
        *tensor = self.into_tensor()?;
        Ok(())
    }
}
