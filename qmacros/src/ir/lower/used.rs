//! Which values anything reads, seen through branches and loops.

use std::collections::HashSet;

use crate::ir::{Block, Graph, NodeKind, ValueId};

/// What operations read and what `forward` returns.
pub fn used_values(graph: &Graph) -> HashSet<ValueId> {
    let mut used: HashSet<ValueId> = graph.outputs.values.iter().copied().collect();
    loop {
        let before = used.len();
        mark(&graph.body, &mut used);
        if used.len() == before {
            return used;
        }
    }
}

fn mark(block: &Block, used: &mut HashSet<ValueId>) {
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) => used.extend(op.operands.iter().chain(&op.shape_operands)),
            NodeKind::Model(model) => used.extend(&model.operands),
            NodeKind::For(repeat) => {
                for carried in &repeat.carried {
                    if used.contains(&carried.result) || used.contains(&carried.entry) {
                        used.extend([carried.initial, carried.next]);
                    }
                }
                mark(&repeat.body, used);
            }
            NodeKind::Branch(branch) => {
                for merged in &branch.merged {
                    if used.contains(&merged.result) {
                        used.extend([merged.then_value, merged.else_value]);
                    }
                }
                mark(&branch.then_block, used);
                mark(&branch.else_block, used);
            }
        }
    }
}

/// Takes out what branches and loops hand over and nobody reads.
pub fn prune(graph: &mut Graph) {
    let used = used_values(graph);
    prune_block(&mut graph.body, &used);
}

fn prune_block(block: &mut Block, used: &HashSet<ValueId>) {
    for node in &mut block.nodes {
        match &mut node.kind {
            NodeKind::Op(_) | NodeKind::Model(_) => {}
            NodeKind::For(repeat) => {
                repeat.carried.retain(|each| used.contains(&each.result) || used.contains(&each.entry));
                prune_block(&mut repeat.body, used);
            }
            NodeKind::Branch(branch) => {
                branch.merged.retain(|each| used.contains(&each.result));
                prune_block(&mut branch.then_block, used);
                prune_block(&mut branch.else_block, used);
            }
        }
    }
}
