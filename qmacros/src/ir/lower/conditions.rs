//! Conditions: `bool` config fields and `Option` fields, nothing that depends on a tensor.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit_mut::{self, VisitMut};
use syn::{BinOp, Expr, FieldPat, Ident, Pat, PatIdent, UnOp};

use super::Lowering;
use super::callable::{Callable, dereferenced, own_field, peeled, plain_name};
use super::numbers::is_config;
use super::scope::Bound;
use crate::errors::Message;
use crate::parse::FieldKind;
use crate::parse::kind::can_run;

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
    /// Whether a config expression matches a pattern. `bindings` are the names in it and what stands for them.
    Matches {
        scrutinee: TokenStream,
        pattern: Pattern,
        otherwise: Option<Pattern>,
        label: String,
    },
}

/// A pattern over numbers.
#[derive(Clone, Debug)]
pub struct Pattern {
    pub tokens: TokenStream,
    /// The names that it binds, and the numbers that they stand for.
    pub bindings: Vec<(Ident, TokenStream)>,
}

impl Lowering<'_> {
    pub(super) fn decision(&mut self, condition: &Expr) -> Option<Decision> {
        match peeled(condition) {
            Expr::Let(condition) if !self.is_option(&condition.expr) && self.is_config(&condition.expr) => {
                Some(Decision::Matches {
                    label: self.flag_label(&condition.expr),
                    scrutinee: self.config(&condition.expr),
                    pattern: self.number_pattern(&condition.pat),
                    otherwise: None,
                })
            }
            Expr::Let(condition) => {
                let option = self.option(&condition.expr)?;
                self.presence(option, &condition.pat)
            }
            condition if self.is_flag(condition) => {
                Some(Decision::Flag { label: self.flag_label(condition), condition: self.config(condition) })
            }
            condition => {
                self.refuse_condition(condition);
                None
            }
        }
    }

    /// Whether an expression is an `Option` of layers.
    pub(super) fn is_option(&mut self, expr: &Expr) -> bool {
        let inner = without_as_ref(expr);
        self.callable(inner).is_some_and(
            |callable| matches!(&callable.kind, FieldKind::Option(content) if can_run(&content.1)),
        )
    }

    /// Whether an expression is something that an instance knows, and not a tensor, a layer or a list of them.
    pub(super) fn is_config(&self, expr: &Expr) -> bool {
        let is_alone = match own_field(dereferenced(expr)) {
            Some((_, ident)) => self.field(ident).is_some_and(|field| is_config(&field.kind)),
            None => {
                !matches!(dereferenced(expr), Expr::Path(_) | Expr::Index(_) | Expr::Let(_))
                    || self.is_number(expr)
            }
        };
        is_alone && self.is_free_of_tensors(expr)
    }

    /// The expression with variables replaced by what they stand for.
    pub(super) fn config(&mut self, expr: &Expr) -> TokenStream {
        self.substituted(expr.to_token_stream())
    }

    /// A pattern over numbers, under names that no other loop or arm has.
    pub(super) fn number_pattern(&mut self, pattern: &Pat) -> Pattern {
        struct Renamed<'l> {
            serial: &'l mut usize,
            bindings: Vec<(Ident, TokenStream)>,
        }
        impl VisitMut for Renamed<'_> {
            fn visit_pat_ident_mut(&mut self, pattern: &mut PatIdent) {
                let is_constant = pattern.ident.to_string().starts_with(char::is_uppercase);
                if !is_constant {
                    let ident = numbered(&pattern.ident, self.serial);
                    self.bindings.push((pattern.ident.clone(), ident.to_token_stream()));
                    pattern.ident = ident;
                }
                visit_mut::visit_pat_ident_mut(self, pattern);
            }

            fn visit_field_pat_mut(&mut self, field: &mut FieldPat) {
                field.colon_token.get_or_insert_default();
                visit_mut::visit_field_pat_mut(self, field);
            }
        }
        if let Pat::Guard(guarded) = pattern {
            let inner = self.number_pattern(&guarded.pat);
            self.scopes.enter();
            self.declare_numbers(&inner.bindings);
            let guard = self.config(&guarded.guard);
            self.scopes.leave();
            let tokens = &inner.tokens;
            return Pattern { tokens: quote!(#tokens if #guard), ..inner };
        }
        let mut renamed = Renamed { serial: &mut self.loops, bindings: Vec::new() };
        let mut pattern = pattern.clone();
        renamed.visit_pat_mut(&mut pattern);
        Pattern { bindings: renamed.bindings, tokens: pattern.to_token_stream() }
    }

    pub(super) fn declare_numbers(&mut self, bindings: &[(Ident, TokenStream)]) {
        for (ident, number) in bindings {
            self.scopes.declare(ident, false, Bound::Number(number.clone()));
        }
    }

    /// The `Option` that is matched on, also as `self.f.as_ref()`.
    pub(super) fn option(&mut self, expr: &Expr) -> Option<Callable> {
        let inner = without_as_ref(expr);
        match self.callable(inner) {
            Some(callable) => match &callable.kind {
                FieldKind::Option(content) if can_run(&content.1) => Some(callable),
                FieldKind::Option(_) => {
                    let message = Message::new(format!("`{}` holds no layer", callable.spelling))
                        .help("branch on a `bool` field instead: `if self.flag { .. } else { .. }`");
                    self.errors.error(expr, message);
                    None
                }
                FieldKind::Other => {
                    let spelling = &callable.spelling;
                    let message = Message::new(format!("`{spelling}` is taken apart, which is a model or a config field"))
                        .help(
                            "for a choice between models write a struct with one `Option` field for each, \
                             `struct Block { basic: Option<BasicBlock>, bottleneck: Option<Bottleneck> }`, and call the one that is there",
                        )
                        .note("layers must be fields, so that their weights have names");
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

    /// A `bool` that an instance knows, and a `bool` as far as one can see.
    fn is_flag(&self, expr: &Expr) -> bool {
        match peeled(expr) {
            Expr::Unary(unary) => matches!(unary.op, UnOp::Not(_)) && self.is_flag(&unary.expr),
            Expr::Binary(binary) if matches!(binary.op, BinOp::And(_) | BinOp::Or(_)) => {
                self.is_flag(&binary.left) && self.is_flag(&binary.right)
            }
            expr => self.is_config(expr),
        }
    }

    pub(super) fn flag_label(&self, expr: &Expr) -> String {
        match peeled(expr) {
            Expr::Unary(unary) => self.flag_label(&unary.expr),
            Expr::Binary(binary) => self.flag_label(&binary.left),
            Expr::MethodCall(call) => self.flag_label(&call.receiver),
            Expr::Reference(reference) => self.flag_label(&reference.expr),
            expr => own_field(expr).map_or_else(|| "branch".to_owned(), |(_, ident)| ident.to_string()),
        }
    }

    pub(super) fn refuse_condition(&mut self, condition: &Expr) {
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
            None if self.mentions_a_size(condition) => {
                "a condition that depends on the size of a tensor".to_owned()
            }
            None => "a condition that depends on a tensor".to_owned(),
        };
        let message = Message::new(what)
            .help(
                "branch on fields and constants, `if self.depth > 2`, or compute both ways and blend them: \
                 `a * mask + b * (1.0 - mask)`",
            )
            .note("a static graph is the same for every input; only the model's own fields may decide");
        self.errors.error(condition, message);
    }
}

fn without_as_ref(expr: &Expr) -> &Expr {
    match peeled(expr) {
        Expr::MethodCall(call) if call.method == "as_ref" && call.args.is_empty() => &call.receiver,
        inner => inner,
    }
}

/// A name that stands for one number in the whole of what is generated.
pub fn numbered(ident: &Ident, serial: &mut usize) -> Ident {
    *serial += 1;
    let name = format!("{}_{}", ident.unraw().to_string().trim_start_matches('_'), *serial - 1);
    Ident::new(&name, ident.span().resolved_at(Span::mixed_site()))
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
