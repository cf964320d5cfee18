//! Functions of the catalogue: finding them, and what a call of one adds to the graph.

use proc_macro2::Span;
use qcatalogue::{Results, Tensors, Unsupported, by_function, functions, unsupported, unsupported_function};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprPath, Ident, Token};

use super::arguments::GivenArguments;
use super::callable::{dereferenced, peeled};
use super::naming::joined;
use super::scope::Bound;
use super::{Lowering, Operation, Wanted};
use crate::errors::{Message, did_you_mean};
use crate::ir::{Argument, Callee, Function, FunctionCall, NamedFunction, ValueId};

impl Lowering<'_> {
    /// The operation that a path is called like. Whether it is that one is for rustc to say: see [`NamedFunction`].
    pub(super) fn function_named<'p>(&mut self, path: &'p ExprPath) -> Option<(Function, &'p Ident)> {
        let name = &path.path.segments.last()?.ident;
        let is_associated = path.qself.is_some() || self.begins_with_a_type(&path.path);
        if !is_associated && let Some(function) = Function::named(&name.to_string()) {
            self.functions.push(NamedFunction { path: path.path.clone(), operation: function.operation });
            return Some((function, name));
        }
        if path.path.get_ident().is_none() {
            self.refuse_foreign_function(path);
        } else if self.field(name).is_some() {
            let message = Message::new(format!("no function or layer `{name}` in scope"))
                .help(format!("fields are reached through `self`: `self.{name}(x)`"));
            self.errors.error(name, message);
        } else {
            self.refuse_function(name, false);
        }
        None
    }

    /// `Self::relu`, `Tensor::relu`, `B::relu`.
    pub(super) fn begins_with_a_type(&self, path: &syn::Path) -> bool {
        let qualifiers = path.segments.iter().rev().skip(1);
        qualifiers.map(|segment| segment.ident.to_string()).any(|name| {
            name.chars().next().is_some_and(char::is_uppercase) && name.chars().any(char::is_lowercase)
        }) || path.segments.len() > 1
            && path.segments.first().is_some_and(|first| {
                self.model.generics.type_params().any(|parameter| parameter.ident == first.ident)
            })
    }

    pub(super) fn method_named(&mut self, name: &Ident) -> Option<Function> {
        let function = Function::named(&name.to_string());
        match function {
            // The operation's function at the method's place, so that editors know what it stands for.
            Some(Function { operation, .. }) => {
                let path = syn::parse_quote!(::qcore::functional::#name);
                self.functions.push(NamedFunction { path, operation });
            }
            None => self.refuse_function(name, true),
        }
        function
    }

    fn refuse_function(&mut self, ident: &Ident, is_method: bool) {
        let name = ident.to_string();
        let operations = || "the operations are the functions of `qcore::functional`".to_owned();
        let message = if let Some(Unsupported { advice, .. }) = unsupported_function(&name) {
            let help = advice.map_or_else(operations, str::to_owned);
            Message::new(format!("`{name}` has no quantized form here")).help(help)
        } else if matches!(name.as_str(), "Ok" | "Some" | "Err") {
            Message::new(format!("`{name}(..)` around a value")).help("write the value alone").note(
                "the body is written as if nothing could fail; the generated `forward` returns a `Result`",
            )
        } else if matches!(name.as_str(), "dim" | "numel" | "len" | "to_vec" | "item") {
            Message::new(format!("`{name}` reads a tensor at run time"))
                .help(
                    "inside `reshape`, the extent of an axis may be taken over: `x.reshape((x.size(0), -1))`",
                )
                .note("a static graph cannot depend on what a tensor holds")
        } else if let Some(meant) = similar(&name) {
            Message::new(format!("unknown operation `{name}`")).help(format!("did you mean `{meant}`?"))
        } else if let Some(row) = similar_unsupported(&name) {
            let meant = row.function.unwrap_or_default();
            Message::new(format!("unknown operation `{name}`")).help(match row.advice {
                Some(advice) => format!("`{meant}` has no quantized form here: {advice}"),
                None => format!("`{meant}` has no quantized form here; {}", operations()),
            })
        } else if ITERATORS.contains(&name.as_str()) {
            Message::new(format!("`{name}` of an iterator in `forward`"))
                .help("write a loop: `for layer in &self.layers { x = layer(x); }`")
                .note("the graph is read from this body, and what a closure does is not visible in it")
        } else if is_method {
            Message::new(format!("`{name}` is no operation on tensors")).help(operations())
        } else {
            Message::new(format!("call of `{name}`, which is not an operation of the graph"))
                .help(format!(
                    "make it a function of this `impl`, `fn {name}(&self, x: Tensor) -> Tensor`, which is read where \
                     `self.{name}(x)` calls it; {}",
                    operations()
                ))
                .note("a function outside of the `impl` is not visible here")
        };
        self.errors.error(ident, message);
    }

    fn refuse_foreign_function(&mut self, path: &ExprPath) {
        let name = path.path.segments.last().map(|segment| segment.ident.to_string()).unwrap_or_default();
        let known = by_function(&name).is_some();
        if path.path.segments.first().is_some_and(|first| first.ident == "Tensor") && !known {
            let message = Message::new("a tensor is made in `forward`")
                .help("pass it in: `fn forward(&self, x: Tensor, h: Tensor)`, or let a layer hold it")
                .note("a graph computes with what comes in and with the weights of its layers");
            return self.errors.error(path, message);
        }
        let help = if known {
            format!("if you mean `qcore::functional::{name}`, write `{name}(..)`")
        } else {
            "write what it computes with layers and operations, or make it a `#[quantizable]` model of its own"
                .to_owned()
        };
        let message = Message::new("call of a function that is not an operation of the graph")
            .help(help)
            .note("the graph is read from this body alone; it cannot look into other functions");
        self.errors.error(path, message);
    }

    pub(super) fn call_function(
        &mut self,
        function: Function,
        name: &Ident,
        receiver: Option<&Expr>,
        args: &Punctuated<Expr, Token![,]>,
        wanted: Wanted<'_>,
    ) -> Bound {
        let span = name.span();
        let given: Vec<&Expr> = receiver.into_iter().chain(args).collect();
        let tensors = match function.operation.tensors {
            Tensors::Exactly(number) => number,
            Tensors::List => 1,
        };
        let Some((tensors, rest)) = given.split_at_checked(tensors) else {
            self.refuse_argument_count(function, name, given.len());
            return Bound::Poison;
        };
        let errors_before = self.errors.count();
        let operands = match function.operation.tensors {
            Tensors::Exactly(_) => self.tensor_arguments(function, tensors),
            Tensors::List => tensors.first().and_then(|list| self.tensor_list(function, list)),
        };
        let are_tensors = operands.is_some();
        let given = self.arguments(function, name, operands.unwrap_or_default(), rest);
        let Some(given) = given.filter(|_| are_tensors) else { return Bound::Poison };
        if self.errors.count() > errors_before {
            return Bound::Poison;
        }
        if function.operation.results == Results::Pieces {
            return self.pieces(function, name, &given, rest, wanted);
        }
        let label = self.function_label(function, tensors, &given.operands, rest);
        self.push_function(function, &label, given, wanted, span)
    }

    fn push_function(
        &mut self,
        function: Function,
        label: &str,
        given: GivenArguments,
        wanted: Wanted<'_>,
        span: Span,
    ) -> Bound {
        let name = self.names.operation(label);
        let GivenArguments { operands, arguments, shape_operands } = given;
        let callee = Callee::Function(FunctionCall { function, arguments });
        let operation = Operation { callee, operands, shape_operands, name };
        self.push_op(operation, wanted, span)
    }

    fn function_label(
        &self,
        function: Function,
        tensors: &[&Expr],
        operands: &[ValueId],
        rest: &[&Expr],
    ) -> String {
        let elements = match tensors.first().copied().map(dereferenced) {
            Some(Expr::Array(array)) if function.operation.tensors == Tensors::List => {
                array.elems.iter().collect()
            }
            Some(Expr::Tuple(tuple)) if function.operation.tensors == Tensors::List => {
                tuple.elems.iter().collect()
            }
            _ => tensors.to_vec(),
        };
        let label = |index: usize| match (elements.get(index), operands.get(index)) {
            (Some(expr), Some(value)) => self.label_of(expr, *value),
            _ => String::new(),
        };
        let number = || rest.first().map(|expr| self.number_label(expr)).unwrap_or_default();
        match (function.name, operands.len()) {
            ("add", _) => joined(&label(0), "plus", &label(1), "add"),
            ("sub", _) => joined(&label(0), "minus", &label(1), "sub"),
            ("mul", _) => joined(&label(0), "times", &label(1), "mul"),
            ("add_scalar", _) => joined(&label(0), "plus", &number(), "add_scalar"),
            ("mul_scalar", _) => joined(&label(0), "times", &number(), "mul_scalar"),
            ("cat", 2) => joined(&label(0), "cat", &label(1), "cat"),
            ("cat", 3) => joined(&joined(&label(0), "cat", &label(1), ""), "cat", &label(2), "cat"),
            (name, _) => name.to_owned(),
        }
    }

    fn tensor_arguments(&mut self, function: Function, exprs: &[&Expr]) -> Option<Vec<ValueId>> {
        let mut operands = Vec::new();
        for (index, expr) in exprs.iter().enumerate() {
            let role = match exprs.len() {
                1 => format!("the argument of `{}`", function.name),
                _ => format!("argument {} of `{}`", index + 1, function.name),
            };
            operands.push(self.tensor(expr, &role));
        }
        operands.into_iter().collect()
    }

    fn tensor_list(&mut self, function: Function, list: &Expr) -> Option<Vec<ValueId>> {
        let name = function.name;
        let elements: Vec<&Expr> = match dereferenced(list) {
            Expr::Array(array) => array.elems.iter().collect(),
            Expr::Tuple(tuple) => tuple.elems.iter().collect(),
            other => {
                if !matches!(other, Expr::Lit(_)) {
                    let errors_before = self.errors.count();
                    match self.expression(other, Wanted::One) {
                        Bound::Tuple(elements) | Bound::List(elements) if !elements.is_empty() => {
                            let role = format!("an element of the list of `{name}`");
                            let tensors =
                                elements.into_iter().map(|element| self.as_tensor(element, other, &role));
                            return tensors.collect();
                        }
                        Bound::Poison => return None,
                        _ if self.errors.count() > errors_before => return None,
                        _ => {}
                    }
                }
                let message = Message::new(format!("`{name}` takes a list of tensors"))
                    .help(format!("write `{name}([a, b], 1)`"))
                    .note("how many tensors there are must be visible in the source");
                self.errors.error(list, message);
                return None;
            }
        };
        if elements.is_empty() {
            let message =
                Message::new(format!("`{name}` of nothing")).help(format!("write `{name}([a, b], 1)`"));
            self.errors.error(list, message);
            return None;
        }
        let role = format!("an element of the list of `{name}`");
        let operands: Vec<Option<ValueId>> =
            elements.iter().map(|element| self.tensor(element, &role)).collect();
        operands.into_iter().collect()
    }

    /// One node for each name that the pattern binds.
    fn pieces(
        &mut self,
        function: Function,
        name: &Ident,
        given: &GivenArguments,
        rest: &[&Expr],
        wanted: Wanted<'_>,
    ) -> Bound {
        let Wanted::Tuple(kept) = wanted else {
            let call = match function.name {
                "chunk" => "x.chunk(2, 1)",
                _ => "x.split(8, 1)",
            };
            let message = Message::new(format!("`{name}` makes several tensors"))
                .help(format!("bind them by a tuple pattern: `let (a, b) = {call};`"))
                .note("how many there are must be visible in the source");
            self.errors.error(name, message);
            return Bound::Poison;
        };
        if function.name == "chunk"
            && let Some(chunks) = rest.first().copied().and_then(literal_integer)
            && chunks != kept.len()
        {
            let message =
                Message::new(format!("`chunk` makes {chunks} tensors, the pattern has {}", kept.len()))
                    .help("name each piece; `_` for those that are not needed");
            self.errors.error(rest.first(), message);
            return Bound::Poison;
        }
        let pieces = kept.iter().enumerate().map(|(index, kept)| {
            if !kept {
                return Bound::Poison;
            }
            let mut given = given.clone();
            given.arguments.push(Argument::Piece(index));
            let label = format!("{}_{index}", function.name);
            self.push_function(function, &label, given, Wanted::One, name.span())
        });
        Bound::Tuple(pieces.collect())
    }
}

