//! The generics of the generated types and impls: the user's, with what a nested model needs.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote};
use syn::spanned::Spanned as _;
use syn::{Generics, Type, parse_quote};

use super::io_type;
use crate::ir::{Block, Graph, ModelNode, NodeKind};
use crate::parse::{Forward, Model};
use crate::runtime::{MODULE, TENSOR, at};

/// The struct's generics with a bound for each nested model.
///
/// ```text
/// struct Net<B> { layers: Vec<B>, head: Head }
///     where B: Module<Input = Tensor, Output = Tensor>, Head: Module<Input = Tensor, Output = Tensor>
/// ```
///
/// Where the type is no parameter the bound is there for the errors: if `Head` is no model, rustc says so once,
/// at the field, and takes it for one everywhere else.
pub fn bounded(model: &Model, graph: &Graph) -> Generics {
    let mut generics = model.generics.clone();
    let mut models = Vec::new();
    collect_models(&graph.body, &mut models);
    if models.is_empty() && generics.type_params().next().is_none() {
        return generics;
    }
    let mut bound = HashSet::new();
    let clause = generics.make_where_clause();
    for node in models {
        if let Some(outer) = node.place.within.first() {
            let (ty, bound) = (&outer.ty, at(outer.ty.span(), quote!(#MODULE)));
            clause.predicates.push(parse_quote!(#ty: #bound));
            continue;
        }
        let ty = &node.place.ty;
        if bound.insert(ty.to_token_stream().to_string()) {
            let input = io_type(node.operands.len(), node.operands.len() != 1, &TENSOR);
            let output = io_type(node.results.len(), node.results_are_tuple, &TENSOR);
            let bound = at(ty.span(), quote!(#MODULE<Input = #input, Output = #output>));
            clause.predicates.push(parse_quote!(#ty: #bound));
        }
    }
    for parameter in model.generics.type_params() {
        let ident = &parameter.ident;
        clause.predicates.push(parse_quote!(#ident: 'static));
    }
    generics
}

/// The types of the models that this one calls, each once.
pub fn model_types(graph: &Graph) -> Vec<&Type> {
    let mut models = Vec::new();
    collect_models(&graph.body, &mut models);
    let mut seen = HashSet::new();
    let types =
        models.into_iter().map(|model| model.place.within.first().map_or(&model.place.ty, |outer| &outer.ty));
    types.filter(|ty| seen.insert(ty.to_token_stream().to_string())).collect()
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
