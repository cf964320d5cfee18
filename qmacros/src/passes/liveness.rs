//! The last use of each value: a side table, the graph is not changed.

use std::collections::HashSet;

use crate::ir::{Block, Graph, NodeKind, ValueId};

/// One place where a value is handed over. Nodes are known by the first value that they make.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Use {
    Operand {
        node: ValueId,
        slot: usize,
    },
    /// What a carried variable begins with; known by its value when an iteration begins.
    Initial(ValueId),
    /// What a carried variable hands to the next iteration.
    Next(ValueId),
    /// What an arm hands out; known by the merged value.
    Then(ValueId),
    Else(ValueId),
    Output(usize),
}

/// The uses after which nobody reads the value again, so that it may be moved.
#[derive(Debug, Default)]
pub struct Liveness {
    last: HashSet<Use>,
}

impl Liveness {
    pub fn is_last(&self, place: Use) -> bool {
        self.last.contains(&place)
    }
}

pub fn analyze(graph: &Graph) -> Liveness {
    let outputs: Vec<(ValueId, Use)> =
        graph.outputs.values.iter().enumerate().map(|(slot, &value)| (value, Use::Output(slot))).collect();
    let mut liveness = Liveness::default();
    liveness.block(&graph.body, &outputs, HashSet::new());
    liveness
}

type Live = HashSet<ValueId>;

impl Liveness {
    /// Goes through a block from its end; `live` is what is read after it and what comes out what is read in it, too.
    fn block(&mut self, block: &Block, ends: &[(ValueId, Use)], mut live: Live) -> Live {
        self.read_all(ends, &mut live);
        for node in block.nodes.iter().rev() {
            match &node.kind {
                NodeKind::Op(op) => {
                    self.read_all(&operands(op.result, &op.operands), &mut live);
                    live.extend(&op.shape_operands);
                }
                NodeKind::Model(model) => {
                    if let Some(&first) = model.results.first() {
                        self.read_all(&operands(first, &model.operands), &mut live);
                    }
                }
                NodeKind::For(repeat) => {
                    let next: Vec<(ValueId, Use)> = repeat
                        .carried
                        .iter()
                        .map(|carried| (carried.next, Use::Next(carried.entry)))
                        .collect();
                    live.extend(read_from_outside(&repeat.body, &next));
                    let read_again = live.clone();
                    self.block(&repeat.body, &next, read_again);
                    let initial: Vec<(ValueId, Use)> = repeat
                        .carried
                        .iter()
                        .map(|carried| (carried.initial, Use::Initial(carried.entry)))
                        .collect();
                    self.read_all(&initial, &mut live);
                }
                NodeKind::Branch(branch) => {
                    let merged = branch.merged.iter();
                    let then_ends: Vec<(ValueId, Use)> =
                        merged.clone().map(|merged| (merged.then_value, Use::Then(merged.result))).collect();
                    let else_ends: Vec<(ValueId, Use)> =
                        merged.map(|merged| (merged.else_value, Use::Else(merged.result))).collect();
                    let in_then = self.block(&branch.then_block, &then_ends, live.clone());
                    let in_else = self.block(&branch.else_block, &else_ends, live);
                    live = &in_then | &in_else;
                }
            }
        }
        live
    }

    fn read_all(&mut self, reads: &[(ValueId, Use)], live: &mut Live) {
        for &(value, place) in reads.iter().rev() {
            if live.insert(value) {
                self.last.insert(place);
            }
        }
    }
}

fn operands(node: ValueId, operands: &[ValueId]) -> Vec<(ValueId, Use)> {
    operands.iter().enumerate().map(|(slot, &operand)| (operand, Use::Operand { node, slot })).collect()
}

/// What a body reads and does not make: the next iteration reads it again.
fn read_from_outside(body: &Block, ends: &[(ValueId, Use)]) -> Live {
    let mut read: Live = ends.iter().map(|(value, _)| *value).collect();
    let mut made = Live::new();
    collect(body, &mut read, &mut made);
    // The entries of the loop itself are made by nobody inside; they are filled anew for each iteration.
    let entries = ends.iter().filter_map(|(_, place)| match place {
        Use::Next(entry) => Some(*entry),
        _ => None,
    });
    made.extend(entries);
    &read - &made
}

fn collect(block: &Block, read: &mut Live, made: &mut Live) {
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) => {
                read.extend(op.operands.iter().chain(&op.shape_operands));
                made.extend(op.results());
            }
            NodeKind::Model(model) => {
                read.extend(&model.operands);
                made.extend(&model.results);
            }
            NodeKind::For(repeat) => {
                collect(&repeat.body, read, made);
                for carried in &repeat.carried {
                    read.extend([carried.initial, carried.next]);
                    made.extend([carried.entry, carried.result]);
                }
            }
            NodeKind::Branch(branch) => {
                collect(&branch.then_block, read, made);
                collect(&branch.else_block, read, made);
                for merged in &branch.merged {
                    read.extend([merged.then_value, merged.else_value]);
                    made.insert(merged.result);
                }
            }
        }
    }
}
