//! Which operations of the default plan run in int8 and which stay in float, and why.
//!
//! Everything that can be int8 is: an operation with its own observer unless it is marked `skip` or lies
//! between a `dequant` and the next `quant`; an operation that keeps its input's scale when its input is int8
//! or something int8 reads its result. Loops and branches are followed to a fixpoint.

use std::collections::HashMap;

use qcatalogue::OutputRule;

use crate::ir::{Block, Callee, Carried, Graph, Merged, ModelNode, NodeKind, OpNode, ValueId};

/// Where a value lives or an operation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Domain {
    Float,
    Int8,
}

/// Why an operation stays in float.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FloatReason {
    Skipped,
    AfterDequant,
    NothingQuantizedAround,
}

impl FloatReason {
    pub fn text(self) -> &'static str {
        match self {
            Self::Skipped => "its field is marked `#[quantizable(skip)]`",
            Self::AfterDequant => "its input was computed from a `dequant(…)`",
            Self::NothingQuantizedAround => "its input is float and nothing quantized reads its result",
        }
    }
}

/// How the domain of an operation follows from those around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Int8 by itself.
    Quantizes,
    /// As its input, or as the reader of its result.
    Follows,
    Quant,
    Dequant,
}

/// The domain of each value as its producer makes it, and of each operation.
#[derive(Debug, Default)]
pub struct Domains {
    values: HashMap<ValueId, Domain>,
    float_ops: HashMap<ValueId, FloatReason>,
}

impl Domains {
    pub fn of(&self, value: ValueId) -> Domain {
        self.values.get(&value).copied().unwrap_or(Domain::Float)
    }

    /// Why the operation that makes `result` runs in float, if it does.
    pub fn float_reason(&self, result: ValueId) -> Option<FloatReason> {
        self.float_ops.get(&result).copied()
    }

    /// What an operation that makes `result` asks of its operands; a stub asks nothing.
    pub fn operands_of(&self, op: &OpNode) -> Option<Domain> {
        match rule(op) {
            Rule::Quant | Rule::Dequant => None,
            Rule::Quantizes | Rule::Follows => Some(self.ran(op.result)),
        }
    }

    pub fn operands_of_model(&self, model: &ModelNode) -> Domain {
        model.results.first().map_or(Domain::Int8, |&result| self.ran(result))
    }

    fn ran(&self, result: ValueId) -> Domain {
        if self.float_ops.contains_key(&result) { Domain::Float } else { Domain::Int8 }
    }

    pub fn set(&mut self, value: ValueId, domain: Domain) {
        self.values.insert(value, domain);
    }

    pub fn set_float_op(&mut self, result: ValueId, reason: FloatReason) {
        self.float_ops.insert(result, reason);
    }
}

pub fn rule(op: &OpNode) -> Rule {
    match op.operation().output {
        OutputRule::Quantize => Rule::Quant,
        OutputRule::Dequantize => Rule::Dequant,
        OutputRule::Observed => Rule::Quantizes,
        _ => Rule::Follows,
    }
}

pub fn is_skipped(op: &OpNode) -> bool {
    op.members.iter().any(|member| matches!(&member.callee, Callee::Layer(layer) if layer.place.skip))
}

/// The plan for a graph whose stubs are placed automatically.
pub fn infer(graph: &Graph) -> Domains {
    let mut steps = Vec::new();
    collect_steps(&graph.body, &mut steps);
    let count = graph.values.len();
    let float_region = float_regions(&steps, count);
    let quantizable = quantizable(graph, &steps, &float_region);
    let int8 = propagate(&steps, &float_region, &quantizable);

    let mut domains = Domains::default();
    for value in (0..count).map(ValueId).filter(|value| int8[value.0]) {
        domains.set(value, Domain::Int8);
    }
    for step in &steps {
        match step {
            Step::Op(op) if matches!(rule(op), Rule::Quantizes | Rule::Follows) && !int8[op.result.0] => {
                for result in op.results() {
                    domains.set_float_op(result, reason(is_skipped(op), &op.operands, &float_region));
                }
            }
            Step::Model(model) => {
                for &result in model.results.iter().filter(|result| !int8[result.0]) {
                    domains.set_float_op(result, reason(model.place.skip, &model.operands, &float_region));
                }
            }
            Step::Op(_) | Step::Carried(_) | Step::Merged(_) => {}
        }
    }
    domains
}

fn reason(is_skipped: bool, operands: &[ValueId], float_region: &[bool]) -> FloatReason {
    if is_skipped {
        FloatReason::Skipped
    } else if operands.iter().any(|operand| float_region[operand.0]) {
        FloatReason::AfterDequant
    } else {
        FloatReason::NothingQuantizedAround
    }
}

enum Step<'a> {
    Op(&'a OpNode),
    Model(&'a ModelNode),
    Carried(&'a Carried),
    Merged(&'a Merged),
}

fn collect_steps<'a>(block: &'a Block, steps: &mut Vec<Step<'a>>) {
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) => steps.push(Step::Op(op)),
            NodeKind::Model(model) => steps.push(Step::Model(model)),
            NodeKind::For(repeat) => {
                collect_steps(&repeat.body, steps);
                steps.extend(repeat.carried.iter().map(Step::Carried));
            }
            NodeKind::Branch(branch) => {
                collect_steps(&branch.then_block, steps);
                collect_steps(&branch.else_block, steps);
                steps.extend(branch.merged.iter().map(Step::Merged));
            }
        }
    }
}

/// Flags of values that only ever go from false to true.
struct Flags {
    set: Vec<bool>,
    changed: bool,
}

