//! Numbers that an instance of the model knows: literals, constants, config fields, arithmetic over them.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{BinOp, Expr, ExprPath, GenericParam, Lit, LitFloat, Member, Type, UnOp};

use super::Lowering;
use super::callable::{is_self, own_field, peeled, plain_name};
use super::scope::Bound;
use crate::parse::FieldKind;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberType {
    Integer,
    Float,
    Bool,
    Unknown,
}

impl Lowering<'_> {
    /// Whether the expression is a number (or a bool) that does not depend on any tensor.
    pub(super) fn is_number(&self, expr: &Expr) -> bool {
        match peeled(expr) {
            Expr::Lit(literal) => matches!(literal.lit, Lit::Int(_) | Lit::Float(_) | Lit::Bool(_)),
            Expr::Unary(unary) => !matches!(unary.op, UnOp::Not(_)) && self.is_number(&unary.expr),
            Expr::Binary(binary) => {
                is_arithmetic(&binary.op) && self.is_number(&binary.left) && self.is_number(&binary.right)
            }
            Expr::Cast(cast) => self.is_number(&cast.expr),
            Expr::Reference(reference) => self.is_number(&reference.expr),
            Expr::Path(path) => self.is_number_path(path),
            Expr::Macro(call) => call.mac.path.is_ident("cfg"),
            Expr::Field(field) => match own_field(expr) {
                Some((_, ident)) => self.field(ident).is_some_and(|field| is_config(&field.kind)),
                None => self.is_inside_config(&field.base),
            },
            _ => false,
        }
    }

    /// `self.config`, `self.config.sizes`, of which a member is read.
    fn is_inside_config(&self, base: &Expr) -> bool {
        if is_self(base) {
            return false;
        }
        match (own_field(base), peeled(base)) {
            (Some((_, ident)), _) => self
                .field(ident)
                .is_some_and(|field| matches!(field.kind, FieldKind::Config | FieldKind::Other)),
            (None, Expr::Field(field)) => {
                matches!(field.member, Member::Named(_) | Member::Unnamed(_))
                    && self.is_inside_config(&field.base)
            }
            _ => false,
        }
    }

    fn is_number_path(&self, path: &ExprPath) -> bool {
        if let Some(ident) = path.path.get_ident() {
            if let Some(bound) = self.scopes.peek(ident) {
                return matches!(bound, Bound::Number(_));
            }
            let is_parameter = self.model.generics.params.iter().any(
                |parameter| matches!(parameter, GenericParam::Const(constant) if constant.ident == *ident),
            );
            return is_parameter || is_constant_name(&ident.to_string());
        }
        path.path.segments.last().is_some_and(|segment| is_constant_name(&segment.ident.to_string()))
    }

    /// The expression with variables replaced by what they stand for.
    pub(super) fn number(&mut self, expr: &Expr) -> TokenStream {
        let expr = peeled(expr);
        let span = expr.span();
        match expr {
            Expr::Path(path) => match path.path.get_ident().and_then(|ident| self.scopes.read(ident)) {
                Some(Bound::Number(tokens)) => tokens,
                _ => path.to_token_stream(),
            },
            Expr::Unary(unary) => {
                let (op, inner) = (unary.op, self.number(&unary.expr));
                match (op, peeled(&unary.expr)) {
                    (UnOp::Deref(_), _) => inner,
                    (op, Expr::Lit(_)) => quote!(#op #inner),
                    (op, _) => quote_spanned!(span=> (#op #inner)),
                }
            }
            Expr::Binary(binary) => {
                let (left, op, right) = (self.number(&binary.left), binary.op, self.number(&binary.right));
                quote_spanned!(span=> (#left #op #right))
            }
            Expr::Cast(cast) => {
                let (inner, ty) = (self.number(&cast.expr), &cast.ty);
                quote_spanned!(span=> (#inner as #ty))
            }
            Expr::Reference(reference) => self.number(&reference.expr),
            other => other.to_token_stream(),
        }
    }

    /// A number where a float is meant: `1` becomes `1.0`.
    pub(super) fn float(&mut self, expr: &Expr) -> TokenStream {
        match peeled(expr) {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Int(integer) if integer.suffix().is_empty() => {
                    LitFloat::new(&format!("{}.0", integer.base10_digits()), integer.span()).to_token_stream()
                }
                _ => self.number(expr),
            },
            Expr::Unary(unary) if matches!(unary.op, UnOp::Neg(_)) => {
                let (op, inner) = (unary.op, self.float(&unary.expr));
                quote!(#op #inner)
            }
            _ => self.number(expr),
        }
    }

    pub(super) fn number_type(&self, expr: &Expr) -> NumberType {
        match peeled(expr) {
            Expr::Lit(literal) => match &literal.lit {
                Lit::Int(integer) if integer.suffix().starts_with('f') => NumberType::Float,
                Lit::Int(_) => NumberType::Integer,
                Lit::Float(_) => NumberType::Float,
                Lit::Bool(_) => NumberType::Bool,
                _ => NumberType::Unknown,
            },
            Expr::Unary(unary) => self.number_type(&unary.expr),
            Expr::Reference(reference) => self.number_type(&reference.expr),
            Expr::Binary(binary) => match (self.number_type(&binary.left), self.number_type(&binary.right)) {
                (left, right) if left == right => left,
                _ => NumberType::Unknown,
            },
            Expr::Cast(cast) => type_of(&cast.ty),
            Expr::Macro(_) => NumberType::Bool,
            expr => match own_field(expr).and_then(|(_, ident)| self.field(ident)) {
                Some(field) => type_of(&field.ty),
                None => NumberType::Unknown,
            },
        }
    }

    /// How a scalar operand appears in a name: `scale` of `self.scale`, else `scalar`.
    pub(super) fn number_label(&self, expr: &Expr) -> String {
        let named = own_field(expr).map(|(_, ident)| ident).or_else(|| plain_name(expr));
        named.map_or_else(|| "scalar".to_owned(), |ident| ident.to_string().to_lowercase())
    }
}

fn is_config(kind: &FieldKind) -> bool {
    matches!(kind, FieldKind::Config | FieldKind::Flag | FieldKind::Other)
}

pub fn is_tensor_type(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.segments.last().is_some_and(|last| last.ident == "Tensor"))
}

fn type_of(ty: &Type) -> NumberType {
    let Type::Path(path) = ty else { return NumberType::Unknown };
    let Some(ident) = path.path.get_ident() else { return NumberType::Unknown };
    match ident.to_string().as_str() {
        "f32" | "f64" => NumberType::Float,
        "bool" => NumberType::Bool,
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" | "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => {
            NumberType::Integer
        }
        _ => NumberType::Unknown,
    }
}

fn is_constant_name(name: &str) -> bool {
    let mut letters = name.chars().filter(|c| c.is_alphabetic()).peekable();
    letters.peek().is_some() && letters.all(char::is_uppercase)
}

fn is_arithmetic(op: &BinOp) -> bool {
    matches!(op, BinOp::Add(_) | BinOp::Sub(_) | BinOp::Mul(_) | BinOp::Div(_) | BinOp::Rem(_))
}
