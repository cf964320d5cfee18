//! Expressions: what each kind of the language stands for.

use proc_macro2::Span;
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::{Expr, ExprField, ExprIndex, ExprUnary, Ident, Member, UnOp};

use super::callable::{dereferenced, own_field, peeled, plain_name};
use super::numbers::is_tensor_type;
use super::scope::{Bound, Size};
use super::{Lowering, Wanted};
use crate::errors::{Message, did_you_mean, list};
use crate::ir::ValueId;
use crate::parse::FieldKind;

impl Lowering<'_> {
    pub(super) fn expression(&mut self, expr: &Expr, wanted: Wanted<'_>) -> Bound {
        if self.is_number(expr) {
            return self.number_or_tensor_field(expr);
        }
        match expr {
            Expr::Paren(paren) => self.expression(&paren.expr, wanted),
            Expr::Group(group) => self.expression(&group.expr, wanted),
            Expr::Reference(reference) => {
                if let Some(mutability) = &reference.mutability {
                    let message = Message::new("`&mut` of a value").help("assign instead: `x = relu(x);`");
                    self.errors.error(mutability, message);
                }
                self.expression(&reference.expr, wanted)
            }
            Expr::Path(path) => match path.path.get_ident() {
                Some(ident) if ident == "self" => self.refuse_bare_self(expr),
                Some(ident) => self.variable(ident),
                None => self.refuse_expression(expr),
            },
            Expr::Call(call) => self.call(call, wanted),
            Expr::MethodCall(call) => self.method_call(call, wanted),
            Expr::Binary(binary) => self.binary(binary),
            Expr::Unary(unary) => self.unary(unary),
            Expr::Tuple(tuple) => Bound::Tuple(
                tuple.elems.iter().map(|element| self.expression(element, Wanted::One)).collect(),
            ),
            Expr::Block(block) if block.label.is_none() => {
                self.scopes.enter();
                let (tail, _) = self.inner_block(&block.block, wanted);
                self.scopes.leave();
                tail.unwrap_or(Bound::Tuple(Vec::new()))
            }
            Expr::If(branch) => self.if_expression(branch, wanted),
            Expr::Match(branch) => self.match_expression(branch, wanted),
            Expr::Field(field) => self.member(expr, field),
            Expr::Index(index) => self.element(expr, index),
            Expr::Array(array) => self.list_of(&array.elems),
            Expr::Macro(call) => match self.list_macro(&call.mac) {
                Some(list) => list,
                None => self.refuse_expression(expr),
            },
            _ => self.refuse_expression(expr),
        }
    }

    fn number_or_tensor_field(&mut self, expr: &Expr) -> Bound {
        if let Some((_, ident)) = own_field(expr)
            && self.field(ident).is_some_and(|field| is_tensor_type(&field.ty))
        {
            let message = Message::new(format!("the field `{ident}` is a tensor"))
                .help(format!("pass it in as a parameter: `fn forward(&self, x: Tensor, {ident}: Tensor)`"));
            self.errors.error(ident, message.note("the weights of a model live in its layers"));
            return Bound::Poison;
        }
        Bound::Number(self.number(expr))
    }

    fn variable(&mut self, ident: &Ident) -> Bound {
        if let Some(bound) = self.scopes.read(ident) {
            return bound;
        }
        let name = ident.to_string();
        let help = if self.field(ident).is_some() {
            format!("fields are reached through `self`: `self.{name}`")
        } else {
            let visible = self.scopes.visible_names();
            let known = visible.iter().map(String::as_str);
            match did_you_mean(&name, known.clone()) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None if visible.is_empty() => "tensors come in as parameters of `forward`".to_owned(),
                None => format!("the names in scope are {}", list(known)),
            }
        };
        self.errors.error(ident, Message::new(format!("no value named `{name}`")).help(help));
        Bound::Poison
    }

    fn unary(&mut self, unary: &ExprUnary) -> Bound {
        match unary.op {
            UnOp::Neg(minus) => self.negated(&unary.expr, minus.span),
            UnOp::Deref(_) => self.expression(&unary.expr, Wanted::One),
            _ => {
                let message = Message::new("`!` of a tensor")
                    .help("use `!` on a `bool` field, as a condition: `if !self.flag { .. }`");
                self.errors.error(unary.op, message);
                Bound::Poison
            }
        }
    }

    /// `x.shape()[1]`, or a misplaced `self.convs[0]`.
    fn element(&mut self, expr: &Expr, index: &ExprIndex) -> Bound {
        if let Some(callable) = self.callable(expr) {
            let message = Message::new(format!("`{}` is a layer, not a tensor", callable.spelling))
                .help(format!("call it: `{}(x)`", callable.spelling));
            return self.refuse(expr, message);
        }
        let of_a_value = match peeled(&index.expr) {
            Expr::Path(_) | Expr::MethodCall(_) => self.expression(&index.expr, Wanted::One),
            _ => return self.refuse_expression(expr),
        };
        match of_a_value {
            Bound::Poison => Bound::Poison,
            Bound::List(elements) => self.list_element(&elements, expr, &index.index),
            Bound::Shape(tensor) if self.is_number(&index.index) => {
                Bound::Size(Size::Of { tensor, dim: self.number(&index.index) })
            }
            _ => self.refuse_expression(expr),
        }
    }

    /// `pair.0`, or a misplaced `self.conv1`.
    fn member(&mut self, expr: &Expr, field: &ExprField) -> Bound {
        if let Some((_, ident)) = own_field(expr) {
            match self.field(ident).map(|field| field.kind.clone()) {
                None => self.refuse_unknown_field(ident),
                Some(kind) => self.refuse_uncalled(ident, &kind),
            }
            return Bound::Poison;
        }
        if let Some(callable) = self.callable(&field.base) {
            let message = Message::new(format!("`{}` is reached into", callable.spelling))
                .help(format!("call the whole: `{}(x)`", callable.spelling))
                .note("the weights of a layer are changed by quantization, so `forward` may only call it");
            self.errors.error(expr, message);
            return Bound::Poison;
        }
        match (self.expression(&field.base, Wanted::One), &field.member) {
            (Bound::Poison, _) => Bound::Poison,
            (Bound::Tuple(elements), Member::Unnamed(index)) => {
                elements.get(index.index as usize).cloned().unwrap_or_else(|| {
                    let message = Message::new(format!("the tuple has no element {}", index.index))
                        .help(format!("its elements are 0 to {}", elements.len().saturating_sub(1)));
                    self.errors.error(index, message);
                    Bound::Poison
                })
            }
            (bound, member) => {
                let help = match member {
                    Member::Named(name) if qcatalogue::by_function(&name.to_string()).is_some() => {
                        format!("call it: `x.{name}()`")
                    }
                    _ => "bind the parts by a pattern: `let (a, b) = x.chunk(2, 1);`".to_owned(),
                };
                let message = Message::new(format!("{} has no member to read", bound.describe())).help(help);
                self.errors.error(member, message);
                Bound::Poison
            }
        }
    }

    fn refuse_uncalled(&mut self, ident: &Ident, kind: &FieldKind) {
        let message = match kind {
            FieldKind::Vec(_) => {
                Message::new(format!("`self.{ident}` is a `Vec`, not a tensor")).help(format!(
                    "call it, `self.{ident}(x)`, or loop: `for layer in &self.{ident} {{ x = layer(x); }}`"
                ))
            }
            FieldKind::Option(_) => Message::new(format!("`self.{ident}` is an `Option`, not a tensor"))
                .help(format!(
                    "open it first: `match &self.{ident} {{ Some(layer) => layer(x), None => x }}`"
                )),
            _ => Message::new(format!("`self.{ident}` is a layer, not a tensor"))
                .help(format!("call it: `self.{ident}(x)`")),
        };
        self.errors.error(ident, message);
    }

    /// The expression as a tensor; reports anything else. `role` says where it stands: "the operand of `+`".
    pub(super) fn tensor(&mut self, expr: &Expr, role: &str) -> Option<ValueId> {
        let bound = self.expression(expr, Wanted::One);
        self.as_tensor(bound, expr, role)
    }

    pub(super) fn as_tensor(&mut self, bound: Bound, place: &impl ToTokens, role: &str) -> Option<ValueId> {
        match bound {
            Bound::Tensor(value) => Some(value),
            Bound::Poison => None,
            other => {
                let mut message =
                    Message::new(format!("{role} must be a tensor, this is {}", other.describe()));
                match other {
                    Bound::Callable(callable) => {
                        message = message.help(format!("call it: `{}(x)`", callable.spelling));
                    }
                    Bound::Tuple(_) => message = message.help("take it apart first: `let (a, b) = ..;`"),
                    Bound::Size(_) | Bound::Shape(_) => {
                        message = message
                            .help("sizes can only be extents of `reshape`: `x.reshape((x.size(0), -1))`");
                    }
                    _ => message = message.help("operators take numbers: `x + 1.0`, `x * self.scale`"),
                }
                self.errors.error(place, message);
                None
            }
        }
    }

    /// What the user calls a tensor here, to be part of another name.
    pub(super) fn label_of(&self, expr: &Expr, value: ValueId) -> String {
        let written = plain_name(dereferenced(expr)).map(|name| name.unraw().to_string());
        written.unwrap_or_else(|| self.name_of(value).to_owned())
    }
}

/// The narrowest span that stands for an expression.
pub fn narrow_span(expr: &Expr) -> Span {
    match peeled(expr) {
        Expr::MethodCall(call) => call.method.span(),
        Expr::Call(call) => call.func.span(),
        Expr::Binary(binary) => binary.op.span(),
        Expr::If(branch) => branch.if_token.span,
        Expr::Match(branch) => branch.match_token.span,
        expr => expr.span(),
    }
}
