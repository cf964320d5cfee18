//! `GRAPH` and `FUSIONS`: what the macro understood, as plain data.

use std::collections::HashMap;

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;

use super::Context;
use crate::ir::print::{
    condition_text, loop_letters, member_operation, number_values, operation_name, place_text, site_name,
    source_text,
};
use crate::ir::{Block, Callee, LoopId, Member, ModelNode, Node, NodeKind, OpNode, ValueId};
use crate::passes::{Action, BlockNumber, Domain, Stub};
use crate::runtime::{
    DOMAIN, GRAPH, GRAPH_CARRIED, GRAPH_MEMBER, GRAPH_MERGED, GRAPH_NODE, GRAPH_NODE_KIND, GRAPH_VALUE,
    MODULE, STUB_ACTION,
};

impl Context<'_> {
    pub fn graph_const(&self) -> TokenStream {
        let graph = &self.plan.graph;
        let mut writer =
            Writer { context: self, numbers: number_values(graph), letters: loop_letters(graph), blocks: 1 };
        let model = self.model.ident.unraw().to_string();
        let inputs = self.forward.inputs.iter().map(|input| input.unraw().to_string());
        let values = writer.values();
        let nodes = writer.block(&graph.body, 0);
        let outputs = writer.indices(&graph.outputs.values);
        quote! {
            const GRAPH: &'static #GRAPH = &#GRAPH {
                model: #model,
                inputs: &[#(#inputs),*],
                values: &[#(#values),*],
                nodes: &[#nodes],
                outputs: #outputs,
            };
        }
    }

    pub fn fusions_const(&self) -> TokenStream {
        let letters = loop_letters(&self.plan.graph);
        let mut groups = Vec::new();
        collect_groups(&self.plan.graph.body, &mut groups);
        let groups = groups.into_iter().map(|op| {
            let members = op.members.iter().map(|member| match &member.callee {
                Callee::Layer(layer) => place_text(&layer.place, &letters),
                Callee::Function(call) => call.function.name.to_owned(),
            });
            quote!(&[#(#members),*])
        });
        quote!(const FUSIONS: &'static [&'static [&'static ::core::primitive::str]] = &[#(#groups),*];)
    }
}

fn collect_groups<'a>(block: &'a Block, groups: &mut Vec<&'a OpNode>) {
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) if op.members.len() > 1 => groups.push(op),
            NodeKind::Op(_) | NodeKind::Model(_) => {}
            NodeKind::For(repeat) => collect_groups(&repeat.body, groups),
            NodeKind::Branch(branch) => {
                collect_groups(&branch.then_block, groups);
                collect_groups(&branch.else_block, groups);
            }
        }
    }
}

struct Writer<'a> {
    context: &'a Context<'a>,
    numbers: HashMap<ValueId, usize>,
    letters: HashMap<LoopId, String>,
    blocks: BlockNumber,
}

