//! `trace`: the model walked with symbolic values, which makes the prepared network.

use proc_macro2::TokenStream;
use qcatalogue::Role;
use quote::{quote, quote_spanned};
use syn::Ident;

use super::checks::as_layer;
use super::float::{float_branch, float_loop};
use super::names::{entries, field_local, local};
use super::operation::{constructor, place_name, site_name};
use super::shape::{Stage, region_type, root_type};
use super::{Context, pattern};
use crate::ir::{Block, BranchNode, Callee, ForNode, Member, ModelNode, NodeKind, OpNode, Place, ValueId};
use crate::runtime::{EDGE, FOLD_BATCH_NORM, FUSE_RELU, LAYER, MEMBER, OP_SITE, QUANTIZABLE, RESULT, TRACER};

impl Context<'_> {
    pub fn trace(&self) -> TokenStream {
        let this = self.this;
        let tracer = local("tracer");
        let input = self.input_pattern(&self.fused_names);
        let (input_type, output_type) = (self.input_type(&EDGE), self.output_type(&EDGE));
        let graph = &self.planned.fused;
        let owner = root_type(self, Stage::Prepared);
        let statements = self.trace_block(&graph.body, &owner);
        let network = self.trace_struct(&quote!(#owner), &graph.body);
        let outputs = self.edges(graph.outputs.values.iter().copied(), graph.outputs.is_tuple);
        quote! {
            fn trace(
                &#this,
                #tracer: &mut #TRACER,
                #input: #input_type,
            ) -> #RESULT<(Self::Prepared, #output_type)> {
                #statements
                ::core::result::Result::Ok((#network, #outputs))
            }
        }
    }

    fn edges(&self, values: impl IntoIterator<Item = ValueId>, is_tuple: bool) -> TokenStream {
        pattern(&self.fused_names.locals(values), is_tuple)
    }

    fn trace_block(&self, block: &Block, owner: &Ident) -> TokenStream {
        let statements = block.nodes.iter().map(|node| match &node.kind {
            NodeKind::Op(op) => self.trace_op(op),
            NodeKind::Model(model) => self.trace_model(model),
            NodeKind::For(repeat) => self.trace_loop(repeat, owner),
            NodeKind::Branch(branch) => self.trace_branch(branch, owner),
        });
        quote!(#(#statements)*)
    }

    /// `BasicBlockPrepared { conv1: conv1, … }` of the fields that the block's statements have bound.
    fn trace_struct(&self, path: &TokenStream, block: &Block) -> TokenStream {
        let fields = block.nodes.iter().map(|node| {
            let field = match &node.kind {
                NodeKind::Op(op) => &op.field,
                NodeKind::Model(model) => &model.field,
                NodeKind::For(repeat) => &repeat.field,
                NodeKind::Branch(branch) => &branch.field,
            };
            let bound = field_local(field);
            quote!(#field: #bound,)
        });
        let marker = self.marker_value();
        quote!(#path { #(#fields)* #marker })
    }

    fn trace_op(&self, op: &OpNode) -> TokenStream {
        let field = field_local(&op.field);
        let result = self.fused_names.local(op.result);
        let inputs = self.fused_names.locals(op.operands.iter().copied());
        let tracer = local("tracer");
        let name = site_name(op);
        let members = op.members.iter().map(member_const);
        let places = || op.members.iter().filter_map(layer_place);
        let skip = places().any(|place| place.skip);
        let qconfig = qconfig(places().next());
        let operation = fused_operation(op);
        quote! {
            let (#field, #result) = #tracer.op(
                #OP_SITE { name: #name, members: &[#(#members),*], skip: #skip, qconfig: #qconfig },
                #operation,
                &[#(#inputs),*],
            )?;
        }
    }

    fn trace_model(&self, model: &ModelNode) -> TokenStream {
        let field = field_local(&model.field);
        let Place { ty, float_expr, skip, .. } = &model.place;
        let name = place_name(&model.place);
        let input = self.edges(model.operands.iter().copied(), model.operands.len() != 1);
        let results = self.edges(model.results.iter().copied(), model.results_are_tuple);
        let tracer = local("tracer");
        let walk = quote!(|#tracer| <#ty as #QUANTIZABLE>::trace(&#float_expr, #tracer, #input));
        let scope = if *skip || model.place.qconfig.is_some() {
            let qconfig = qconfig(Some(&model.place));
            quote!(#tracer.scope_with(#name, #skip, #qconfig, #walk))
        } else {
            quote!(#tracer.scope(#name, #walk))
        };
        quote!(let (#field, #results) = #scope.map_err(|error| error.in_layer(#name))?;)
    }

    fn trace_loop(&self, repeat: &ForNode, owner: &Ident) -> TokenStream {
        let field = field_local(&repeat.field);
        let made = entries(repeat.id);
        let ty = region_type(owner, &repeat.field);
        let head = float_loop(repeat);
        let body = self.trace_block(&repeat.body, &ty);
        let entry = self.trace_struct(&quote!(#ty), &repeat.body);
        let names = &self.fused_names;
        let initial = names.locals(repeat.carried.iter().map(|carried| carried.initial));
        let begin = names.locals(repeat.carried.iter().map(|carried| carried.entry));
        let result = names.locals(repeat.carried.iter().map(|carried| carried.result));
        let next = self.edges(repeat.carried.iter().map(|carried| carried.next), false);
        let advance = (!begin.is_empty()).then(|| {
            let begin = pattern(&begin, false);
            quote!(#begin = #next;)
        });
        quote! {
            #(let mut #begin = #initial;)*
            let mut #made = ::std::vec::Vec::new();
            #head {
                #body
                #made.push(#entry);
                #advance
            }
            let #field = #made;
            #(let #result = #begin;)*
        }
    }

    fn trace_branch(&self, branch: &BranchNode, owner: &Ident) -> TokenStream {
        let field = field_local(&branch.field);
        let ty = region_type(owner, &branch.field);
        let (scrutinee, [then_pattern, else_pattern]) = float_branch(branch);
        let merged = branch.merged.iter();
        let is_tuple = branch.merged.len() != 1;
        let results = self.edges(merged.clone().map(|merged| merged.result), is_tuple);
        let then_values = self.edges(merged.clone().map(|merged| merged.then_value), is_tuple);
        let else_values = self.edges(merged.map(|merged| merged.else_value), is_tuple);
        let arm = |block: &Block, variant: &str| {
            let inner = region_type(&ty, &local(variant));
            let variant = local(variant);
            let body = self.trace_block(block, &inner);
            let network = self.trace_struct(&quote!(#ty::#variant), block);
            (body, network)
        };
        let (then_body, then_network) = arm(&branch.then_block, "Then");
        let (else_body, else_network) = arm(&branch.else_block, "Else");
        quote! {
            let (#field, #results) = match #scrutinee {
                #then_pattern => { #then_body (#then_network, #then_values) }
                #else_pattern => { #else_body (#else_network, #else_values) }
            };
        }
    }
}

fn layer_place(member: &Member) -> Option<&Place> {
    match &member.callee {
        Callee::Layer(layer) => Some(&layer.place),
        Callee::Function(_) => None,
    }
}

fn qconfig(place: Option<&Place>) -> TokenStream {
    match place.and_then(|place| place.qconfig.as_ref()) {
        Some(path) => quote!(::core::option::Option::Some(#path())),
        None => quote!(::core::option::Option::None),
    }
}

fn member_const(member: &Member) -> TokenStream {
    match &member.callee {
        Callee::Layer(layer) => {
            let path = place_name(&layer.place);
            let object_type = layer.operation.type_name;
            quote!(#MEMBER { path: ::core::option::Option::Some(#path), object_type: #object_type })
        }
        Callee::Function(call) => {
            let object_type = call.function.name;
            quote!(#MEMBER { path: ::core::option::Option::None, object_type: #object_type })
        }
    }
}

/// `fuse_relu(fold_batch_norm(op(&self.conv1)?, &self.bn1)?)`.
fn fused_operation(op: &OpNode) -> TokenStream {
    let (first, followers) = op.members.split_at(1);
    let mut operation = first_operation(op, &first[0]);
    for follower in followers {
        let span = follower.span;
        operation = match &follower.callee {
            Callee::Layer(layer) if layer.operation.role == Role::BatchNorm => {
                let (name, batch_norm) = (place_name(&layer.place), as_layer(layer));
                quote_spanned! {span=>
                    #FOLD_BATCH_NORM::fold_batch_norm(#operation, #batch_norm)
                        .map_err(|error| error.in_layer(#name))?
                }
            }
            Callee::Layer(_) | Callee::Function(_) => {
                quote_spanned!(span=> #FUSE_RELU::fuse_relu(#operation))
            }
        };
    }
    operation
}

fn first_operation(op: &OpNode, first: &Member) -> TokenStream {
    let name = site_name(op);
    let made = match &first.callee {
        Callee::Layer(layer) => {
            let layer = as_layer(layer);
            quote_spanned!(first.span=> #LAYER::op(#layer))
        }
        Callee::Function(call) => constructor(op, call),
    };
    quote!(#made.map_err(|error| error.in_layer(#name))?)
}
