//! `#[cfg(..)]` and `#[cfg_attr(..)]` inside of the item: rustc hands them to an attribute unevaluated.
//!
//! Only rustc knows what holds, so it is asked: the item is emitted for either answer to the first predicate in it,
//!
//! ```text
//! #[cfg(P)]      #[quantizable] struct Net { .. }   as it is where P holds
//! #[cfg(not(P))] #[quantizable] struct Net { .. }   as it is where P does not hold
//! ```
//!
//! and the one that rustc keeps comes back for the next predicate.

use proc_macro2::{TokenStream, TokenTree};
use quote::{ToTokens, quote};
use syn::parse::Parser;
use syn::punctuated::Punctuated;
use syn::visit_mut::{self, VisitMut};
use syn::{Attribute, Expr, FnArg, ImplItem, ItemImpl, ItemStruct, Meta, Stmt, Token, parse_quote};

/// The struct for either answer to its first predicate; `None` if there is none.
pub fn of_struct(arguments: &TokenStream, item: &ItemStruct) -> Option<TokenStream> {
    alternatives(arguments, item, |configure, item| configure.visit_item_struct_mut(item))
}

/// The impl block for either answer to its first predicate; `None` if there is none.
pub fn of_impl(arguments: &TokenStream, item: &ItemImpl) -> Option<TokenStream> {
    alternatives(arguments, item, |configure, item| configure.visit_item_impl_mut(item))
}

fn alternatives<T: Clone + ToTokens>(
    arguments: &TokenStream,
    item: &T,
    visit: impl Fn(&mut Configure, &mut T),
) -> Option<TokenStream> {
    let mut search = Configure::default();
    visit(&mut search, &mut item.clone());
    let predicate = search.found?;
    let [with, without] = [true, false].map(|holds| {
        let mut item = item.clone();
        let answer = Some((predicate.to_string(), holds));
        visit(&mut Configure { answer, found: None }, &mut item);
        item
    });
    Some(quote! {
        #[cfg(#predicate)]
        #[::qcore::quantizable(#arguments)]
        #with

        #[cfg(not(#predicate))]
        #[::qcore::quantizable(#arguments)]
        #without
    })
}

/// Finds the first predicate, or applies the answer to one, wherever rustc evaluates `#[cfg]`.
#[derive(Default)]
struct Configure {
    /// A predicate and whether it holds.
    answer: Option<(String, bool)>,
    /// The first predicate without an answer.
    found: Option<TokenStream>,
}

impl Configure {
    /// Evaluates what there is an answer to; whether the attributes let their owner stay.
    fn keep(&mut self, attributes: &mut Vec<Attribute>) -> bool {
        let mut index = 0;
        while let Some(attribute) = attributes.get(index) {
            let Some(Conditional { predicate, then }) = Conditional::read(attribute) else {
                index += 1;
                continue;
            };
            let Some(holds) = self.holds(&predicate) else {
                self.found.get_or_insert(predicate);
                index += 1;
                continue;
            };
            let _ = attributes.remove(index);
            match then {
                Some(then) if holds => drop(attributes.splice(index..index, then)),
                None if !holds => return false,
                _ => {}
            }
        }
        true
    }

    fn holds(&self, predicate: &TokenStream) -> Option<bool> {
        let (answered, holds) = self.answer.as_ref()?;
        (*answered == predicate.to_string()).then_some(*holds)
    }

    fn list<T, P: Default>(
        &mut self,
        list: &mut Punctuated<T, P>,
        attributes: impl Fn(&mut T) -> Option<&mut Vec<Attribute>>,
    ) {
        let pairs = std::mem::take(list).into_pairs().filter_map(|mut pair| {
            let stays = attributes(pair.value_mut()).is_none_or(|attributes| self.keep(attributes));
            stays.then_some(pair)
        });
        *list = pairs.collect();
    }
}

impl VisitMut for Configure {
    fn visit_fields_named_mut(&mut self, fields: &mut syn::FieldsNamed) {
        self.list(&mut fields.named, |field| Some(&mut field.attrs));
    }

    fn visit_fields_unnamed_mut(&mut self, fields: &mut syn::FieldsUnnamed) {
        self.list(&mut fields.unnamed, |field| Some(&mut field.attrs));
    }

