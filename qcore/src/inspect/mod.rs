//! The graph of a model, whether two variants are the same function, how far they are apart, and a
//! report of it all.

mod equivalence;
mod graph;
mod numeric_suite;
mod report;
mod summary;

pub use equivalence::{Equivalence, equivalence};
pub use graph::{
    Domain, Graph, GraphCarried, GraphMember, GraphMerged, GraphNode, GraphNodeKind, GraphValue, StubAction,
};
pub use numeric_suite::{
    Comparison, ComparisonKind, ComparisonRow, ErrorMetrics, compare_activations, compare_shadow,
    compare_weights, error_metrics,
};
pub use report::{Compared, Histogram, Latency, OperationReport, Report, Score, StepLatency, WeightChannels};
pub use summary::{Summary, SummaryRow, summary};
