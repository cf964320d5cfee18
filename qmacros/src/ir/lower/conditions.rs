//! Conditions: `bool` config fields and `Option` fields, nothing that depends on a tensor.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{BinOp, Expr, ExprLit, Ident, Lit, Pat, UnOp};

use super::Lowering;
use super::callable::{Callable, own_field, peeled, plain_name};
use super::scope::Bound;
use crate::errors::Message;
use crate::parse::FieldKind;

/// What decides between the two arms.
pub enum Decision {
    Flag {
        condition: TokenStream,
        label: String,
    },
    /// Whether the `Option` holds something; `binding` names it in the arm where it does.
    Presence {
        option: Callable,
        binding: Ident,
        is_negated: bool,
    },
}

impl Lowering<'_> {
    pub(super) fn decision(&mut self, condition: &Expr) -> Option<Decision> {
        match peeled(condition) {
            Expr::Let(condition) => {
                let option = self.option(&condition.expr)?;
                self.presence(option, &condition.pat)
            }
            condition if self.is_flag(condition) => {
                Some(Decision::Flag { label: self.flag_label(condition), condition: self.flag(condition) })
            }
            condition => {
                self.refuse_condition(condition);
                None
            }
        }
    }

    /// The `Option` that is matched on, also as `self.f.as_ref()`.
    pub(super) fn option(&mut self, expr: &Expr) -> Option<Callable> {
        let inner = match peeled(expr) {
            Expr::MethodCall(call) if call.method == "as_ref" && call.args.is_empty() => &*call.receiver,
            inner => inner,
        };
        match self.callable(inner) {
            Some(callable) => match &callable.kind {
                FieldKind::Option(content) if super::callable::can_run(&content.1) => Some(callable),
                FieldKind::Option(_) => {
                    let message = Message::new(format!("`{}` holds no layer", callable.spelling))
                        .help("branch on a `bool` field instead: `if self.flag { .. } else { .. }`");
                    self.errors.error(expr, message);
                    None
                }
                _ => {
                    let message = Message::new(format!("`{}` is no `Option`", callable.spelling))
                        .help(format!("call it: `{}(x)`", callable.spelling));
                    self.errors.error(expr, message);
                    None
                }
            },
            None => {
                match own_field(super::callable::dereferenced(inner)) {
                    Some((_, ident)) if self.field(ident).is_none() => self.refuse_unknown_field(ident),
                    _ => {
                        let message = Message::new("only `Option` fields can be matched on")
                            .help("write `match &self.field { Some(layer) => .., None => .. }`")
                            .note("which way the graph goes must be known when the model is prepared");
                        self.errors.error(expr, message);
                    }
                }
                None
            }
        }
    }

    /// `Some(binding)` or `None`.
    pub(super) fn presence(&mut self, option: Callable, pattern: &Pat) -> Option<Decision> {
        match presence_pattern(pattern) {
            Some(Presence::Some(binding)) => {
                let unused = || Ident::new(&format!("_{}", option.label), pattern.span());
                let binding = binding.cloned().unwrap_or_else(unused);
                Some(Decision::Presence { option, binding, is_negated: false })
            }
            Some(Presence::None) => {
                let binding = Ident::new(&format!("_{}", option.label), pattern.span());
                Some(Decision::Presence { option, binding, is_negated: true })
            }
            None => {
                self.refuse_option_pattern(pattern);
                None
            }
        }
    }

    pub(super) fn refuse_option_pattern(&mut self, pattern: &Pat) {
        let message = Message::new("an `Option` field is matched by `Some(name)` and `None`")
            .help("write `match &self.field { Some(layer) => .., None => .. }`");
        self.errors.error(pattern, message);
    }

    fn is_flag(&self, expr: &Expr) -> bool {
        match peeled(expr) {
            Expr::Lit(ExprLit { lit: Lit::Bool(_), .. }) => true,
            Expr::Unary(unary) => matches!(unary.op, UnOp::Not(_)) && self.is_flag(&unary.expr),
            Expr::Binary(binary) => match binary.op {
                BinOp::And(_) | BinOp::Or(_) => self.is_flag(&binary.left) && self.is_flag(&binary.right),
                op if is_comparison(&op) => self.is_number(&binary.left) && self.is_number(&binary.right),
                _ => false,
            },
            Expr::MethodCall(call) if call.method == "is_some" || call.method == "is_none" => {
                own_field(&call.receiver)
                    .and_then(|(_, ident)| self.field(ident))
                    .is_some_and(|field| matches!(field.kind, FieldKind::Option(_)))
            }
            expr => self.is_number(expr),
        }
    }

    fn flag(&mut self, expr: &Expr) -> TokenStream {
        let expr = peeled(expr);
        match expr {
            Expr::Unary(unary) if matches!(unary.op, UnOp::Not(_)) => {
                let (op, inner) = (unary.op, self.flag(&unary.expr));
                quote!(#op #inner)
            }
            Expr::Binary(binary) if matches!(binary.op, BinOp::And(_) | BinOp::Or(_)) => {
                let (left, op, right) = (self.flag(&binary.left), binary.op, self.flag(&binary.right));
                quote_spanned!(expr.span()=> (#left #op #right))
            }
            Expr::Binary(binary) => {
                let (left, op, right) = (self.number(&binary.left), binary.op, self.number(&binary.right));
                quote_spanned!(expr.span()=> (#left #op #right))
            }
            Expr::MethodCall(call) => call.to_token_stream(),
            expr => self.number(expr),
        }
    }

    fn flag_label(&self, expr: &Expr) -> String {
        match peeled(expr) {
            Expr::Unary(unary) => self.flag_label(&unary.expr),
            Expr::Binary(binary) => self.flag_label(&binary.left),
            Expr::MethodCall(call) => self.flag_label(&call.receiver),
            expr => own_field(expr).map_or_else(|| "branch".to_owned(), |(_, ident)| ident.to_string()),
        }
    }

    fn refuse_condition(&mut self, condition: &Expr) {
        if let Some((_, ident)) = own_field(condition) {
            match self.field(ident) {
                None => return self.refuse_unknown_field(ident),
                Some(field) if matches!(field.kind, FieldKind::Option(_)) => {
                    let message = Message::new(format!("`self.{ident}` is an `Option`, not a `bool`"))
                        .help(format!("write `if let Some(layer) = &self.{ident} {{ .. }} else {{ .. }}`"));
                    return self.errors.error(condition, message);
                }
                Some(_) => {
                    let message = Message::new(format!("`self.{ident}` is not a `bool`"))
                        .help("branch on a `bool` field");
                    return self.errors.error(condition, message);
                }
            }
        }
        if matches!(condition, Expr::Binary(binary) if contains_let(&binary.left) || contains_let(&binary.right))
        {
            let message = Message::new("`let` joined with another condition")
                .help("nest the conditions: `if let Some(layer) = &self.field { if self.flag { .. } }`");
            return self.errors.error(condition, message);
        }
        if let Some(name) = plain_name(condition)
            && self.scopes.peek(name).is_none()
        {
            let _ = self.expression(condition, super::Wanted::One);
            return;
        }
        let what = match plain_name(condition).and_then(|name| self.scopes.peek(name)) {
            Some(Bound::Poison) => return,
            Some(bound) => format!("{} is used as a condition", bound.describe()),
            None => "a condition that depends on a tensor".to_owned(),
        };
        let message = Message::new(what)
            .help(
                "branch on a `bool` or an `Option` field, or compute both ways and blend them: \
                 `a * mask + b * (1.0 - mask)`",
            )
            .note("a static graph is the same for every input; only the model's own fields may decide");
        self.errors.error(condition, message);
    }
}

fn contains_let(expr: &Expr) -> bool {
    match peeled(expr) {
        Expr::Let(_) => true,
        Expr::Binary(binary) => contains_let(&binary.left) || contains_let(&binary.right),
        _ => false,
    }
}

pub fn is_comparison(op: &BinOp) -> bool {
    matches!(op, BinOp::Eq(_) | BinOp::Ne(_) | BinOp::Lt(_) | BinOp::Le(_) | BinOp::Gt(_) | BinOp::Ge(_))
}

pub enum Presence<'p> {
    Some(Option<&'p Ident>),
    None,
}

pub fn presence_pattern(pattern: &Pat) -> Option<Presence<'_>> {
    match pattern {
        Pat::Paren(paren) => presence_pattern(&paren.pat),
        Pat::Reference(reference) => presence_pattern(&reference.pat),
        Pat::TupleStruct(some) if some.path.segments.last()?.ident == "Some" && some.elems.len() == 1 => {
            match some.elems.first()? {
                Pat::Ident(binding) if binding.subpat.is_none() => Some(Presence::Some(Some(&binding.ident))),
                Pat::Wild(_) => Some(Presence::Some(None)),
                _ => None,
            }
        }
        Pat::Ident(none) if none.ident == "None" => Some(Presence::None),
        Pat::Path(none) if none.path.segments.last()?.ident == "None" => Some(Presence::None),
        _ => None,
    }
}
