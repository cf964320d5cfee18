//! `forward` as users call it, and the dump.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use super::{Context, pattern};
use crate::runtime::{MODULE, RESULT, TENSOR, allow};

impl Context<'_> {
    pub fn inherent(&self) -> TokenStream {
        let allow = allow();
        let (parameters, _, clause) = self.generics.split_for_impl();
        let Self { self_ty, this, forward, .. } = self;
        let attributes = &forward.attributes;
        let vis = &forward.vis;
        let name = Ident::new("forward", forward.span);
        let (inputs, tensor) = (&forward.inputs, TENSOR);
        let output = self.output_type(&TENSOR);
        let tensors: Vec<TokenStream> =
            inputs.iter().map(|input| quote!(::core::convert::Into::<#TENSOR>::into(#input))).collect();
        let input = pattern(&tensors, tensors.len() != 1);
        let dump = self.plan.dump.as_ref().map(|dump| {
            quote! {
                /// The graph after each pass of the macro.
                pub const DUMP: &'static ::core::primitive::str = #dump;
            }
        });
        quote! {
            #[automatically_derived]
            #allow
            impl #parameters #self_ty #clause {
                #(#attributes)*
                #vis fn #name(&#this, #(#inputs: impl ::core::convert::Into<#tensor>),*) -> #RESULT<#output> {
                    <Self as #MODULE>::run(#this, #input)
                }

                #dump
            }
        }
    }
}
