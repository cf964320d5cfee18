//! The model with observers or fake-quantizers.

use proc_macro2::TokenStream;
use quote::quote;
use syn::Ident;

use super::Context;
use super::names::{entry, field_local, local};
use super::shape::{FieldShapeKind, Shape, Stage, region_type, root_type};
use super::walk::{BranchHead, Variant, Walker};
use crate::ir::{Block, BranchNode, ForNode, ModelNode, NodeKind, OpNode};
use crate::runtime::{CONVERSION, OBSERVATION, PREPARED_NETWORK, PREPARED_OP, RESULT, TENSOR, allow};

/// The way to the fields of a block of a generated struct.
#[derive(Clone)]
pub struct Way {
    /// The type for whose regions names are made.
    pub owner: Ident,
    pub base: Base,
}

#[derive(Clone)]
pub enum Base {
    /// Fields of a struct: `self`, `entry_0`.
    Struct(Ident),
    /// References that a pattern has bound.
    Bound,
}

impl Way {
    pub fn root(owner: Ident) -> Self {
        Self { owner, base: Base::Struct(local("self")) }
    }

    /// A reference to the field.
    pub fn field(&self, field: &Ident) -> TokenStream {
        match &self.base {
            Base::Struct(base) => quote!(&#base.#field),
            Base::Bound => {
                let bound = field_local(field);
                quote!(#bound)
            }
        }
    }

    pub fn entry(&self, repeat: &ForNode) -> (TokenStream, Self) {
        let entry = entry(repeat.id);
        let list = self.field(&repeat.field);
        let inside =
            Self { owner: region_type(&self.owner, &repeat.field), base: Base::Struct(entry.clone()) };
        (quote!(for #entry in #list), inside)
    }

    pub fn arms(&self, branch: &BranchNode) -> BranchHead<Self> {
        let ty = region_type(&self.owner, &branch.field);
        let arm = |block: &Block, variant: &str| {
            let owner = region_type(&ty, &local(variant));
            let variant = local(variant);
            let fields = block.nodes.iter().map(|node| {
                let field = match &node.kind {
                    NodeKind::Op(op) => &op.field,
                    NodeKind::Model(model) => &model.field,
                    NodeKind::For(repeat) => &repeat.field,
                    NodeKind::Branch(branch) => &branch.field,
                };
                let bound = field_local(field);
                quote!(#field: #bound,)
            });
            (quote!(#ty::#variant { #(#fields)* .. }), Self { owner, base: Base::Bound })
        };
        let (then_pattern, then_here) = arm(&branch.then_block, "Then");
        let (else_pattern, else_here) = arm(&branch.else_block, "Else");
        BranchHead { scrutinee: self.field(&branch.field), then_pattern, then_here, else_pattern, else_here }
    }
}

struct Prepared;

impl Variant for Prepared {
    type Here = Way;

    fn op(&self, here: &Way, op: &OpNode, inputs: &[TokenStream], sizes: bool) -> TokenStream {
        let field = here.field(&op.field);
        let observation = local("observation");
        if sizes {
            let sizes = local("sizes");
            quote!(#PREPARED_OP::run_sized(#field, #observation, #(#inputs,)* &#sizes)?)
        } else {
            quote!(#PREPARED_OP::run(#field, #observation, [#(#inputs),*])?)
        }
    }

    fn model(&self, here: &Way, model: &ModelNode, input: TokenStream) -> TokenStream {
        let ty = &model.place.ty;
        let field = here.field(&model.field);
        let observation = local("observation");
        quote!(#PREPARED_NETWORK::<#ty>::run(#field, #observation, #input)?)
    }

    fn repeat(&self, here: &Way, repeat: &ForNode) -> (TokenStream, Way) {
        here.entry(repeat)
    }

    fn branch(&self, here: &Way, branch: &BranchNode) -> BranchHead<Way> {
        here.arms(branch)
    }
}

impl Context<'_> {
    pub fn implement_prepared(&self, shape: &Shape<'_>) -> TokenStream {
        let allow = allow();
        let (parameters, arguments, clause) = self.generics.split_for_impl();
        let name = root_type(self, Stage::Prepared);
        let text = name.to_string();
        let self_ty = &self.self_ty;
        let this = local("self");
        let (input, output) = (self.input_type(&TENSOR), self.output_type(&TENSOR));
        let bound = self.input_pattern(&self.fused_names);
        let (observation, conversion) = (local("observation"), local("conversion"));
        let walker =
            Walker { names: &self.fused_names, liveness: &self.planned.fused_liveness, variant: Prepared };
        let body = walker.function_body(&self.planned.fused, &Way::root(name.clone()));
        let converted = root_type(self, Stage::Converted);
        let convert = self.convert_struct(&quote!(#converted), shape, &Base::Struct(this.clone()));
        let clones = self.clone_regions(shape);
        let clone = self.clone_struct(&quote!(Self), shape, &Base::Struct(this.clone()));
        quote! {
            #[automatically_derived]
            #allow
            impl #parameters #PREPARED_NETWORK<#self_ty> for #name #arguments #clause {
                fn run(&#this, #observation: &mut #OBSERVATION<'_>, #bound: #input) -> #RESULT<#output> { #body }

                fn convert(&#this, #conversion: &#CONVERSION<'_>) -> #RESULT<#converted #arguments> {
                    ::core::result::Result::Ok(#convert)
                }
            }

            #[automatically_derived]
            #allow
            impl #parameters ::core::clone::Clone for #name #arguments #clause {
                fn clone(&#this) -> Self { #clone }
            }

            #[automatically_derived]
            #allow
            impl #parameters ::core::fmt::Debug for #name #arguments #clause {
                fn fmt(&#this, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct(#text).finish_non_exhaustive()
                }
            }

            #clones
        }
    }

    /// `ty` is the converted type of the shape's struct or variant.
    fn convert_struct(&self, ty: &TokenStream, shape: &Shape<'_>, base: &Base) -> TokenStream {
        let way = Way { owner: local("Self"), base: base.clone() };
        let conversion = local("conversion");
        let fields = shape.fields.iter().map(|field| {
            let ident = &field.ident;
            let source = way.field(ident);
            let converted = match &field.kind {
                FieldShapeKind::Op(_) => quote!(#PREPARED_OP::convert(#source, #conversion)?),
                FieldShapeKind::Model(model) => {
                    let model = &model.place.ty;
                    quote!(#PREPARED_NETWORK::<#model>::convert(#source, #conversion)?)
                }
                FieldShapeKind::Loop { region, body } => {
                    let (entry, made) = (local("entry"), local("made"));
                    let ty = region.of(Stage::Converted);
                    let value = self.convert_struct(&quote!(#ty), body, &Base::Struct(entry.clone()));
                    quote!({
                        let mut #made = ::std::vec::Vec::new();
                        for #entry in #source { #made.push(#value); }
                        #made
                    })
                }
                FieldShapeKind::Branch { region, then_shape, else_shape } => {
                    let (ty, target) = (region.of(Stage::Prepared), region.of(Stage::Converted));
                    let then_pattern = fields_pattern(then_shape);
                    let else_pattern = fields_pattern(else_shape);
                    let then_value = self.convert_struct(&quote!(#target::Then), then_shape, &Base::Bound);
                    let else_value = self.convert_struct(&quote!(#target::Else), else_shape, &Base::Bound);
                    quote!(match #source {
                        #ty::Then { #then_pattern } => #then_value,
                        #ty::Else { #else_pattern } => #else_value,
                    })
                }
            };
            quote!(#ident: #converted,)
        });
        let marker = self.marker_value();
        quote!(#ty { #(#fields)* #marker })
    }

    fn clone_struct(&self, ty: &TokenStream, shape: &Shape<'_>, base: &Base) -> TokenStream {
        let way = Way { owner: local("Self"), base: base.clone() };
        let fields = shape.fields.iter().map(|field| {
            let ident = &field.ident;
            let source = way.field(ident);
            quote!(#ident: ::core::clone::Clone::clone(#source),)
        });
        let marker = self.marker_value();
        quote!(#ty { #(#fields)* #marker })
    }

    fn clone_regions(&self, shape: &Shape<'_>) -> TokenStream {
        let allow = allow();
        let (parameters, arguments, clause) = self.generics.split_for_impl();
        let this = local("self");
        let regions = shape.fields.iter().map(|field| {
            let (ty, body, inner) = match &field.kind {
                FieldShapeKind::Op(_) | FieldShapeKind::Model(_) => return TokenStream::new(),
                FieldShapeKind::Loop { region, body } => {
                    let clone = self.clone_struct(&quote!(Self), body, &Base::Struct(this.clone()));
                    (region.of(Stage::Prepared), clone, self.clone_regions(body))
                }
                FieldShapeKind::Branch { region, then_shape, else_shape } => {
                    let then_pattern = fields_pattern(then_shape);
                    let else_pattern = fields_pattern(else_shape);
                    let then_value = self.clone_struct(&quote!(Self::Then), then_shape, &Base::Bound);
                    let else_value = self.clone_struct(&quote!(Self::Else), else_shape, &Base::Bound);
                    let clone = quote!(match #this {
                        Self::Then { #then_pattern } => #then_value,
                        Self::Else { #else_pattern } => #else_value,
                    });
                    let (in_then, in_else) = (self.clone_regions(then_shape), self.clone_regions(else_shape));
                    (region.of(Stage::Prepared), clone, quote!(#in_then #in_else))
                }
            };
            quote! {
                #[automatically_derived]
                #allow
                impl #parameters ::core::clone::Clone for #ty #arguments #clause {
                    fn clone(&#this) -> Self { #body }
                }
                #inner
            }
        });
        quote!(#(#regions)*)
    }
}

/// `conv1: conv1, bn1: bn1, ..`: references to the fields of a variant.
pub fn fields_pattern(shape: &Shape<'_>) -> TokenStream {
    let fields = shape.fields.iter().map(|field| {
        let ident = &field.ident;
        let bound = field_local(ident);
        quote!(#ident: #bound,)
    });
    quote!(#(#fields)* ..)
}
