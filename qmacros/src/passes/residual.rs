//! Which additions run in the pass of a convolution: a side table, the graph is not changed.
//!
//! `qcore`'s `program/fusion.rs` decides it on the steps of an instance, and this foresees what it will do: the
//! operand that is made later has to be a convolution's result that nobody else reads. A branch gives an operand
//! several sources, of which an instance has one. Each of them has to fit; then the addition runs in the last of
//! its convolutions that the instance runs.

use std::collections::{BTreeMap, HashMap};

use qcatalogue::Role;

use super::domains::{Domain, Domains};
use super::readers::most_reads;
use crate::ir::print::{loop_letters, site_name};
use crate::ir::{Block, Graph, LoopId, ModelNode, NodeKind, OpNode, ValueId};

/// What leaves its result in a buffer; what is not here may run on tensors, which are stored when they are read.
const ON_BUFFERS: &[&str] = &["Conv2d", "add", "relu", "relu6", "clamp", "max_pool2d", "avg_pool2d"];
/// What hands on its input's buffer.
const VIEWS: &[&str] = &["dropout", "Identity"];

/// For each addition that runs in a convolution the paths of those that it may run in, in their order.
#[derive(Debug, Default)]
pub struct Residuals {
    convolutions: HashMap<ValueId, Vec<String>>,
}

impl Residuals {
    /// By the addition's result; empty if it is a step of its own.
    pub fn computed_with(&self, addition: ValueId) -> &[String] {
        self.convolutions.get(&addition).map_or(&[], Vec::as_slice)
    }
}

pub fn find(graph: &Graph, domains: &Domains) -> Residuals {
    let mut finder = Finder {
        domains,
        letters: loop_letters(graph),
        reads: most_reads(&graph.body, &graph.outputs.values),
        sources: HashMap::new(),
        steps: 0,
        found: Residuals::default(),
    };
    finder.block(&graph.body);
    finder.found
}

/// Where a value may come from.
#[derive(Clone, Copy)]
struct Source<'a> {
    /// As its producer made it.
    value: ValueId,
    /// The step that writes it to a buffer, if there was one so far.
    step: Option<usize>,
    /// What made it, if that can take on an addition.
    convolution: Option<&'a OpNode>,
}

struct Finder<'a> {
    domains: &'a Domains,
    letters: HashMap<LoopId, String>,
    reads: HashMap<ValueId, usize>,
    /// What is known at this point, whichever arms were taken.
    sources: HashMap<ValueId, Vec<Source<'a>>>,
    steps: usize,
    found: Residuals,
}

impl<'a> Finder<'a> {
    fn block(&mut self, block: &'a Block) {
        for node in &block.nodes {
            match &node.kind {
                NodeKind::Op(op) => self.op(op),
                NodeKind::Model(model) => self.model(model),
                NodeKind::For(repeat) => {
                    let outside = self.sources.clone();
                    // Every iteration reads them again.
                    self.sources.values_mut().flatten().for_each(|source| source.convolution = None);
                    self.block(&repeat.body);
                    self.sources = outside;
                }
                NodeKind::Branch(branch) => {
                    let merged = branch.merged.iter();
                    let then_values = merged.clone().map(|merged| merged.then_value);
                    let then_sources = self.arm(&branch.then_block, then_values);
                    let else_values = merged.clone().map(|merged| merged.else_value);
                    let else_sources = self.arm(&branch.else_block, else_values);
                    for ((merged, one), other) in merged.zip(then_sources).zip(else_sources) {
                        self.pass_on(merged.result, [one, other].concat());
                    }
                }
            }
        }
    }

