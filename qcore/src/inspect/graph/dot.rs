//! A graph in Graphviz's language.

use std::collections::HashMap;
use std::fmt::Write as _;

use super::{Domain, Graph, GraphNode, GraphNodeKind, StubAction};

pub(super) fn text(graph: &Graph) -> String {
    let mut writer = Writer::default();
    writer.line(&format!("digraph {} {{", quoted(graph.model)));
    writer.depth = 1;
    writer.line("node [shape=box, style=\"filled,rounded\", fillcolor=white, fontname=\"sans-serif\"]");
    writer.line("edge [fontname=\"sans-serif\"]");
    let mut sources = Sources::new();
    for input in 0..graph.inputs.len() {
        let id = writer.node(name(graph, input), Domain::Float, "shape=ellipse");
        sources.insert((input, Domain::Float), id);
    }
    writer.nodes(graph, graph.nodes, &mut sources, false);
    for &output in graph.outputs {
        let id = writer.node("return", Domain::Float, "shape=ellipse");
        writer.edge(graph, &sources, output, Domain::Float, id);
    }
    writer.depth = 0;
    writer.line("}");
    writer.text
}

type Id = usize;

/// The box that has a value in a domain.
type Sources = HashMap<(usize, Domain), Id>;

#[derive(Default)]
struct Writer {
    text: String,
    depth: usize,
    boxes: Id,
    frames: usize,
    /// Inside a nested model that stays in float, whatever its own plan says.
    all_float: bool,
}

impl Writer {
    fn line(&mut self, line: &str) {
        let indent = "  ".repeat(self.depth);
        let _ = writeln!(self.text, "{indent}{line}");
    }

    fn node(&mut self, label: &str, domain: Domain, extra: &str) -> Id {
        let id = self.boxes;
        self.boxes += 1;
        let color = match domain {
            Domain::Int8 if !self.all_float => "lightblue",
            Domain::Int8 | Domain::Float => "white",
        };
        let separator = if extra.is_empty() { "" } else { ", " };
        self.line(&format!("n{id} [label={}, fillcolor={color}{separator}{extra}]", quoted(label)));
        id
    }

    /// From whichever box has the value in the wanted domain, or at all.
    fn edge(&mut self, graph: &Graph, sources: &Sources, value: usize, domain: Domain, to: Id) {
        if let Some(from) = source(sources, value, domain) {
            self.line(&format!("n{from} -> n{to} [label={}]", quoted(name(graph, value))));
        }
    }

    fn frame(&mut self, label: &str, draw: impl FnOnce(&mut Self)) {
        self.line(&format!("subgraph cluster_{} {{", self.frames));
        self.frames += 1;
        self.depth += 1;
        self.line(&format!("label={}", quoted(label)));
        draw(self);
        self.depth -= 1;
        self.line("}");
    }

    fn nodes(&mut self, graph: &Graph, nodes: &[GraphNode], sources: &mut Sources, is_nested: bool) {
        for node in nodes {
            self.step(graph, node, sources, is_nested);
        }
    }

    fn step(&mut self, graph: &Graph, node: &GraphNode, sources: &mut Sources, is_nested: bool) {
        match node.kind {
            GraphNodeKind::Operation { operation, members, domain_in, domain_out, computed_with, .. } => {
                let members: Vec<String> = members.iter().map(ToString::to_string).collect();
                let label = if members.len() > 1 { members.join(" + ") } else { node.path.to_owned() };
                let mut label = format!("{operation}\n{label}");
                label.extend(super::computed_with_text(computed_with).map(|text| format!("\n{text}")));
                let id = self.node(&label, domain_out, "");
                for &input in node.inputs {
                    self.edge(graph, sources, input, domain_in, id);
                }
                for &output in node.outputs {
                    sources.insert((output, domain_out), id);
                }
            }
            GraphNodeKind::Stub { at_boundary: true, .. } if is_nested => {}
            GraphNodeKind::Stub { .. } if self.all_float => {}
            GraphNodeKind::Stub { action, .. } => {
                let (label, from, to) = match action {
                    StubAction::Quantize => ("quantize", Domain::Float, Domain::Int8),
                    StubAction::Dequantize => ("dequantize", Domain::Int8, Domain::Float),
                };
                let id = self.node(label, to, "shape=cds");
                for &input in node.inputs {
                    self.edge(graph, sources, input, from, id);
                    sources.insert((input, to), id);
                }
            }
            GraphNodeKind::Model { model, graph: inner, float_reason } => {
                let around = self.all_float;
                self.all_float |= float_reason.is_some();
                self.frame(&format!("{} ({model})", node.path), |writer| {
                    let mut inside = Sources::new();
                    for (input, &outer) in node.inputs.iter().enumerate() {
                        for domain in [Domain::Float, Domain::Int8] {
                            let from = sources.get(&(outer, domain));
                            inside.extend(from.map(|&from| ((input, domain), from)));
                        }
                    }
                    writer.nodes(inner, inner.nodes, &mut inside, true);
                    for (&outer, &output) in node.outputs.iter().zip(inner.outputs) {
                        let domain = domain_of(graph, outer);
                        let from = source(&inside, output, domain);
                        sources.extend(from.map(|from| ((outer, domain), from)));
                    }
                });
                self.all_float = around;
            }
            GraphNodeKind::Loop { iterable, carried, body } => {
                self.frame(&format!("for {iterable}"), |writer| {
                    let mut inside = sources.clone();
                    for each in carried {
                        let domain = domain_of(graph, each.entry);
                        let id = writer.node(name(graph, each.entry), domain, "shape=ellipse");
                        writer.edge(graph, sources, each.initial, domain, id);
                        inside.insert((each.entry, domain), id);
                    }
                    writer.nodes(graph, body, &mut inside, is_nested);
                    for each in carried {
                        let domain = domain_of(graph, each.entry);
                        let Some(from) = source(&inside, each.next, domain) else { continue };
                        if let Some(entry) = source(&inside, each.entry, domain) {
                            let line =
                                format!("n{from} -> n{entry} [style=dashed, constraint=false, label=next]");
                            writer.line(&line);
                        }
                        sources.insert((each.result, domain_of(graph, each.result)), from);
                    }
                });
            }
            GraphNodeKind::Branch { condition, merged, then_nodes, else_nodes } => {
                let mut in_then = sources.clone();
                self.frame(&format!("if {condition}"), |writer| {
                    writer.nodes(graph, then_nodes, &mut in_then, is_nested);
                });
                let mut in_else = sources.clone();
                self.frame("else", |writer| writer.nodes(graph, else_nodes, &mut in_else, is_nested));
                for each in merged {
                    let domain = domain_of(graph, each.result);
                    let id = self.node(name(graph, each.result), domain, "shape=diamond");
                    self.edge(graph, &in_then, each.then_value, domain, id);
                    self.edge(graph, &in_else, each.else_value, domain, id);
                    sources.insert((each.result, domain), id);
                }
            }
        }
    }
}

fn source(sources: &Sources, value: usize, domain: Domain) -> Option<Id> {
    let other = match domain {
        Domain::Float => Domain::Int8,
        Domain::Int8 => Domain::Float,
    };
    sources.get(&(value, domain)).or_else(|| sources.get(&(value, other))).copied()
}

fn domain_of(graph: &Graph, value: usize) -> Domain {
    graph.values.get(value).map_or(Domain::Float, |value| value.domain)
}

fn name(graph: &Graph, value: usize) -> &'static str {
    graph.values.get(value).map_or("?", |value| value.name)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}
