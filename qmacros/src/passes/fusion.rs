//! Finds the catalogue's chains; declines, with a reason, if an inner value escapes or the settings of two members differ.

use qcatalogue::{Operation, fusions};

use super::readers::{Reader, Readers, readers};
use crate::ir::{Block, Graph, Node, NodeKind, OpNode, Place, ValueId, print};

/// A graph with fused groups, and what could have been fused.
pub struct Fusion {
    pub graph: Graph,
    pub declined: Vec<Declined>,
}

/// A chain that looks like a fusion and was left alone.
#[derive(Clone, Debug)]
pub struct Declined {
    /// What the first operation of the chain makes.
    pub first: ValueId,
    pub fusion: &'static str,
    pub reason: String,
}

/// Joins each chain of the catalogue into one operation, which takes the place and the name of its first member.
pub fn fuse(graph: &Graph) -> Fusion {
    let mut driver = Driver { graph, readers: readers(graph), declined: Vec::new() };
    let body = driver.block(&graph.body);
    Fusion { graph: Graph { body, ..graph.clone() }, declined: driver.declined }
}

enum Outcome {
    Match(Vec<usize>),
    NoMatch,
    CheckFailed(String),
}

struct Driver<'a> {
    graph: &'a Graph,
    readers: Readers,
    declined: Vec<Declined>,
}

impl Driver<'_> {
    fn block(&mut self, block: &Block) -> Block {
        let mut nodes: Vec<Option<Node>> = block.nodes.iter().cloned().map(Some).collect();
        for first in 0..nodes.len() {
            let Some(node) = &mut nodes[first] else { continue };
            match &mut node.kind {
                NodeKind::For(repeat) => repeat.body = self.block(&repeat.body),
                NodeKind::Branch(branch) => {
                    branch.then_block = self.block(&branch.then_block);
                    branch.else_block = self.block(&branch.else_block);
                }
                NodeKind::Model(_) => {}
                NodeKind::Op(op) => {
                    let first_value = op.result;
                    let chain = self.longest_chain(&nodes, first, first_value);
                    join(&mut nodes, first, &chain);
                }
            }
        }
        Block { nodes: nodes.into_iter().flatten().collect() }
    }

    /// The followers of `first`.
    fn longest_chain(&mut self, nodes: &[Option<Node>], first: usize, first_value: ValueId) -> Vec<usize> {
        for fusion in fusions() {
            match self.match_chain(fusion, nodes, first) {
                Outcome::Match(chain) => return chain,
                Outcome::NoMatch => {}
                Outcome::CheckFailed(reason) => {
                    if self.declined.last().is_none_or(|declined| declined.first != first_value) {
                        self.declined.push(Declined { first: first_value, fusion: fusion.name, reason });
                    }
                }
            }
        }
        Vec::new()
    }

    fn match_chain(&self, fusion: &qcatalogue::Fusion, nodes: &[Option<Node>], first: usize) -> Outcome {
        let Some(mut last) = single_op(nodes, first).filter(|op| op.operation().role == fusion.roles[0])
        else {
            return Outcome::NoMatch;
        };
        let mut chain = Vec::new();
        let mut ops = vec![last];
        for role in &fusion.roles[1..] {
            let follower = (first + 1..nodes.len())
                .filter_map(|index| Some((index, single_op(nodes, index)?)))
                .find(|(_, op)| op.operands == [last.result] && op.operation().role == *role);
            let Some((index, op)) = follower else { return Outcome::NoMatch };
            chain.push(index);
            ops.push(op);
            last = op;
        }
        let operations: Vec<&Operation> = ops.iter().map(|op| op.operation()).collect();
        if !fusion.matches(&operations) {
            return Outcome::NoMatch;
        }
        let problem =
            ops.windows(2).find_map(|pair| self.escape(pair[0], pair[1])).or_else(|| differing(&ops));
        problem.map_or(Outcome::Match(chain), Outcome::CheckFailed)
    }

    /// Who else reads what `producer` hands to `follower`.
    fn escape(&self, producer: &OpNode, follower: &OpNode) -> Option<String> {
        let readers = self.readers.get(&producer.result).filter(|readers| readers.len() > 1)?;
        let follower = Reader::Node(follower.name().to_owned());
        let other = readers.iter().find(|reader| **reader != follower).unwrap_or(&follower);
        let value = &self.graph.values[producer.result.0].name;
        Some(format!("`{value}` is needed on its own: {other}"))
    }
}

/// The operation at `index`, if it is not a group yet.
fn single_op(nodes: &[Option<Node>], index: usize) -> Option<&OpNode> {
    match &nodes[index].as_ref()?.kind {
        NodeKind::Op(op) if op.members.len() == 1 => Some(op),
        NodeKind::Op(_) | NodeKind::Model(_) | NodeKind::For(_) | NodeKind::Branch(_) => None,
    }
}

/// A function has no attributes of its own and takes its neighbour's.
fn differing(ops: &[&OpNode]) -> Option<String> {
    let places: Vec<&Place> = ops.iter().filter_map(|op| op.members[0].place()).collect();
    places.windows(2).find_map(|pair| {
        let [one, other] = [pair[0], pair[1]].map(|place| print::path_text(&place.path, |_| "i".to_owned()));
        if pair[0].skip != pair[1].skip {
            let (skipped, kept) = if pair[0].skip { (one, other) } else { (other, one) };
            return Some(format!("`{skipped}` is marked `skip` and `{kept}` is not"));
        }
        (pair[0].qconfig != pair[1].qconfig).then(|| format!("`{one}` and `{other}` have different qconfigs"))
    })
}

fn join(nodes: &mut [Option<Node>], first: usize, followers: &[usize]) {
    for &follower in followers {
        let Some(Node { kind: NodeKind::Op(follower), .. }) = nodes[follower].take() else { continue };
        if let Some(Node { kind: NodeKind::Op(group), .. }) = &mut nodes[first] {
            group.members.extend(follower.members);
            group.result = follower.result;
        }
    }
}
