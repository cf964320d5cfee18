//! `Recorder`: records the steps of a network, node by node, and the view of every value.

use std::sync::Arc;

use super::step::{BufferId, Buffers, MAX_WRITES, Source, Step, Target};
use super::view::View;
use super::{InputKey, NonFinite, Program, convert};
use crate::network::{Call, Network, Node, reads_integers};
use crate::ops::{Executable, Format, Kernel, Part, Planned, PlannedKernel, TensorSpec};
use crate::tensor::{Layout, MemoryFormat, Rearrangement};
use crate::{Error, QParams, QTensor, Result, Tensor};

/// Index of a recorded value.
pub(super) type ValueId = usize;

/// Collects steps.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    steps: Vec<Step>,
    values: Vec<Recorded>,
    buffers: Buffers,
    non_finite: NonFinite,
}

/// A value, and its views once its producers ran: in float, as integers, or both.
#[derive(Debug)]
struct Recorded {
    float: Option<View>,
    integers: Option<View>,
    /// How to quantize it, if it was made in float and is read as integers.
    qparams: Option<Arc<QParams>>,
    /// The call that made it; none made an input.
    call: Option<Arc<str>>,
}

impl Program {
    /// The program of `network` for inputs like these.
    pub(crate) fn record(network: &Network, inputs: &[&Tensor]) -> Result<Self> {
        network.check_inputs(inputs.len())?;
        let mut recorder = Recorder { non_finite: network.non_finite, ..Recorder::default() };
        let mut keys = Vec::with_capacity(inputs.len());
        let mut tensors = inputs.iter().enumerate();
        for node in &network.nodes {
            match &node.call {
                None => {
                    let Some((index, tensor)) = tensors.next() else { continue };
                    keys.push(InputKey::of(tensor));
                    let qparams = network.values[recorder.values.len()].qparams.clone();
                    recorder.input(index, tensor, qparams);
                }
                Some(call) => {
                    let qparams = node.outputs.iter().map(|&output| network.values[output].qparams.clone());
                    recorder
                        .network_call(node, call, qparams.collect())
                        .map_err(|error| error.in_layer(&node.path))?;
                }
            }
        }
        recorder.finish(keys, &network.outputs)
    }
}

impl Recorder {
    /// The program for inputs of these shapes, with the values that it gives.
    pub(super) fn finish(mut self, inputs: Vec<InputKey>, outputs: &[ValueId]) -> Result<Program> {
        let outputs = outputs.iter().map(|&id| self.output(id)).collect::<Result<_>>()?;
        Ok(Program::new(inputs, self.steps, outputs, &self.buffers))
    }

    /// A float input, in the memory of `tensor`.
    pub(super) fn input(&mut self, index: usize, tensor: &Tensor, qparams: Option<Arc<QParams>>) -> ValueId {
        let format = tensor.memory_format();
        let spec = TensorSpec::in_format(tensor.shape(), format, Format::F32).in_buffer(format);
        let buffer = self.buffers.add_input(spec.byte_len(), index);
        let view = View::of(Source::whole(buffer, spec));
        self.value(Recorded { float: Some(view), integers: None, qparams, call: None })
    }

    /// An input of integers, in the memory of `tensor`.
    pub(super) fn integer_input(&mut self, index: usize, tensor: &QTensor) -> ValueId {
        let format = tensor.memory_format();
        let elements = Format::Quantized(tensor.shared_qparams());
        let spec = TensorSpec::in_format(tensor.shape(), format, elements).in_buffer(format);
        let buffer = self.buffers.add_input(spec.byte_len(), index);
        let view = View::of(Source::whole(buffer, spec));
        self.value(Recorded { float: None, integers: Some(view), qparams: None, call: None })
    }

    fn network_call(&mut self, node: &Node, call: &Call, qparams: Vec<Option<Arc<QParams>>>) -> Result<()> {
        let (path, data) = (Arc::from(node.path.as_str()), node.data_inputs().len());
        let values = self.call(&path, call.executable.as_ref(), reads_integers(call), &node.inputs, data)?;
        if values.len() != qparams.len() {
            let message = format!("makes {} values, its network has {}", values.len(), qparams.len());
            return Err(Error::Unsupported(message));
        }
        for (id, qparams) in values.into_iter().zip(qparams) {
            self.values[id].qparams = qparams;
        }
        Ok(())
    }

