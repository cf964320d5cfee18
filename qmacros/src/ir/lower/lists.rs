//! Lists of tensors: `let mut skips = Vec::new(); skips.push(x);`. How many elements a list has is seen in the source,
//! so that each is a value of its own; loops that change one are written out turn by turn.

use proc_macro2::Literal;
use quote::ToTokens;
use syn::punctuated::Punctuated;
use syn::{Expr, ExprCall, ExprForLoop, ExprLit, ExprMethodCall, Ident, Lit, Macro, Pat, Token, Type};

use super::callable::{dereferenced, peeled, plain_name};
use super::scope::Bound;
use super::{Lowering, Wanted};
use crate::errors::Message;
use crate::parse::FieldKind;
use crate::parse::kind::can_run;

/// What the pattern of a loop binds in one turn.
type Turn = Vec<(Ident, Bound)>;

impl Lowering<'_> {
    /// `Vec::new()`, `Vec::with_capacity(4)`.
    pub(super) fn new_list(call: &ExprCall) -> Option<Bound> {
        let Expr::Path(path) = peeled(&call.func) else { return None };
        let segments: Vec<String> =
            path.path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        let is_new = matches!(segments.as_slice(), [.., vec, new] if vec == "Vec" && (new == "new" || new == "with_capacity"));
        is_new.then(|| Bound::List(Vec::new()))
    }

    /// `vec![x, y]`.
    pub(super) fn list_macro(&mut self, call: &Macro) -> Option<Bound> {
        if !call.path.is_ident("vec") {
            return None;
        }
        let elements = call.parse_body_with(Punctuated::<Expr, Token![,]>::parse_terminated).ok()?;
        Some(self.list_of(elements.iter()))
    }

    pub(super) fn list_of<'e>(&mut self, elements: impl IntoIterator<Item = &'e Expr>) -> Bound {
        let tensors: Vec<Option<Bound>> = elements
            .into_iter()
            .map(|element| self.tensor(element, "an element of a list").map(Bound::Tensor))
            .collect();
        tensors.into_iter().collect::<Option<Vec<Bound>>>().map_or(Bound::Poison, Bound::List)
    }

    /// A method of a list that a name stands for; `None` if it stands for something else.
    pub(super) fn list_method(&mut self, call: &ExprMethodCall) -> Option<Bound> {
        let name = plain_name(dereferenced(&call.receiver))?;
        let Some(Bound::List(elements)) = self.scopes.peek(name) else { return None };
        let mut elements = elements.clone();
        self.scopes.read(name);
        let given = (call.method.to_string(), call.args.first(), call.args.len());
        Some(match (given.0.as_str(), given.1, given.2) {
            ("push", Some(element), 1) => {
                let Some(tensor) = self.tensor(element, "what is pushed") else { return Some(Bound::Poison) };
                elements.push(Bound::Tensor(tensor));
                self.change_list(name, elements);
                Bound::Tuple(Vec::new())
            }
            ("pop", None, _) => match elements.pop() {
                Some(element) => {
                    self.change_list(name, elements);
                    element
                }
                None => self.refuse_empty_list(call, name),
            },
            ("last", None, _) | ("first", None, _) => {
                let element = if call.method == "last" { elements.last() } else { elements.first() };
                element.cloned().unwrap_or_else(|| self.refuse_empty_list(call, name))
            }
            ("len", None, _) => Bound::Number(Literal::usize_unsuffixed(elements.len()).to_token_stream()),
            ("reverse", None, _) => {
                elements.reverse();
                self.change_list(name, elements);
                Bound::Tuple(Vec::new())
            }
            ("clone" | "iter" | "to_vec", None, _) => Bound::List(elements),
            _ => {
                let message = Message::new(format!("`{}` of a list of tensors", call.method)).help(
                    "a list has `push`, `pop`, `last`, `first`, `len` and `reverse`; its elements are `list[0]`, and \
                     `cat(list, 1)` joins them",
                );
                self.refuse(&call.method, message)
            }
        })
    }

    /// `.unwrap()` or `.expect(..)` behind `skips.pop()`.
    pub(super) fn unwrapped_element(&mut self, call: &ExprMethodCall) -> Option<Bound> {
        let Expr::MethodCall(inner) = peeled(&call.receiver) else { return None };
        let is_optional = matches!(inner.method.to_string().as_str(), "pop" | "last" | "first");
        let is_unwrap = matches!(call.method.to_string().as_str(), "unwrap" | "expect");
        if is_optional && is_unwrap { self.list_method(inner) } else { None }
    }

    fn change_list(&mut self, name: &Ident, elements: Vec<Bound>) {
        if let Some(variable) = self.scopes.resolve(name) {
            self.check_assignable(variable, name);
            self.scopes.get_mut(variable).bound = Bound::List(elements);
        }
    }

    fn refuse_empty_list(&mut self, call: &ExprMethodCall, name: &Ident) -> Bound {
        let message = Message::new(format!("`{name}` is empty here"))
            .help(format!("push as many tensors to `{name}` as are taken from it"));
        self.refuse(&call.method, message)
    }

    /// `features[1]` of a list.
    pub(super) fn list_element(&mut self, elements: &[Bound], whole: &Expr, index: &Expr) -> Bound {
        let number = match self.is_number(index) {
            true => self.number(index).to_string().trim_end_matches("usize").parse::<usize>().ok(),
            false => None,
        };
        match number.map(|number| elements.get(number).cloned()) {
            Some(Some(element)) => element,
            Some(None) => {
                let message =
                    Message::new(format!("there is no such element in a list of {}", elements.len()))
                        .help("its elements are counted from 0");
                self.refuse(index, message)
            }
            None => {
                let message = Message::new("a list of tensors is indexed by something that is no plain number")
                    .help("write the number, `features[1]`, or the variable of a loop over plain numbers: `for i in 0..3`")
                    .note("which tensor is meant must be visible in the source");
                self.refuse(whole, message)
            }
        }
    }

    /// The turns of a loop that goes through a list or changes one, if the source shows how many there are.
    pub(super) fn turns(&mut self, source: &ExprForLoop) -> Option<Vec<Turn>> {
        let is_changed = self
            .assigned_variables(&source.body)
            .into_iter()
            .any(|variable| matches!(self.scopes.get(variable).bound, Bound::List(_)));
        if !is_changed && !self.goes_through_a_list(&source.expr) {
            return None;
        }
        self.turns_of(&source.expr, &source.pat)
    }

    fn goes_through_a_list(&self, expr: &Expr) -> bool {
        match dereferenced(expr) {
            Expr::MethodCall(call) => {
                self.goes_through_a_list(&call.receiver)
                    || call.args.iter().any(|arg| self.goes_through_a_list(arg))
            }
            expr => {
                plain_name(expr).is_some_and(|name| matches!(self.scopes.peek(name), Some(Bound::List(_))))
            }
        }
    }

    fn turns_of(&mut self, expr: &Expr, pattern: &Pat) -> Option<Vec<Turn>> {
        if let (Expr::MethodCall(call), pattern) = (peeled(expr), pattern) {
            let pair = match pattern {
                Pat::Tuple(tuple) if tuple.elems.len() == 2 => tuple.elems.first().zip(tuple.elems.last()),
                _ => None,
            };
            return match (call.method.to_string().as_str(), call.args.first(), pair) {
                ("iter" | "into_iter", None, _) => self.turns_of(&call.receiver, pattern),
                ("rev", None, _) => {
                    let mut turns = self.turns_of(&call.receiver, pattern)?;
                    turns.reverse();
                    Some(turns)
                }
                ("enumerate", None, Some((index, element))) => {
                    let turns = self.turns_of(&call.receiver, element)?;
                    let counted = turns.into_iter().enumerate().map(|(number, mut turn)| {
                        turn.extend(bound_name(index).map(|name| (name, counted(number))));
                        turn
                    });
                    Some(counted.collect())
                }
                ("zip", Some(other), Some((first, second))) => {
                    let (first, second) =
                        (self.turns_of(&call.receiver, first)?, self.turns_of(other, second)?);
                    Some(
                        first
                            .into_iter()
                            .zip(second)
                            .map(|(first, second)| [first, second].concat())
                            .collect(),
                    )
                }
                _ => None,
            };
        }
        let elements: Vec<Bound> = match dereferenced(expr) {
            Expr::Range(range) => {
                let start = range.start.as_deref().map_or(Some(0), literal)?;
                let end = literal(range.end.as_deref()?)?;
                let end = if matches!(range.limits, syn::RangeLimits::Closed(_)) { end + 1 } else { end };
                (start..end).map(counted).collect()
            }
            expr => match plain_name(expr).and_then(|name| self.scopes.peek(name)) {
                Some(Bound::List(elements)) => elements.clone(),
                _ => self.array_elements(expr)?,
            },
        };
        if let Some(name) = plain_name(dereferenced(expr)) {
            self.scopes.read(name);
        }
        Some(
            elements
                .into_iter()
                .map(|element| bound_name(pattern).map(|name| (name, element)).into_iter().collect())
                .collect(),
        )
    }

    /// The layers of a field `[Conv2d; 3]`.
    fn array_elements(&mut self, expr: &Expr) -> Option<Vec<Bound>> {
        let layers = self.callable(expr)?;
        let (FieldKind::Vec(element), Type::Array(array)) = (&layers.kind, &layers.ty) else { return None };
        if !can_run(&element.1) {
            return None;
        }
        let elements = (0..literal(&array.len)?).map(|index| {
            let number = Literal::usize_unsuffixed(index).to_token_stream();
            Bound::Callable(layers.indexed(&number, &index.to_string(), &element.0, &element.1))
        });
        Some(elements.collect())
    }

    /// A loop whose turns are known: the body once for each.
    pub(super) fn written_out(&mut self, source: &ExprForLoop, turns: Vec<Turn>) {
        for turn in turns {
            self.scopes.enter();
            for (name, bound) in turn {
                self.scopes.declare(&name, false, bound);
            }
            self.inner_block(&source.body, Wanted::Nothing);
            self.scopes.leave();
        }
    }
}

fn counted(number: usize) -> Bound {
    Bound::Number(Literal::usize_unsuffixed(number).to_token_stream())
}

fn literal(expr: &Expr) -> Option<usize> {
    match peeled(expr) {
        Expr::Lit(ExprLit { lit: Lit::Int(integer), .. }) => integer.base10_parse().ok(),
        _ => None,
    }
}

fn bound_name(pattern: &Pat) -> Option<Ident> {
    match pattern {
        Pat::Ident(binding) => Some(binding.ident.clone()),
        Pat::Paren(paren) => bound_name(&paren.pat),
        Pat::Reference(reference) => bound_name(&reference.pat),
        _ => None,
    }
}
