//! Numbers that an instance of the model knows: literals, constants, config fields, arithmetic over them.

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    BinOp, Expr, ExprMethodCall, ExprPath, GenericParam, Ident, ImplItem, Lit, LitFloat, Member, Type, UnOp,
};

use super::Lowering;
use super::callable::{dereferenced, is_self, own_field, peeled, plain_name};
use super::scope::Bound;
use crate::parse::FieldKind;
use crate::parse::kind::can_run;

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
            Expr::Macro(call) => {
                call.mac.path.is_ident("cfg")
                    || call.mac.path.is_ident("matches") && self.is_free_of_tensors(expr)
            }
            Expr::MethodCall(call) => self.is_number_method(call),
            Expr::Index(index) => self.is_number(&index.expr) && self.is_number(&index.index),
            Expr::Call(call) => match peeled(&call.func) {
                Expr::Path(path) => {
                    self.begins_with_a_type(&path.path)
                        && !path.path.segments.first().is_some_and(|first| {
                            first.ident == "Self" || first.ident == "Vec" || first.ident == "Tensor"
                        })
                        && call.args.iter().all(|arg| self.is_number(arg))
                }
                _ => false,
            },
            Expr::Field(field) => match own_field(expr) {
                Some((_, ident)) => self.field(ident).is_some_and(|field| is_config(&field.kind)),
                None => self.is_inside_config(&field.base),
            },
            _ => false,
        }
    }

    /// `self.scale.sqrt()`, `self.layers.len()`, `self.sizes.iter().max()`: nothing that reads a tensor or runs a layer.
    fn is_number_method(&self, call: &ExprMethodCall) -> bool {
        if call.method == "forward" || is_self(&call.receiver) {
            return false;
        }
        let is_argument = |arg: &Expr| self.is_number(arg) || matches!(arg, Expr::Closure(_) | Expr::Lit(_));
        let is_of_a_list =
            matches!(call.method.to_string().as_str(), "len" | "is_empty" | "is_some" | "is_none");
        let is_known = match own_field(dereferenced(&call.receiver)) {
            Some((_, ident)) => self.field(ident).is_some_and(|field| is_of_a_list || is_config(&field.kind)),
            None => self.is_number(&call.receiver),
        };
        is_known
            && call.args.iter().all(is_argument)
            && self.is_free_of_tensors(&Expr::MethodCall(call.clone()))
    }

    /// Whether an expression reads nothing but fields, constants and numbers, as far as its names tell. A layer that is
    /// called is not free of tensors: it is called with one.
    pub(super) fn is_free_of_tensors(&self, expr: &Expr) -> bool {
        self.are_free(expr.to_token_stream())
    }

    fn are_free(&self, tokens: TokenStream) -> bool {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        tokens.iter().enumerate().all(|(index, token)| match token {
            TokenTree::Group(group) => self.are_free(group.stream()),
            TokenTree::Ident(ident) if ident == "self" => self.is_free_field(&tokens[index + 1..]),
            TokenTree::Ident(ident) if is_a_variable(&tokens, index) => {
                self.scopes.peek(ident).is_none_or(|bound| matches!(bound, Bound::Number(_)))
            }
            _ => true,
        })
    }

    /// What follows `self`: a field that is read, or a function of the model's that takes no tensor.
    fn is_free_field(&self, after: &[TokenTree]) -> bool {
        let [TokenTree::Punct(dot), TokenTree::Ident(name), rest @ ..] = after else { return false };
        let is_call = matches!(rest.first(), Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis);
        match self.field(name) {
            Some(field) => {
                let is_used = matches!(rest, [TokenTree::Punct(dot), TokenTree::Ident(method), ..]
                    if dot.as_char() == '.' && method != "forward");
                dot.as_char() == '.' && !is_call && (is_config(&field.kind) || is_used)
            }
            None => is_call && self.has_config_method(name),
        }
    }

    /// A function of the impl block that is left as it is: it takes no tensor.
    fn has_config_method(&self, name: &Ident) -> bool {
        self.forward
            .item
            .items
            .iter()
            .any(|item| matches!(item, ImplItem::Fn(function) if function.sig.ident == *name))
    }

    /// The tokens with the variables in them replaced by what they stand for.
    pub(super) fn substituted(&mut self, tokens: TokenStream) -> TokenStream {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut substituted = TokenStream::new();
        for (index, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => {
                    let mut inner = Group::new(group.delimiter(), self.substituted(group.stream()));
                    inner.set_span(group.span());
                    substituted.extend([TokenTree::Group(inner)]);
                }
                TokenTree::Ident(ident) if is_a_variable(&tokens, index) => match self.scopes.read(ident) {
                    Some(Bound::Number(number)) => substituted.extend(number),
                    _ => substituted.extend([token.clone()]),
                },
                _ => substituted.extend([token.clone()]),
            }
        }
        substituted
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
                    // Of a loop's variable, which may be a reference; what is no reference may be written like one.
                    (UnOp::Deref(_), Expr::Path(_)) if inner.clone().into_iter().count() == 1 => {
                        quote!(#op #inner)
                    }
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
            other => self.substituted(other.to_token_stream()),
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

pub fn is_config(kind: &FieldKind) -> bool {
    match kind {
        FieldKind::Config | FieldKind::Flag | FieldKind::Other => true,
        FieldKind::Vec(element) | FieldKind::Option(element) => !can_run(&element.1),
        FieldKind::Layer(_) | FieldKind::Sequential(_) | FieldKind::Tuple(_) | FieldKind::Pointer(_) => false,
    }
}

/// Whether the identifier at `index` may be a variable: no member, no part of a path, no macro, no function.
fn is_a_variable(tokens: &[TokenTree], index: usize) -> bool {
    let is = |token: Option<&TokenTree>, c: char| matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == c);
    let before = index.checked_sub(1).and_then(|before| tokens.get(before));
    let is_range = index.checked_sub(2).is_some_and(|before| is(tokens.get(before), '.'));
    let after = tokens.get(index + 1);
    let is_path = is(after, ':') && is(tokens.get(index + 2), ':');
    (!is(before, '.') || is_range) && !is(before, ':') && !is(after, '!') && !is_path
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
