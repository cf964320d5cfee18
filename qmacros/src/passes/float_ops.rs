//! `deny(float_ops)`: an error for every operation that the plan leaves in float.

use super::domains::{Domains, FloatReason};
use super::manual::Diagnostic;
use crate::errors::Message;
use crate::ir::{Block, Graph, NodeKind};

pub fn deny(graph: &Graph, domains: &Domains) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    collect(&graph.body, domains, &mut found);
    found
}

fn collect(block: &Block, domains: &Domains, found: &mut Vec<Diagnostic>) {
    for node in &block.nodes {
        let (result, call) = match &node.kind {
            NodeKind::Op(op) => (Some(op.result), op.members[0].callee.spelling()),
            NodeKind::Model(model) => {
                (model.results.first().copied(), format!("self.{}", model.place.root_field))
            }
            NodeKind::For(repeat) => {
                collect(&repeat.body, domains, found);
                continue;
            }
            NodeKind::Branch(branch) => {
                collect(&branch.then_block, domains, found);
                collect(&branch.else_block, domains, found);
                continue;
            }
        };
        if let Some(reason) = result.and_then(|result| domains.float_reason(result)) {
            found.push((node.span, message(&call, reason).to_string()));
        }
    }
}

fn message(call: &str, reason: FloatReason) -> Message {
    let help = match reason {
        FloatReason::Skipped => "remove `skip`, or remove `deny(float_ops)`",
        FloatReason::AfterDequant => "put a `quant(…)` before it, or remove `deny(float_ops)`",
        FloatReason::NothingQuantizedAround => "remove it, or remove `deny(float_ops)`",
    };
    Message::new(format!("`{call}` runs in float: {}", reason.text())).help(help)
}