impl Flags {
    fn new(count: usize) -> Self {
        Self { set: vec![false; count], changed: true }
    }

    fn raise(&mut self, value: ValueId, condition: bool) {
        if condition && !self.set[value.0] {
            self.set[value.0] = true;
            self.changed = true;
        }
    }

    fn any(&self, values: &[ValueId]) -> bool {
        values.iter().any(|value| self.set[value.0])
    }
}

/// The values that were computed from a `dequant` with no `quant` since.
fn float_regions(steps: &[Step<'_>], count: usize) -> Vec<bool> {
    let mut float_region = Flags::new(count);
    while std::mem::take(&mut float_region.changed) {
        for step in steps {
            match step {
                Step::Op(op) => {
                    let is_float = match rule(op) {
                        Rule::Quant => false,
                        Rule::Dequant => true,
                        Rule::Quantizes | Rule::Follows => float_region.any(&op.operands),
                    };
                    op.results().into_iter().for_each(|result| float_region.raise(result, is_float));
                }
                Step::Model(model) => {
                    let is_float = float_region.any(&model.operands);
                    model.results.iter().for_each(|&result| float_region.raise(result, is_float));
                }
                Step::Carried(carried) => {
                    let is_float = float_region.any(&[carried.initial, carried.next]);
                    float_region.raise(carried.entry, is_float);
                    float_region.raise(carried.result, is_float);
                }
                Step::Merged(merged) => {
                    let is_float = float_region.any(&[merged.then_value, merged.else_value]);
                    float_region.raise(merged.result, is_float);
                }
            }
        }
    }
    float_region.set
}

/// The values that can be had in int8 with no quantize step behind an operation that must run in float.
fn quantizable(graph: &Graph, steps: &[Step<'_>], float_region: &[bool]) -> Vec<bool> {
    let mut quantizable = Flags::new(float_region.len());
    graph.inputs.iter().for_each(|&input| quantizable.raise(input, true));
    for step in steps {
        if let Step::Carried(carried) = step {
            quantizable.raise(carried.entry, !float_region[carried.entry.0]);
        }
    }
    while std::mem::take(&mut quantizable.changed) {
        for step in steps {
            match step {
                Step::Op(op) => {
                    let is_free = !is_skipped(op) && !float_region[op.result.0];
                    let is_quantizable = match rule(op) {
                        Rule::Quant => true,
                        Rule::Dequant => false,
                        Rule::Quantizes => is_free,
                        Rule::Follows => is_free && quantizable.any(&op.operands),
                    };
                    op.results().into_iter().for_each(|result| quantizable.raise(result, is_quantizable));
                }
                Step::Model(model) => {
                    let results = model.results.iter();
                    results.for_each(|&result| {
                        quantizable.raise(result, !model.place.skip && !float_region[result.0])
                    });
                }
                Step::Carried(carried) => {
                    let is_quantizable = quantizable.set[carried.next.0] && !float_region[carried.entry.0];
                    quantizable.raise(carried.result, is_quantizable);
                }
                Step::Merged(merged) => {
                    let is_quantizable =
                        quantizable.set[merged.then_value.0] && quantizable.set[merged.else_value.0];
                    quantizable.raise(merged.result, is_quantizable);
                }
            }
        }
    }
    quantizable.set
}

/// The values that are int8: demand runs backwards and supply forwards until neither moves.
fn propagate(steps: &[Step<'_>], float_region: &[bool], quantizable: &[bool]) -> Vec<bool> {
    let mut int8 = Flags::new(float_region.len());
    let mut wanted = Flags::new(float_region.len());
    while std::mem::take(&mut int8.changed) | std::mem::take(&mut wanted.changed) {
        for step in steps {
            match step {
                Step::Op(op) => {
                    let is_free = !is_skipped(op) && !float_region[op.result.0];
                    let is_int8 = match rule(op) {
                        Rule::Quant => true,
                        Rule::Dequant => false,
                        Rule::Quantizes => is_free,
                        Rule::Follows => is_free && (int8.any(&op.operands) || wanted.any(&op.results())),
                    };
                    op.results().into_iter().for_each(|result| int8.raise(result, is_int8));
                    if rule(op) != Rule::Quant {
                        op.operands.iter().for_each(|&operand| wanted.raise(operand, is_int8));
                    }
                }
                Step::Model(model) => {
                    for &result in &model.results {
                        int8.raise(result, !model.place.skip && !float_region[result.0]);
                    }
                    let is_int8 = int8.any(&model.results);
                    model.operands.iter().for_each(|&operand| wanted.raise(operand, is_int8));
                }
                Step::Carried(carried) => {
                    let both = int8.set[carried.initial.0] && int8.set[carried.next.0];
                    let invited = int8.set[carried.initial.0] || wanted.any(&[carried.entry, carried.result]);
                    let is_int8 =
                        !float_region[carried.entry.0] && (both || quantizable[carried.next.0] && invited);
                    int8.raise(carried.entry, is_int8);
                    int8.raise(carried.result, is_int8);
                    wanted.raise(carried.initial, is_int8);
                    wanted.raise(carried.next, is_int8);
                }
                Step::Merged(merged) => {
                    let arms = [merged.then_value, merged.else_value];
                    let both = arms.iter().all(|value| int8.set[value.0]);
                    let can = int8.any(&arms) || arms.iter().all(|value| quantizable[value.0]);
                    let is_int8 =
                        !float_region[merged.result.0] && (both || can && wanted.set[merged.result.0]);
                    int8.raise(merged.result, is_int8);
                    arms.iter().for_each(|&value| wanted.raise(value, is_int8));
                }
            }
        }
    }
    int8.set
}
