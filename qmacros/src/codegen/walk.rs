//! The body of `trace`: `forward` as one walk over values, which runs the model in float or records its network.

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::ext::IdentExt as _;

use super::checks::as_layer;
use super::names::local;
use super::operation::{constructor, inputs, path_arguments};
use super::{Context, pattern};
use crate::ir::{
    Block, BranchNode, Callee, Condition, ForNode, Inner, Member, ModelNode, NodeKind, OpNode, Place, ValueId,
};
use crate::passes::Use;
use crate::runtime::{MEMBER, MODULE, SITE};

impl Context<'_> {
    /// The statements and the result.
    pub fn walk(&self) -> TokenStream {
        let graph = &self.plan.graph;
        let statements = self.block(&graph.body);
        let outputs: Vec<TokenStream> = graph
            .outputs
            .values
            .iter()
            .enumerate()
            .map(|(slot, &value)| self.hand_over(value, Use::Output(slot)))
            .collect();
        let outputs = pattern(&outputs, graph.outputs.is_tuple);
        quote!(#statements ::core::result::Result::Ok(#outputs))
    }

    /// The value itself at its last use, a clone before.
    fn hand_over(&self, value: ValueId, place: Use) -> TokenStream {
        let local = self.names.local(value);
        if self.plan.liveness.is_last(place) { quote!(#local) } else { clone_of(local) }
    }

    fn operands(&self, node: ValueId, operands: &[ValueId]) -> Vec<TokenStream> {
        let slots = operands.iter().enumerate();
        slots.map(|(slot, &operand)| self.hand_over(operand, Use::Operand { node, slot })).collect()
    }

    fn block(&self, block: &Block) -> TokenStream {
        let statements = block.nodes.iter().map(|node| match &node.kind {
            NodeKind::Op(op) if self.plan.float_fusions.is_taken(op.result) => TokenStream::new(),
            NodeKind::Op(op) => self.op(op),
            NodeKind::Model(model) => self.model(model),
            NodeKind::For(repeat) => self.repeat(repeat),
            NodeKind::Branch(branch) => self.branch(branch),
        });
        quote!(#(#statements)*)
    }

    /// A fused group is one call, with what float computes in the same pass as its last member.
    fn op(&self, op: &OpNode) -> TokenStream {
        let activation = self.plan.float_fusions.activation_after(op.result);
        let mut members = op.members.iter().chain(activation).map(|each| member(op, each));
        let mut operands = self.operands(op.result, &op.operands);
        let sizes = inputs(op).skip(operands.len());
        operands.extend(sizes.map(|value| clone_of(self.names.local(value))));
        let mut places = op.members.iter().filter_map(Member::place);
        let skip = places.clone().any(|place| place.skip);
        let site = site(name(&op.members[0]), skip, places.next());
        let tracer = local("tracer");
        if op.further_results.is_empty() {
            let result = self.names.local(activation.map_or(op.result, |member| member.result));
            return quote! {
                let #result = #tracer.call(#site, &[#(#members),*], &mut [#(#operands),*])?;
            };
        }
        let (member, results) = (members.next(), self.names.locals(op.results()));
        quote! {
            let [#(#results),*] = #tracer.call_several(#site, #member, &mut [#(#operands),*])?;
        }
    }

    fn model(&self, model: &ModelNode) -> TokenStream {
        let node = model.results.first().copied().unwrap_or(ValueId(usize::MAX));
        let operands = self.operands(node, &model.operands);
        let input = pattern(&operands, operands.len() != 1);
        let results = pattern(&self.names.locals(model.results.iter().copied()), model.results_are_tuple);
        let Place { ty, float_expr, skip, path, within, .. } = &model.place;
        let site = site(path_arguments(path), *skip, Some(&model.place));
        let tracer = local("tracer");
        let trace = quote!(<#ty as #MODULE>::trace(&#float_expr, #tracer, #input));
        let trace = within.iter().rev().fold(trace, |trace, Inner { model, field, .. }| {
            let name = field.unraw().to_string();
            quote!(#tracer.field(&#MODULE::field(&#model, #name), |#tracer| #trace))
        });
        quote!(let #results = #tracer.scope(#site, |#tracer| #trace)?;)
    }

    /// `for (index_0, block) in Iterator::enumerate(self.layers.iter())`.
    fn repeat(&self, repeat: &ForNode) -> TokenStream {
        let ForNode { iterator, pattern: element, carried, body, .. } = repeat;
        let entries = self.names.locals(carried.iter().map(|carried| carried.entry));
        let results = self.names.locals(carried.iter().map(|carried| carried.result));
        let initial =
            carried.iter().map(|carried| self.hand_over(carried.initial, Use::Initial(carried.entry)));
        let next: Vec<TokenStream> =
            carried.iter().map(|carried| self.hand_over(carried.next, Use::Next(carried.entry))).collect();
        let body = self.block(body);
        let advance = (!carried.is_empty()).then(|| {
            let (entries, next) = (pattern(&entries, false), pattern(&next, false));
            quote!(#entries = #next;)
        });
        quote! {
            #(let mut #entries = #initial;)*
            for #element in #iterator {
                #body
                #advance
            }
            #(let #results = #entries;)*
        }
    }

    fn branch(&self, branch: &BranchNode) -> TokenStream {
        let (scrutinee, then_pattern, else_pattern) = match &branch.condition {
            Condition::Flag(flag) => (flag.clone(), quote!(true), quote!(false)),
            Condition::IsSome { option, binding } => {
                let some = quote!(::core::option::Option::Some(#binding));
                (quote!(&#option), some, quote!(::core::option::Option::None))
            }
            Condition::Matches { scrutinee, pattern, otherwise } => {
                let otherwise = otherwise.clone().unwrap_or_else(|| quote!(_));
                (scrutinee.clone(), pattern.clone(), otherwise)
            }
        };
        let is_tuple = branch.merged.len() != 1;
        let merged = branch.merged.iter();
        let results = self.names.locals(merged.clone().map(|merged| merged.result));
        let then_values: Vec<TokenStream> = merged
            .clone()
            .map(|merged| self.hand_over(merged.then_value, Use::Then(merged.result)))
            .collect();
        let else_values: Vec<TokenStream> =
            merged.map(|merged| self.hand_over(merged.else_value, Use::Else(merged.result))).collect();
        let results = pattern(&results, is_tuple);
        let [then_values, else_values] = [then_values, else_values].map(|values| pattern(&values, is_tuple));
        let then_body = self.block(&branch.then_block);
        let else_body = self.block(&branch.else_block);
        // What the user's `match` leaves out is found there; what is left here never comes.
        let never = matches!(branch.condition, Condition::Matches { otherwise: Some(_), .. })
            .then(|| quote!(_ => ::core::unreachable!(),));
        let exhaustive = &branch.exhaustive;
        quote! {
            #exhaustive
            let #results = match #scrutinee {
                #then_pattern => { #then_body #then_values }
                #else_pattern => { #else_body #else_values }
                #never
            };
        }
    }
}

fn clone_of(local: &syn::Ident) -> TokenStream {
    quote!(::core::clone::Clone::clone(&#local))
}

/// What a call is known by, as `format_args!`: its layer's path, or the name that the macro gave it.
fn name(member: &Member) -> TokenStream {
    match member.place() {
        Some(place) => path_arguments(&place.path),
        None => {
            let name = &member.name;
            quote!(::core::format_args!(#name))
        }
    }
}

fn site(path: TokenStream, skip: bool, place: Option<&Place>) -> TokenStream {
    let qconfig = optional_qconfig(place.and_then(|place| place.qconfig.as_ref()));
    quote!(#SITE { path: #path, skip: #skip, qconfig: #qconfig })
}

pub fn optional_qconfig(qconfig: Option<&syn::Path>) -> TokenStream {
    match qconfig {
        Some(qconfig) => quote!(::core::option::Option::Some(|| #qconfig())),
        None => quote!(::core::option::Option::None),
    }
}

fn member(op: &OpNode, member: &Member) -> TokenStream {
    let name = name(member);
    match &member.callee {
        Callee::Layer(layer) => {
            let layer = as_layer(layer);
            quote_spanned!(member.span=> #MEMBER::layer(#name, #layer))
        }
        Callee::Function(call) => {
            let function = call.function.name;
            let operation = constructor(op, member, call);
            quote_spanned!(member.span=> #MEMBER::function(#name, #function, &#operation))
        }
    }
}
