//! The generics of the generated types and impls: the user's, with what a nested model needs.

use std::collections::HashSet;

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens as _, quote};
use syn::{Generics, Type, parse_quote};

use super::io_type;
use crate::ir::{Block, Graph, ModelNode, NodeKind};
use crate::parse::{Forward, Model};
use crate::runtime::{QUANTIZABLE, TENSOR};

/// The struct's generics with the bounds that its generic submodels need.
///
/// ```text
/// struct Net<B> { layers: Vec<B> }      where B: Quantizable<Input = Tensor, Output = Tensor>
/// ```
pub fn bounded(model: &Model, graph: &Graph) -> Generics {
    let mut generics = model.generics.clone();
    let parameters: HashSet<String> =
        model.generics.type_params().map(|each| each.ident.to_string()).collect();
    if parameters.is_empty() {
        return generics;
    }
    let mut models = Vec::new();
    collect_models(&graph.body, &mut models);
    let mut bound = HashSet::new();
    let clause = generics.make_where_clause();
    for node in models {
        let ty = &node.place.ty;
        if !mentions(ty.to_token_stream(), &parameters) || !bound.insert(ty.to_token_stream().to_string()) {
            continue;
        }
        let input = io_type(node.operands.len(), node.operands.len() != 1, &TENSOR);
        let output = io_type(node.results.len(), node.results_are_tuple, &TENSOR);
        clause.predicates.push(parse_quote!(#ty: #QUANTIZABLE<Input = #input, Output = #output>));
    }
    for parameter in model.generics.type_params() {
        let ident = &parameter.ident;
        clause.predicates.push(parse_quote!(#ident: 'static));
    }
    generics
}

fn collect_models<'a>(block: &'a Block, models: &mut Vec<&'a ModelNode>) {
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(_) => {}
            NodeKind::Model(model) => models.push(model),
            NodeKind::For(repeat) => collect_models(&repeat.body, models),
            NodeKind::Branch(branch) => {
                collect_models(&branch.then_block, models);
                collect_models(&branch.else_block, models);
            }
        }
    }
}

fn mentions(tokens: TokenStream, names: &HashSet<String>) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => names.contains(&ident.to_string()),
        TokenTree::Group(group) => mentions(group.stream(), names),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// The user's type as the impl names it, with the struct's own generics: `Net<B>`, `path::Net<B>`.
pub fn self_type(model: &Model, forward: &Forward) -> TokenStream {
    let (_, arguments, _) = model.generics.split_for_impl();
    let ident = &model.ident;
    let Type::Path(written) = &*forward.item.self_ty else { return quote!(#ident #arguments) };
    let mut path = written.path.clone();
    if let Some(last) = path.segments.last_mut() {
        last.arguments = syn::PathArguments::None;
    }
    quote!(#path #arguments)
}
