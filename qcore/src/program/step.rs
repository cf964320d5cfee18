//! `Step`: one thing that a program does.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::Answer;
use super::held::{self, Held};
use super::placement::Placement;
use super::profile::StepProfile;
use crate::op::{ActivationSpec, Kernel};
use crate::{Error, Result};

/// Index of a buffer of bytes.
pub(super) type BufferId = usize;
/// Index of a place for a tensor.
pub(super) type SlotId = usize;

/// Most operations read so many buffers or fewer.
const FEW: usize = 8;

/// One step, and the call in the model that it stands for.
#[derive(Debug)]
pub(super) struct Step {
    pub(super) path: Arc<str>,
    pub(super) action: Action,
}

/// What a step does.
pub(super) enum Action {
    /// Runs a kernel on buffers.
    Kernel { kernel: Box<dyn Kernel>, inputs: Vec<Source>, target: Target },
    /// Runs an operation on tensors.
    Tensors { run: TensorFunction, inputs: Vec<SlotId>, output: SlotId },
    /// From float to a buffer.
    Quantize { input: [SlotId; 1], output: Target },
    /// From a buffer to float.
    Dequantize { input: Source, output: SlotId },
    /// From an int8 tensor to a buffer.
    Store { input: [SlotId; 1], output: Target },
    /// From a buffer to an int8 tensor.
    Load { input: Source, output: SlotId },
}

/// An operation on tensors, in either domain.
pub(super) type TensorFunction = Arc<dyn Fn(Vec<Held>) -> Result<Held> + Send + Sync>;

/// A buffer that is read, or a part of it.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) buffer: BufferId,
    pub(super) range: Range<usize>,
    pub(super) spec: ActivationSpec,
}

impl Source {
    pub(super) fn whole(buffer: BufferId, spec: ActivationSpec) -> Self {
        Self { buffer, range: 0..spec.byte_len(), spec }
    }
}

/// A buffer that is written, or a part of it.
#[derive(Clone, Debug)]
pub(super) struct Target {
    pub(super) buffer: BufferId,
    pub(super) spec: ActivationSpec,
    /// Where it begins.
    pub(super) offset: usize,
    /// Bytes from one pixel to the next.
    pub(super) pitch: usize,
}

impl Target {
    pub(super) fn whole(buffer: BufferId, spec: ActivationSpec) -> Self {
        let pitch = spec.pitch();
        Self { buffer, spec, offset: 0, pitch }
    }
}

/// Where a program leaves an output.
#[derive(Debug)]
pub(super) enum Output {
    Buffer(Source),
    Slot(SlotId),
}

impl Step {
    pub(super) fn run(
        &self,
        bytes: &mut [u8],
        slots: &mut [Held],
        released: &[SlotId],
        placement: &Placement,
    ) -> Result<()> {
        self.action.run(bytes, slots, released, placement).map_err(|error| error.in_layer(&self.path))
    }

    pub(super) fn profile(&self, nanoseconds: u64) -> StepProfile {
        let (domain, inputs, output, cost) = match &self.action {
            Action::Kernel { kernel, inputs, target } => {
                let inputs = inputs.iter().map(|input| input.spec.shape().to_vec()).collect();
                ("int8", inputs, target.spec.shape().to_vec(), kernel.cost())
            }
            Action::Quantize { output, .. } => {
                let shape = output.spec.shape().to_vec();
                ("quantize", vec![shape.clone()], shape, Default::default())
            }
            Action::Dequantize { input, .. } => {
                let shape = input.spec.shape().to_vec();
                ("dequantize", vec![shape.clone()], shape, Default::default())
            }
            Action::Load { input, .. } => {
                ("tensor", vec![input.spec.shape().to_vec()], Vec::new(), Default::default())
            }
            Action::Store { output, .. } => {
                ("tensor", Vec::new(), output.spec.shape().to_vec(), Default::default())
            }
            Action::Tensors { .. } => ("tensor", Vec::new(), Vec::new(), Default::default()),
        };
        StepProfile { path: self.path.to_string(), domain, inputs, output, cost, nanoseconds }
    }
}

