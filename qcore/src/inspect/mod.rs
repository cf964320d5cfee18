//! The graph of a model, whether two variants are the same function, and how far they are apart.

mod equivalence;
mod graph;
mod numeric_suite;

pub use equivalence::{Equivalence, equivalence};
pub use graph::{
    Domain, Graph, GraphCarried, GraphMember, GraphMerged, GraphNode, GraphNodeKind, GraphValue, StubAction,
};
pub use numeric_suite::{
    Comparison, ComparisonKind, ComparisonRow, ErrorMetrics, compare_activations, compare_shadow,
    compare_weights, error_metrics,
};
