//! Activations that float takes along with the group before them: a side table, the graph is not changed.
//!
//! They are nodes of their own in `GRAPH` and wherever the network is recorded; a float run computes them in the same
//! pass over memory.

use std::collections::{HashMap, HashSet};

use qcatalogue::{Operation, is_float_fusion};

use super::readers::{Readers, readers};
use crate::ir::{Block, Graph, Member, Node, NodeKind, OpNode, ValueId};

#[derive(Debug, Default)]
pub struct FloatFusions {
    /// By the result of the group.
    activations: HashMap<ValueId, Member>,
    taken: HashSet<ValueId>,
}

impl FloatFusions {
    /// What float computes together with the group that makes this value.
    pub fn activation_after(&self, group: ValueId) -> Option<&Member> {
        self.activations.get(&group)
    }

    /// Whether the operation that makes this value is such an activation.
    pub fn is_taken(&self, result: ValueId) -> bool {
        self.taken.contains(&result)
    }
}

pub fn find(graph: &Graph) -> FloatFusions {
    let mut found = FloatFusions::default();
    search(&graph.body, &readers(graph), &mut found);
    found
}

fn search(block: &Block, readers: &Readers, found: &mut FloatFusions) {
    for (index, node) in block.nodes.iter().enumerate() {
        match &node.kind {
            NodeKind::Op(group) => {
                let is_read_once = readers.get(&group.result).is_some_and(|readers| readers.len() == 1);
                if is_read_once && let Some(activation) = activation_after(group, &block.nodes[index + 1..]) {
                    found.taken.insert(activation.result);
                    found.activations.insert(group.result, activation.clone());
                }
            }
            NodeKind::Model(_) => {}
            NodeKind::For(repeat) => search(&repeat.body, readers, found),
            NodeKind::Branch(branch) => {
                search(&branch.then_block, readers, found);
                search(&branch.else_block, readers, found);
            }
        }
    }
}

fn activation_after<'a>(group: &OpNode, later: &'a [Node]) -> Option<&'a Member> {
    let reader = later.iter().find_map(|node| match &node.kind {
        NodeKind::Op(op) if op.operands == [group.result] => Some(op),
        _ => None,
    })?;
    let [activation] = reader.members.as_slice() else { return None };
    let operations: Vec<&Operation> =
        group.members.iter().chain([activation]).map(|member| member.operation()).collect();
    (is_float_fusion(&operations) && have_equal_settings(group, activation)).then_some(activation)
}

/// The group's `skip` and `qconfig` would hold for the activation as well.
fn have_equal_settings(group: &OpNode, activation: &Member) -> bool {
    let settings =
        |member: &Member| member.place().map_or((false, None), |place| (place.skip, place.qconfig.clone()));
    let own = settings(activation);
    group.members.iter().filter(|member| member.place().is_some()).all(|member| settings(member) == own)
}

#[cfg(test)]
mod tests {
    use crate::passes::fusion;
    use crate::passes::testing::graph_of;

    const FIELDS: &str = "c: Conv2d, b: BatchNorm2d, l: Linear, act: ReLU6, \
                          #[quantizable(skip)] float: Conv2d, #[quantizable(skip)] skipped_act: ReLU6";

    /// The names of the activations that are taken along.
    fn taken(body: &str) -> Vec<String> {
        let graph = fusion::fuse(&graph_of(FIELDS, body)).graph;
        let found = super::find(&graph);
        assert_eq!(found.activations.len(), found.taken.len());
        let mut names: Vec<String> = found.activations.into_values().map(|member| member.name).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn a_relu6_behind_a_convolution_is_taken_along() {
        assert_eq!(taken("relu6(self.c(x))"), ["relu6"]);
        assert_eq!(taken("self.act(self.b(self.c(x)))"), ["act"]);
        assert_eq!(taken("let y = self.c(x); let z = x + x; relu6(y) + z"), ["relu6"]);
        assert_eq!(taken("self.skipped_act(self.float(x))"), ["skipped_act"]);
    }

    #[test]
    fn other_pairs_are_left_alone() {
        for body in [
            "relu6(relu(self.c(x)))",
            "relu6(self.l(x))",
            "relu(self.c(x))",
            "clamp(self.c(x), 0.0, 6.0)",
            "relu6(x)",
        ] {
            assert!(taken(body).is_empty(), "{body}");
        }
    }

    #[test]
    fn what_others_read_or_what_has_other_settings_is_left_alone() {
        for body in [
            "let y = self.c(x); relu6(y) + y",
            "let y = self.c(x); relu6(y).reshape((y.size(0), -1))",
            "self.act(self.float(x))",
            "relu6(self.float(x))",
            "self.skipped_act(self.c(x))",
        ] {
            assert!(taken(body).is_empty(), "{body}");
        }
    }
}
