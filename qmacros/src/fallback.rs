//! On error: the user's items with stub bodies, so that one mistake does not set off a hail of others.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{FnArg, Generics, ImplItem, ImplItemFn, ItemImpl, ItemStruct, ReturnType, Type, parse_quote};

use crate::codegen::{aliases, has_forward};
use crate::errors::did_you_mean;
use crate::parse::{ForwardOptions, is_ours, take_methods};

/// The struct as the user wants it to be.
pub fn without_our_attributes(item: &ItemStruct) -> ItemStruct {
    let mut item = item.clone();
    for field in &mut item.fields {
        field.attrs.retain(|attribute| !is_ours(attribute));
    }
    item
}

/// The impl block, with a `forward` that type-checks and traits that are implemented.
pub fn implementation(item: Option<&ItemStruct>, source: &ItemImpl, options: &ForwardOptions) -> TokenStream {
    let mut rest = source.clone();
    let mut forwards = rest.items.extract_if(.., is_forward).collect::<Vec<_>>().into_iter();
    let signature = match forwards.next() {
        Some(ImplItem::Fn(function)) => {
            // What `forward` calls is as little Rust as its own body.
            take_methods(&mut rest, &function.block);
            signature(&function)
        }
        _ => Signature { visibility: quote!(pub), inputs: 1, outputs: 1, is_tuple: false },
    };
    let generics = item.map_or(&source.generics, |item| &item.generics);
    let self_ty = self_type(item, source);
    let traits = traits(generics, &self_ty, &signature);
    let has_forward = generics.lifetimes().next().is_none().then(|| has_forward(generics, &self_ty));
    let aliases = item.map(|item| aliases(item, &self_ty, options));
    let (impl_generics, _, where_clause) = generics.split_for_impl();

    let Signature { visibility, inputs, outputs, is_tuple } = signature;
    let tensor = quote!(::qcore::__private::Tensor);
    let output_ty = values(&tensor, outputs, is_tuple);
    let names: Vec<_> = (0..inputs).map(|index| format_ident!("_input_{index}")).collect();
    quote! {
        #rest

        #[allow(dead_code)]
        impl #impl_generics #self_ty #where_clause {
            #visibility fn forward(&self, #(#names: impl ::core::convert::Into<#tensor>),*)
                -> ::qcore::__private::Result<#output_ty>
            {
                ::qcore::__private::Unbuildable::refuse()
            }
        }

        #aliases
        #traits
        #has_forward
    }
}

/// Nothing for a struct that borrows: no such type can implement them.
fn traits(generics: &Generics, self_ty: &TokenStream, signature: &Signature) -> TokenStream {
    if generics.lifetimes().next().is_some() {
        return TokenStream::new();
    }
    let mut generics = generics.clone();
    let parameters: Vec<_> = generics.type_params().map(|parameter| parameter.ident.clone()).collect();
    for parameter in parameters {
        generics.make_where_clause().predicates.push(parse_quote!(#parameter: 'static));
    }
    let (impl_generics, _, where_clause) = generics.split_for_impl();
    let tensor = quote!(::qcore::__private::Tensor);
    let name = self_ty.to_string();
    let value = quote!(::qcore::__private::Value);
    let [input_ty, input_values] =
        [&tensor, &value].map(|element| values(element, signature.inputs, signature.inputs > 1));
    let [output_ty, output_values] =
        [&tensor, &value].map(|element| values(element, signature.outputs, signature.is_tuple));
    quote! {
        const _: () = {
            #[automatically_derived]
            impl #impl_generics ::qcore::__private::Parameters for #self_ty #where_clause {
                fn parameters(
                    &self,
                    _: &::core::primitive::str,
                    _: &mut dyn ::core::ops::FnMut(::std::string::String, &#tensor),
                ) {
                }

                fn parameters_mut(
                    &mut self,
                    _: &::core::primitive::str,
                    _: &mut dyn ::core::ops::FnMut(::std::string::String, &mut #tensor),
                ) {
                }
            }

            #[automatically_derived]
            impl #impl_generics ::qcore::__private::Module for #self_ty #where_clause {
                const NAME: &'static ::core::primitive::str = #name;
                type Input = #input_ty;
                type Output = #output_ty;

                fn trace(
                    &self,
                    _: &mut ::qcore::__private::Tracer<'_>,
                    _: #input_values,
                ) -> ::qcore::__private::Result<#output_values> {
                    ::qcore::__private::Unbuildable::refuse()
                }
            }
        };
    }
}

/// `forward`, or what was probably meant to be it: its body is not Rust.
fn is_forward(item: &mut ImplItem) -> bool {
    matches!(item, ImplItem::Fn(function)
        if did_you_mean(&function.sig.ident.to_string(), ["forward"]).is_some())
}

/// The path of the impl with the generics of the struct.
fn self_type(item: Option<&ItemStruct>, source: &ItemImpl) -> TokenStream {
    let own = &source.self_ty;
    match (item, crate::handoff::self_path(source)) {
        (Some(item), Some(path)) => {
            let (_, type_generics, _) = item.generics.split_for_impl();
            let mut path = path.clone();
            if let Some(last) = path.segments.last_mut() {
                last.arguments = syn::PathArguments::None;
            }
            quote!(#path #type_generics)
        }
        _ => quote!(#own),
    }
}

/// The traits of a model of one tensor in and one out.
pub fn traits_of_a_block(generics: &Generics, self_ty: &TokenStream) -> TokenStream {
    let signature = Signature { visibility: TokenStream::new(), inputs: 1, outputs: 1, is_tuple: false };
    traits(generics, self_ty, &signature)
}

struct Signature {
    visibility: TokenStream,
    inputs: usize,
    outputs: usize,
    is_tuple: bool,
}

fn signature(function: &ImplItemFn) -> Signature {
    let visibility = &function.vis;
    let inputs = function.sig.inputs.iter().filter(|input| matches!(input, FnArg::Typed(_))).count();
    let (outputs, is_tuple) = match &function.sig.output {
        ReturnType::Type(_, ty) => match &**ty {
            Type::Tuple(tuple) if tuple.elems.len() > 1 => (tuple.elems.len(), true),
            _ => (1, false),
        },
        ReturnType::Default => (1, false),
    };
    Signature {
        visibility: quote!(#visibility),
        inputs: inputs.clamp(1, 8),
        outputs: outputs.min(8),
        is_tuple,
    }
}

fn values(element: &TokenStream, count: usize, is_tuple: bool) -> TokenStream {
    let elements = std::iter::repeat_n(element, count);
    if is_tuple { quote!((#(#elements),*)) } else { element.clone() }
}