impl Writer<'_> {
    fn number(&self, value: ValueId) -> usize {
        self.numbers.get(&value).copied().unwrap_or_default()
    }

    fn indices(&self, values: &[ValueId]) -> TokenStream {
        let numbers = values.iter().map(|&value| self.number(value));
        quote!(&[#(#numbers),*])
    }

    fn values(&self) -> Vec<TokenStream> {
        let mut values: Vec<(usize, ValueId)> =
            self.numbers.iter().map(|(&value, &number)| (number, value)).collect();
        values.sort_unstable();
        let plan = self.context.plan;
        values
            .into_iter()
            .map(|(_, value)| {
                let name = &plan.graph.values[value.0].name;
                let domain = domain(plan.domains.of(value));
                quote!(#GRAPH_VALUE { name: #name, domain: #domain })
            })
            .collect()
    }

    /// The nodes of block `number`, stubs before the node that needs them.
    fn block(&mut self, block: &Block, number: BlockNumber) -> TokenStream {
        let mut nodes = Vec::new();
        let stubs = |index: usize| self.context.plan.stubs.before(number, index);
        for index in 0..=block.nodes.len() {
            nodes.extend(stubs(index).iter().map(|stub| (Some(stub), index)));
            nodes.push((None, index));
        }
        let nodes: Vec<TokenStream> = nodes
            .into_iter()
            .filter_map(|(stub, index)| match stub {
                Some(stub) => Some(self.stub(stub)),
                None => block.nodes.get(index).map(|node| self.node(node)),
            })
            .collect();
        quote!(#(#nodes),*)
    }

    fn next_block(&mut self) -> BlockNumber {
        self.blocks += 1;
        self.blocks - 1
    }

    fn stub(&self, stub: &Stub) -> TokenStream {
        let action = match stub.action {
            Action::Quantize => quote!(#STUB_ACTION::Quantize),
            Action::Dequantize => quote!(#STUB_ACTION::Dequantize),
        };
        let (readers, at_boundary) = (&stub.readers, stub.at_boundary);
        let kind = quote!(Stub { action: #action, readers: &[#(#readers),*], at_boundary: #at_boundary });
        self.step("", &[stub.value], &[], &kind)
    }

    fn step(&self, path: &str, inputs: &[ValueId], outputs: &[ValueId], kind: &TokenStream) -> TokenStream {
        let (inputs, outputs) = (self.indices(inputs), self.indices(outputs));
        quote!(#GRAPH_NODE { path: #path, inputs: #inputs, outputs: #outputs, kind: #GRAPH_NODE_KIND::#kind })
    }

    fn node(&mut self, node: &Node) -> TokenStream {
        match &node.kind {
            NodeKind::Op(op) => self.op(op),
            NodeKind::Model(model) => self.model(model),
            NodeKind::For(repeat) => {
                let body_number = self.next_block();
                let body = self.block(&repeat.body, body_number);
                let iterable = source_text(&repeat.iterable);
                let initial: Vec<ValueId> = repeat.carried.iter().map(|carried| carried.initial).collect();
                let results: Vec<ValueId> = repeat.carried.iter().map(|carried| carried.result).collect();
                let carried = repeat.carried.iter().map(|carried| {
                    let [initial, entry, next, result] =
                        [carried.initial, carried.entry, carried.next, carried.result]
                            .map(|value| self.number(value));
                    quote!(#GRAPH_CARRIED { initial: #initial, entry: #entry, next: #next, result: #result })
                });
                let kind = quote!(Loop { iterable: #iterable, carried: &[#(#carried),*], body: &[#body] });
                self.step(&repeat.name, &initial, &results, &kind)
            }
            NodeKind::Branch(branch) => {
                let then_number = self.next_block();
                let then_nodes = self.block(&branch.then_block, then_number);
                let else_number = self.next_block();
                let else_nodes = self.block(&branch.else_block, else_number);
                let condition = condition_text(&branch.condition);
                let merged = branch.merged.iter().map(|merged| {
                    let [then_value, else_value, result] =
                        [merged.then_value, merged.else_value, merged.result].map(|value| self.number(value));
                    quote!(#GRAPH_MERGED { then_value: #then_value, else_value: #else_value, result: #result })
                });
                let kind = quote!(Branch {
                    condition: #condition,
                    merged: &[#(#merged),*],
                    then_nodes: &[#then_nodes],
                    else_nodes: &[#else_nodes],
                });
                let results: Vec<ValueId> = branch.merged.iter().map(|merged| merged.result).collect();
                self.step(&branch.name, &[], &results, &kind)
            }
        }
    }

    fn op(&self, op: &OpNode) -> TokenStream {
        let plan = self.context.plan;
        let operation = operation_name(op);
        let members = op.members.iter().map(|member| self.member(member));
        let domain_out = plan.domains.of(op.result);
        let domain_in = plan.domains.operands_of(op).unwrap_or(match domain_out {
            Domain::Float => Domain::Int8,
            Domain::Int8 => Domain::Float,
        });
        let (domain_in, domain_out) = (domain(domain_in), domain(domain_out));
        let float_reason = optional(plan.domains.float_reason(op.result).map(|reason| reason.text()));
        let not_fused = plan.why_not_fused(op.members[0].result);
        let not_fused = not_fused.map(|declined| format!("{}: {}", declined.fusion, declined.reason));
        let not_fused = optional(not_fused.as_deref());
        let computed_with = plan.residuals.computed_with(op.result);
        let path = site_name(op, &self.letters);
        let kind = quote!(Operation {
            operation: #operation,
            members: &[#(#members),*],
            domain_in: #domain_in,
            domain_out: #domain_out,
            float_reason: #float_reason,
            not_fused: #not_fused,
            computed_with: &[#(#computed_with),*],
        });
        self.step(&path, &op.operands, &op.results(), &kind)
    }

    fn member(&self, member: &Member) -> TokenStream {
        let (path, object_type) = match &member.callee {
            Callee::Layer(layer) => {
                (Some(place_text(&layer.place, &self.letters)), layer.operation.type_name)
            }
            Callee::Function(_) => (None, member_operation(member)),
        };
        let path = optional(path.as_deref());
        quote!(#GRAPH_MEMBER { path: #path, object_type: #object_type })
    }

    fn model(&self, model: &ModelNode) -> TokenStream {
        let ty = &model.place.ty;
        let name = model.place.within.last().map(|inner| inner.field.unraw().to_string());
        let text = name.clone().unwrap_or_else(|| source_text(&quote!(#ty)));
        // Of a field of another model nothing is seen.
        let graph = match name {
            Some(name) => {
                quote!(&#GRAPH { model: #name, inputs: &[], values: &[], nodes: &[], outputs: &[] })
            }
            None => quote!(<#ty as #MODULE>::GRAPH),
        };
        let reason = model.results.first().and_then(|&result| self.context.plan.domains.float_reason(result));
        let reason = optional(reason.map(|reason| reason.text()));
        let kind = quote!(Model { model: #text, graph: #graph, float_reason: #reason });
        let path = place_text(&model.place, &self.letters);
        self.step(&path, &model.operands, &model.results, &kind)
    }
}

fn domain(domain: Domain) -> TokenStream {
    match domain {
        Domain::Float => quote!(#DOMAIN::Float),
        Domain::Int8 => quote!(#DOMAIN::Int8),
    }
}

fn optional(text: Option<&str>) -> TokenStream {
    match text {
        Some(text) => quote!(::core::option::Option::Some(#text)),
        None => quote!(::core::option::Option::None),
    }
}
