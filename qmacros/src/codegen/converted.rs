//! The int8 model, and its part of a converted file.

use proc_macro2::TokenStream;
use quote::quote;

use super::Context;
use super::names::{entry, local};
use super::prepared::{Base, Way, fields_pattern};
use super::shape::{FieldShapeKind, Shape, Stage, root_type};
use super::walk::{BranchHead, Variant, Walker};
use crate::ir::{BranchNode, ForNode, LoopId, ModelNode, OpNode};
use crate::runtime::{
    ARCHIVE, ARCHIVE_WRITER, CONVERTED_NETWORK, CONVERTED_OP, JOIN, QTENSOR, RECORD, RESULT, VALUE, allow,
};

struct Converted;

impl Variant for Converted {
    type Here = Way;

    fn op(&self, here: &Way, op: &OpNode, inputs: &[TokenStream], sizes: bool) -> TokenStream {
        let field = here.field(&op.field);
        if sizes {
            let sizes = local("sizes");
            quote!(#CONVERTED_OP::run_sized(#field, #(#inputs,)* &#sizes)?)
        } else {
            quote!(#CONVERTED_OP::run(#field, [#(#inputs),*])?)
        }
    }

    fn model(&self, here: &Way, model: &ModelNode, input: TokenStream) -> TokenStream {
        let ty = &model.place.ty;
        let field = here.field(&model.field);
        quote!(#CONVERTED_NETWORK::<#ty>::run(#field, #input)?)
    }

    fn repeat(&self, here: &Way, repeat: &ForNode) -> (TokenStream, Way) {
        here.entry(repeat)
    }

    fn branch(&self, here: &Way, branch: &BranchNode) -> BranchHead<Way> {
        here.arms(branch)
    }
}

impl Context<'_> {
    pub fn implement_converted(&self, shape: &Shape<'_>) -> TokenStream {
        let allow = allow();
        let (parameters, arguments, clause) = self.generics.split_for_impl();
        let name = root_type(self, Stage::Converted);
        let text = name.to_string();
        let self_ty = &self.self_ty;
        let this = local("self");
        let (input, output) = (self.input_type(&VALUE), self.output_type(&VALUE));
        let bound = self.input_pattern(&self.fused_names);
        let walker =
            Walker { names: &self.fused_names, liveness: &self.planned.fused_liveness, variant: Converted };
        let body = walker.function_body(&self.planned.fused, &Way::root(name.clone()));
        let visit = local("visit");
        let visits = visit_weights(shape, &Base::Struct(this.clone()), 0);
        let record = self.record_struct(&quote!(#name), shape);
        let regions = self.record_regions(shape);
        quote! {
            #[automatically_derived]
            #allow
            impl #parameters #CONVERTED_NETWORK<#self_ty> for #name #arguments #clause {
                fn run(&#this, #bound: #input) -> #RESULT<#output> { #body }

                fn visit_weights(&#this, #visit: &mut dyn ::core::ops::FnMut(&::core::primitive::str, &#QTENSOR)) { #visits }
            }

            #[automatically_derived]
            #allow
            impl #parameters ::core::fmt::Debug for #name #arguments #clause {
                fn fmt(&#this, f: &mut ::core::fmt::Formatter<'_>) -> ::core::fmt::Result {
                    f.debug_struct(#text).finish_non_exhaustive()
                }
            }

            #record
            #regions
        }
    }

    /// `impl Record` for a struct whose fields are the shape's.
    fn record_struct(&self, ty: &TokenStream, shape: &Shape<'_>) -> TokenStream {
        let this = local("self");
        let save = save_fields(shape, &Base::Struct(this.clone()));
        let load = self.load_fields(&quote!(Self), shape);
        self.record(
            ty,
            &quote!(#save ::core::result::Result::Ok(())),
            &quote!(::core::result::Result::Ok(#load)),
        )
    }

    fn record(&self, ty: &TokenStream, save: &TokenStream, load: &TokenStream) -> TokenStream {
        let allow = allow();
        let (parameters, arguments, clause) = self.generics.split_for_impl();
        let (this, archive, path) = (local("self"), local("archive"), local("path"));
        quote! {
            #[automatically_derived]
            #allow
            impl #parameters #RECORD for #ty #arguments #clause {
                fn save(&#this, #archive: &mut #ARCHIVE_WRITER, #path: &::core::primitive::str) -> #RESULT<()> { #save }

                fn load(#archive: &#ARCHIVE, #path: &::core::primitive::str) -> #RESULT<Self> { #load }
            }
        }
    }

    fn load_fields(&self, ty: &TokenStream, shape: &Shape<'_>) -> TokenStream {
        let (archive, path) = (local("archive"), local("path"));
        let fields = shape.fields.iter().map(|field| {
            let (ident, name) = (&field.ident, field.name());
            quote!(#ident: #RECORD::load(#archive, &#JOIN(#path, #name))?,)
        });
        let marker = self.marker_value();
        quote!(#ty { #(#fields)* #marker })
    }

    fn record_regions(&self, shape: &Shape<'_>) -> TokenStream {
        let regions = shape.fields.iter().map(|field| match &field.kind {
            FieldShapeKind::Op(_) | FieldShapeKind::Model(_) => TokenStream::new(),
            FieldShapeKind::Loop { region, body } => {
                let ty = region.of(Stage::Converted);
                let record = self.record_struct(&quote!(#ty), body);
                let inner = self.record_regions(body);
                quote!(#record #inner)
            }
            FieldShapeKind::Branch { region, then_shape, else_shape } => {
                let ty = region.of(Stage::Converted);
                let (this, archive, path) = (local("self"), local("archive"), local("path"));
                let (then_pattern, else_pattern) = (fields_pattern(then_shape), fields_pattern(else_shape));
                let (save_then, save_else) =
                    (save_fields(then_shape, &Base::Bound), save_fields(else_shape, &Base::Bound));
                let load_then = self.load_fields(&quote!(Self::Then), then_shape);
                let load_else = self.load_fields(&quote!(Self::Else), else_shape);
                let save = quote! {
                    match #this {
                        Self::Then { #then_pattern } => { #archive.put_arm(#path, "then")?; #save_then }
                        Self::Else { #else_pattern } => { #archive.put_arm(#path, "else")?; #save_else }
                    }
                    ::core::result::Result::Ok(())
                };
                let load = quote! {
                    match #archive.arm(#path)? {
                        "then" => ::core::result::Result::Ok(#load_then),
                        "else" => ::core::result::Result::Ok(#load_else),
                        arm => ::core::result::Result::Err(#archive.unknown_arm(#path, arm)),
                    }
                };
                let record = self.record(&quote!(#ty), &save, &load);
                let (in_then, in_else) = (self.record_regions(then_shape), self.record_regions(else_shape));
                quote!(#record #in_then #in_else)
            }
        });
        quote!(#(#regions)*)
    }
}

fn way(base: &Base) -> Way {
    Way { owner: local("Self"), base: base.clone() }
}

fn save_fields(shape: &Shape<'_>, base: &Base) -> TokenStream {
    let (archive, path) = (local("archive"), local("path"));
    let way = way(base);
    let fields = shape.fields.iter().map(|field| {
        let (source, name) = (way.field(&field.ident), field.name());
        quote!(#RECORD::save(#source, #archive, &#JOIN(#path, #name))?;)
    });
    quote!(#(#fields)*)
}

fn visit_weights(shape: &Shape<'_>, base: &Base, depth: usize) -> TokenStream {
    let visit = local("visit");
    let way = way(base);
    let fields = shape.fields.iter().map(|field| {
        let source = way.field(&field.ident);
        match &field.kind {
            FieldShapeKind::Op(_) => quote!(#CONVERTED_OP::visit_weights(#source, #visit);),
            FieldShapeKind::Model(model) => {
                let ty = &model.place.ty;
                quote!(#CONVERTED_NETWORK::<#ty>::visit_weights(#source, #visit);)
            }
            FieldShapeKind::Loop { body, .. } => {
                let entry = entry(LoopId(depth));
                let inside = visit_weights(body, &Base::Struct(entry.clone()), depth + 1);
                quote!(for #entry in #source { #inside })
            }
            FieldShapeKind::Branch { region, then_shape, else_shape } => {
                let ty = region.of(Stage::Converted);
                let (then_pattern, else_pattern) = (fields_pattern(then_shape), fields_pattern(else_shape));
                let in_then = visit_weights(then_shape, &Base::Bound, depth);
                let in_else = visit_weights(else_shape, &Base::Bound, depth);
                quote! {
                    match #source {
                        #ty::Then { #then_pattern } => { #in_then }
                        #ty::Else { #else_pattern } => { #in_else }
                    }
                }
            }
        }
    });
    quote!(#(#fields)*)
}
