//! A graph as a table: one row a step, one table a model.

use std::fmt::Write as _;

use super::{Domain, Graph, GraphNode, GraphNodeKind, StubAction};

const HEADER: [&str; 6] = ["value", "operation", "path", "inputs", "domain", "notes"];

/// A row and how deep it stands.
struct Row {
    depth: usize,
    cells: [String; 6],
}

pub(super) fn text(graph: &Graph) -> String {
    let mut text = String::new();
    let mut shown: Vec<&str> = Vec::new();
    let mut waiting = vec![*graph];
    while !waiting.is_empty() {
        let graph = waiting.remove(0);
        if shown.contains(&graph.model) {
            continue;
        }
        if !shown.is_empty() {
            text.push('\n');
        }
        shown.push(graph.model);
        one_table(&graph, &mut text);
        waiting.extend(graph.all_nodes().iter().filter_map(|node| match node.kind {
            GraphNodeKind::Model { graph, .. } => Some(*graph),
            _ => None,
        }));
    }
    text
}

fn one_table(graph: &Graph, text: &mut String) {
    let mut rows = Vec::new();
    for input in 0..graph.inputs.len() {
        rows.push(row(
            0,
            [
                value_cell(graph, &[input]),
                "input".into(),
                String::new(),
                String::new(),
                domain(Domain::Float),
                String::new(),
            ],
        ));
    }
    collect(graph, graph.nodes, 0, &mut rows);
    rows.push(row(
        0,
        [String::new(), "return".into(), String::new(), numbers(graph.outputs), String::new(), String::new()],
    ));

    let cell = |row: &Row, column: usize| -> usize {
        let indent = if column == 1 { 2 * row.depth } else { 0 };
        indent + row.cells[column].chars().count()
    };
    let widths: [usize; 6] = std::array::from_fn(|column| {
        rows.iter().map(|row| cell(row, column)).chain([HEADER[column].len()]).max().unwrap_or(0)
    });
    let _ = writeln!(text, "{}", graph.model);
    line(text, 0, &HEADER.map(str::to_owned), &widths);
    for row in &rows {
        line(text, row.depth, &row.cells, &widths);
    }
}

fn line(text: &mut String, depth: usize, cells: &[String; 6], widths: &[usize; 6]) {
    let mut line = String::new();
    for (column, (cell, width)) in cells.iter().zip(widths).enumerate() {
        let cell = if column == 1 { format!("{}{cell}", "  ".repeat(depth)) } else { cell.clone() };
        let _ = write!(line, "  {cell:<width$}");
    }
    let _ = writeln!(text, "{}", line.trim_end());
}

fn row(depth: usize, cells: [String; 6]) -> Row {
    Row { depth, cells }
}

fn domain(domain: Domain) -> String {
    domain.to_string()
}

fn numbers(values: &[usize]) -> String {
    let values: Vec<String> = values.iter().map(|value| format!("%{value}")).collect();
    values.join(", ")
}

/// `%3 y`.
fn value_cell(graph: &Graph, values: &[usize]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|&value| match graph.values.get(value) {
            Some(known) => format!("%{value} {}", known.name),
            None => format!("%{value}"),
        })
        .collect();
    values.join(", ")
}

fn collect(graph: &Graph, nodes: &[GraphNode], depth: usize, rows: &mut Vec<Row>) {
    for node in nodes {
        collect_node(graph, node, depth, rows);
    }
}

fn collect_node(graph: &Graph, node: &GraphNode, depth: usize, rows: &mut Vec<Row>) {
    let outputs = value_cell(graph, node.outputs);
    let inputs = numbers(node.inputs);
    match node.kind {
        GraphNodeKind::Operation {
            operation,
            members,
            domain_in,
            domain_out,
            float_reason,
            not_fused,
            computed_with,
        } => {
            let crossing = if domain_in == domain_out {
                domain(domain_out)
            } else {
                format!("{domain_in} -> {domain_out}")
            };
            let mut notes = Vec::new();
            if members.len() > 1 {
                let members: Vec<String> = members.iter().map(ToString::to_string).collect();
                notes.push(members.join(" + "));
            }
            notes.extend(float_reason.map(|reason| format!("float: {reason}")));
            notes.extend(not_fused.map(|reason| format!("not fused: {reason}")));
            notes.extend(super::computed_with_text(computed_with));
            rows.push(row(
                depth,
                [outputs, operation.into(), node.path.into(), inputs, crossing, notes.join("; ")],
            ));
        }
        GraphNodeKind::Model { model, float_reason, .. } => {
            let runs = if float_reason.is_some() { Domain::Float } else { Domain::Int8 };
            let notes = float_reason.map_or_else(String::new, |reason| format!("float: {reason}"));
            rows.push(row(depth, [outputs, model.into(), node.path.into(), inputs, domain(runs), notes]));
        }
        GraphNodeKind::Loop { iterable, carried, body } => {
            let entries: Vec<String> =
                carried.iter().map(|carried| format!("%{} = %{}", carried.entry, carried.initial)).collect();
            let next: Vec<usize> = carried.iter().map(|carried| carried.next).collect();
            let begin =
                ["".into(), format!("for {iterable}"), "".into(), entries.join(", "), "".into(), "".into()];
            rows.push(row(depth, begin));
            collect(graph, body, depth + 1, rows);
            rows.push(row(
                depth + 1,
                ["".into(), "next".into(), "".into(), numbers(&next), "".into(), "".into()],
            ));
            let domains = domains(graph, node.outputs);
            rows.push(row(depth, [outputs, "end".into(), "".into(), "".into(), domains, "".into()]));
        }
        GraphNodeKind::Branch { condition, merged, then_nodes, else_nodes } => {
            let then_values: Vec<usize> = merged.iter().map(|merged| merged.then_value).collect();
            let else_values: Vec<usize> = merged.iter().map(|merged| merged.else_value).collect();
            let word = |word: String| ["".into(), word, "".into(), "".into(), "".into(), "".into()];
            let yielded = |values: &[usize]| {
                ["".into(), "yield".into(), "".into(), numbers(values), "".into(), "".into()]
            };
            rows.push(row(depth, word(format!("if {condition}"))));
            collect(graph, then_nodes, depth + 1, rows);
            rows.push(row(depth + 1, yielded(&then_values)));
            rows.push(row(depth, word("else".to_owned())));
            collect(graph, else_nodes, depth + 1, rows);
            rows.push(row(depth + 1, yielded(&else_values)));
            let domains = domains(graph, node.outputs);
            rows.push(row(depth, [outputs, "end".into(), "".into(), "".into(), domains, "".into()]));
        }
        GraphNodeKind::Stub { action, readers, .. } => {
            let (name, crossing) = match action {
                StubAction::Quantize => ("quantize", "float -> int8"),
                StubAction::Dequantize => ("dequantize", "int8 -> float"),
            };
            let notes = format!("for {}", readers.join(", "));
            rows.push(row(depth, [String::new(), name.into(), "".into(), inputs, crossing.into(), notes]));
        }
    }
}

fn domains(graph: &Graph, values: &[usize]) -> String {
    let domains: Vec<String> = values
        .iter()
        .filter_map(|&value| graph.values.get(value))
        .map(|value| value.domain.to_string())
        .collect();
    domains.join(", ")
}
