//! The operations that run as one, by the catalogue's chains, in the calls of a whole model.
//!
//! The macro finds those of one body, for `GRAPH` and for float runs. Here are all calls, also those of layers behind an
//! alias, an enum or a type parameter, and chains that begin in one model and end in another, which FX sees too.

use std::mem::take;

use super::ValueId;
use super::recording::{RecordedNode, Settings};

/// Joins each chain into one node, which takes the place and the name of its first member.
pub(super) fn fuse(mut nodes: Vec<RecordedNode>, outputs: &[ValueId]) -> Vec<RecordedNode> {
    let readers = Readers::of(&nodes, outputs);
    let mut is_taken = vec![false; nodes.len()];
    for first in 0..nodes.len() {
        if is_taken[first] {
            continue;
        }
        while let Some(follower) =
            readers.only(&nodes[first]).filter(|&next| is_one(&nodes[first], &nodes[next]))
        {
            let (members, outputs) = (take(&mut nodes[follower].members), take(&mut nodes[follower].outputs));
            nodes[first].members.extend(members);
            nodes[first].outputs = outputs;
            is_taken[follower] = true;
        }
    }
    let mut is_taken = is_taken.into_iter();
    nodes.retain(|_| is_taken.next() != Some(true));
    nodes
}

/// Of each value the nodes that read it, its elements or its shape; the model's caller is one.
struct Readers(Vec<Vec<Option<usize>>>);

impl Readers {
    fn of(nodes: &[RecordedNode], outputs: &[ValueId]) -> Self {
        let values = nodes.iter().map(|node| node.outputs.len()).sum();
        let mut readers = vec![Vec::new(); values];
        for (index, node) in nodes.iter().enumerate() {
            for &input in &node.inputs {
                readers[input].push(Some(index));
            }
        }
        for &output in outputs {
            readers[output].push(None);
        }
        Self(readers)
    }

    /// The node that alone reads what `node` makes.
    fn only(&self, node: &RecordedNode) -> Option<usize> {
        let [output] = node.outputs.as_slice() else { return None };
        match self.0[*output].as_slice() {
            [Some(reader)] => Some(*reader),
            _ => None,
        }
    }
}

/// Whether the catalogue has the members of both as a chain, and their fields want nothing else of one than of the other.
fn is_one(group: &RecordedNode, follower: &RecordedNode) -> bool {
    if follower.inputs != group.outputs {
        return false;
    }
    let members = group.members.iter().chain(&follower.members);
    let rows: Option<Vec<_>> =
        members.map(|member| qcatalogue::operation(member.operation.op.name())).collect();
    rows.is_some_and(|rows| qcatalogue::fusion(&rows).is_some()) && agree(group, follower)
}

/// A function has no attributes of its own and takes those of the layer before it.
fn agree(group: &RecordedNode, follower: &RecordedNode) -> bool {
    let is_function = follower.members.iter().all(|member| member.operation.path.is_none());
    let has_none = |attributes: &Settings| !attributes.skip && attributes.qconfig.is_none();
    let (one, other) = (&group.attributes, &follower.attributes);
    (one.skip == other.skip && one.qconfig == other.qconfig) || (is_function && has_none(other))
}
