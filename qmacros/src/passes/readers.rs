//! Who reads each value: counted over the whole graph, nested blocks included.

use std::collections::HashMap;
use std::fmt;

use crate::ir::{Block, Graph, NodeKind, ValueId};

/// One read of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reader {
    /// An operation or a nested model, by its name.
    Node(String),
    /// `x.size(0)` in an operation's arguments.
    Shape(String),
    /// A loop that begins with it, by its name.
    LoopStart(String),
    /// The next iteration of a loop, by its name.
    NextIteration(String),
    /// A branch of which it is a result, by its name.
    Branch(String),
    Output,
}

impl fmt::Display for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node(name) => write!(f, "`{name}` reads it"),
            Self::Shape(name) => write!(f, "`{name}` asks for its size"),
            Self::LoopStart(name) => write!(f, "the loop `{name}` begins with it"),
            Self::NextIteration(name) => write!(f, "the next iteration of `{name}` begins with it"),
            Self::Branch(name) => write!(f, "it is a result of the branch `{name}`"),
            Self::Output => write!(f, "`forward` returns it"),
        }
    }
}

/// The readers of each value, in the order in which they run.
pub type Readers = HashMap<ValueId, Vec<Reader>>;

pub fn readers(graph: &Graph) -> Readers {
    let mut readers = Readers::new();
    collect(&graph.body, &mut readers);
    for &output in &graph.outputs.values {
        readers.entry(output).or_default().push(Reader::Output);
    }
    readers
}

fn collect(block: &Block, readers: &mut Readers) {
    let mut read = |value: ValueId, reader: Reader| readers.entry(value).or_default().push(reader);
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) => {
                let name = op.name().to_owned();
                op.shape_operands.iter().for_each(|&value| read(value, Reader::Shape(name.clone())));
                op.operands.iter().for_each(|&value| read(value, Reader::Node(name.clone())));
            }
            NodeKind::Model(model) => {
                let name = &model.name;
                model.operands.iter().for_each(|&value| read(value, Reader::Node(name.clone())));
            }
            NodeKind::For(repeat) => {
                let name = &repeat.name;
                for carried in &repeat.carried {
                    read(carried.initial, Reader::LoopStart(name.clone()));
                    read(carried.next, Reader::NextIteration(name.clone()));
                }
            }
            NodeKind::Branch(branch) => {
                let name = &branch.name;
                for merged in &branch.merged {
                    read(merged.then_value, Reader::Branch(name.clone()));
                    read(merged.else_value, Reader::Branch(name.clone()));
                }
            }
        }
    }
    for node in &block.nodes {
        match &node.kind {
            NodeKind::For(repeat) => collect(&repeat.body, readers),
            NodeKind::Branch(branch) => {
                collect(&branch.then_block, readers);
                collect(&branch.else_block, readers);
            }
            NodeKind::Op(_) | NodeKind::Model(_) => {}
        }
    }
}

/// How often each value is read at most, whichever arms are taken; `ends` are read after the block. A size is known
/// without a read.
pub fn most_reads(block: &Block, ends: &[ValueId]) -> HashMap<ValueId, usize> {
    let mut reads = HashMap::new();
    let mut add = |value: ValueId, count: usize| *reads.entry(value).or_default() += count;
    ends.iter().for_each(|&value| add(value, 1));
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) => op.operands.iter().for_each(|&value| add(value, 1)),
            NodeKind::Model(model) => model.operands.iter().for_each(|&value| add(value, 1)),
            NodeKind::For(repeat) => {
                repeat.carried.iter().for_each(|carried| add(carried.initial, 1));
                let next: Vec<ValueId> = repeat.carried.iter().map(|carried| carried.next).collect();
                most_reads(&repeat.body, &next).into_iter().for_each(|(value, count)| add(value, count));
            }
            NodeKind::Branch(branch) => {
                let merged = branch.merged.iter();
                let then_values: Vec<ValueId> = merged.clone().map(|merged| merged.then_value).collect();
                let else_values: Vec<ValueId> = merged.map(|merged| merged.else_value).collect();
                let mut most = most_reads(&branch.then_block, &then_values);
                for (value, count) in most_reads(&branch.else_block, &else_values) {
                    let most = most.entry(value).or_default();
                    *most = count.max(*most);
                }
                most.into_iter().for_each(|(value, count)| add(value, count));
            }
        }
    }
    reads
}
