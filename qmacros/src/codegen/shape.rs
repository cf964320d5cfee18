//! The generated structs: one field for each node of a block, a private type for each loop and branch.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote, quote_spanned};
use syn::Ident;
use syn::ext::IdentExt as _;

use super::Context;
use crate::ir::{Block, Callee, ModelNode, NodeKind, OpNode};
use crate::runtime::{CONVERTED_OP, LAYER, OP_MODULE, PREPARED_OP, QUANTIZABLE, allow, layer};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Prepared,
    Converted,
}

impl Stage {
    fn word(self) -> &'static str {
        match self {
            Self::Prepared => "Prepared",
            Self::Converted => "Converted",
        }
    }
}

/// The fields that a block becomes.
#[derive(Debug)]
pub struct Shape<'a> {
    pub fields: Vec<FieldShape<'a>>,
}

#[derive(Debug)]
pub struct FieldShape<'a> {
    pub ident: Ident,
    pub kind: FieldShapeKind<'a>,
}

#[derive(Debug)]
pub enum FieldShapeKind<'a> {
    Op(&'a OpNode),
    Model(&'a ModelNode),
    /// A `Vec` of structs.
    Loop {
        region: Region,
        body: Shape<'a>,
    },
    /// An enum with a variant for each arm.
    Branch {
        region: Region,
        then_shape: Shape<'a>,
        else_shape: Shape<'a>,
    },
}

/// The type of a loop's entry or of a branch in either stage: `BasicBlockPreparedDownsample`.
#[derive(Clone, Debug)]
pub struct Region {
    prepared: Ident,
    converted: Ident,
}

impl Region {
    pub fn of(&self, stage: Stage) -> &Ident {
        match stage {
            Stage::Prepared => &self.prepared,
            Stage::Converted => &self.converted,
        }
    }

    fn inside(&self, word: &str) -> Self {
        let [prepared, converted] = [&self.prepared, &self.converted]
            .map(|owner| region_type(owner, &Ident::new(word, Span::call_site())));
        Self { prepared, converted }
    }
}

impl FieldShape<'_> {
    /// The name in converted files.
    pub fn name(&self) -> String {
        self.ident.unraw().to_string()
    }
}

/// `BasicBlockPrepared`.
pub fn root_type(context: &Context<'_>, stage: Stage) -> Ident {
    format_ident!("{}{}", context.model.ident, stage.word())
}

pub fn root_shape<'a>(context: &Context<'a>) -> Shape<'a> {
    let root = Region {
        prepared: root_type(context, Stage::Prepared),
        converted: root_type(context, Stage::Converted),
    };
    shape(&context.planned.fused.body, &root)
}

fn shape<'a>(block: &'a Block, owner: &Region) -> Shape<'a> {
    let fields = block.nodes.iter().map(|node| match &node.kind {
        NodeKind::Op(op) => FieldShape { ident: op.field.clone(), kind: FieldShapeKind::Op(op) },
        NodeKind::Model(model) => {
            FieldShape { ident: model.field.clone(), kind: FieldShapeKind::Model(model) }
        }
        NodeKind::For(repeat) => {
            let region = owner.inside(&repeat.field.unraw().to_string());
            let body = shape(&repeat.body, &region);
            FieldShape { ident: repeat.field.clone(), kind: FieldShapeKind::Loop { region, body } }
        }
        NodeKind::Branch(branch) => {
            let region = owner.inside(&branch.field.unraw().to_string());
            let then_shape = shape(&branch.then_block, &region.inside("Then"));
            let else_shape = shape(&branch.else_block, &region.inside("Else"));
            let kind = FieldShapeKind::Branch { region, then_shape, else_shape };
            FieldShape { ident: branch.field.clone(), kind }
        }
    });
    Shape { fields: fields.collect() }
}

