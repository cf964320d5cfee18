//! Tokens to [`Model`] (the struct) and [`Forward`] (the impl): definitions shared by all later stages.

mod attrs;
pub mod configure;
mod forward;
pub mod kind;
mod model;

use proc_macro2::Span;
use qcatalogue::Operation;
use syn::ext::IdentExt;
use syn::{Attribute, Generics, Ident, ImplItemFn, ItemImpl, ItemStruct, Token, Type, Visibility};

pub use attrs::{crate_path, is_ours, of_struct, options};
pub use forward::{forward, take_methods};
pub use model::model;

/// The user's struct.
#[derive(Debug)]
pub struct Model {
    pub ident: Ident,
    pub generics: Generics,
    pub fields: Vec<Field>,
    /// The struct as it is emitted: without our attributes.
    pub item: ItemStruct,
}

/// One field of the user's struct.
#[derive(Debug)]
pub struct Field {
    pub ident: Ident,
    pub ty: Type,
    pub kind: FieldKind,
    pub attributes: FieldAttributes,
}

impl Field {
    /// The first segment of its state-dict keys: the field's name unless `rename` says otherwise.
    pub fn state_name(&self) -> String {
        self.attributes.rename.clone().unwrap_or_else(|| self.ident.unraw().to_string())
    }
}

/// What a field can be used for, by the look of its type.
#[derive(Clone, Debug)]
pub enum FieldKind {
    Layer(&'static Operation),
    /// `Sequential<(A, B)>`: the element types and their kinds.
    Sequential(Vec<(Type, FieldKind)>),
    Vec(Box<(Type, FieldKind)>),
    Option(Box<(Type, FieldKind)>),
    /// `(Conv2d, Linear)`: as many fields in one.
    Tuple(Vec<(Type, FieldKind)>),
    /// `Box`, `Arc` or `Rc` of a layer or of something that holds one.
    Pointer(Box<(Type, FieldKind)>),
    /// `bool`.
    Flag,
    /// Numbers, strings, arrays and tuples of them, `PhantomData`.
    Config,
    /// Any other type: a nested `#[quantizable]` model if it is called, config otherwise.
    Other,
}

/// `#[quantizable(skip, rename = "features", first = 1, qconfig = path, unused, model)]` on a field.
#[derive(Debug, Default)]
pub struct FieldAttributes {
    pub skip: bool,
    pub rename: Option<String>,
    /// The index of the first element in the state dict.
    pub first: usize,
    pub qconfig: Option<syn::Path>,
    /// The field is not used in `forward`, and that is meant.
    pub unused: bool,
    /// The type is a nested model although its name looks like a mistyped layer.
    pub model: bool,
}

/// The user's impl block with its `forward`.
#[derive(Debug)]
pub struct Forward {
    /// The impl block without `forward` and `methods` (constructors and so on are emitted as they are).
    pub item: ItemImpl,
    /// The functions of the impl that `forward` calls with tensors: their bodies are read where they are called.
    pub methods: Vec<ImplItemFn>,
    /// Attributes of `forward` other than ours, doc comments among them.
    pub attributes: Vec<Attribute>,
    pub vis: Visibility,
    /// The user's `self`: generated signatures take this one, so that the body's `self` means it.
    pub self_token: Token![self],
    /// Parameter names after `self`.
    pub inputs: Vec<Ident>,
    /// Which of the inputs were declared `mut`.
    pub mutable_inputs: Vec<bool>,
    /// How many tensors it returns, and whether as a tuple. 0 if the return type was reported.
    pub output_count: usize,
    /// The types of the signature as written: generated code names them once, so that their imports are used.
    pub types: Vec<Type>,
    pub output_is_tuple: bool,
    pub body: syn::Block,
    /// `forward`'s name, for errors about the whole of it.
    pub span: Span,
    pub options: ForwardOptions,
}

impl Forward {
    /// The body of `forward`, and those of the functions that it calls.
    pub fn bodies(&self) -> impl Iterator<Item = &syn::Block> {
        std::iter::once(&self.body).chain(self.methods.iter().map(|method| &method.block))
    }
}

/// `#[quantizable(stubs = "manual", deny(float_ops), dump, prepared = Name, converted = Name)]` on the impl.
#[derive(Clone, Debug, Default)]
pub struct ForwardOptions {
    pub manual_stubs: bool,
    pub deny_float_ops: bool,
    pub dump: bool,
    /// The names of the variants, if they are not to be `NetPrepared` and `NetConverted`.
    pub prepared: Option<Ident>,
    pub converted: Option<Ident>,
}
