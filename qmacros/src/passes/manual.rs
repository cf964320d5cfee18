//! `stubs = "manual"`: nothing is placed, and each operation that would see the wrong domain is reported.
//!
//! After a report the analysis goes on as if the user had written what the help says, so that one mistake gives
//! one error.

use std::collections::HashSet;

use proc_macro2::Span;

use super::domains::{Domain, Domains, FloatReason, Rule, is_skipped, rule};
use crate::errors::Message;
use crate::ir::{Block, BranchNode, ForNode, Graph, ModelNode, Node, NodeKind, OpNode, ValueId};

pub type Diagnostic = (Span, String);

/// The domains as the user's own `quant` and `dequant` make them, and what does not agree.
pub fn infer(graph: &Graph) -> (Domains, Vec<Diagnostic>) {
    let mut analysis =
        Analysis { graph, domains: Domains::default(), float_regions: HashSet::new(), found: Vec::new() };
    analysis.block(&graph.body);
    for &output in &graph.outputs.values {
        if analysis.domains.of(output) == Domain::Int8 {
            let name = analysis.name(output);
            let message = Message::new(format!("`forward` returns `{name}`, which is quantized"))
                .help(format!("return `dequant({name})`"))
                .note(MANUAL);
            analysis.found.push((graph.outputs.span, message.to_string()));
        }
    }
    (analysis.domains, analysis.found)
}

const MANUAL: &str = "`stubs = \"manual\"` leaves every quantize and dequantize step to you";

struct Analysis<'a> {
    graph: &'a Graph,
    domains: Domains,
    /// Float values that were computed from a `dequant`.
    float_regions: HashSet<ValueId>,
    found: Vec<Diagnostic>,
}

