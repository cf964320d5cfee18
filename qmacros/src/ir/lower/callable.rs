//! What can be called: fields of the model, their elements and their contents.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::ext::IdentExt;
use syn::{Expr, ExprField, Ident, Index, Member, Type, UnOp};

use super::Lowering;
use super::scope::Bound;
use crate::errors::{Message, did_you_mean, list};
use crate::ir::{LoopId, PathSegment, Place};
use crate::parse::{Field, FieldKind};

/// A layer, a model or a container of them, and how to get at it.
#[derive(Clone, Debug)]
pub struct Callable {
    /// A place expression: see [`Place::float_expr`].
    pub float_expr: TokenStream,
    pub ty: Type,
    pub kind: FieldKind,
    pub path: Vec<PathSegment>,
    /// What the generated field is called: `downsample_0`.
    pub label: String,
    /// As the user would write it: `self.downsample`, `block`.
    pub spelling: String,
    pub root: Root,
}

/// The field of the struct that a callable comes from.
#[derive(Clone, Debug)]
pub struct Root {
    pub field: Ident,
    pub skip: bool,
    pub qconfig: Option<syn::Path>,
}

impl Callable {
    pub fn of_field(field: &Field, self_token: &Expr, ident: &Ident) -> Self {
        let name = field.ident.unraw().to_string();
        Self {
            float_expr: quote_spanned!(ident.span()=> #self_token.#ident),
            ty: field.ty.clone(),
            kind: field.kind.clone(),
            path: field.state_name().split('.').map(|part| PathSegment::Name(part.to_owned())).collect(),
            spelling: format!("self.{name}"),
            label: name,
            root: Root {
                field: field.ident.clone(),
                skip: field.attributes.skip,
                qconfig: field.attributes.qconfig.clone(),
            },
        }
    }

    /// Element `index` of a `Sequential`.
    pub fn element(&self, index: usize, ty: &Type, kind: &FieldKind) -> Self {
        let position = Index::from(index);
        let whole = &self.float_expr;
        let mut path = self.path.clone();
        path.push(PathSegment::Name(index.to_string()));
        Self {
            float_expr: quote_spanned!(self.root.field.span()=> #whole.0.#position),
            ty: ty.clone(),
            kind: kind.clone(),
            path,
            label: format!("{}_{index}", self.label),
            spelling: format!("{}.0.{index}", self.spelling),
            root: self.root.clone(),
        }
    }

    /// What `binding` refers to in `for binding in self` over a `Vec`.
    pub fn iterated(&self, binding: &Ident, label: String, id: LoopId, ty: &Type, kind: &FieldKind) -> Self {
        let mut path = self.path.clone();
        path.push(PathSegment::Index(id));
        Self { path, label, ..self.bound_to(binding, ty, kind) }
    }

    /// What `binding` refers to in `Some(binding)`.
    pub fn content(&self, binding: &Ident, ty: &Type, kind: &FieldKind) -> Self {
        self.bound_to(binding, ty, kind)
    }

    fn bound_to(&self, binding: &Ident, ty: &Type, kind: &FieldKind) -> Self {
        Self {
            float_expr: quote_spanned!(binding.span()=> (*#binding)),
            ty: ty.clone(),
            kind: kind.clone(),
            spelling: binding.to_string(),
            ..self.clone()
        }
    }

    pub fn place(&self) -> Place {
        Place {
            float_expr: self.float_expr.clone(),
            ty: self.ty.clone(),
            path: self.path.clone(),
            root_field: self.root.field.clone(),
            skip: self.root.skip,
            qconfig: self.root.qconfig.clone(),
        }
    }
}

/// Whether values of this kind are layers or models, or hold some.
pub fn can_run(kind: &FieldKind) -> bool {
    match kind {
        FieldKind::Layer(_) | FieldKind::Sequential(_) | FieldKind::Other => true,
        FieldKind::Vec(element) | FieldKind::Option(element) => can_run(&element.1),
        FieldKind::Flag | FieldKind::Config => false,
    }
}

pub fn peeled(expr: &Expr) -> &Expr {
    match expr {
        Expr::Paren(paren) => peeled(&paren.expr),
        Expr::Group(group) => peeled(&group.expr),
        expr => expr,
    }
}

/// Without parentheses, `&` and `*`.
pub fn dereferenced(expr: &Expr) -> &Expr {
    match peeled(expr) {
        Expr::Reference(reference) if reference.mutability.is_none() => dereferenced(&reference.expr),
        Expr::Unary(unary) if matches!(unary.op, UnOp::Deref(_)) => dereferenced(&unary.expr),
        expr => expr,
    }
}

pub fn is_self(expr: &Expr) -> bool {
    matches!(peeled(expr), Expr::Path(path) if path.path.is_ident("self"))
}

pub fn plain_name(expr: &Expr) -> Option<&Ident> {
    match peeled(expr) {
        Expr::Path(path) if path.qself.is_none() => path.path.get_ident(),
        _ => None,
    }
}

/// `self.name`.
pub fn own_field(expr: &Expr) -> Option<(&Expr, &Ident)> {
    match peeled(expr) {
        Expr::Field(ExprField { base, member: Member::Named(ident), .. }) if is_self(base) => {
            Some((base, ident))
        }
        _ => None,
    }
}

impl Lowering<'_> {
    pub(super) fn field(&self, ident: &Ident) -> Option<&Field> {
        let name = ident.unraw();
        self.model.fields.iter().find(|field| field.ident.unraw() == name)
    }

    /// The callable that an expression names; `None` if it names none.
    pub(super) fn callable(&mut self, expr: &Expr) -> Option<Callable> {
        let expr = dereferenced(expr);
        if let Some((this, ident)) = own_field(expr) {
            return self.field(ident).map(|field| Callable::of_field(field, this, ident));
        }
        let name = plain_name(expr)?;
        match self.scopes.peek(name) {
            Some(Bound::Callable(_)) => match self.scopes.read(name) {
                Some(Bound::Callable(callable)) => Some(callable),
                _ => None,
            },
            _ => None,
        }
    }

    pub(super) fn refuse_unknown_field(&mut self, ident: &Ident) {
        let name = ident.unraw().to_string();
        let model = &self.model.ident;
        let known: Vec<String> =
            self.model.fields.iter().map(|field| field.ident.unraw().to_string()).collect();
        let help = match did_you_mean(&name, known.iter().map(String::as_str)) {
            Some(meant) => format!("did you mean `self.{meant}`?"),
            None if known.is_empty() => format!("add a field `{name}` to `{model}`"),
            None => format!("its fields are {}", list(known.iter().map(String::as_str))),
        };
        let message = Message::new(format!("`{model}` has no field `{name}`")).help(help);
        self.errors.error(ident, message);
    }
}
