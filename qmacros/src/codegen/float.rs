//! The model as written: `forward`, and what runs behind it.

use proc_macro2::{Ident, TokenStream};
use qcatalogue::{Activation, Role};
use quote::{format_ident, quote, quote_spanned};

use super::Context;
use super::checks::as_layer;
use super::names::{Names, index};
use super::operation::{constructor, place_name, site_name};
use super::walk::{BranchHead, Variant, Walker};
use crate::ir::{BranchNode, Callee, Condition, ForNode, Member, ModelNode, OpNode, Place};
use crate::runtime::{FLOAT_CONV2D, FUSE_RELU, LAYER, OP, QUANTIZABLE, RESULT, TENSOR, allow};

/// A call runs in place on the user's struct, so that there is no way to keep track of.
struct Float;

impl Variant for Float {
    type Here = ();

    fn op(&self, (): &(), op: &OpNode, inputs: &[TokenStream], sizes: bool) -> TokenStream {
        let (first, followers) = op.members.split_at(1);
        let first = &first[0];
        let name = site_name(op);
        match &first.callee {
            Callee::Layer(layer) if followers.is_empty() => {
                let layer = as_layer(layer);
                quote_spanned! {first.span=>
                    #LAYER::forward(#layer, #(#inputs),*).map_err(|error| error.in_layer(#name))?
                }
            }
            Callee::Layer(layer) => {
                let layer = as_layer(layer);
                let followers = followers.iter().map(behind_convolution);
                quote_spanned! {first.span=>
                    #FLOAT_CONV2D::from(#LAYER::op(#layer).map_err(|error| error.in_layer(#name))?)
                        #(#followers)*
                        .forward(#(#inputs),*)
                        .map_err(|error| error.in_layer(#name))?
                }
            }
            Callee::Function(call) => {
                let constructor = constructor(op, call);
                let constructor = match followers {
                    [] => constructor,
                    _ => quote!(#constructor.map(#FUSE_RELU::fuse_relu)),
                };
                let op = super::names::local("op");
                let run = if sizes {
                    let sizes = super::names::local("sizes");
                    quote!(#op.forward_sized(&mut [#(#inputs),*], &#sizes))
                } else {
                    quote!(#OP::forward(&#op, &mut [#(#inputs),*]))
                };
                quote_spanned! {first.span=>
                    #constructor.and_then(|#op| #run).map_err(|error| error.in_layer(#name))?
                }
            }
        }
    }

    fn model(&self, (): &(), model: &ModelNode, input: TokenStream) -> TokenStream {
        let Place { ty, float_expr, .. } = &model.place;
        let name = place_name(&model.place);
        quote!(<#ty as #QUANTIZABLE>::run(&#float_expr, #input).map_err(|error| error.in_layer(#name))?)
    }

    fn repeat(&self, (): &(), repeat: &ForNode) -> (TokenStream, ()) {
        (float_loop(repeat), ())
    }

    fn branch(&self, (): &(), branch: &BranchNode) -> BranchHead<()> {
        let (scrutinee, [then_pattern, else_pattern]) = float_branch(branch);
        BranchHead { scrutinee, then_pattern, then_here: (), else_pattern, else_here: () }
    }
}

/// `.batch_norm(&self.bn1)?`, `.relu()` or `.relu6()`.
fn behind_convolution(member: &Member) -> TokenStream {
    let span = member.span;
    match &member.callee {
        Callee::Layer(layer) => match layer.operation.role {
            Role::Activation(Activation::Relu) => quote_spanned!(span=> .relu()),
            Role::Activation(Activation::Relu6) => quote_spanned!(span=> .relu6()),
            _ => {
                let (name, batch_norm) = (place_name(&layer.place), as_layer(layer));
                quote_spanned!(span=> .batch_norm(#batch_norm).map_err(|error| error.in_layer(#name))?)
            }
        },
        Callee::Function(call) => {
            let relu = Ident::new(call.function.name, span);
            quote_spanned!(span=> .#relu())
        }
    }
}

/// `for (index_0, block) in self.layers.iter().enumerate()`.
pub fn float_loop(repeat: &ForNode) -> TokenStream {
    let ForNode { iterable, binding, .. } = repeat;
    let index = index(repeat.id);
    quote!(for (#index, #binding) in ::core::iter::Iterator::enumerate(#iterable.iter()))
}

/// What is matched, and the patterns of the two arms.
pub fn float_branch(branch: &BranchNode) -> (TokenStream, [TokenStream; 2]) {
    match &branch.condition {
        Condition::Flag(flag) => (flag.clone(), [quote!(true), quote!(false)]),
        Condition::IsSome { option, binding } => {
            let some = quote!(::core::option::Option::Some(#binding));
            (quote!(&#option), [some, quote!(::core::option::Option::None)])
        }
    }
}

impl Context<'_> {
    /// `forward` as users call it, and the dump.
    pub fn inherent(&self) -> TokenStream {
        let allow = allow();
        let (parameters, _, clause) = self.generics.split_for_impl();
        let Self { self_ty, this, forward, .. } = self;
        let attributes = &forward.attributes;
        let vis = &forward.vis;
        let name = Ident::new("forward", forward.span);
        let (inputs, tensor) = (&forward.inputs, TENSOR);
        let output = self.result(&self.output_type(&TENSOR));
        let converted: Vec<TokenStream> =
            inputs.iter().map(|input| quote!(::core::convert::Into::<#TENSOR>::into(#input))).collect();
        let input = super::pattern(&converted, converted.len() != 1);
        let dump = self.planned.dump.as_ref().map(|dump| {
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
                #vis fn #name(&#this, #(#inputs: impl ::core::convert::Into<#tensor>),*) -> #output {
                    <Self as #QUANTIZABLE>::run(#this, #input)
                }

                #dump
            }
        }
    }

    pub fn implement_quantizable(&self) -> TokenStream {
        let allow = allow();
        let (parameters, arguments, clause) = self.generics.split_for_impl();
        let Self { self_ty, this, .. } = self;
        let prepared = format_ident!("{}Prepared", self.model.ident);
        let converted = format_ident!("{}Converted", self.model.ident);
        let (input, output) = (self.input_type(&TENSOR), self.output_type(&TENSOR));
        let graph = self.graph_const();
        let fusions = self.fusions_const();
        let bound = self.input_pattern(&self.float_names);
        let body = self.walk_float().function_body(&self.planned.float, &());
        let trace = self.trace();
        quote! {
            #[automatically_derived]
            #allow
            impl #parameters #QUANTIZABLE for #self_ty #clause {
                type Input = #input;
                type Output = #output;
                type Prepared = #prepared #arguments;
                type Converted = #converted #arguments;

                #graph
                #fusions

                fn run(&#this, #bound: #input) -> #RESULT<#output> { #body }

                #trace
            }
        }
    }

    fn walk_float(&self) -> Walker<'_, Float> {
        let names: &Names = &self.float_names;
        Walker { names, liveness: &self.planned.float_liveness, variant: Float }
    }
}
