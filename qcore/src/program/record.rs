//! `Recorder`: writes down the steps of a model while its network is walked with symbolic values.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use super::step::{Action, BufferId, Output, SlotId, Source, Step, Target, TensorFunction};
use super::view::{Copied, View};
use super::{Held, InputKey, Program, Value};
use crate::model::{ConvertedNetwork, Quantizable};
use crate::op::{ActivationSpec, Arrangement, MemoryFormat, Piece, Planned, Rearrangement};
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
    buffer: Option<View>,
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
        recorder.take().finish(keys, &outputs)
    }
}

impl Recorder {
    pub(crate) fn shape(&self, value: ValueId) -> &[usize] {
        &self.values[value].shape
    }

    /// The program for inputs of these shapes, with the values that it gives.
    pub(super) fn finish(mut self, inputs: Vec<InputKey>, outputs: &[ValueId]) -> Result<Program> {
        let outputs = outputs.iter().map(|&id| self.output(id)).collect::<Result<_>>()?;
        Ok(Program::new(inputs, self.steps, outputs, self.buffers, &self.slots))
    }

    pub(super) fn input(&mut self, tensor: &Tensor, qparams: Option<QParams>) -> ValueId {
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
        let views = inputs.iter().map(|&id| match planned {
            // What is read as it is may have other readers, who need no copy of their own.
            Planned::Kernel(..) | Planned::Pieces(..) => self.buffer(id).map(View::of),
            _ => self.view(id),
        });
        let views = views.collect::<Result<_>>()?;
        let view = self.planned(path, views, planned)?;
        let shape = view.spec().shape().to_vec();
        Ok(self.value(Recorded { shape, float: None, buffer: Some(view), int8: None, qparams: None }))
    }

    fn planned(&mut self, path: &Arc<str>, inputs: Vec<View>, planned: Planned) -> Result<View> {
        match planned {
            Planned::View(spec) => only(inputs).map(|view| view.with_spec(spec)),
            Planned::Rearranged(rearrangement) => {
                let view = only(inputs)?.called(path);
                self.rearranged(view, &rearrangement)
            }
            Planned::Around { inputs: before, planned, output: after, spec } => {
                let before = inputs.into_iter().zip(before).map(|(view, before)| {
                    let view = if before.is_empty() { view } else { view.called(path) };
                    before.iter().try_fold(view, |view, rearrangement| self.rearranged(view, rearrangement))
                });
                let inputs = before.collect::<Result<_>>()?;
                let view = self.planned(path, inputs, *planned)?;
                let view = after
                    .iter()
                    .try_fold(view, |view, rearrangement| self.rearranged(view, rearrangement))?;
                Ok(view.with_spec(spec))
            }
            Planned::Kernel(kernel, spec) => {
                let inputs = self.in_order(&inputs)?;
                let (spec, buffer) = (spec.settled(), self.new_buffer(&spec));
                let target = Target::whole(buffer, spec.clone());
                self.push(path, Action::Kernel { kernel, inputs, target });
                Ok(View::of(Source::whole(buffer, spec)))
            }
            Planned::Pieces(pieces, spec) => {
                let inputs = self.in_order(&inputs)?;
                let (spec, buffer) = (spec.settled(), self.new_buffer(&spec));
                for (Piece { kernel, offset, pitch }, input) in pieces.into_iter().zip(inputs) {
                    let target = Target { buffer, spec: spec.clone(), offset, pitch };
                    self.push(path, Action::Kernel { kernel, inputs: vec![input], target });
                }
                Ok(View::of(Source::whole(buffer, spec)))
            }
        }
    }

    /// Each view as kernels read it.
    fn in_order(&mut self, views: &[View]) -> Result<Vec<Source>> {
        views.iter().map(|view| self.source(view)).collect()
    }

    /// The view as kernels read it.
    fn source(&mut self, view: &View) -> Result<Source> {
        match view.as_source() {
            Some(source) => Ok(source),
            None => {
                let target = Arrangement::of_buffer(view.spec().shape());
                self.copy(view, &target, view.spec().clone())
            }
        }
    }

    /// The view rearranged, copied if it must be.
    fn rearranged(&mut self, view: View, rearrangement: &Rearrangement) -> Result<View> {
        if let Some(view) = view.rearranged(rearrangement) {
            return Ok(view);
        }
        // A new shape that the old order has no strides for. Where the new order has some for the old shape, one copy
        // does it all.
        let spec = view.spec().rearranged(rearrangement);
        let old_shape = view.spec().shape();
        let reshape = Rearrangement::Reshape(old_shape.to_vec());
        if let Some(target) = Arrangement::of_buffer(spec.shape()).rearranged(&reshape) {
            return self.copy(&view, &target, spec).map(View::of);
        }
        let flat = spec.with_shape(&[spec.byte_len()]);
        let row_major = View::of(self.copy(&view, &Arrangement::row_major(old_shape), flat)?);
        let reshaped = row_major.rearranged(&Rearrangement::Reshape(spec.shape().to_vec()));
        reshaped.map(|reshaped| reshaped.with_spec(spec)).ok_or_else(unobserved)
    }

    /// Copies a view to a buffer of its own, where its values lie as `target` and are what `spec` says.
    fn copy(&mut self, view: &View, target: &Arrangement, spec: ActivationSpec) -> Result<Source> {
        let Copied { path, kernel, source } = view.copy_to(target, spec.pitch())?;
        let buffer = self.new_buffer(&spec);
        let target = Target::whole(buffer, spec.clone());
        self.push(&path, Action::Kernel { kernel, inputs: vec![source], target });
        Ok(Source::whole(buffer, spec))
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
        if let Some(view) = &value.buffer {
            return Some(view.spec().clone());
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

    /// The value where it lies in a buffer.
    fn view(&mut self, id: ValueId) -> Result<View> {
        match &self.values[id].buffer {
            Some(view) => Ok(view.clone()),
            None => self.buffer(id).map(View::of),
        }
    }

    /// The value in a buffer, which [`Recorder::activation_spec`] said it can be in, as kernels read it.
    fn buffer(&mut self, id: ValueId) -> Result<Source> {
        if let Some(view) = self.values[id].buffer.clone() {
            let source = self.source(&view)?;
            self.values[id].buffer = Some(View::of(source.clone()));
            return Ok(source);
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
        let source = Source::whole(buffer, spec);
        self.values[id].buffer = Some(View::of(source.clone()));
        Ok(source)
    }

    /// The value as an int8 tensor.
    fn int8_slot(&mut self, id: ValueId) -> Result<SlotId> {
        let value = &self.values[id];
        if let Some(slot) = value.int8 {
            return Ok(slot);
        }
        let slot = match (&value.buffer, value.float) {
            (Some(_), _) => {
                let input = self.buffer(id)?;
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
        let slot = match (&value.buffer, value.int8) {
            (Some(_), _) => {
                let input = self.buffer(id)?;
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
            (None, Some(_), _) => self.buffer(id).map(Output::Buffer),
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

fn only<T>(inputs: Vec<T>) -> Result<T> {
    inputs.into_iter().next().ok_or_else(unobserved)
}

fn unobserved() -> Error {
    Error::Unsupported("a float value that was never observed in an int8 operation".into())
}
