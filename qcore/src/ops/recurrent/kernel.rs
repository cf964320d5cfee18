//! A recurrent layer made ready for kernels, and its run: one product over all steps, then step by step.

use std::sync::Arc;

use qkernels::{elements, recurrent};

use super::super::inputs::check_dtype;
use super::super::kernel::input;
use super::super::weights::Names;
use super::super::{Executable, Format, Kernel, KernelCost, Output, Planned, PlannedKernel, TensorSpec};
use super::weights::{LoweredDirection, Sizes};
use super::{Cell, Nonlinearity};
use crate::network::TensorWriter;
use crate::tensor::MemoryFormat;
use crate::{Error, QTensor, Result};

/// How a layer reads sequences; a cell reads none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sequence {
    pub(super) batch_first: bool,
    /// Whether the last input is the lengths of the sequences.
    pub(super) is_packed: bool,
}

/// A lowered recurrent layer.
#[derive(Debug)]
pub(super) struct Recurrent {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    operation: &'static str,
    cell: Cell,
    sizes: Sizes,
    sequence: Option<Sequence>,
    /// Of each layer one direction or two.
    directions: Vec<LoweredDirection>,
}

impl Recurrent {
    pub(super) fn new(
        operation: &'static str,
        cell: Cell,
        sizes: Sizes,
        sequence: Option<Sequence>,
        directions: Vec<LoweredDirection>,
    ) -> Self {
        Self { shared: Arc::new(Shared { operation, cell, sizes, sequence, directions }) }
    }
}

impl Executable for Recurrent {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let shared = &*self.shared;
        let extents = shared.extents(inputs)?;
        let specs = shared.output_shapes(&extents).into_iter();
        let output = |shape: Vec<usize>| TensorSpec::new(&shape, Format::F32);
        let scratch = shared.scratch(&extents);
        let kernel = Box::new(RecurrentKernel { extents, scratch, shared: Arc::clone(&self.shared) });
        let planned = PlannedKernel::new(kernel, specs.map(output).collect());
        let formats = vec![MemoryFormat::Contiguous; inputs.len()];
        Ok(Planned::Kernel(planned.inputs(formats).scratch(scratch.bytes())))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        for direction in &self.shared.directions {
            for ([weight, bias], product) in direction.products() {
                let names = Names { weight: &weight, bias: &bias };
                product.save(self.shared.operation, names, tensors)?;
            }
        }
        Ok(())
    }

    fn weight(&self) -> Option<QTensor> {
        self.shared.directions.first().and_then(|direction| direction.input.weight())
    }

    fn weights(&self) -> Vec<(String, QTensor)> {
        let products = self.shared.directions.iter().flat_map(LoweredDirection::products);
        products.filter_map(|([name, _], product)| Some((name, product.weight()?))).collect()
    }
}

/// What the shapes of the inputs say.
#[derive(Clone, Debug)]
struct Extents {
    steps: usize,
    batch: usize,
    /// Whether there is an axis of the batch.
    has_batch: bool,
    batch_first: bool,
    has_state: bool,
    is_packed: bool,
}

impl Extents {
    /// The row of a step of a sequence in `x` and `y`.
    fn row(&self, step: usize, sequence: usize) -> usize {
        if self.batch_first { sequence * self.steps + step } else { step * self.batch + sequence }
    }

    fn rows(&self) -> usize {
        self.steps.saturating_mul(self.batch)
    }
}

/// Values, and at the end bytes, of the parts of the scratch.
#[derive(Clone, Copy, Debug)]
struct Scratch {
    /// Gates of the input of all steps.
    gates: usize,
    /// Gates of the state of one step.
    state_gates: usize,
    /// Each of `h`, `c`, and the `h` of the sequences that still run.
    state: usize,
    /// Outputs of a layer before the last, twice.
    between: usize,
    /// The rows of packed sequences.
    packed: usize,
    /// Of the products.
    product: usize,
}

impl Scratch {
    /// Bytes of all but the products'.
    fn values(self) -> usize {
        let Self { gates, state_gates, state, between, packed, .. } = self;
        let values = [gates, state_gates, state, state, state, between, between, packed];
        let values = values.iter().fold(0_usize, |sum, &part| sum.saturating_add(part));
        values.saturating_mul(size_of::<f32>())
    }

