//! `impl Parameters`: the tensors of a state dict, by PyTorch's names.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use super::Context;
use super::checks::is_layer;
use super::names::local;
use crate::ir::{Block, Callee, NodeKind};
use crate::parse::{Field, FieldKind};
use crate::runtime::{ADD_OWNER, JOIN, PARAMETERS, RESULT, TENSOR, allow, at};

impl Context<'_> {
    pub fn implement_parameters(&self) -> TokenStream {
        let allow = allow();
        let (parameters, _, clause) = self.generics.split_for_impl();
        let self_ty = &self.self_ty;
        let (this, path, visit) = (local("self"), local("path"), local("visit"));
        let mut called = HashSet::new();
        collect_called(&self.plan.graph.body, &mut called);
        let fields: Vec<&Field> =
            self.model.fields.iter().filter(|field| has_parameters(field, &called)).collect();
        let shared = fields.iter().map(|field| {
            let name = field.state_name();
            let tensors = at(field.ty.span(), quote!(#PARAMETERS::parameters));
            let place = borrow(field, &quote!(&), &quote!(as_layer), &quote!(#this));
            match field.attributes.first {
                0 => quote!(#tensors(#place, &#JOIN(#path, #name), #visit);),
                first => numbered(
                    &path,
                    &name,
                    first,
                    &quote!((#place).iter()),
                    |item, path| quote!(#tensors(#item, #path, #visit);),
                ),
            }
        });
        let exclusive = fields.iter().map(|field| {
            let name = field.state_name();
            let tensors = at(field.ty.span(), quote!(#PARAMETERS::parameters_mut));
            let place = borrow(field, &quote!(&mut), &quote!(as_layer_mut), &quote!(#this));
            match field.attributes.first {
                0 => quote!(#tensors(#place, &#JOIN(#path, #name), #visit);),
                first => numbered(
                    &path,
                    &name,
                    first,
                    &quote!((#place).iter_mut()),
                    |item, path| quote!(#tensors(#item, #path, #visit);),
                ),
            }
        });
        let checks = fields.iter().map(|field| {
            let name = field.state_name();
            let check = at(field.ty.span(), quote!(#PARAMETERS::check));
            let place = borrow(field, &quote!(&), &quote!(as_layer), &quote!(#this));
            match field.attributes.first {
                0 => quote!(#check(#place, &#JOIN(#path, #name))?;),
                first => numbered(
                    &path,
                    &name,
                    first,
                    &quote!((#place).iter()),
                    |item, path| quote!(#check(#item, #path)?;),
                ),
            }
        });
        let owners = self.owners(&fields);
        quote! {
            #[automatically_derived]
            #allow
            impl #parameters #PARAMETERS for #self_ty #clause {
                fn parameters(
                    &#this,
                    #path: &::core::primitive::str,
                    #visit: &mut dyn ::core::ops::FnMut(::std::string::String, &#TENSOR),
                ) {
                    #(#shared)*
                }

                fn parameters_mut(
                    &mut #this,
                    #path: &::core::primitive::str,
                    #visit: &mut dyn ::core::ops::FnMut(::std::string::String, &mut #TENSOR),
                ) {
                    #(#exclusive)*
                }

                fn check(&#this, #path: &::core::primitive::str) -> #RESULT<()> {
                    #(#checks)*
                    ::core::result::Result::Ok(())
                }

                #owners
            }
        }
    }

    /// The fields whose keys may meet those of others, as far as only the instance knows, for the error about it.
    fn owners(&self, fields: &[&Field]) -> Option<TokenStream> {
        let (this, path, key, owners) = (local("self"), local("path"), local("key"), local("owners"));
        let model = self.model.ident.unraw().to_string();
        let calls: Vec<TokenStream> = fields
            .iter()
            .filter(|field| may_share(field, fields))
            .map(|field| {
                let (ident, state_name) = (&field.ident, field.state_name());
                let name = format!("{model}.{}", ident.unraw());
                match field.attributes.first {
                    0 => quote!(#ADD_OWNER(&#this.#ident, &#JOIN(#path, #state_name), #key, #name, #owners);),
                    first => numbered(
                        &path,
                        &state_name,
                        first,
                        &quote!(#this.#ident.iter()),
                        |item, path| quote!(#ADD_OWNER(#item, #path, #key, #name, #owners);),
                    ),
                }
            })
            .collect();
        (!calls.is_empty()).then(|| {
            quote! {
                fn owners(
                    &#this,
                    #path: &::core::primitive::str,
                    #key: &::core::primitive::str,
                    #owners: &mut ::std::vec::Vec<::std::string::String>,
                ) {
                    #(#calls)*
                }
            }
        })
    }
}

/// A list whose first element is not 0 in the state dict: `call` with each element and its path.
fn numbered(
    path: &Ident,
    name: &str,
    first: usize,
    elements: &TokenStream,
    call: impl FnOnce(&Ident, &TokenStream) -> TokenStream,
) -> TokenStream {
    let (index, item) = (local("index"), local("item"));
    let own = quote!(&#JOIN(&#JOIN(#path, #name), &::std::string::ToString::to_string(&#index)));
    let call = call(&item, &own);
    let elements = quote!(::core::iter::Iterator::zip(#first.., #elements));
    quote!(for (#index, #item) in #elements { #call })
}

/// Whether the keys of a field may be those of another, or some inside of it each other's.
fn may_share(field: &Field, fields: &[&Field]) -> bool {
    let is_below = |name: &str, other: &str| {
        other.is_empty() || name.strip_prefix(other).is_some_and(|rest| rest.starts_with('.'))
    };
    let name = field.state_name();
    holds_models(&field.kind)
        || fields
            .iter()
            .filter(|other| other.ident != field.ident)
            .map(|other| other.state_name())
            .any(|other| is_below(&name, &other) || is_below(&other, &name))
}

fn holds_models(kind: &FieldKind) -> bool {
    match kind {
        FieldKind::Other => true,
        FieldKind::Sequential(elements) | FieldKind::Tuple(elements) => {
            elements.iter().any(|(_, kind)| holds_models(kind))
        }
        FieldKind::Vec(element) | FieldKind::Option(element) | FieldKind::Pointer(element) => {
            holds_models(&element.1)
        }
        FieldKind::Layer(_) | FieldKind::Flag | FieldKind::Config => false,
    }
}

fn borrow(field: &Field, how: &TokenStream, as_layer: &TokenStream, this: &TokenStream) -> TokenStream {
    let Field { ident, ty, kind, .. } = field;
    match kind {
        FieldKind::Layer(operation) => {
            let is_layer = is_layer(ty, operation);
            quote_spanned!(ty.span()=> #is_layer::#as_layer(#how #this.#ident))
        }
        _ => quote!(#how #this.#ident),
    }
}

/// A layer has parameters whether it is called or not; another type is a model if it is called or said to be one.
fn has_parameters(field: &Field, called: &HashSet<String>) -> bool {
    let is_called = called.contains(&field.ident.to_string()) || field.attributes.model;
    may_hold_parameters(&field.kind, is_called)
}

fn may_hold_parameters(kind: &FieldKind, is_called: bool) -> bool {
    match kind {
        FieldKind::Layer(_) => true,
        FieldKind::Sequential(elements) | FieldKind::Tuple(elements) => {
            elements.iter().all(|(_, kind)| may_hold_parameters(kind, is_called))
        }
        FieldKind::Vec(element) | FieldKind::Option(element) | FieldKind::Pointer(element) => {
            may_hold_parameters(&element.1, is_called)
        }
        FieldKind::Other => is_called,
        FieldKind::Flag | FieldKind::Config => false,
    }
}

fn collect_called(block: &Block, called: &mut HashSet<String>) {
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) => called.extend(op.members.iter().filter_map(|member| match &member.callee {
                Callee::Layer(layer) => Some(layer.place.root_field.to_string()),
                Callee::Function(_) => None,
            })),
            NodeKind::Model(model) => {
                called.insert(model.place.root_field.to_string());
            }
            NodeKind::For(repeat) => collect_called(&repeat.body, called),
            NodeKind::Branch(branch) => {
                collect_called(&branch.then_block, called);
                collect_called(&branch.else_block, called);
            }
        }
    }
}