    fn visit_item_impl_mut(&mut self, item: &mut ItemImpl) {
        item.items.retain_mut(|item| match item {
            ImplItem::Const(item) => self.keep(&mut item.attrs),
            ImplItem::Fn(item) => self.keep(&mut item.attrs),
            ImplItem::Type(item) => self.keep(&mut item.attrs),
            ImplItem::Macro(item) => self.keep(&mut item.attrs),
            _ => true,
        });
        visit_mut::visit_item_impl_mut(self, item);
    }

    fn visit_signature_mut(&mut self, signature: &mut syn::Signature) {
        self.list(&mut signature.inputs, |input| match input {
            FnArg::Typed(input) => Some(&mut input.attrs),
            FnArg::Receiver(receiver) => Some(&mut receiver.attrs),
        });
        visit_mut::visit_signature_mut(self, signature);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        block.stmts.retain_mut(|statement| match statement {
            Stmt::Local(local) => self.keep(&mut local.attrs),
            Stmt::Macro(call) => self.keep(&mut call.attrs),
            Stmt::Expr(expr, _) => attributes(expr).is_none_or(|attributes| self.keep(attributes)),
            Stmt::Item(_) => true,
        });
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_expr_match_mut(&mut self, expr: &mut syn::ExprMatch) {
        expr.arms.retain_mut(|arm| self.keep(&mut arm.attrs));
        visit_mut::visit_expr_match_mut(self, expr);
    }

    fn visit_expr_call_mut(&mut self, call: &mut syn::ExprCall) {
        self.list(&mut call.args, attributes);
        visit_mut::visit_expr_call_mut(self, call);
    }

    fn visit_expr_method_call_mut(&mut self, call: &mut syn::ExprMethodCall) {
        self.list(&mut call.args, attributes);
        visit_mut::visit_expr_method_call_mut(self, call);
    }

    fn visit_expr_array_mut(&mut self, array: &mut syn::ExprArray) {
        self.list(&mut array.elems, attributes);
        visit_mut::visit_expr_array_mut(self, array);
    }

    fn visit_expr_tuple_mut(&mut self, tuple: &mut syn::ExprTuple) {
        self.list(&mut tuple.elems, attributes);
        visit_mut::visit_expr_tuple_mut(self, tuple);
    }

    fn visit_expr_struct_mut(&mut self, built: &mut syn::ExprStruct) {
        self.list(&mut built.fields, |field| Some(&mut field.attrs));
        visit_mut::visit_expr_struct_mut(self, built);
    }
}

/// `#[cfg(predicate)]`, or `#[cfg_attr(predicate, then)]`.
struct Conditional {
    predicate: TokenStream,
    then: Option<Vec<Attribute>>,
}

impl Conditional {
    /// What rustc would not understand is left to it.
    fn read(attribute: &Attribute) -> Option<Self> {
        let Meta::List(list) = &attribute.meta else { return None };
        if list.path.is_ident("cfg") {
            return Some(Self { predicate: list.tokens.clone(), then: None });
        }
        if !list.path.is_ident("cfg_attr") {
            return None;
        }
        let mut tokens = list.tokens.clone().into_iter();
        let is_comma = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ',');
        let predicate = tokens.by_ref().take_while(|token| !is_comma(token)).collect();
        let metas = Punctuated::<Meta, Token![,]>::parse_terminated.parse2(tokens.collect()).ok()?;
        let then = metas.into_iter().map(|meta| parse_quote!(#[#meta])).collect();
        Some(Self { predicate, then: Some(then) })
    }
}

fn attributes(expr: &mut Expr) -> Option<&mut Vec<Attribute>> {
    macro_rules! of {
        ($($kind:ident)*) => {
            match expr {
                $(Expr::$kind(expr) => Some(&mut expr.attrs),)*
                _ => None,
            }
        };
    }
    of! {
        Array Assign Async Await Binary Block Break Call Cast Closure Const Continue Field ForLoop Group If Index
        Infer Let Lit Loop Macro Match MethodCall Paren Path Range Reference Repeat Return Struct Try TryBlock Tuple
        Unary Unsafe While Yield
    }
}

/// Whether an attribute inside of `forward`, of which nothing is left in what is generated, changes nothing.
pub fn says_nothing(attribute: &Attribute) -> bool {
    const LINTS: [&str; 6] = ["allow", "warn", "deny", "forbid", "expect", "doc"];
    let path = attribute.path();
    LINTS.iter().any(|lint| path.is_ident(lint))
        || path.segments.first().is_some_and(|tool| tool.ident == "rustfmt" || tool.ident == "clippy")
}