impl Analysis<'_> {
    fn name(&self, value: ValueId) -> &str {
        &self.graph.values[value.0].name
    }

    fn report(&mut self, span: Span, message: Message) {
        self.found.push((span, message.note(MANUAL).to_string()));
    }

    fn copy(&mut self, from: ValueId, to: ValueId) {
        self.domains.set(to, self.domains.of(from));
        if self.float_regions.contains(&from) {
            self.float_regions.insert(to);
        }
    }

    fn block(&mut self, block: &Block) {
        for node in &block.nodes {
            match &node.kind {
                NodeKind::Op(op) => self.op(op, node.span),
                NodeKind::Model(model) => self.model(model, node),
                NodeKind::For(repeat) => self.repeat(repeat, node),
                NodeKind::Branch(branch) => self.branch(branch, node),
            }
        }
    }

    fn op(&mut self, op: &OpNode, span: Span) {
        match rule(op) {
            Rule::Quant => self.quant(op, span),
            Rule::Dequant => self.dequant(op, span),
            Rule::Quantizes | Rule::Follows => {
                let call = op.members[0].callee.spelling();
                let follows = rule(op) == Rule::Follows;
                let skipped = is_skipped(op);
                let domain = self.operation(&call, &op.operands, skipped, follows, span);
                self.finish(&op.results(), &op.operands, domain, skipped);
            }
        }
    }

    fn model(&mut self, model: &ModelNode, node: &Node) {
        let call = format!("self.{}", model.place.root_field);
        let domain = self.operation(&call, &model.operands, model.place.skip, false, node.span);
        self.finish(&model.results, &model.operands, domain, model.place.skip);
    }

    fn quant(&mut self, op: &OpNode, span: Span) {
        if let Some(&operand) = op.operands.iter().find(|&&operand| self.domains.of(operand) == Domain::Int8)
        {
            let message = Message::new(format!("`{}` is quantized already", self.name(operand)))
                .help("remove this `quant`");
            self.report(span, message);
        }
        self.domains.set(op.result, Domain::Int8);
    }

    fn dequant(&mut self, op: &OpNode, span: Span) {
        if let Some(&operand) = op.operands.iter().find(|&&operand| self.domains.of(operand) == Domain::Float)
        {
            let message = Message::new(format!("`{}` is not quantized", self.name(operand)))
                .help("remove this `dequant`");
            self.report(span, message);
        }
        self.domains.set(op.result, Domain::Float);
        self.float_regions.insert(op.result);
    }

    /// The domain in which an operation runs, after a report if its operands do not allow it.
    fn operation(
        &mut self,
        call: &str,
        operands: &[ValueId],
        skipped: bool,
        follows: bool,
        span: Span,
    ) -> Domain {
        let float = operands.iter().copied().find(|&operand| self.domains.of(operand) == Domain::Float);
        let int8 = operands.iter().copied().find(|&operand| self.domains.of(operand) == Domain::Int8);
        match (float, int8) {
            (_, Some(int8)) if skipped => {
                let name = self.name(int8);
                let message =
                    Message::new(format!("`{call}` runs in float and gets `{name}`, which is quantized"))
                        .help(format!("hand it `dequant({name})`, or remove `skip` from its field"));
                self.report(span, message);
                Domain::Float
            }
            (Some(float), Some(int8)) => {
                let [float, int8] = [float, int8].map(|value| self.name(value));
                let message = Message::new(format!(
                    "`{call}` gets `{float}`, which is float, and `{int8}`, which is quantized"
                ))
                .help(format!(
                    "quantize the one, `quant({float})`, or dequantize the other, `dequant({int8})`"
                ));
                self.report(span, message);
                Domain::Int8
            }
            (Some(float), None) if !skipped && !follows && !self.in_float_region(operands) => {
                let name = self.name(float);
                let message =
                    Message::new(format!("`{call}` is quantized and gets `{name}`, which is float"))
                        .help(format!("hand it `quant({name})`"));
                self.report(span, message);
                Domain::Int8
            }
            (Some(_), None) => Domain::Float,
            (None, _) => Domain::Int8,
        }
    }

    fn in_float_region(&self, operands: &[ValueId]) -> bool {
        operands.iter().any(|operand| self.float_regions.contains(operand))
    }

    fn finish(&mut self, results: &[ValueId], operands: &[ValueId], domain: Domain, skipped: bool) {
        let in_float_region = self.in_float_region(operands);
        for &result in results {
            self.domains.set(result, domain);
            if domain == Domain::Int8 {
                continue;
            }
            let reason = match (skipped, in_float_region) {
                (true, _) => FloatReason::Skipped,
                (false, true) => FloatReason::AfterDequant,
                (false, false) => FloatReason::NothingQuantizedAround,
            };
            self.domains.set_float_op(result, reason);
            if in_float_region {
                self.float_regions.insert(result);
            }
        }
    }

    fn repeat(&mut self, repeat: &ForNode, node: &Node) {
        for carried in &repeat.carried {
            self.copy(carried.initial, carried.entry);
        }
        self.block(&repeat.body);
        for carried in &repeat.carried {
            let [first, next] = [carried.entry, carried.next].map(|value| self.domains.of(value));
            if first != next {
                let name = self.name(carried.entry);
                let help = match next {
                    Domain::Int8 => format!("hand on `dequant({name})`, or quantize it before the loop"),
                    Domain::Float => format!("hand on `quant({name})`, or dequantize it before the loop"),
                };
                let message = Message::new(format!(
                    "`{name}` is {} in the first iteration and {} in the next",
                    state(first),
                    state(next)
                ));
                self.report(node.span, message.help(help));
            }
            self.copy(carried.entry, carried.result);
        }
    }

    fn branch(&mut self, branch: &BranchNode, node: &Node) {
        self.block(&branch.then_block);
        self.block(&branch.else_block);
        for merged in &branch.merged {
            let arms = [merged.then_value, merged.else_value].map(|value| self.domains.of(value));
            if arms[0] != arms[1] {
                let name = self.name(merged.result);
                let message = Message::new(format!(
                    "`{name}` is {} in one arm and {} in the other",
                    state(arms[0]),
                    state(arms[1])
                ))
                .help("write `quant(…)` or `dequant(…)` at the end of one arm");
                self.report(node.span, message);
            }
            let quantized = arms.contains(&Domain::Int8);
            self.copy(merged.then_value, merged.result);
            self.copy(merged.else_value, merged.result);
            self.domains.set(merged.result, if quantized { Domain::Int8 } else { Domain::Float });
        }
    }
}

fn state(domain: Domain) -> &'static str {
    match domain {
        Domain::Float => "float",
        Domain::Int8 => "quantized",
    }
}
