//! The body of `forward` as straight-line code over values, for the variants that compute.

use proc_macro2::TokenStream;
use quote::quote;

use super::names::Names;
use super::{Context, operation, pattern};
use crate::ir::{Block, BranchNode, ForNode, Graph, ModelNode, NodeKind, OpNode, ValueId};
use crate::passes::{Liveness, Use};
use crate::runtime::RESULT;

/// How one variant runs what a graph is made of. `Here` is the way to the fields of the current block.
pub trait Variant {
    type Here: Clone;

    /// A tensor; `sizes` are the extents that are known at run time alone.
    fn op(&self, here: &Self::Here, op: &OpNode, inputs: &[TokenStream], sizes: bool) -> TokenStream;

    /// A tensor, or a tuple of them.
    fn model(&self, here: &Self::Here, model: &ModelNode, input: TokenStream) -> TokenStream;

    /// `for entry in &self.layers`, and the way to the fields of an entry.
    fn repeat(&self, here: &Self::Here, repeat: &ForNode) -> (TokenStream, Self::Here);

    /// The arms, each a block of code that ends in its values, put behind the condition.
    fn branch(&self, here: &Self::Here, branch: &BranchNode) -> BranchHead<Self::Here>;
}

/// `match &self.field { then_pattern => …, else_pattern => … }`.
pub struct BranchHead<H> {
    pub scrutinee: TokenStream,
    pub then_pattern: TokenStream,
    pub then_here: H,
    pub else_pattern: TokenStream,
    pub else_here: H,
}

pub struct Walker<'a, V: Variant> {
    pub names: &'a Names,
    pub liveness: &'a Liveness,
    pub variant: V,
}

impl<V: Variant> Walker<'_, V> {
    /// The statements and the result.
    pub fn function_body(&self, graph: &Graph, here: &V::Here) -> TokenStream {
        let statements = self.block(&graph.body, here);
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
        if self.liveness.is_last(place) {
            quote!(#local)
        } else {
            quote!(::core::clone::Clone::clone(&#local))
        }
    }

    fn operands(&self, node: ValueId, operands: &[ValueId]) -> Vec<TokenStream> {
        let slots = operands.iter().enumerate();
        slots.map(|(slot, &operand)| self.hand_over(operand, Use::Operand { node, slot })).collect()
    }

    fn block(&self, block: &Block, here: &V::Here) -> TokenStream {
        let statements = block.nodes.iter().map(|node| match &node.kind {
            NodeKind::Op(op) => self.op(op, here),
            NodeKind::Model(model) => self.model(model, here),
            NodeKind::For(repeat) => self.repeat(repeat, here),
            NodeKind::Branch(branch) => self.branch(branch, here),
        });
        quote!(#(#statements)*)
    }

    fn op(&self, op: &OpNode, here: &V::Here) -> TokenStream {
        let result = self.names.local(op.result);
        let inputs = self.operands(op.result, &op.operands);
        match operation::sizes(op, self.names) {
            None => {
                let run = self.variant.op(here, op, &inputs, false);
                quote!(let #result = #run;)
            }
            Some(sizes) => {
                let run = self.variant.op(here, op, &inputs, true);
                let local = super::names::local("sizes");
                quote!(let #result = { let #local = #sizes; #run };)
            }
        }
    }

    fn model(&self, model: &ModelNode, here: &V::Here) -> TokenStream {
        let node = model.results.first().copied().unwrap_or(ValueId(usize::MAX));
        let operands = self.operands(node, &model.operands);
        let input = pattern(&operands, operands.len() != 1);
        let results = pattern(&self.names.locals(model.results.iter().copied()), model.results_are_tuple);
        let run = self.variant.model(here, model, input);
        quote!(let #results = #run;)
    }

    fn repeat(&self, repeat: &ForNode, here: &V::Here) -> TokenStream {
        let (head, inside) = self.variant.repeat(here, repeat);
        let entries = self.names.locals(repeat.carried.iter().map(|carried| carried.entry));
        let results = self.names.locals(repeat.carried.iter().map(|carried| carried.result));
        let initial: Vec<TokenStream> = repeat
            .carried
            .iter()
            .map(|carried| self.hand_over(carried.initial, Use::Initial(carried.entry)))
            .collect();
        let next: Vec<TokenStream> = repeat
            .carried
            .iter()
            .map(|carried| self.hand_over(carried.next, Use::Next(carried.entry)))
            .collect();
        let body = self.block(&repeat.body, &inside);
        let advance = match (entries.as_slice(), next.as_slice()) {
            ([], []) => TokenStream::new(),
            ([entry], [next]) => quote!(#entry = #next;),
            (entries, next) => quote!((#(#entries),*) = (#(#next),*);),
        };
        quote! {
            #(let mut #entries = #initial;)*
            #head { #body #advance }
            #(let #results = #entries;)*
        }
    }

    fn branch(&self, branch: &BranchNode, here: &V::Here) -> TokenStream {
        let BranchHead { scrutinee, then_pattern, then_here, else_pattern, else_here } =
            self.variant.branch(here, branch);
        let results = self.names.locals(branch.merged.iter().map(|merged| merged.result));
        let then_values: Vec<TokenStream> = branch
            .merged
            .iter()
            .map(|merged| self.hand_over(merged.then_value, Use::Then(merged.result)))
            .collect();
        let else_values: Vec<TokenStream> = branch
            .merged
            .iter()
            .map(|merged| self.hand_over(merged.else_value, Use::Else(merged.result)))
            .collect();
        let [then_values, else_values] =
            [then_values, else_values].map(|values| pattern(&values, values.len() != 1));
        let results = pattern(&results, results.len() != 1);
        let then_body = self.block(&branch.then_block, &then_here);
        let else_body = self.block(&branch.else_block, &else_here);
        quote! {
            let #results = match #scrutinee {
                #then_pattern => { #then_body #then_values }
                #else_pattern => { #else_body #else_values }
            };
        }
    }
}

impl Context<'_> {
    /// `Result<T>` of the runtime.
    pub fn result(&self, ty: &TokenStream) -> TokenStream {
        quote!(#RESULT<#ty>)
    }
}
