//! What the macro took for granted, asserted where rustc knows better.

use std::collections::HashSet;

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

use super::Context;
use crate::parse::FieldKind;
use crate::runtime::{LAYER, SAME_KIND};

impl Context<'_> {
    /// A field type named `Conv2d` is qcore's `Conv2d`: fusion goes by it.
    pub fn assert_kinds(&self) -> TokenStream {
        let mut layers = Vec::new();
        for field in &self.model.fields {
            collect_layers(&field.ty, &field.kind, &mut layers);
        }
        let mut seen = HashSet::new();
        layers.retain(|(ty, _)| seen.insert(ty.to_token_stream().to_string()));
        let assertions = layers.into_iter().map(|(ty, name)| {
            let message = format!(
                "this `{name}` is not `qcore::{name}`: `#[quantizable]` knows layers by their names, so a type of \
                 another crate needs another name here"
            );
            quote_spanned! {ty.span()=>
                const _: () = ::core::assert!(#SAME_KIND(<#ty as #LAYER>::KIND, #name), #message);
            }
        });
        quote!(#(#assertions)*)
    }

    /// The types of the user's signature, of which nothing else is left: `use qcore::Tensor` is not unused.
    pub fn name_types(&self) -> TokenStream {
        let types = &self.forward.types;
        quote!(const _: ::core::option::Option<fn(#(#types),*)> = ::core::option::Option::None;)
    }
}

fn collect_layers<'a>(ty: &'a Type, kind: &'a FieldKind, layers: &mut Vec<(&'a Type, &'static str)>) {
    match kind {
        FieldKind::Layer(kind) => layers.push((ty, kind.type_name())),
        FieldKind::Sequential(elements) => {
            elements.iter().for_each(|(ty, kind)| collect_layers(ty, kind, layers));
        }
        FieldKind::Vec(element) | FieldKind::Option(element) => {
            collect_layers(&element.0, &element.1, layers)
        }
        FieldKind::Flag | FieldKind::Config | FieldKind::Other => {}
    }
}