    fn bytes(self) -> usize {
        self.values().saturating_add(self.product)
    }
}

impl Shared {
    fn extents(&self, inputs: &[TensorSpec]) -> Result<Extents> {
        let (operation, states) = (self.operation, self.cell.states());
        let is_packed = self.sequence.is_some_and(|sequence| sequence.is_packed);
        let batch_first = self.sequence.is_some_and(|sequence| sequence.batch_first);
        let most = 1 + states + usize::from(is_packed);
        let has_state = inputs.len() == most;
        let (Some((x, others)), true) = (inputs.split_first(), has_state || inputs.len() + states == most)
        else {
            let lengths = if is_packed { ", the lengths last" } else { "" };
            let message = format!("takes {} or {most} tensors{lengths}, got {}", most - states, inputs.len());
            return Err(Error::parameter(operation, message));
        };
        inputs.iter().try_for_each(|input| check_dtype(operation, input, None))?;
        let size = self.sizes.input_size;
        let axes = if self.sequence.is_some() { 2 } else { 1 };
        let (has_batch, leading) = match x.shape().split_last() {
            Some((&found, leading)) if found == size && leading.len() + 1 == axes => (false, leading),
            Some((&found, leading)) if found == size && leading.len() == axes && !leading.is_empty() => {
                (true, leading)
            }
            _ => {
                let expected = match (self.sequence.is_some(), batch_first) {
                    (false, _) => format!("[batch, {size}] or [{size}]"),
                    (true, true) => format!("[batch, steps, {size}] or [steps, {size}]"),
                    (true, false) => format!("[steps, batch, {size}] or [steps, {size}]"),
                };
                return Err(Error::shape(operation, expected, x.shape()));
            }
        };
        let (steps, batch) = match (self.sequence.is_some(), leading) {
            (true, &[steps]) => (steps, 1),
            (true, &[first, second]) if batch_first => (second, first),
            (true, &[first, second]) => (first, second),
            (false, &[batch]) => (1, batch),
            _ => (1, 1),
        };
        if steps == 0 {
            return Err(Error::shape(operation, "at least one step", x.shape()));
        }
        let extents = Extents { steps, batch, has_batch, batch_first, has_state, is_packed };
        let expected = self.state_shape(&extents);
        let (state, lengths) = others.split_at(if has_state { states } else { 0 });
        for (name, state) in ["h", "c"].iter().zip(state) {
            if state.shape() != expected {
                let what = format!("a state {name} of shape {expected:?}");
                return Err(Error::shape(operation, what, state.shape()));
            }
        }
        match lengths {
            [lengths] if lengths.shape() != [batch] => {
                let what = format!("lengths of shape [{batch}], one for each sequence");
                Err(Error::shape(operation, what, lengths.shape()))
            }
            _ => Ok(extents),
        }
    }

    fn state_shape(&self, extents: &Extents) -> Vec<usize> {
        let (layers, hidden) = (self.directions.len(), self.sizes.hidden_size);
        let batch = extents.has_batch.then_some(extents.batch);
        let layers = self.sequence.is_some().then_some(layers);
        layers.into_iter().chain(batch).chain([hidden]).collect()
    }

    /// Of the output, if there is one, and of each tensor of the state.
    fn output_shapes(&self, extents: &Extents) -> Vec<Vec<usize>> {
        let values = self.sizes.directions().saturating_mul(self.sizes.hidden_size);
        let (steps, batch) = (extents.steps, extents.batch);
        let output = match (extents.has_batch, extents.batch_first) {
            (false, _) => vec![steps, values],
            (true, true) => vec![batch, steps, values],
            (true, false) => vec![steps, batch, values],
        };
        let states = vec![self.state_shape(extents); self.cell.states()];
        self.sequence.is_some().then_some(output).into_iter().chain(states).collect()
    }

    fn scratch(&self, extents: &Extents) -> Scratch {
        let rows = extents.rows();
        let width = self.sizes.directions().saturating_mul(self.sizes.hidden_size);
        let products = self
            .directions
            .iter()
            .flat_map(|direction| [direction.input.scratch(rows), direction.hidden.scratch(extents.batch)]);
        let widest = self.sizes.input_size.max(width);
        Scratch {
            gates: rows.saturating_mul(self.sizes.gate_values()),
            state_gates: extents.batch.saturating_mul(self.sizes.gate_values()),
            state: extents.batch.saturating_mul(self.sizes.hidden_size),
            between: if self.sizes.num_layers > 1 { rows.saturating_mul(width) } else { 0 },
            packed: if extents.is_packed { rows.saturating_mul(widest) } else { 0 },
            product: products.max().unwrap_or_default(),
        }
    }

