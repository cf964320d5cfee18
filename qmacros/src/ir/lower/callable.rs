//! What can be called: fields of the model, their elements and their contents.

use proc_macro2::TokenStream;
use quote::quote_spanned;
use syn::ext::IdentExt;
use syn::{Expr, ExprField, ExprIndex, Ident, Index, Member, Token, Type, UnOp};

use super::Lowering;
use super::arguments::source;
use super::scope::Bound;
use crate::errors::{Message, did_you_mean, list};
use crate::ir::{Inner, LoopId, PathSegment, Place};
use crate::parse::kind::can_run;
use crate::parse::{Field, FieldKind};
use crate::runtime::ELEMENT;

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
    /// See [`Place::within`].
    pub within: Vec<Inner>,
}

/// The field of the struct that a callable comes from.
#[derive(Clone, Debug)]
pub struct Root {
    pub field: Ident,
    pub skip: bool,
    pub qconfig: Option<syn::Path>,
    /// The index of the first element of the list that the field is.
    pub first: usize,
}

impl Callable {
    pub fn of_field(field: &Field, self_token: &Expr, ident: &Ident) -> Self {
        let name = field.ident.unraw().to_string();
        let state_name = field.state_name();
        let parts = state_name.split('.').filter(|part| !part.is_empty());
        let path = parts.map(|part| PathSegment::Name(part.to_owned())).collect();
        let whole = Self {
            float_expr: quote_spanned!(ident.span()=> #self_token.#ident),
            ty: field.ty.clone(),
            kind: field.kind.clone(),
            path,
            spelling: format!("self.{name}"),
            label: name,
            root: Root {
                field: field.ident.clone(),
                skip: field.attributes.skip,
                qconfig: field.attributes.qconfig.clone(),
                first: field.attributes.first,
            },
            within: Vec::new(),
        };
        whole.opened()
    }

    /// What a `Box` or an `Arc` points to.
    fn opened(self) -> Self {
        let FieldKind::Pointer(content) = &self.kind else { return self };
        let (ty, kind) = (**content).clone();
        let pointer = &self.float_expr;
        let float_expr = quote_spanned!(self.root.field.span()=> (*#pointer));
        Self { float_expr, ty, kind, ..self }.opened()
    }

    /// Element `index` of a `Sequential`.
    pub fn element(&self, index: usize, ty: &Type, kind: &FieldKind) -> Self {
        let position = Index::from(index);
        let whole = &self.float_expr;
        let place = quote_spanned!(self.root.field.span()=> #whole.0.#position);
        self.part(index, place, format!("{}.0.{index}", self.spelling), ty, kind)
    }

    /// Element `index` of a tuple.
    pub fn member(&self, index: &Index, ty: &Type, kind: &FieldKind) -> Self {
        let whole = &self.float_expr;
        let position = index.index as usize;
        let place = quote_spanned!(index.span=> #whole.#index);
        self.part(position, place, format!("{}.{position}", self.spelling), ty, kind)
    }

    fn part(
        &self,
        index: usize,
        float_expr: TokenStream,
        spelling: String,
        ty: &Type,
        kind: &FieldKind,
    ) -> Self {
        let mut path = self.path.clone();
        path.push(PathSegment::Name(index.to_string()));
        let label = format!("{}_{index}", self.label);
        let (ty, kind) = (ty.clone(), kind.clone());
        Self { float_expr, ty, kind, path, label, spelling, ..self.clone() }.opened()
    }

    /// The field of a model of which nothing but its name is known: `stem` of `self.backbone`.
    pub fn inner(&self, field: &Ident) -> Self {
        let model = &self.float_expr;
        let mut within = self.within.clone();
        within.push(Inner { model: model.clone(), ty: self.ty.clone(), field: field.clone() });
        let name = field.unraw();
        Self {
            float_expr: quote_spanned!(field.span()=> #model.#field),
            ty: Type::Infer(syn::TypeInfer { attrs: Vec::new(), underscore_token: Token![_](field.span()) }),
            kind: FieldKind::Other,
            label: format!("{}_{name}", self.label),
            spelling: format!("{}.{name}", self.spelling),
            within,
            ..self.clone()
        }
    }

    /// The index of the first element, if this is the list that the field is.
    fn first(&self) -> usize {
        let is_whole = self.spelling == format!("self.{}", self.root.field.unraw());
        if is_whole { self.root.first } else { 0 }
    }

    /// Element `number` of a `Vec` or an array: `self.convs[0]`, `self.convs[i]`.
    pub fn indexed(&self, number: &TokenStream, spelling: &str, ty: &Type, kind: &FieldKind) -> Self {
        let (whole, name) = (&self.float_expr, &self.spelling);
        let mut path = self.path.clone();
        path.push(match number.to_string() {
            literal if let Ok(number) = literal.parse::<usize>() => {
                PathSegment::Name((number + self.first()).to_string())
            }
            _ if self.first() > 0 => {
                let first = self.first();
                PathSegment::Number(quote_spanned!(self.root.field.span()=> #number + #first))
            }
            _ => PathSegment::Number(number.clone()),
        });
        let written: String = spelling.chars().filter(|c| c.is_alphanumeric() || *c == '_').collect();
        let element = Self {
            float_expr: quote_spanned!(self.root.field.span()=> (*#ELEMENT(&#whole, #number, #name)?)),
            ty: ty.clone(),
            kind: kind.clone(),
            path,
            label: format!("{}_{written}", self.label),
            spelling: format!("{}[{spelling}]", self.spelling),
            ..self.clone()
        };
        element.opened()
    }

    /// What `binding` refers to in `for binding in self` over a `Vec`.
    pub fn iterated(&self, binding: &Ident, label: String, id: LoopId, ty: &Type, kind: &FieldKind) -> Self {
        let mut path = self.path.clone();
        path.push(PathSegment::Index { id, first: self.first() });
        Self { path, label, ..self.bound_to(binding, ty, kind) }.opened()
    }

    /// What `binding` refers to in `Some(binding)`.
    pub fn content(&self, binding: &Ident, ty: &Type, kind: &FieldKind) -> Self {
        self.bound_to(binding, ty, kind).opened()
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
            within: self.within.clone(),
        }
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
        if let Expr::Index(index) = expr {
            return self.element_of(index);
        }
        if let Expr::Field(ExprField { base, member: Member::Unnamed(index), .. }) = expr {
            let tuple = self.callable(base)?;
            let FieldKind::Tuple(elements) = &tuple.kind else { return None };
            let (ty, kind) = elements.get(index.index as usize)?;
            return Some(tuple.member(index, ty, kind));
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

    /// A callable, or a field of a model inside of this one: `self.backbone.stem`.
    pub(super) fn callable_within(&mut self, expr: &Expr) -> Option<Callable> {
        match dereferenced(expr) {
            Expr::Field(ExprField { base, member: Member::Named(ident), .. }) if !is_self(base) => {
                let model = self.callable_within(base)?;
                matches!(model.kind, FieldKind::Other).then(|| model.inner(ident))
            }
            expr => self.callable(expr),
        }
    }

    /// `self.convs[0]`, also of a `Vec` that a loop's variable names.
    fn element_of(&mut self, index: &ExprIndex) -> Option<Callable> {
        if !self.is_number(&index.index) {
            return None;
        }
        let list = self.callable(&index.expr)?;
        let FieldKind::Vec(element) = &list.kind else { return None };
        if !can_run(&element.1) {
            return None;
        }
        let number = self.number(&index.index);
        Some(list.indexed(&number, &source(&index.index), &element.0, &element.1))
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