fn literal_integer(expr: &Expr) -> Option<usize> {
    match peeled(expr) {
        Expr::Lit(syn::ExprLit { lit: syn::Lit::Int(integer), .. }) => integer.base10_parse().ok(),
        _ => None,
    }
}

/// Methods by which iterators are worked on.
const ITERATORS: &[&str] = &[
    "iter",
    "iter_mut",
    "into_iter",
    "map",
    "fold",
    "try_fold",
    "for_each",
    "filter",
    "filter_map",
    "flat_map",
    "collect",
    "reduce",
    "scan",
    "zip",
    "enumerate",
    "rev",
    "chain",
    "windows",
    "chunks",
];

/// What PyTorch has and we do not under a name like this.
fn similar_unsupported(name: &str) -> Option<&'static Unsupported> {
    let names = unsupported().iter().filter_map(|row| row.function);
    unsupported_function(did_you_mean(name, names).filter(|meant| is_likely(name, meant))?)
}

/// Short names are near to each other by accident: a user's `act` is no `cat`.
fn is_likely(name: &str, meant: &str) -> bool {
    name.len() > 4 || name.chars().next() == meant.chars().next()
}

/// The operation that a wrong name is most likely meant for: `relu_`, `MaxPool2d`, `max_pol2d`.
fn similar(name: &str) -> Option<String> {
    let in_place = name.strip_suffix('_').filter(|name| by_function(name).is_some());
    let near = did_you_mean(name, functions()).filter(|meant| is_likely(name, meant));
    let meant = in_place.or(near).map(str::to_owned);
    let without_dimension = |name: &str| name.to_lowercase().replace(['_', '2', 'd'], "");
    let as_pool = || {
        functions()
            .find(|known| known.ends_with("2d") && without_dimension(known) == without_dimension(name))
            .map(str::to_owned)
    };
    meant.or_else(as_pool)
}