impl Action {
    fn run(
        &self,
        bytes: &mut [u8],
        slots: &mut [Held],
        released: &[SlotId],
        placement: &Placement,
    ) -> Result<()> {
        match self {
            Self::Kernel { kernel, inputs, target } => {
                let (output, others) = placement.output(bytes, target);
                let refused = |error: qkernels::Error| Error::parameter("a kernel", error.to_string());
                let mut few: [&[u8]; FEW] = [&[]; FEW];
                let many: Vec<&[u8]>;
                let sources = if inputs.len() <= FEW {
                    for (slice, input) in few.iter_mut().zip(inputs) {
                        *slice = placement.input(&others, input);
                    }
                    &few[..inputs.len()]
                } else {
                    many = inputs.iter().map(|input| placement.input(&others, input)).collect();
                    &many
                };
                kernel.run(sources, output, target.pitch).map_err(refused)
            }
            Self::Tensors { run, inputs, output } => {
                // A slot that is read twice is taken by its last reader only.
                let take = |(index, &slot): (usize, &SlotId)| match released.contains(&slot)
                    && !inputs[index + 1..].contains(&slot)
                {
                    true => std::mem::take(&mut slots[slot]),
                    false => slots[slot].clone(),
                };
                let inputs = inputs.iter().enumerate().map(take).collect();
                slots[*output] = run(inputs)?;
                Ok(())
            }
            Self::Quantize { input: [input], output } => {
                let x = take(slots, *input, released).into_float()?;
                held::quantize(&x, &output.spec, placement.output(bytes, output).0)
            }
            Self::Dequantize { input, output } => {
                slots[*output] = Held::Float(held::dequantize(placement.slice(bytes, input), &input.spec)?);
                Ok(())
            }
            Self::Store { input: [input], output } => {
                let x = take(slots, *input, released).into_int8()?;
                held::store(&x, &output.spec, placement.output(bytes, output).0)
            }
            Self::Load { input, output } => {
                slots[*output] = Held::Int8(held::load(placement.slice(bytes, input), &input.spec)?);
                Ok(())
            }
        }
    }

    /// The slots that this reads.
    pub(super) fn slots_read(&self) -> &[SlotId] {
        match self {
            Self::Tensors { inputs, .. } => inputs,
            Self::Quantize { input, .. } | Self::Store { input, .. } => input,
            Self::Kernel { .. } | Self::Dequantize { .. } | Self::Load { .. } => &[],
        }
    }

    /// The buffers that this reads.
    pub(super) fn buffers_read(&self) -> &[Source] {
        match self {
            Self::Kernel { inputs, .. } => inputs,
            Self::Dequantize { input, .. } | Self::Load { input, .. } => std::slice::from_ref(input),
            Self::Tensors { .. } | Self::Quantize { .. } | Self::Store { .. } => &[],
        }
    }

    /// The buffer that this writes.
    pub(super) fn target(&self) -> Option<&Target> {
        match self {
            Self::Kernel { target, .. } => Some(target),
            Self::Quantize { output, .. } | Self::Store { output, .. } => Some(output),
            Self::Dequantize { .. } | Self::Load { .. } | Self::Tensors { .. } => None,
        }
    }
}

fn take(slots: &mut [Held], slot: SlotId, released: &[SlotId]) -> Held {
    if released.contains(&slot) { std::mem::take(&mut slots[slot]) } else { slots[slot].clone() }
}

impl Output {
    pub(super) fn answer<'a>(
        &'a self,
        bytes: &'a [u8],
        slots: &[Held],
        placement: &Placement,
    ) -> Result<Answer<'a>> {
        match self {
            Self::Buffer(source) => Ok(Answer::Bytes(placement.slice(bytes, source), &source.spec)),
            Self::Slot(slot) => match slots[*slot].clone() {
                Held::Int8(tensor) => Ok(Answer::Tensor(tensor.dequantize())),
                held => held.into_float().map(Answer::Tensor),
            },
        }
    }
}

impl fmt::Debug for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel { kernel, inputs, target } => {
                let inputs: Vec<_> = inputs.iter().map(|input| input.buffer).collect();
                write!(f, "{kernel:?} {inputs:?} -> {}+{}", target.buffer, target.offset)
            }
            Self::Tensors { inputs, output, .. } => write!(f, "tensors {inputs:?} -> slot {output}"),
            Self::Quantize { input, output } => write!(f, "quantize slot {input:?} -> {}", output.buffer),
            Self::Dequantize { input, output } => write!(f, "dequantize {} -> slot {output}", input.buffer),
            Self::Store { input, output } => write!(f, "store slot {input:?} -> {}", output.buffer),
            Self::Load { input, output } => write!(f, "load {} -> slot {output}", input.buffer),
        }
    }
}
