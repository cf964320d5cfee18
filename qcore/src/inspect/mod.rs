//! The graph of a model, and whether two variants are the same function.

mod equivalence;
mod graph;

pub use equivalence::{Equivalence, equivalence};
pub use graph::{
    Domain, Graph, GraphCarried, GraphMember, GraphMerged, GraphNode, GraphNodeKind, GraphValue, StubAction,
};
