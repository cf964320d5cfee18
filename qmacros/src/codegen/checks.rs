//! What the macro took for granted, asserted where rustc knows better.

use proc_macro2::TokenStream;
use qcatalogue::Operation;
use quote::{quote, quote_spanned};
use syn::Type;
use syn::spanned::Spanned as _;

use super::Context;
use crate::ir::LayerPlace;
use crate::runtime::{IS_LAYER, at, layer};

impl Context<'_> {
    /// The types of the user's signature, of which nothing else is left: `use qcore::Tensor` is not unused.
    pub fn name_types(&self) -> TokenStream {
        let types = &self.forward.types;
        quote!(const _: ::core::option::Option<fn(#(#types),*)> = ::core::option::Option::None;)
    }
}

/// A reference to qcore's layer. A field type named `Conv2d` that is another type is an error at the field; the
/// same tokens at the same place for each use, so that rustc reports it once.
pub fn as_layer(place: &LayerPlace) -> TokenStream {
    let (ty, float_expr) = (&place.place.ty, &place.place.float_expr);
    let is_layer = is_layer(ty, place.operation);
    quote_spanned!(ty.span()=> #is_layer::as_layer(&#float_expr))
}

/// `<Conv2d as IsLayer<::qcore::layers::Conv2d>>`.
pub fn is_layer(ty: &Type, operation: &Operation) -> TokenStream {
    let span = ty.span();
    let is_layer = at(span, quote!(#IS_LAYER));
    let layer = at(span, layer(operation));
    quote_spanned!(span=> <#ty as #is_layer<#layer>>)
}