    /// The sources of what the arm hands out. A convolution before the arm runs in the other arm's instances, too:
    /// of such the last that runs would not be the one that is meant.
    fn arm(&mut self, block: &'a Block, values: impl Iterator<Item = ValueId>) -> Vec<Vec<Source<'a>>> {
        let (outside, start) = (self.sources.clone(), self.steps);
        self.block(block);
        let mut handed_out: Vec<Vec<Source<'_>>> = values.map(|value| self.sources(value)).collect();
        for source in handed_out.iter_mut().flatten() {
            source.convolution = source.convolution.filter(|_| source.step >= Some(start));
        }
        self.sources = outside;
        handed_out
    }

    fn op(&mut self, op: &'a OpNode) {
        let step = self.next_step();
        let (name, role) = (op.operation().name, op.operation().role);
        let is_view = VIEWS.contains(&name);
        let is_on_buffers = is_view || ON_BUFFERS.contains(&name);
        if !is_on_buffers || self.domains.operands_of(op) != Some(Domain::Int8) {
            return;
        }
        self.store(&op.operands, step);
        if let (true, [operand]) = (is_view, op.operands.as_slice()) {
            return self.pass_on(op.result, self.sources(*operand));
        }
        let mut made = Source { value: op.result, step: Some(step), convolution: None };
        if role == Role::Conv {
            made.convolution = Some(op);
        } else if role == Role::Add {
            let convolutions = self.convolutions(&op.operands);
            if let Some((&last, _)) = convolutions.last_key_value() {
                made.step = Some(last);
                let paths = convolutions.values().map(|convolution| site_name(convolution, &self.letters));
                self.found.convolutions.insert(op.result, paths.collect());
            }
        }
        self.pass_on(op.result, vec![made]);
    }

    /// A nested model is taken to do in int8 what this graph's stubs suppose.
    fn model(&mut self, model: &ModelNode) {
        let step = self.next_step();
        if self.domains.operands_of_model(model) == Domain::Int8 {
            self.store(&model.operands, step);
        }
        for &value in model.results.iter().filter(|&&result| self.domains.of(result) == Domain::Int8) {
            self.pass_on(value, vec![Source { value, step: Some(step), convolution: None }]);
        }
    }

    fn next_step(&mut self) -> usize {
        self.steps += 1;
        self.steps - 1
    }

    fn sources(&self, value: ValueId) -> Vec<Source<'a>> {
        let Some(sources) = self.sources.get(&value) else {
            return vec![Source { value, step: None, convolution: None }];
        };
        let of_source = |source: &Source<'a>| match source.step {
            None if source.value != value => self.sources(source.value),
            _ => vec![*source],
        };
        sources.iter().flat_map(of_source).collect()
    }

    /// What is in no buffer yet is written to one right before `step`.
    fn store(&mut self, operands: &[ValueId], step: usize) {
        for &operand in operands {
            let mut sources = self.sources(operand);
            sources.iter_mut().for_each(|source| source.step = source.step.or(Some(step)));
            self.sources.insert(operand, sources);
        }
    }

    fn pass_on(&mut self, value: ValueId, mut sources: Vec<Source<'a>>) {
        if self.reads.get(&value) != Some(&1) {
            sources.iter_mut().for_each(|source| source.convolution = None);
        }
        sources.sort_unstable_by_key(|source| (source.value, source.step));
        sources.dedup_by_key(|source| (source.value, source.step));
        self.sources.insert(value, sources);
    }

    /// The convolutions that an addition may run in, by their steps. None if in some instance it runs in none.
    fn convolutions(&self, operands: &[ValueId]) -> BTreeMap<usize, &'a OpNode> {
        let [a, b] = operands else { return BTreeMap::new() };
        let [a, b] = [a, b].map(|&operand| self.sources(operand));
        let pairs = a.iter().flat_map(|a| b.iter().map(move |b| (a, b)));
        pairs.map(|(a, b)| takes_on(a, b).or(takes_on(b, a))).collect::<Option<_>>().unwrap_or_default()
    }
}

/// The convolution that makes `one`, and its step, if it can add `other`.
fn takes_on<'a>(one: &Source<'a>, other: &Source<'_>) -> Option<(usize, &'a OpNode)> {
    let (step, ready) = (one.step?, other.step?);
    Some((step, one.convolution?)).filter(|_| ready <= step)
}

#[cfg(test)]
mod tests {
    use crate::passes::testing::{graph_of, graph_with};
    use crate::passes::{domains, fusion};

    const FIELDS: &str = "a: Conv2d, b: Conv2d, c: Conv2d, norm: BatchNorm2d, act: ReLU, nested: Block, \
                          layers: Vec<Conv2d>, shortcut: Option<Conv2d>, wide: bool, drop: Dropout, \
                          fc: Linear, #[quantizable(skip)] float: Conv2d";

    /// For each addition what it is computed with.
    fn found(body: &str) -> Vec<String> {
        of(&graph_of(FIELDS, body))
    }

    fn of(graph: &crate::ir::Graph) -> Vec<String> {
        let fused = fusion::fuse(graph).graph;
        let residuals = super::find(&fused, &domains::infer(&fused));
        let mut found: Vec<_> = residuals.convolutions.into_iter().collect();
        found.sort_unstable();
        found.into_iter().map(|(_, convolutions)| convolutions.join(" or ")).collect()
    }

    #[track_caller]
    fn is_computed_with(convolutions: &[&str], body: &str) {
        assert_eq!(found(body), convolutions, "{body}");
    }

    #[track_caller]
    fn is_a_step_of_its_own(body: &str) {
        is_computed_with(&[], body);
    }

    #[test]
    fn an_addition_runs_in_the_convolution_before_it() {
        is_computed_with(&["a"], "self.a(x) + x");
        is_computed_with(&["a"], "x + self.a(x)");
        is_computed_with(&["a"], "let mut y = self.a(x); y += x; y");
        is_computed_with(&["a"], "relu(self.norm(self.a(x)) + x)");
        is_computed_with(&["a"], "self.act(self.act(self.a(x)) + x)");
        is_computed_with(&["a"], "self.drop(self.a(x)) + x");
    }