    /// Records a call on `inputs`, of which all but the first `data` are read for their shapes alone.
    pub(super) fn call(
        &mut self,
        path: &Arc<str>,
        executable: &dyn Executable,
        reads_integers: bool,
        inputs: &[ValueId],
        data: usize,
    ) -> Result<Vec<ValueId>> {
        let specs = inputs
            .iter()
            .enumerate()
            .map(|(index, &id)| self.spec(id, reads_integers && index < data))
            .collect::<Result<Vec<_>>>()?;
        let planned = executable.plan(&specs)?;
        let views = inputs[..data]
            .iter()
            .map(|&id| match planned {
                // Other readers of the value then need no copy of their own.
                Planned::Kernel(..) | Planned::Parts(..) => self.in_order(id, reads_integers),
                _ => self.view(id, reads_integers),
            })
            .collect::<Result<_>>()?;
        let views = self.planned(path, views, planned)?;
        Ok(views.into_iter().map(|view| self.value(Recorded::of(view, path))).collect())
    }

    fn planned(&mut self, path: &Arc<str>, inputs: Vec<View>, planned: Planned) -> Result<Vec<View>> {
        match planned {
            Planned::View(spec) => Ok(vec![only(inputs)?.with_spec(spec)]),
            Planned::Rearranged(rearrangements) => {
                let view = only(inputs)?.called(path);
                let mut steps = rearrangements.iter();
                Ok(vec![steps.try_fold(view, |view, rearrangement| self.rearranged(view, rearrangement))?])
            }
            Planned::Around { inputs: before, planned, output: after, spec } => {
                let before = inputs.into_iter().zip(before).map(|(view, before)| {
                    let view = if before.is_empty() { view } else { view.called(path) };
                    before.iter().try_fold(view, |view, rearrangement| self.rearranged(view, rearrangement))
                });
                let inputs = before.collect::<Result<_>>()?;
                let view = only(self.planned(path, inputs, *planned)?)?;
                let view = after
                    .iter()
                    .try_fold(view, |view, rearrangement| self.rearranged(view, rearrangement))?;
                Ok(vec![view.with_spec(spec)])
            }
            Planned::Kernel(planned) => self.kernel(path, &inputs, planned),
            Planned::Parts(parts, spec) => {
                let (spec, buffer) = (spec.without_gaps(), self.buffers.add_value(&spec)?);
                for (Part { kernel, offset, pixel_stride, input }, view) in parts.into_iter().zip(&inputs) {
                    let source = self.source(view, input)?;
                    let offset = offset * spec.format().element_size();
                    let target = Target { buffer, spec: spec.clone(), offset, pixel_stride };
                    self.push(path, kernel, vec![source], vec![target], None);
                }
                Ok(vec![View::of(Source::whole(buffer, spec))])
            }
        }
    }

    fn kernel(&mut self, path: &Arc<str>, inputs: &[View], planned: PlannedKernel) -> Result<Vec<View>> {
        if planned.outputs.len() + usize::from(planned.scratch > 0) > MAX_WRITES {
            return Err(Error::Unsupported(format!("an operation of {} outputs", planned.outputs.len())));
        }
        let mut asked = planned.inputs.iter().copied();
        let inputs = inputs
            .iter()
            .map(|view| self.source(view, asked.next().unwrap_or(view.spec().buffer())))
            .collect::<Result<Vec<_>>>()?;
        let outputs: Vec<Target> = planned
            .outputs
            .into_iter()
            .map(|spec| Ok(Target::whole(self.buffers.add_value(&spec)?, spec.without_gaps())))
            .collect::<Result<_>>()?;
        let views = outputs
            .iter()
            .map(|target| View::of(Source::whole(target.buffer, target.spec.clone())))
            .collect();
        let is_empty = outputs.iter().all(|target| target.spec.is_empty());
        let scratch = (planned.scratch > 0 && !is_empty)
            .then(|| self.buffers.add(format_args!("the scratch of {path}"), planned.scratch))
            .transpose()?;
        self.push(path, planned.kernel, inputs, outputs, scratch);
        Ok(views)
    }

