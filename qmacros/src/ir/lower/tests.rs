//! What lowering makes of the language of `forward`, and what it refuses.

mod calls;
mod control;
mod dataflow;
mod optional;
mod several;
mod signature;
mod syntax;
mod types;
mod values;

use super::testing::graph;
use crate::ir::print::graph_text;

fn lowers_to(source: &str, expected: &str) {
    assert_eq!(graph_text(&graph(source)).trim(), expected.trim());
}
