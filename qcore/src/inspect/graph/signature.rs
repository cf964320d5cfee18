//! The lines by which a file knows the body of its model again.

use super::{Graph, GraphNode, GraphNodeKind};

/// One line for each step that computes or decides, then those of nested models, each once. What only a plan may change,
/// domains and stubs, is left out.
pub(super) fn lines(graph: &Graph) -> Vec<String> {
    let mut lines = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    let mut waiting = vec![*graph];
    while !waiting.is_empty() {
        let graph = waiting.remove(0);
        if seen.contains(&graph.model) {
            continue;
        }
        seen.push(graph.model);
        lines.push(format!("{} of {}", graph.model, graph.inputs.join(", ")));
        collect(graph.nodes, 1, &mut lines);
        lines.push(format!("  return {}", numbers(graph.outputs)));
        waiting.extend(graph.all_nodes().iter().filter_map(|node| match node.kind {
            GraphNodeKind::Model { graph, .. } => Some(*graph),
            _ => None,
        }));
    }
    lines
}

fn collect(nodes: &[GraphNode], depth: usize, lines: &mut Vec<String>) {
    for node in nodes {
        let step = match node.kind {
            GraphNodeKind::Operation { members, .. } => {
                let members = members.iter().map(|member| match member.path {
                    Some(path) => format!("{} {path}", member.object_type),
                    None => member.object_type.to_owned(),
                });
                format!("{}({})", members.collect::<Vec<_>>().join(" + "), numbers(node.inputs))
            }
            GraphNodeKind::Model { model, .. } => format!("{model} {}({})", node.path, numbers(node.inputs)),
            GraphNodeKind::Loop { iterable, carried, .. } => {
                let entries: Vec<usize> = carried.iter().map(|carried| carried.initial).collect();
                format!("for {iterable} ({})", numbers(&entries))
            }
            GraphNodeKind::Branch { condition, .. } => format!("if {condition}"),
            GraphNodeKind::Stub { .. } => continue,
        };
        lines.push(format!("{}{} = {step}", "  ".repeat(depth), numbers(node.outputs)));
        match node.kind {
            GraphNodeKind::Loop { body, .. } => collect(body, depth + 1, lines),
            GraphNodeKind::Branch { then_nodes, else_nodes, .. } => {
                collect(then_nodes, depth + 1, lines);
                lines.push(format!("{}else", "  ".repeat(depth)));
                collect(else_nodes, depth + 1, lines);
            }
            _ => {}
        }
    }
}

fn numbers(values: &[usize]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("%{value}")).collect();
    values.join(", ")
}
