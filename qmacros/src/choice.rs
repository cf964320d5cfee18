//! An enum whose variants each hold a block: what a list of different blocks is made of.
//!
//! ```text
//! #[quantizable]
//! enum Block { Basic(BasicBlock), Bottleneck(Bottleneck) }
//! ```
//!
//! It runs as the block that it holds, and has its keys: the variant has no name in a state dict.

use proc_macro2::TokenStream;
use quote::{ToTokens as _, quote, quote_spanned};
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;
use syn::{Attribute, Fields, Generics, Ident, ItemEnum, Type, parse_quote};

use crate::errors::{Errors, Message};
use crate::runtime::{
    FIELD, LOADERS, MODULE, PARAMETERS, RESULT, TENSOR, TRACER, VALUE, VALUES, allow, at, mentions_parameter,
};
use crate::{fallback, parse};

/// A variant and the block in it.
struct Choice {
    /// `#[cfg]`s.
    conditions: Vec<Attribute>,
    variant: Ident,
    block: Type,
}

/// `#[quantizable]` on an enum.
pub fn expand(arguments: TokenStream, item: &ItemEnum) -> TokenStream {
    let mut errors = Errors::new();
    parse::of_struct(&mut errors, arguments);
    let choices = choices(&mut errors, item);
    let generated = match errors.propagate() {
        Ok(()) => implement(item, &choices),
        Err(reported) => {
            let (_, type_arguments, _) = item.generics.split_for_impl();
            let ident = &item.ident;
            let traits = fallback::traits_of_a_block(&item.generics, &quote!(#ident #type_arguments));
            quote!(#traits #reported)
        }
    };
    quote!(#item #generated)
}

fn choices(errors: &mut Errors, item: &ItemEnum) -> Vec<Choice> {
    if item.variants.is_empty() {
        let message =
            Message::new(format!("`{}` has no variants, so there is nothing to quantize", item.ident))
                .help("write one for each block: `enum Block { Basic(BasicBlock), Bottleneck(Bottleneck) }`");
        errors.error(&item.ident, message);
    }
    if let Some(lifetime) = item.generics.lifetimes().next() {
        let message = Message::new(format!("`{}` borrows something", item.ident))
            .help("let the model own its layers")
            .note("what is prepared and converted outlives the float model");
        errors.error(lifetime, message);
    }
    let choices = item.variants.iter().filter_map(|variant| {
        let ident = &variant.ident;
        let fields: Vec<&Type> = variant.fields.iter().map(|field| &field.ty).collect();
        let help = match (&variant.fields, fields.as_slice()) {
            (Fields::Unnamed(_), [block]) => {
                let conditions = variant.attrs.iter().filter(|attribute| attribute.path().is_ident("cfg"));
                return Some(Choice {
                    conditions: conditions.cloned().collect(),
                    variant: ident.clone(),
                    block: (*block).clone(),
                });
            }
            (_, []) => {
                format!("write `{ident}(Identity)` if it passes everything on; an enum that only says which way a \
                         `forward` goes needs no attribute: `match self.mode {{ .. }}`")
            }
            _ => format!("make a model of the layers in it, a struct with `#[quantizable]`, and write `{ident}(Block)`"),
        };
        let message = Message::new(format!("`{ident}` does not hold one block"))
            .help(help)
            .note("each variant of a `#[quantizable]` enum is a layer or a model, which runs in its place");
        errors.error(ident, message);
        None
    });
    choices.collect()
}

fn implement(item: &ItemEnum, choices: &[Choice]) -> TokenStream {
    let Some(first) = choices.first() else { return TokenStream::new() };
    let (ident, first) = (&item.ident, &first.block);
    let generics = bounded(item, choices, first);
    let (impl_generics, _, clause) = generics.split_for_impl();
    let (_, type_arguments, _) = item.generics.split_for_impl();
    let name = ident.unraw().to_string();
    let allow = allow();
    let each = |call: &dyn Fn(TokenStream) -> TokenStream, of: &TokenStream| {
        let arms = choices.iter().map(|Choice { conditions, variant, block }| {
            let call = call(at(block.span(), of.clone()));
            quote!(#(#conditions)* Self::#variant(block) => #call,)
        });
        quote!(match self { #(#arms)* })
    };
    let parameters = quote!(#PARAMETERS);
    let visit = each(&|of| quote!(#of::parameters(block, path, visit)), &parameters);
    let visit_mut = each(&|of| quote!(#of::parameters_mut(block, path, visit)), &parameters);
    let check = each(&|of| quote!(#of::check(block, path)), &parameters);
    let owners = each(&|of| quote!(#of::owners(block, path, key, owners)), &parameters);
    let field = each(&|of| quote!(#of::field(block, name)), &quote!(#MODULE));
    let trace = choices.iter().map(|Choice { conditions, variant, block }| {
        let module = at(block.span(), quote!(#MODULE));
        let call = quote_spanned!(block.span()=> <#block as #module>::trace(block, tracer, input));
        quote!(#(#conditions)* Self::#variant(block) => #call,)
    });
    let loaders = choices.iter().map(|Choice { conditions, block, .. }| {
        let module = at(block.span(), quote!(#MODULE));
        quote!(#(#conditions)* <#block as #module>::loaders(loaders);)
    });
    quote! {
        const _: () = {
            #[automatically_derived]
            #allow
            impl #impl_generics #PARAMETERS for #ident #type_arguments #clause {
                fn parameters(
                    &self,
                    path: &::core::primitive::str,
                    visit: &mut dyn ::core::ops::FnMut(::std::string::String, &#TENSOR),
                ) {
                    #visit
                }

                fn parameters_mut(
                    &mut self,
                    path: &::core::primitive::str,
                    visit: &mut dyn ::core::ops::FnMut(::std::string::String, &mut #TENSOR),
                ) {
                    #visit_mut
                }

                fn check(&self, path: &::core::primitive::str) -> #RESULT<()> {
                    #check
                }

                fn owners(
                    &self,
                    path: &::core::primitive::str,
                    key: &::core::primitive::str,
                    owners: &mut ::std::vec::Vec<::std::string::String>,
                ) {
                    #owners
                }
            }

            #[automatically_derived]
            #allow
            impl #impl_generics #MODULE for #ident #type_arguments #clause {
                const NAME: &'static ::core::primitive::str = #name;
                type Input = <#first as #MODULE>::Input;
                type Output = <#first as #MODULE>::Output;

                fn trace(
                    &self,
                    tracer: &mut #TRACER<'_>,
                    input: <<#first as #MODULE>::Input as #VALUES>::Of<#VALUE>,
                ) -> #RESULT<<<#first as #MODULE>::Output as #VALUES>::Of<#VALUE>> {
                    match self { #(#trace)* }
                }

                fn loaders(loaders: &mut #LOADERS) {
                    #(#loaders)*
                }

                fn field(&self, name: &'static ::core::primitive::str) -> #FIELD {
                    #field
                }
            }
        };
    }
}

/// The enum's generics with what a type parameter needs to be a block.
fn bounded(item: &ItemEnum, choices: &[Choice], first: &Type) -> Generics {
    let mut generics = item.generics.clone();
    if generics.type_params().next().is_none() {
        return generics;
    }
    let clause = generics.make_where_clause();
    for Choice { block, .. } in
        choices.iter().filter(|choice| mentions_parameter(&choice.block, &item.generics))
    {
        let is_first = block.to_token_stream().to_string() == first.to_token_stream().to_string();
        clause.predicates.push(if is_first {
            parse_quote!(#block: #MODULE)
        } else {
            parse_quote!(#block: #MODULE<Input = <#first as #MODULE>::Input, Output = <#first as #MODULE>::Output>)
        });
    }
    for parameter in item.generics.type_params() {
        let ident = &parameter.ident;
        clause.predicates.push(parse_quote!(#ident: 'static));
    }
    generics
}