    #[test]
    fn of_two_convolutions_the_later_one_is_taken() {
        is_computed_with(&["b"], "self.a(x) + self.b(x)");
        is_computed_with(&["b"], "let y = self.a(x); let z = self.b(x); z + y");
        is_computed_with(&["b"], "let y = relu(self.norm(self.a(x))); self.norm(self.b(x)) + y");
    }

    #[test]
    fn the_shortcut_of_a_block_may_have_a_convolution_or_none() {
        let block = "let y = self.b(relu(self.a(x)));
                     let identity = match &self.shortcut { Some(shortcut) => shortcut(x), None => x };
                     relu(y + identity)";
        is_computed_with(&["b or shortcut"], block);
        let shortcut_first =
            "let identity = match &self.shortcut { Some(shortcut) => shortcut(x), None => x };
                              let y = self.b(relu(self.a(x)));
                              relu(y + identity)";
        is_computed_with(&["b"], shortcut_first);
    }

    #[test]
    fn an_addition_in_an_arm_runs_in_a_convolution_before_the_branch() {
        is_computed_with(&["a"], "let y = self.a(x); let z = if self.wide { x + y } else { y }; z");
        is_a_step_of_its_own("let y = self.a(x); let z = if self.wide { x + y } else { x }; z + y");
    }

    #[test]
    fn every_way_through_a_branch_has_to_fit() {
        is_a_step_of_its_own(
            "let y = self.a(x); let z = if self.wide { max_pool2d(x, 3, 1, 1) } else { x }; y + z",
        );
        is_a_step_of_its_own("let y = if self.wide { self.a(x) } else { x }; y + x");
        is_computed_with(
            &["a or b"],
            "let z = self.c(x); let y = if self.wide { self.a(x) } else { self.b(x) }; y + z",
        );
        is_a_step_of_its_own("let y = self.a(x); let z = if self.wide { y } else { self.b(x) }; z + x");
    }

    #[test]
    fn a_convolution_that_others_read_stays_alone() {
        is_a_step_of_its_own("let y = self.a(x); (y + x) + max_pool2d(y, 3, 1, 1)");
        is_a_step_of_its_own("let y = self.a(x); y + y");
        is_a_step_of_its_own("let y = self.a(x); y + self.drop(y)");
        let graph = graph_with(FIELDS, "x: Tensor", "(Tensor, Tensor)", "let y = self.a(x); (y + x, y)");
        assert_eq!(of(&graph), [""; 0]);
        is_computed_with(&["a"], "let y = self.a(x); (y + x).reshape((y.size(0), -1))");
    }

    #[test]
    fn the_other_operand_has_to_be_there_before_the_convolution() {
        is_a_step_of_its_own("let y = self.a(x); y + max_pool2d(x, 3, 1, 1)");
        is_computed_with(&["a"], "let z = max_pool2d(x, 3, 1, 1); self.a(x) + z");
        is_a_step_of_its_own("self.a(x) + self.nested(x)");
        is_computed_with(&["a"], "let z = self.nested(x); self.a(x) + z");
    }

    #[test]
    fn a_float_operand_is_there_once_it_was_quantized() {
        let inputs = |body| graph_with(FIELDS, "x: Tensor, z: Tensor", "Tensor", body);
        assert_eq!(of(&inputs("self.a(x) + z")), [""; 0]);
        assert_eq!(of(&inputs("let w = self.b(z); self.a(x) + z + w")), ["a"]);
        is_a_step_of_its_own("let z = self.float(x); self.a(x) + z");
        is_a_step_of_its_own("let y = if self.wide { self.a(x) } else { x }; self.fc(x) + y");
    }

    #[test]
    fn a_convolution_takes_on_one_addition() {
        is_computed_with(&["a"], "self.a(x) + x + x");
        // The first sum is made where `b` is, so it is there for `c`.
        is_computed_with(&["b", "c"], "let a = self.a(x); let b = self.b(x); let c = self.c(x); a + b + c");
    }

    #[test]
    fn an_addition_in_a_loop_runs_in_a_convolution_of_its_iteration() {
        is_computed_with(
            &["layers.{i}"],
            "let mut x = x; for conv in &self.layers { x = relu(conv(x) + x); } x",
        );
        is_a_step_of_its_own(
            "let y = self.a(x); let mut s = x; for conv in &self.layers { s = conv(x + y) + s; } s",
        );
        is_a_step_of_its_own("let mut y = x; for conv in &self.layers { y = conv(y); } y + x");
    }

    #[test]
    fn float_and_other_operations_stay_alone() {
        is_a_step_of_its_own("self.float(x) + x");
        is_a_step_of_its_own("dequant(self.a(x)) + dequant(self.b(x))");
        is_a_step_of_its_own("self.fc(x) + x");
        is_a_step_of_its_own("self.a(x) - x");
        is_a_step_of_its_own("self.a(x) + 1.0");
        is_a_step_of_its_own("relu6(self.a(x)) + x");
    }
}
