//! Each pass from a parsed body to a printed graph.

mod domains_and_stubs;
mod fusing;
mod last_uses;
mod refusals;

use super::domains::{Domain, FloatReason};
use super::fusion::fuse;
use super::liveness::{Use, analyze};
use super::testing::{graph_of, graph_with};
use super::{Action, Plan, domains, run, stubs};
use crate::ir::print::graph_text;
use crate::ir::{Graph, NodeKind};
use crate::parse::ForwardOptions;

fn fused(fields: &str, body: &str) -> String {
    let fusion = fuse(&graph_of(fields, body));
    let mut text = graph_text(&fusion.graph);
    for declined in fusion.declined {
        text.push_str(&format!("not {}: {}\n", declined.fusion, declined.reason));
    }
    text
}

fn plan(graph: Graph) -> Plan {
    run(graph, &ForwardOptions::default())
}