/// The type of a loop's entry or of a branch.
pub fn region_type(owner: &Ident, field: &Ident) -> Ident {
    let mut camel = String::new();
    for word in field.unraw().to_string().split('_') {
        let mut characters = word.chars();
        camel.extend(characters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(characters.as_str());
    }
    format_ident!("{owner}{camel}", span = owner.span())
}

impl Context<'_> {
    /// What the fields' types do not mention keeps its place in a generic type by this field.
    pub fn marker(&self) -> Option<Ident> {
        self.model.generics.type_params().next().map(|_| Ident::new("generics_marker", Span::mixed_site()))
    }

    fn marker_declaration(&self) -> Option<TokenStream> {
        let marker = self.marker()?;
        let ty = &self.self_ty;
        Some(quote!(#marker: ::core::marker::PhantomData<fn() -> #ty>,))
    }

    pub fn marker_value(&self) -> Option<TokenStream> {
        let marker = self.marker()?;
        Some(quote!(#marker: ::core::marker::PhantomData,))
    }

    /// The struct of a stage and the types of its loops and branches.
    pub fn declare(&self, stage: Stage, shape: &Shape<'_>) -> TokenStream {
        let allow = allow();
        let name = root_type(self, stage);
        let vis = &self.model.vis;
        let docs = &self.model.docs;
        let what = match stage {
            Stage::Prepared => {
                format!(" [`{}`] with fused operations and observers: made by `prepare`.", self.model.ident)
            }
            Stage::Converted => format!(" [`{}`] in int8: made by `convert`.", self.model.ident),
        };
        let separator = (!docs.is_empty()).then(|| quote!(#[doc = ""]));
        let fields = self.declare_fields(stage, shape);
        let (parameters, _, clause) = self.generics.split_for_impl();
        let regions = self.declare_regions(stage, shape);
        quote! {
            #(#docs)*
            #separator
            #[doc = #what]
            #allow
            #vis struct #name #parameters #clause { #fields }
            #regions
        }
    }

    fn declare_fields(&self, stage: Stage, shape: &Shape<'_>) -> TokenStream {
        let fields = shape.fields.iter().map(|field| {
            let ident = &field.ident;
            let ty = self.field_type(stage, field);
            quote!(#ident: #ty,)
        });
        let marker = self.marker_declaration();
        quote!(#(#fields)* #marker)
    }

    fn declare_regions(&self, stage: Stage, shape: &Shape<'_>) -> TokenStream {
        let allow = allow();
        let (parameters, _, clause) = self.generics.split_for_impl();
        let regions = shape.fields.iter().map(|field| match &field.kind {
            FieldShapeKind::Op(_) | FieldShapeKind::Model(_) => TokenStream::new(),
            FieldShapeKind::Loop { region, body } => {
                let ty = region.of(stage);
                let fields = self.declare_fields(stage, body);
                let inner = self.declare_regions(stage, body);
                quote! {
                    #allow
                    struct #ty #parameters #clause { #fields }
                    #inner
                }
            }
            FieldShapeKind::Branch { region, then_shape, else_shape } => {
                let ty = region.of(stage);
                let then_fields = self.declare_fields(stage, then_shape);
                let else_fields = self.declare_fields(stage, else_shape);
                let in_then = self.declare_regions(stage, then_shape);
                let in_else = self.declare_regions(stage, else_shape);
                quote! {
                    #allow
                    enum #ty #parameters #clause { Then { #then_fields }, Else { #else_fields } }
                    #in_then
                    #in_else
                }
            }
        });
        quote!(#(#regions)*)
    }

    fn field_type(&self, stage: Stage, field: &FieldShape<'_>) -> TokenStream {
        let (_, arguments, _) = self.generics.split_for_impl();
        match &field.kind {
            FieldShapeKind::Op(op) => {
                let wrapper = match stage {
                    Stage::Prepared => PREPARED_OP,
                    Stage::Converted => CONVERTED_OP,
                };
                let operation = operation_type(op);
                quote!(#wrapper<#operation>)
            }
            FieldShapeKind::Model(model) => {
                let ty = &model.place.ty;
                let stage = Ident::new(stage.word(), Span::call_site());
                quote!(<#ty as #QUANTIZABLE>::#stage)
            }
            FieldShapeKind::Loop { region, .. } => {
                let ty = region.of(stage);
                quote!(::std::vec::Vec<#ty #arguments>)
            }
            FieldShapeKind::Branch { region, .. } => {
                let ty = region.of(stage);
                quote!(#ty #arguments)
            }
        }
    }
}

/// The type of an operation; what is fused into it does not change it.
fn operation_type(op: &OpNode) -> TokenStream {
    let first = &op.members[0];
    match &first.callee {
        Callee::Layer(place) => {
            let layer = layer(place.operation);
            quote!(<#layer as #LAYER>::Op)
        }
        Callee::Function(call) => {
            let name = Ident::new(call.function.operation.type_name, Span::call_site());
            quote_spanned!(first.span=> #OP_MODULE::#name)
        }
    }
}