    /// The view where kernels can read it: dense, and in this order.
    fn source(&mut self, view: &View, buffer: MemoryFormat) -> Result<Source> {
        match view.as_source(buffer) {
            Some(source) => Ok(source),
            None => {
                let spec = view.spec().clone().in_buffer(buffer);
                self.copy(view, &spec.layout(), spec)
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
        if let Some(target) = spec.layout().rearranged(&reshape) {
            return self.copy(&view, &target, spec).map(View::of);
        }
        let flat = spec.with_shape(&[spec.len()]);
        let row_major = View::of(self.copy(&view, &Layout::row_major(old_shape), flat)?);
        let reshaped = row_major.rearranged(&Rearrangement::Reshape(spec.shape().to_vec()));
        reshaped.map(|reshaped| reshaped.with_spec(spec)).ok_or_else(nowhere)
    }

    /// Copies a view to a buffer of its own, of layout `target` and spec `spec`.
    fn copy(&mut self, view: &View, target: &Layout, spec: TensorSpec) -> Result<Source> {
        let (path, kernel, source) = view.copy_to(target, spec.pixel_stride())?;
        let buffer = self.buffers.add_value(&spec)?;
        self.push(&path, kernel, vec![source], vec![Target::whole(buffer, spec.clone())], None);
        Ok(Source::whole(buffer, spec))
    }

    /// The spec of the value, as integers or in float.
    fn spec(&self, id: ValueId, is_integer: bool) -> Result<TensorSpec> {
        let Recorded { float, integers, qparams, .. } = &self.values[id];
        let (there, other) = if is_integer { (integers, float) } else { (float, integers) };
        match (there, other) {
            (Some(view), _) => Ok(view.spec().clone()),
            (None, Some(view)) if !is_integer => Ok(convert::dequantized(view.spec())),
            (None, Some(view)) => {
                let qparams = qparams.clone().ok_or_else(unobserved)?;
                Ok(convert::quantized(view.spec(), qparams))
            }
            (None, None) => Err(nowhere()),
        }
    }

    /// The view of the value, converted if it must be.
    fn view(&mut self, id: ValueId, is_integer: bool) -> Result<View> {
        match self.place(id, is_integer) {
            Some(view) => Ok(view.clone()),
            None => self.converted(id, is_integer),
        }
    }

    /// The value without gaps, in the order of its buffer.
    fn in_order(&mut self, id: ValueId, is_integer: bool) -> Result<View> {
        let view = self.view(id, is_integer)?;
        let view = View::of(self.source(&view, view.spec().buffer())?);
        *self.place(id, is_integer) = Some(view.clone());
        Ok(view)
    }

    fn place(&mut self, id: ValueId, is_integer: bool) -> &mut Option<View> {
        let Recorded { float, integers, .. } = &mut self.values[id];
        if is_integer { integers } else { float }
    }

    /// The value from the other domain.
    fn converted(&mut self, id: ValueId, is_integer: bool) -> Result<View> {
        let spec = self.spec(id, is_integer)?;
        let view = self.view(id, !is_integer)?;
        let (from, kernel) = convert::kernel(view.spec(), &spec, self.non_finite)?;
        let source = self.source(&view, from)?;
        let buffer = self.buffers.add_value(&spec)?;
        let path = if is_integer { "quantize" } else { "dequantize" };
        self.push(&Arc::from(path), kernel, vec![source], vec![Target::whole(buffer, spec.clone())], None);
        let step = self.steps.last_mut().filter(|_| !spec.is_empty());
        if let (Some(step), Some(call)) = (step, &self.values[id].call) {
            step.blamed = Arc::clone(call);
        }
        let view = View::of(Source::whole(buffer, spec));
        *self.place(id, is_integer) = Some(view.clone());
        Ok(view)
    }

    /// The value as the program gives it: where it was made in float, row-major.
    fn output(&mut self, id: ValueId) -> Result<Source> {
        let is_integer = self.values[id].float.is_none();
        let view = self.in_order(id, is_integer)?;
        let buffer = if is_integer { view.spec().buffer() } else { MemoryFormat::Contiguous };
        self.source(&view, buffer)
    }

    /// Adds a step, unless there is nothing to write: then extents of the inputs say nothing about the work.
    fn push(
        &mut self,
        path: &Arc<str>,
        kernel: Box<dyn Kernel>,
        inputs: Vec<Source>,
        outputs: Vec<Target>,
        scratch: Option<BufferId>,
    ) {
        if outputs.iter().all(|target| target.spec.is_empty()) {
            return;
        }
        let (path, blamed) = (Arc::clone(path), Arc::clone(path));
        self.steps.push(Step { path, blamed, kernel, inputs, outputs, scratch });
    }

    fn value(&mut self, value: Recorded) -> ValueId {
        self.values.push(value);
        self.values.len() - 1
    }
}

impl Recorded {
    /// A value where a kernel of `call` makes it.
    fn of(view: View, call: &Arc<str>) -> Self {
        let call = Some(Arc::clone(call));
        match view.spec().format() {
            Format::F32 => Self { float: Some(view), integers: None, qparams: None, call },
            Format::Quantized(_) => Self { float: None, integers: Some(view), qparams: None, call },
        }
    }
}

fn only<T>(items: Vec<T>) -> Result<T> {
    items.into_iter().next().ok_or_else(nowhere)
}

fn unobserved() -> Error {
    Error::Unsupported("a float value that was never observed in an int8 operation".into())
}

fn nowhere() -> Error {
    Error::Unsupported("a value that no operation makes".into())
}
