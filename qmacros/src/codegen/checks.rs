//! What the macro took for granted, asserted where rustc knows better.

use proc_macro2::{Span, TokenStream};
use qcatalogue::{Operation, ParameterKind};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned as _;
use syn::{Generics, Ident, ItemStruct, Type};

use super::Context;
use crate::ir::{LayerPlace, NamedFunction};
use crate::runtime::{HAS_FORWARD, IS_LAYER, NAMED, OPERATION, allow, at, layer};

impl Context<'_> {
    /// The types of the user's signature, of which nothing else is left: `use qcore::Tensor` is not unused.
    pub fn name_types(&self) -> TokenStream {
        let types = &self.forward.types;
        quote!(const _: ::core::option::Option<fn(#(#types),*)> = ::core::option::Option::None;)
    }
}

/// Asks rustc whether the functions that the body calls are those of the operations: a body that calls another one of
/// that name does not compile, the names are in use, and editors know what they stand for.
impl Context<'_> {
    pub fn name_functions(&self) -> Option<TokenStream> {
        let allow = allow();
        let calls: Vec<TokenStream> = self.plan.graph.functions.iter().map(is_named).collect();
        (!calls.is_empty()).then(|| quote!(#allow fn functions() { #(#calls)* }))
    }
}

/// `named::clamp(functional::clamp).is_named(&F::clamp);`
fn is_named(NamedFunction { path, operation }: &NamedFunction) -> TokenStream {
    let name = Ident::new(operation.name, Span::call_site());
    let has_generics = operation.parameters.iter().any(|parameter| {
        matches!(
            parameter.kind,
            ParameterKind::Float | ParameterKind::IntegerOrPair | ParameterKind::IntegerOrTriple
        )
    });
    let constructor = if has_generics { quote!(#NAMED::#name) } else { quote!(#OPERATION) };
    let call = at(path.span(), quote!(#constructor(::qcore::functional::#name).is_named));
    quote_spanned!(path.span()=> #call(&#path);)
}

/// What the struct asks for: that the `impl` block is read, too.
pub fn asks_for_forward(item: &ItemStruct) -> Option<TokenStream> {
    if item.generics.lifetimes().next().is_some() {
        return None;
    }
    let allow = allow();
    let (parameters, arguments, clause) = item.generics.split_for_impl();
    let ident = &item.ident;
    let asked = at(ident.span(), quote!(#HAS_FORWARD));
    let asked = quote_spanned!(ident.span()=> <#ident #arguments as #asked>::IS_READ);
    Some(quote!(const _: () = { #allow fn forward #parameters () #clause { #asked } };))
}

/// What the `impl` block answers.
pub fn has_forward(generics: &Generics, self_ty: &TokenStream) -> TokenStream {
    let (parameters, _, clause) = generics.split_for_impl();
    quote!(#[automatically_derived] impl #parameters #HAS_FORWARD for #self_ty #clause {})
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
