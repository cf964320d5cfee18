//! `NetPrepared` and `NetConverted`: the variants by name.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Attribute, GenericParam, ItemStruct};

use crate::parse::ForwardOptions;
use crate::runtime::{CONVERTED, PREPARED, allow};

/// The two types, with the struct's visibility and documentation.
pub fn aliases(item: &ItemStruct, self_ty: &TokenStream, options: &ForwardOptions) -> TokenStream {
    let ItemStruct { vis, ident, .. } = item;
    let allow = allow();
    let docs: Vec<&Attribute> =
        item.attrs.iter().filter(|attribute| attribute.path().is_ident("doc")).collect();
    let separator = (!docs.is_empty()).then(|| quote!(#[doc = ""]));
    let generics = generics_without_bounds(item);
    let variants = [
        (PREPARED, "Prepared", &options.prepared, "with observers: made by `prepare`"),
        (CONVERTED, "Converted", &options.converted, "in int8: made by `convert`"),
    ];
    let aliases = variants.map(|(variant, word, name, what)| {
        let name = name.clone().unwrap_or_else(|| format_ident!("{ident}{word}"));
        let doc = format!(" [`{ident}`] {what}.");
        quote! {
            #(#docs)*
            #separator
            #[doc = #doc]
            #allow
            #vis type #name #generics = #variant<#self_ty>;
        }
    });
    quote!(#(#aliases)*)
}

/// `<B, const N: usize>`: rustc does not check the bounds of an alias, and warns of them.
fn generics_without_bounds(item: &ItemStruct) -> Option<TokenStream> {
    let parameters = item.generics.params.iter().map(|parameter| match parameter {
        GenericParam::Lifetime(lifetime) => {
            let lifetime = &lifetime.lifetime;
            quote!(#lifetime)
        }
        GenericParam::Type(ty) => {
            let ident = &ty.ident;
            quote!(#ident)
        }
        GenericParam::Const(constant) => {
            let (ident, ty) = (&constant.ident, &constant.ty);
            quote!(const #ident: #ty)
        }
    });
    (!item.generics.params.is_empty()).then(|| quote!(<#(#parameters),*>))
}
