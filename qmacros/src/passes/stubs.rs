//! Where float enters an int8 region and where it leaves: the fewest steps that make every domain agree.
//!
//! A value is quantized at most once and dequantized at most once, in the block that makes it, right before
//! the first node that needs the other form. So a step is never repeated by a loop that it could stand before.

use std::collections::{BTreeMap, HashMap};

use super::domains::{Domain, Domains};
use crate::ir::print::{loop_letters, place_text, site_name};
use crate::ir::{Block, Graph, LoopId, NodeKind, ValueId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    Quantize,
    Dequantize,
}

/// Blocks numbered in the order in which they open: 0 is `forward`'s own.
pub type BlockNumber = usize;

/// One step between the domains.
#[derive(Debug)]
pub struct Stub {
    pub value: ValueId,
    pub action: Action,
    /// The paths of those that need it, `return` for the output.
    pub readers: Vec<String>,
    /// Whether it stands where values enter or leave the model, and is missing when the model is nested.
    pub at_boundary: bool,
}

/// The steps of a graph, each before a node of a block; the end of a block counts as a node.
#[derive(Debug, Default)]
pub struct StubPlan {
    stubs: BTreeMap<(BlockNumber, usize), Vec<Stub>>,
}

impl StubPlan {
    pub fn before(&self, block: BlockNumber, node: usize) -> &[Stub] {
        self.stubs.get(&(block, node)).map_or(&[], Vec::as_slice)
    }

    pub fn in_order(&self) -> impl Iterator<Item = &Stub> {
        self.stubs.values().flatten()
    }
}

pub fn place(graph: &Graph, domains: &Domains) -> StubPlan {
    let mut placer = Placer {
        domains,
        letters: loop_letters(graph),
        homes: graph.inputs.iter().map(|&input| (input, 0)).collect(),
        open: vec![(0, 0)],
        blocks: 1,
        found: BTreeMap::new(),
    };
    placer.block(&graph.body);
    for &output in &graph.outputs.values {
        placer.need(output, Domain::Float, "return");
    }
    let mut plan = StubPlan::default();
    for ((value, action), (position, readers)) in placer.found {
        let at_boundary = match action {
            Action::Quantize => graph.inputs.contains(&value),
            Action::Dequantize => readers.iter().all(|reader| reader == "return"),
        };
        plan.stubs.entry(position).or_default().push(Stub { value, action, readers, at_boundary });
    }
    plan
}

/// Where a stub stands, and who needs it.
type Found = ((BlockNumber, usize), Vec<String>);

struct Placer<'a> {
    domains: &'a Domains,
    letters: HashMap<LoopId, String>,
    /// The block that makes each value.
    homes: HashMap<ValueId, BlockNumber>,
    /// The blocks around the current point, and the node at which each stands.
    open: Vec<(BlockNumber, usize)>,
    blocks: usize,
    found: BTreeMap<(ValueId, Action), Found>,
}

impl Placer<'_> {
    fn need(&mut self, value: ValueId, domain: Domain, reader: &str) {
        let action = match (self.domains.of(value), domain) {
            (Domain::Float, Domain::Int8) => Action::Quantize,
            (Domain::Int8, Domain::Float) => Action::Dequantize,
            (Domain::Float, Domain::Float) | (Domain::Int8, Domain::Int8) => return,
        };
        let home = self.homes.get(&value);
        let Some(&position) = self.open.iter().find(|(block, _)| Some(block) == home) else { return };
        let (_, readers) = self.found.entry((value, action)).or_insert_with(|| (position, Vec::new()));
        if !readers.iter().any(|known| known == reader) {
            readers.push(reader.to_owned());
        }
    }

    fn here(&self) -> BlockNumber {
        self.open.last().map_or(0, |(block, _)| *block)
    }

    fn make(&mut self, value: ValueId) {
        let here = self.here();
        self.homes.insert(value, here);
    }

    fn inside(&mut self, visit: impl FnOnce(&mut Self)) {
        self.open.push((self.blocks, 0));
        self.blocks += 1;
        visit(self);
        self.open.pop();
    }

    fn block(&mut self, block: &Block) {
        for node in &block.nodes {
            self.node(&node.kind);
            if let Some((_, index)) = self.open.last_mut() {
                *index += 1;
            }
        }
    }

    fn node(&mut self, node: &NodeKind) {
        match node {
            NodeKind::Op(op) => {
                if let Some(domain) = self.domains.operands_of(op) {
                    let name = site_name(op, &self.letters);
                    op.operands.iter().for_each(|&operand| self.need(operand, domain, &name));
                }
                op.results().into_iter().for_each(|result| self.make(result));
            }
            NodeKind::Model(model) => {
                let domain = self.domains.operands_of_model(model);
                let name = place_text(&model.place, &self.letters);
                model.operands.iter().for_each(|&operand| self.need(operand, domain, &name));
                model.results.iter().for_each(|&result| self.make(result));
            }
            NodeKind::For(repeat) => {
                let name = &repeat.name;
                let domain = |placer: &Self, value| placer.domains.of(value);
                for carried in &repeat.carried {
                    let wanted = domain(self, carried.entry);
                    self.need(carried.initial, wanted, name);
                }
                self.inside(|placer| {
                    repeat.carried.iter().for_each(|carried| placer.make(carried.entry));
                    placer.block(&repeat.body);
                    for carried in &repeat.carried {
                        let wanted = domain(placer, carried.entry);
                        placer.need(carried.next, wanted, name);
                    }
                });
                repeat.carried.iter().for_each(|carried| self.make(carried.result));
            }
            NodeKind::Branch(branch) => {
                let name = &branch.name;
                self.inside(|placer| {
                    placer.block(&branch.then_block);
                    for merged in &branch.merged {
                        placer.need(merged.then_value, placer.domains.of(merged.result), name);
                    }
                });
                self.inside(|placer| {
                    placer.block(&branch.else_block);
                    for merged in &branch.merged {
                        placer.need(merged.else_value, placer.domains.of(merged.result), name);
                    }
                });
                branch.merged.iter().for_each(|merged| self.make(merged.result));
            }
        }
    }
}