    /// One row's step.
    fn step(&self, input: &[f32], state: &[f32], h: &mut [f32], c: &mut [f32]) -> qkernels::Result<()> {
        match self.cell {
            Cell::Lstm => recurrent::lstm(input, state, h, c),
            Cell::Gru => recurrent::gru(input, state, h),
            Cell::Rnn(Nonlinearity::Tanh) => recurrent::rnn_tanh(input, state, h),
            Cell::Rnn(Nonlinearity::Relu) => recurrent::rnn_relu(input, state, h),
        }
    }
}

#[derive(Debug)]
struct RecurrentKernel {
    extents: Extents,
    scratch: Scratch,
    shared: Arc<Shared>,
}

/// How many steps each sequence has.
#[derive(Clone, Copy)]
struct Lengths<'a>(Option<&'a [f32]>);

impl Lengths<'_> {
    fn runs(self, sequence: usize, step: usize) -> bool {
        self.0.is_none_or(|lengths| (step as f32) < lengths[sequence])
    }

    fn check(self, steps: usize) -> qkernels::Result<()> {
        for (sequence, &length) in self.0.unwrap_or_default().iter().enumerate() {
            if !(1.0..=steps as f32).contains(&length) || length.fract() != 0.0 {
                return Err(qkernels::Error::Parameter(format!(
                    "sequence {sequence} has length {length}, which is no whole number in 1..={steps}"
                )));
            }
        }
        Ok(())
    }
}

impl Kernel for RecurrentKernel {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], scratch: &mut [u8]) -> qkernels::Result<()> {
        let (shared, extents) = (&*self.shared, &self.extents);
        let states = shared.cell.states();
        let lengths = match extents.is_packed {
            true => Some(elements::view::<f32>(input(inputs, inputs.len().saturating_sub(1)))?),
            false => None,
        };
        let lengths = Lengths(lengths);
        lengths.check(extents.steps)?;
        let given = if extents.has_state { states } else { 0 };
        let mut initial: [Option<&[f32]>; 2] = [None, None];
        for (index, initial) in initial.iter_mut().enumerate().take(given) {
            *initial = Some(elements::view(input(inputs, 1 + index))?);
        }
        let (y, last) = outputs.split_at_mut(usize::from(shared.sequence.is_some()));
        let y: &mut [f32] = match y {
            [y] => elements::view_mut(y.bytes)?,
            _ => &mut [],
        };
        let Scratch { gates, state_gates, state, between, packed, .. } = self.scratch;
        let values = self.scratch.values().min(scratch.len());
        let (values, product_scratch) = scratch.split_at_mut(values);
        let mut rest = elements::view_mut::<f32>(values)?;
        let mut part = |len: usize| rest.split_off_mut(..len).unwrap_or_default();
        let mut parts = Parts {
            gates: part(gates),
            state_gates: part(state_gates),
            h: part(state),
            c: part(state),
            running: part(state),
            packed: part(packed),
        };
        let (mut before, mut after) = (part(between), part(between));
        let x: &[f32] = elements::view(input(inputs, 0))?;
        let layers = shared.sizes.num_layers;
        for layer in 0..layers {
            let is_last = layer + 1 == layers;
            let source: &[f32] = if layer == 0 { x } else { &*before };
            let target: &mut [f32] = if is_last { &mut *y } else { &mut *after };
            if lengths.0.is_some() {
                target.fill(0.0);
            }
            for direction in 0..shared.sizes.directions() {
                let index = layer * shared.sizes.directions() + direction;
                for (state, initial) in [&mut *parts.h, &mut *parts.c].into_iter().zip(initial) {
                    match initial {
                        Some(initial) => {
                            state.copy_from_slice(&initial[index * state.len()..][..state.len()])
                        }
                        None => state.fill(0.0),
                    }
                }
                self.direction(index, source, target, lengths, &mut parts, product_scratch)?;
                for (last, state) in last.iter_mut().zip([&*parts.h, &*parts.c]) {
                    let last = elements::view_mut::<f32>(last.bytes)?;
                    last[index * state.len()..][..state.len()].copy_from_slice(state);
                }
            }
            std::mem::swap(&mut before, &mut after);
        }
        Ok(())
    }

    fn cost(&self) -> KernelCost {
        let sizes = self.shared.sizes;
        let weights: u64 = (0..self.shared.directions.len())
            .map(|index| {
                let inputs = sizes.inputs(index / sizes.directions()) as u64 + sizes.hidden_size as u64;
                inputs.saturating_mul(sizes.gate_values() as u64)
            })
            .sum();
        KernelCost {
            multiply_accumulates: weights.saturating_mul(self.extents.rows() as u64),
            weight_bytes: weights,
            kernel: String::new(),
        }
    }
}

