//! `impl Module`: the name, the constants, the walk, and the models inside.

use proc_macro2::TokenStream;
use quote::quote;
use syn::ext::IdentExt as _;
use syn::spanned::Spanned as _;

use super::generics::model_types;
use super::names::local;
use super::walk::optional_qconfig;
use super::{Context, pattern};
use crate::runtime::{FIELD, LOADERS, MODULE, RESULT, TENSOR, TRACER, VALUE, allow, at};

impl Context<'_> {
    pub fn implement_module(&self) -> TokenStream {
        let allow = allow();
        let (parameters, _, clause) = self.generics.split_for_impl();
        let Self { self_ty, this, .. } = self;
        let name = self.model.ident.unraw().to_string();
        let (input, output) = (self.input_type(&TENSOR), self.output_type(&TENSOR));
        let (input_values, output_values) = (self.input_type(&VALUE), self.output_type(&VALUE));
        let graph = self.graph_const();
        let fusions = self.fusions_const();
        let tracer = local("tracer");
        let inputs = self.names.locals(self.plan.graph.inputs.iter().copied());
        let inputs = pattern(&inputs, inputs.len() != 1);
        let body = self.walk();
        let loaders = self.loaders();
        let field = self.field();
        quote! {
            #[automatically_derived]
            #allow
            impl #parameters #MODULE for #self_ty #clause {
                const NAME: &'static ::core::primitive::str = #name;
                type Input = #input;
                type Output = #output;

                #graph
                #fusions

                fn trace(
                    &#this,
                    #tracer: &mut #TRACER<'_>,
                    #inputs: #input_values,
                ) -> #RESULT<#output_values> {
                    #body
                }

                #loaders
                #field
            }
        }
    }

    /// What the attributes say of fields, for calls of them from another model.
    fn field(&self) -> Option<TokenStream> {
        let this = self.this;
        let name = local("name");
        let arms = self.model.fields.iter().filter_map(|field| {
            let attributes = &field.attributes;
            let says_nothing =
                attributes.rename.is_none() && !attributes.skip && attributes.qconfig.is_none();
            let (ident, key, skip) = (field.ident.unraw().to_string(), field.state_name(), attributes.skip);
            let qconfig = optional_qconfig(attributes.qconfig.as_ref());
            (!says_nothing).then(|| quote!(#ident => #FIELD { key: #key, skip: #skip, qconfig: #qconfig },))
        });
        let arms: Vec<TokenStream> = arms.collect();
        (!arms.is_empty()).then(|| {
            quote! {
                fn field(&#this, #name: &'static ::core::primitive::str) -> #FIELD {
                    match #name {
                        #(#arms)*
                        #name => #FIELD::new(#name),
                    }
                }
            }
        })
    }

    /// The models inside of this one, which know the operations of users' own that they hold.
    fn loaders(&self) -> Option<TokenStream> {
        let models = model_types(&self.plan.graph);
        let loaders = local("loaders");
        let calls = models.iter().map(|ty| {
            let module = at(ty.span(), quote!(#MODULE));
            quote!(<#ty as #module>::loaders(#loaders);)
        });
        (!models.is_empty()).then(|| quote!(fn loaders(#loaders: &mut #LOADERS) { #(#calls)* }))
    }
}
