//! `Recorder`: writes down the steps of a model while its network is walked with symbolic values.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::step::{Action, BufferId, Output, SlotId, Source, Step, Target, TensorFunction};
use super::{Held, InputKey, Program, Value};
use crate::model::{ConvertedNetwork, Quantizable};
use crate::op::{ActivationSpec, MemoryFormat, Planned};
use crate::values::Values;
use crate::{Error, QParams, QTensor, Result, Tensor};

pub(crate) type ValueId = usize;

/// Collects steps, and knows of every value where it is.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    steps: Vec<Step>,
    values: Vec<Recorded>,
    /// Bytes of each buffer.
    buffers: Vec<usize>,
    /// What each slot will hold, with zeros for values.
    slots: Vec<Held>,
}

/// A value, and the places where it is once its producers ran. It is in one of them from the start.
#[derive(Debug)]
struct Recorded {
    shape: Vec<usize>,
    float: Option<SlotId>,
    buffer: Option<Source>,
    int8: Option<SlotId>,
    /// How to quantize it, if it was made in float and an int8 operation may read it.
    qparams: Option<Arc<QParams>>,
}

impl Program {
    /// Records `network` for inputs like these.
    pub(crate) fn record<M: Quantizable>(
        network: &M::Converted,
        input: &M::Input,
        qparams: &[Option<QParams>],
    ) -> Result<Self> {
        let recorder = Rc::new(RefCell::new(Recorder::default()));
        let mut keys = Vec::new();
        let values = M::Input::build(|index| {
            let missing = || Error::Unsupported("fewer inputs than the model takes".into());
            let (tensor, qparams) = input.get(index).zip(qparams.get(index)).ok_or_else(missing)?;
            keys.push(InputKey::of(tensor));
            let id = recorder.borrow_mut().input(tensor, qparams.clone());
            Ok(Value::new(Rc::clone(&recorder), id))
        })?;
        let outputs = M::Output::into_vec(network.run(values)?);
        let outputs: Vec<ValueId> = outputs.iter().map(Value::id).collect();
        let mut recorder = recorder.take();
        let outputs = outputs.into_iter().map(|id| recorder.output(id)).collect::<Result<_>>()?;
        Ok(Self::new(keys, recorder.steps, outputs, recorder.buffers, &recorder.slots))
    }
}

impl Recorder {
    pub(crate) fn shape(&self, value: ValueId) -> &[usize] {
        &self.values[value].shape
    }

    fn input(&mut self, tensor: &Tensor, qparams: Option<QParams>) -> ValueId {
        let slot = self.slot(Held::Float(tensor.clone()));
        self.value(Recorded {
            shape: tensor.shape().to_vec(),
            float: Some(slot),
            buffer: None,
            int8: None,
            qparams: qparams.map(Arc::new),
        })
    }