/// The parts of the scratch that a direction works in.
struct Parts<'a> {
    gates: &'a mut [f32],
    state_gates: &'a mut [f32],
    h: &'a mut [f32],
    c: &'a mut [f32],
    running: &'a mut [f32],
    packed: &'a mut [f32],
}

impl RecurrentKernel {
    /// One layer in one direction: from `source` to its part of the rows of `target`, and the state from its first value
    /// to its last.
    fn direction(
        &self,
        index: usize,
        source: &[f32],
        target: &mut [f32],
        lengths: Lengths<'_>,
        parts: &mut Parts<'_>,
        scratch: &mut [u8],
    ) -> qkernels::Result<()> {
        let (shared, extents) = (&*self.shared, &self.extents);
        let LoweredDirection { input, hidden: product, .. } = &shared.directions[index];
        let (sizes, hidden) = (shared.sizes, shared.sizes.hidden_size);
        let (width, gate_values) = (sizes.directions() * hidden, sizes.gate_values());
        let (layer, direction) = (index / sizes.directions(), index % sizes.directions());
        let inputs = sizes.inputs(layer);
        let steps = || 0..extents.steps;
        let sequences = |step| (0..extents.batch).filter(move |&sequence| lengths.runs(sequence, step));
        let mut rows = extents.rows();
        if lengths.0.is_some() {
            rows = 0;
            for step in steps() {
                for sequence in sequences(step) {
                    let row = extents.row(step, sequence);
                    parts.packed[rows * inputs..][..inputs]
                        .copy_from_slice(&source[row * inputs..][..inputs]);
                    rows += 1;
                }
            }
        }
        let source = if lengths.0.is_some() { &parts.packed[..rows * inputs] } else { source };
        let gates = &mut parts.gates[..rows * gate_values];
        input.run(rows, source, scratch, gates)?;
        // Of packed rows the position; they lie in the order of their steps.
        let mut packed_row = if direction == 0 { 0 } else { rows };
        for position in steps() {
            let step = if direction == 0 { position } else { extents.steps - 1 - position };
            let mut running = extents.batch;
            if lengths.0.is_some() {
                running = 0;
                for sequence in sequences(step) {
                    let h = &parts.h[sequence * hidden..][..hidden];
                    parts.running[running * hidden..][..hidden].copy_from_slice(h);
                    running += 1;
                }
                if direction == 1 {
                    packed_row -= running;
                }
            }
            let h = if lengths.0.is_some() { &parts.running[..running * hidden] } else { &*parts.h };
            let state_gates = &mut parts.state_gates[..running * gate_values];
            product.run(running, h, scratch, state_gates)?;
            for (row, sequence) in sequences(step).enumerate() {
                let position = extents.row(step, sequence);
                let gate_row = if lengths.0.is_some() { packed_row + row } else { position };
                let h = &mut parts.h[sequence * hidden..][..hidden];
                let c = &mut parts.c[sequence * hidden..][..hidden];
                let of_input = &gates[gate_row * gate_values..][..gate_values];
                shared.step(of_input, &state_gates[row * gate_values..][..gate_values], h, c)?;
                if !target.is_empty() {
                    target[position * width + direction * hidden..][..hidden].copy_from_slice(h);
                }
            }
            if direction == 0 && lengths.0.is_some() {
                packed_row += running;
            }
        }
        Ok(())
    }
}