    /// Records an operation that runs in float; `qparams` is there if an int8 operation may read its result.
    pub(crate) fn float(
        &mut self,
        path: &Arc<str>,
        inputs: &[ValueId],
        qparams: Option<&QParams>,
        forward: impl Fn(&mut [Tensor]) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Result<ValueId> {
        let slots = inputs.iter().map(|&id| self.float_slot(id)).collect::<Result<Vec<_>>>()?;
        let run = move |inputs: Vec<Held>| {
            let mut inputs = inputs.into_iter().map(Held::into_float).collect::<Result<Vec<_>>>()?;
            forward(&mut inputs).map(Held::Float)
        };
        let slot = self.tensors(path, Arc::new(run), slots)?;
        let shape = self.held_shape(slot);
        let qparams = qparams.cloned().map(Arc::new);
        Ok(self.value(Recorded { shape, float: Some(slot), buffer: None, int8: None, qparams }))
    }

    /// Records an operation that runs in int8: on buffers if `plan` says how, else on tensors by `forward`.
    pub(crate) fn int8(
        &mut self,
        path: &Arc<str>,
        inputs: &[ValueId],
        plan: impl FnOnce(&[ActivationSpec]) -> Result<Option<Planned>>,
        forward: impl Fn(&mut [QTensor]) -> Result<QTensor> + Send + Sync + 'static,
    ) -> Result<ValueId> {
        let specs = inputs.iter().map(|&id| self.activation_spec(id)).collect::<Option<Vec<_>>>();
        let planned = match specs {
            Some(specs) => plan(&specs).map_err(|error| error.in_layer(path))?,
            None => None,
        };
        let Some(planned) = planned else { return self.int8_tensors(path, inputs, forward) };
        let sources = inputs.iter().map(|&id| self.buffer(id)).collect::<Result<Vec<_>>>()?;
        let source = match planned {
            Planned::View(spec) => {
                let [source] = sources.as_slice() else {
                    return Err(Error::Unsupported("a view of several values".into()));
                };
                Source { buffer: source.buffer, spec }
            }
            Planned::Kernel(kernel, spec) => {
                let buffer = self.new_buffer(&spec);
                let target = Target::whole(buffer, spec.clone());
                self.push(path, Action::Kernel { kernel, inputs: sources, target });
                Source { buffer, spec }
            }
            Planned::Pieces(pieces, spec) => {
                let buffer = self.new_buffer(&spec);
                for (piece, source) in pieces.into_iter().zip(sources) {
                    let target = Target { offset: piece.offset, ..Target::whole(buffer, spec.clone()) };
                    let (kernel, inputs) = (piece.kernel, vec![source]);
                    self.push(path, Action::Kernel { kernel, inputs, target });
                }
                Source { buffer, spec }
            }
        };
        Ok(self.buffer_value(source))
    }

    fn int8_tensors(
        &mut self,
        path: &Arc<str>,
        inputs: &[ValueId],
        forward: impl Fn(&mut [QTensor]) -> Result<QTensor> + Send + Sync + 'static,
    ) -> Result<ValueId> {
        let slots = inputs.iter().map(|&id| self.int8_slot(id)).collect::<Result<Vec<_>>>()?;
        let run = move |inputs: Vec<Held>| {
            let mut inputs = inputs.into_iter().map(Held::into_int8).collect::<Result<Vec<_>>>()?;
            forward(&mut inputs).map(Held::Int8)
        };
        let slot = self.tensors(path, Arc::new(run), slots)?;
        let shape = self.held_shape(slot);
        Ok(self.value(Recorded { shape, float: None, buffer: None, int8: Some(slot), qparams: None }))
    }

    /// Records a step on tensors. What it will hold is found by running it on zeros.
    fn tensors(&mut self, path: &Arc<str>, run: TensorFunction, inputs: Vec<SlotId>) -> Result<SlotId> {
        let zeros = inputs.iter().map(|&slot| self.slots[slot].clone()).collect();
        let held = run(zeros).map_err(|error| error.in_layer(path))?;
        let output = self.slot(held);
        self.push(path, Action::Tensors { run, inputs, output });
        Ok(output)
    }

    /// What the value is, or will be, as a buffer.
    fn activation_spec(&self, id: ValueId) -> Option<ActivationSpec> {
        let value = &self.values[id];
        if let Some(source) = &value.buffer {
            return Some(source.spec.clone());
        }
        let (format, qparams) = match value.int8.map(|slot| &self.slots[slot]) {
            Some(Held::Int8(tensor)) => (tensor.memory_format(), tensor.shared_qparams()),
            _ => match value.float.map(|slot| &self.slots[slot]) {
                Some(Held::Float(tensor)) => (MemoryFormat::of(&tensor.view()), value.qparams.clone()?),
                _ => return None,
            },
        };
        ActivationSpec::new(&value.shape, format, qparams)
    }

    /// The value in a buffer, which [`Recorder::activation_spec`] said it can be in.
    fn buffer(&mut self, id: ValueId) -> Result<Source> {
        if let Some(source) = &self.values[id].buffer {
            return Ok(source.clone());
        }
        let spec = self.activation_spec(id).ok_or_else(unobserved)?;
        let buffer = self.new_buffer(&spec);
        let output = Target::whole(buffer, spec.clone());
        let value = &self.values[id];
        let action = match (value.int8, value.float) {
            (Some(slot), _) => Action::Store { input: [slot], output },
            (None, Some(slot)) => Action::Quantize { input: [slot], output },
            (None, None) => return Err(unobserved()),
        };
        self.push_conversion(action);
        let source = Source { buffer, spec };
        self.values[id].buffer = Some(source.clone());
        Ok(source)
    }

    /// The value as an int8 tensor.
    fn int8_slot(&mut self, id: ValueId) -> Result<SlotId> {
        let value = &self.values[id];
        if let Some(slot) = value.int8 {
            return Ok(slot);
        }
        let slot = match (value.buffer.clone(), value.float) {
            (Some(input), _) => {
                let zeros = super::held::load(&vec![0; input.spec.byte_len()], &input.spec)?;
                let output = self.slot(Held::Int8(zeros));
                self.push_conversion(Action::Load { input, output });
                output
            }
            (None, Some(slot)) => {
                let qparams = value.qparams.clone().ok_or_else(unobserved)?;
                let run = move |inputs: Vec<Held>| {
                    let x = only(inputs)?.into_float()?;
                    QTensor::quantize(&x, &qparams).map(Held::Int8)
                };
                self.tensors(&Arc::from("quantize"), Arc::new(run), vec![slot])?
            }
            (None, None) => return Err(unobserved()),
        };
        self.values[id].int8 = Some(slot);
        Ok(slot)
    }

    /// The value in float.
    fn float_slot(&mut self, id: ValueId) -> Result<SlotId> {
        let value = &self.values[id];
        if let Some(slot) = value.float {
            return Ok(slot);
        }
        let slot = match (value.buffer.clone(), value.int8) {
            (Some(input), _) => {
                let zeros = super::held::dequantize(&vec![0; input.spec.byte_len()], &input.spec)?;
                let output = self.slot(Held::Float(zeros));
                self.push_conversion(Action::Dequantize { input, output });
                output
            }
            (None, Some(slot)) => {
                let run = |inputs: Vec<Held>| Ok(Held::Float(only(inputs)?.into_int8()?.dequantize()));
                self.tensors(&Arc::from("dequantize"), Arc::new(run), vec![slot])?
            }
            (None, None) => return Err(unobserved()),
        };
        self.values[id].float = Some(slot);
        Ok(slot)
    }

    fn output(&mut self, id: ValueId) -> Result<Output> {
        let value = &self.values[id];
        match (value.float, &value.buffer, value.int8) {
            (Some(slot), ..) | (None, None, Some(slot)) => Ok(Output::Slot(slot)),
            (None, Some(source), _) => Ok(Output::Buffer(source.clone())),
            (None, None, None) => Err(unobserved()),
        }
    }

    fn push(&mut self, path: &Arc<str>, action: Action) {
        self.steps.push(Step { path: Arc::clone(path), action });
    }

    fn push_conversion(&mut self, action: Action) {
        let path = match action {
            Action::Quantize { .. } => "quantize",
            Action::Dequantize { .. } => "dequantize",
            _ => "copy",
        };
        self.push(&Arc::from(path), action);
    }

    fn buffer_value(&mut self, source: Source) -> ValueId {
        let shape = source.spec.shape().to_vec();
        self.value(Recorded { shape, float: None, buffer: Some(source), int8: None, qparams: None })
    }

    fn value(&mut self, value: Recorded) -> ValueId {
        self.values.push(value);
        self.values.len() - 1
    }

    fn new_buffer(&mut self, spec: &ActivationSpec) -> BufferId {
        self.buffers.push(spec.byte_len());
        self.buffers.len() - 1
    }

    fn slot(&mut self, held: Held) -> SlotId {
        self.slots.push(held);
        self.slots.len() - 1
    }

    fn held_shape(&self, slot: SlotId) -> Vec<usize> {
        match &self.slots[slot] {
            Held::Float(tensor) => tensor.shape().to_vec(),
            Held::Int8(tensor) => tensor.shape().to_vec(),
            Held::Nothing => Vec::new(),
        }
    }
}

fn only(inputs: Vec<Held>) -> Result<Held> {
    inputs.into_iter().next().ok_or_else(unobserved)
}

fn unobserved() -> Error {
    Error::Unsupported("a float value that was never observed in an int8 operation".into())
}
