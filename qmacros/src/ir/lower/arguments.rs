//! Arguments after the tensors: how many, of which type, and the extents of `reshape`.

use proc_macro2::TokenStream;
use qcatalogue::{Parameter, ParameterKind, Tensors};
use quote::{ToTokens, quote};
use syn::{Expr, ExprLit, Ident, Lit};

use super::Lowering;
use super::callable::{dereferenced, peeled, plain_name};
use super::numbers::NumberType;
use super::scope::{Bound, Size};
use crate::errors::{Message, count, list};
use crate::ir::{Argument, Extent, Function, ValueId};

/// The arguments of one call, the tensors that it reads, and those whose sizes are among the arguments.
#[derive(Clone, Debug, Default)]
pub struct GivenArguments {
    pub operands: Vec<ValueId>,
    pub arguments: Vec<Argument>,
    pub shape_operands: Vec<ValueId>,
}

/// How many numbers stand for the dimensions one by one, and what the help offers.
#[derive(Clone, Copy)]
struct Dimensions {
    number: usize,
    alternatives: &'static str,
}

const PAIR: Dimensions =
    Dimensions { number: 2, alternatives: "both directions, or a pair: `(height, width)`" };
const TRIPLE: Dimensions =
    Dimensions { number: 3, alternatives: "all directions, or three: `(depth, height, width)`" };

impl Lowering<'_> {
    /// The arguments behind the tensors `operands`.
    pub(super) fn arguments(
        &mut self,
        function: Function,
        name: &Ident,
        operands: Vec<ValueId>,
        given: &[&Expr],
    ) -> Option<GivenArguments> {
        let mut read = GivenArguments { operands, ..GivenArguments::default() };
        if let [Parameter { kind: kind @ (ParameterKind::Extents | ParameterKind::Integers), .. }] =
            function.operation.parameters
            && given.len() > 1
        {
            let list = self.list(function, *kind, given, &mut read)?;
            read.arguments.push(list);
            return Some(read);
        }
        if given.len() < function.operation.required || given.len() > function.operation.parameters.len() {
            let tensors = match function.operation.tensors {
                Tensors::Exactly(number) => number,
                Tensors::List => 1,
            };
            self.refuse_argument_count(function, name, tensors + given.len());
            return None;
        }
        let mut is_complete = true;
        for (position, (parameter, expr)) in function.operation.parameters.iter().zip(given).enumerate() {
            let may_be_none = position < function.operation.alternatives;
            let argument = match may_be_none && plain_name(expr).is_some_and(|name| name == "None") {
                true => Some(Argument::Tensor(None)),
                false => self.argument(function, parameter, expr, &mut read),
            };
            match argument {
                Some(argument) => read.arguments.push(argument),
                None => is_complete = false,
            }
        }
        is_complete.then_some(read)
    }

    fn argument(
        &mut self,
        function: Function,
        parameter: &Parameter,
        expr: &Expr,
        read: &mut GivenArguments,
    ) -> Option<Argument> {
        let role = format!("`{}` of `{}`", parameter.name, function.name);
        match parameter.kind {
            ParameterKind::Float => {
                let is_fine = self.check_number(expr, &role, NumberType::Float);
                is_fine.then(|| Argument::Expr(self.float(expr)))
            }
            ParameterKind::Integer => {
                let is_fine = self.check_number(expr, &role, NumberType::Integer);
                is_fine.then(|| Argument::Expr(self.number(expr)))
            }
            ParameterKind::Bool => {
                let is_fine = self.check_number(expr, &role, NumberType::Bool);
                is_fine.then(|| Argument::Expr(self.number(expr)))
            }
            ParameterKind::IntegerOrPair => self.per_dimension(expr, &role, PAIR).map(Argument::Expr),
            ParameterKind::IntegerOrTriple => self.per_dimension(expr, &role, TRIPLE).map(Argument::Expr),
            ParameterKind::Choice(words) => self.choice(expr, &role, words).map(Argument::Expr),
            ParameterKind::Tensor => {
                let tensor = self.optional_tensor(expr, &role)?;
                read.operands.extend(tensor);
                Some(Argument::Tensor(tensor.map(|_| read.operands.len() - 1)))
            }
            ParameterKind::Integers | ParameterKind::Extents => {
                let elements: Vec<&Expr> = match dereferenced(expr) {
                    Expr::Tuple(tuple) => tuple.elems.iter().collect(),
                    Expr::Array(array) => array.elems.iter().collect(),
                    _ => vec![expr],
                };
                self.list(function, parameter.kind, &elements, read)
            }
        }
    }

    /// A tensor, or `None` as it is written.
    pub(super) fn optional_tensor(&mut self, expr: &Expr, role: &str) -> Option<Option<ValueId>> {
        let bound = self.optional_operand(expr);
        self.as_optional_tensor(bound, expr, role)
    }

    /// What stands in the place of an optional tensor; `None` is no value at all.
    pub(super) fn optional_operand(&mut self, expr: &Expr) -> Bound {
        match plain_name(expr) {
            Some(name) if name == "None" => Bound::Tuple(Vec::new()),
            _ => self.expression(expr, super::Wanted::One),
        }
    }

    /// The tensor that [`optional_operand`](Self::optional_operand) found, if it is one.
    pub(super) fn as_optional_tensor(
        &mut self,
        bound: Bound,
        expr: &Expr,
        role: &str,
    ) -> Option<Option<ValueId>> {
        match bound {
            Bound::Tuple(elements) if elements.is_empty() => Some(None),
            Bound::Number(_) => {
                let message = Message::new(format!("{role} must be a tensor, this is a number"))
                    .help("give a tensor, or `None`");
                self.errors.error(expr, message);
                None
            }
            bound => self.as_tensor(bound, expr, role).map(Some),
        }
    }

    /// One integer for all dimensions, or one for each.
    fn per_dimension(&mut self, expr: &Expr, role: &str, dimensions: Dimensions) -> Option<TokenStream> {
        let elements = match peeled(expr) {
            Expr::Tuple(tuple) => &tuple.elems,
            Expr::Array(array) => &array.elems,
            _ => {
                let is_fine = self.check_number(expr, role, NumberType::Integer);
                return is_fine.then(|| self.number(expr));
            }
        };
        if elements.len() != dimensions.number {
            let message = Message::new(format!("{role} has {}", count(elements.len(), "element")))
                .help(format!("give one number for {}", dimensions.alternatives));
            self.errors.error(expr, message);
            return None;
        }
        let are_fine = self.check_integers(elements, role);
        let numbers: Vec<TokenStream> = elements.iter().map(|element| self.number(element)).collect();
        are_fine.then(|| quote!((#(#numbers),*)))
    }

    /// One of the words that the parameter knows, as a text.
    fn choice(&mut self, expr: &Expr, role: &str, words: &[&str]) -> Option<TokenStream> {
        let written = match peeled(expr) {
            Expr::Lit(ExprLit { lit: Lit::Str(text), .. }) => Some(text),
            _ => None,
        };
        if let Some(text) = written.filter(|text| words.contains(&text.value().as_str())) {
            return Some(quote!(#text));
        }
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let message = Message::new(format!("{role} is one of several words"))
            .help(format!("write one of {}", list(quoted.iter().map(String::as_str))));
        self.errors.error(expr, message);
        None
    }

    fn list(
        &mut self,
        function: Function,
        kind: ParameterKind,
        elements: &[&Expr],
        read: &mut GivenArguments,
    ) -> Option<Argument> {
        let role = match kind {
            ParameterKind::Extents => format!("an extent of `{}`", function.name),
            _ => format!("an axis of `{}`", function.name),
        };
        if kind == ParameterKind::Extents {
            let extents: Vec<Option<Extent>> =
                elements.iter().map(|element| self.extent(element, &role, read)).collect();
            return extents.into_iter().collect::<Option<Vec<Extent>>>().map(Argument::Extents);
        }
        let are_fine = self.check_integers(elements.iter().copied(), &role);
        let numbers: Vec<TokenStream> = elements.iter().map(|element| self.number(element)).collect();
        are_fine.then(|| Argument::Expr(quote!([#(#numbers),*])))
    }

    fn extent(&mut self, expr: &Expr, role: &str, read: &mut GivenArguments) -> Option<Extent> {
        if self.is_number(expr) || !self.mentions_a_size(expr) {
            let is_fine = self.check_number(expr, role, NumberType::Integer);
            return is_fine.then(|| Extent::Expr(self.number(expr)));
        }
        match self.expression(expr, super::Wanted::One) {
            Bound::Size(size) => Some(extent_of(size, read)),
            Bound::Poison => None,
            other => {
                let message =
                    Message::new(format!("{role} must be a size or a number, this is {}", other.describe()))
                        .help("write one for each axis: `x.reshape((x.size(0), -1))`");
                self.errors.error(expr, message);
                None
            }
        }
    }

    /// Whether an expression is made of sizes: calls of `size` and `shape`, and names of such.
    pub(super) fn mentions_a_size(&self, expr: &Expr) -> bool {
        match dereferenced(expr) {
            Expr::MethodCall(call) => call.method == "size" || call.method == "shape",
            Expr::Binary(binary) => self.mentions_a_size(&binary.left) || self.mentions_a_size(&binary.right),
            Expr::Index(index) => self.mentions_a_size(&index.expr),
            Expr::Cast(cast) => self.mentions_a_size(&cast.expr),
            expr => plain_name(expr)
                .is_some_and(|name| matches!(self.scopes.peek(name), Some(Bound::Size(_) | Bound::Shape(_)))),
        }
    }

    /// As [`Self::check_number`] for each, all of them.
    fn check_integers<'e>(&mut self, elements: impl IntoIterator<Item = &'e Expr>, role: &str) -> bool {
        let mut are_fine = true;
        for element in elements {
            are_fine &= self.check_number(element, role, NumberType::Integer);
        }
        are_fine
    }

    /// Reports an argument that is no number, or of the wrong type as far as one can see.
    fn check_number(&mut self, expr: &Expr, role: &str, expected: NumberType) -> bool {
        if !self.is_number(expr) {
            self.refuse_as_number(expr, role);
            return false;
        }
        let found = self.number_type(expr);
        let help = match (expected, found) {
            (_, NumberType::Unknown) => return true,
            (expected, found) if expected == found => return true,
            (NumberType::Float, NumberType::Integer) if is_literal(expr) => return true,
            (NumberType::Float, NumberType::Integer) => format!("write `{} as f32`", source(expr)),
            (NumberType::Integer, NumberType::Float) => "write a whole number".to_owned(),
            (NumberType::Bool, _) => "write `true` or `false`".to_owned(),
            _ => "write a number".to_owned(),
        };
        let message =
            Message::new(format!("{role} must be {}, this is {}", article(expected), article(found)))
                .help(help);
        self.errors.error(expr, message);
        false
    }

    /// For operators: whether the number is no float, and was reported.
    pub(super) fn refuse_wrong_number(&mut self, expr: &Expr, role: &str) -> bool {
        !self.check_number(expr, role, NumberType::Float)
    }

    fn refuse_as_number(&mut self, expr: &Expr, role: &str) {
        let inner = dereferenced(expr);
        if let Expr::Assign(assign) = inner {
            let value = source(&assign.right);
            let message = Message::new("Rust has no named arguments")
                .help(format!("give the arguments in order, this one as `{value}`"));
            return self.errors.error(expr, message);
        }
        if plain_name(inner).is_some_and(|name| name == "None") {
            let message = Message::new(format!("{role} is left out by `None`"))
                .help("write its default, or leave out all arguments from here on");
            return self.errors.error(expr, message);
        }
        if self.mentions_a_size(inner) {
            let message = Message::new(format!("{role} depends on the size of a tensor"))
                .help("write a literal or a config field: `self.size`")
                .note("sizes are known only when the model runs; `reshape` alone may take them over");
            return self.errors.error(expr, message);
        }
        let errors_before = self.errors.count();
        let found = match inner {
            Expr::Tuple(_) | Expr::Array(_) => "a list".to_owned(),
            Expr::Path(_) | Expr::Field(_) => match self.expression(inner, super::Wanted::One) {
                Bound::Poison => return,
                bound => bound.describe(),
            },
            Expr::Call(_) | Expr::MethodCall(_) | Expr::Binary(_) => {
                let message = Message::new(format!("{role} must be known when the model is prepared"))
                    .help("write a literal, a constant or a config field: `self.size`");
                return self.errors.error(expr, message);
            }
            _ => "something else".to_owned(),
        };
        if self.errors.count() == errors_before {
            let message = Message::new(format!("{role} must be a number, this is {found}"))
                .help("write a literal, a constant or a config field: `self.size`");
            self.errors.error(expr, message);
        }
    }

    /// `found` counts the tensors too.
    pub(super) fn refuse_argument_count(&mut self, function: Function, name: &Ident, found: usize) {
        let (tensors, shown) = match function.operation.tensors {
            Tensors::List => (1, "[a, b]".to_owned()),
            Tensors::Exactly(1) => (1, "x".to_owned()),
            Tensors::Exactly(number) => (number, ["a", "b", "c"][..number.min(3)].join(", ")),
        };
        let least = tensors + function.operation.required;
        let most = tensors + function.operation.parameters.len();
        let expected =
            if least == most { count(most, "argument") } else { format!("{least} to {most} arguments") };
        let parameters: String = function
            .operation
            .parameters
            .iter()
            .enumerate()
            .map(|(index, parameter)| {
                let optional = if index < function.operation.required { "" } else { "?" };
                format!(", {}{optional}", parameter.name)
            })
            .collect();
        let given = if found == 1 { "1 is given".to_owned() } else { format!("{found} are given") };
        let message = Message::new(format!("`{}` takes {expected}, {given}", function.name))
            .help(format!("it is called as `{}({shown}{parameters})`", function.name));
        self.errors.error(name, message);
    }
}

fn extent_of(size: Size, read: &mut GivenArguments) -> Extent {
    match size {
        Size::Number(number) => Extent::Expr(number),
        Size::Of { tensor, dim } => {
            let position = read.shape_operands.iter().position(|known| *known == tensor);
            let shape_operand = position.unwrap_or_else(|| {
                read.shape_operands.push(tensor);
                read.shape_operands.len() - 1
            });
            Extent::SizeOf { shape_operand, dim }
        }
        Size::Arithmetic(operator, operands) => {
            let operands = Box::new((*operands).map(|operand| extent_of(operand, read)));
            Extent::Arithmetic { operator, operands }
        }
    }
}

fn article(number_type: NumberType) -> &'static str {
    match number_type {
        NumberType::Integer => "an integer",
        NumberType::Float => "a float",
        NumberType::Bool => "a bool",
        NumberType::Unknown => "a number",
    }
}

fn is_literal(expr: &Expr) -> bool {
    match peeled(expr) {
        Expr::Lit(_) => true,
        Expr::Unary(unary) => is_literal(&unary.expr),
        _ => false,
    }
}

/// Roughly what the user wrote.
pub fn source(expr: &Expr) -> String {
    let tokens = expr.to_token_stream().to_string();
    [" . ", " (", "( ", " )", " ,", "& ", " [", "[ ", " ]", "- "]
        .iter()
        .fold(tokens, |text, spaced| text.replace(spaced, spaced.trim()))
        .replace(",", ", ")
        .replace(",  ", ", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::Errors;
    use crate::ir::lower::lowering;
    use crate::ir::lower::testing::lowered;

    /// What a parameter of this kind makes of an argument, and what is reported.
    fn read(kind: ParameterKind, argument: &str) -> (Option<String>, Vec<String>) {
        let source = "struct Net { size: usize, unused: Linear }
                      impl Net { fn forward(&self, x: Tensor) -> Tensor { self.unused(x) } }";
        let lowered = lowered(source).unwrap_or_else(|errors| panic!("{errors:?}"));
        let expr: Expr = syn::parse_str(argument).unwrap();
        let mut errors = Errors::new();
        let parameter = Parameter { name: "size", kind };
        let read = lowering(&mut errors, &lowered.model, &lowered.forward).argument(
            Function::named("relu").unwrap(),
            &parameter,
            &expr,
            &mut GivenArguments::default(),
        );
        let text = read.map(|argument| match argument {
            Argument::Expr(tokens) => tokens.to_string(),
            other => panic!("{other:?}"),
        });
        let reported = errors.propagate().err().map_or_else(Vec::new, |reported| reported.0);
        (text, reported.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_choice_is_one_of_its_words() {
        let kind = ParameterKind::Choice(&["nearest", "bilinear"]);
        assert_eq!(read(kind, "\"bilinear\"").0.as_deref(), Some("\"bilinear\""));
        for wrong in ["\"cubic\"", "2", "self.size"] {
            let (text, errors) = read(kind, wrong);
            assert_eq!(text, None);
            let [error] = errors.as_slice() else { panic!("{errors:?}") };
            assert!(error.contains("`size` of `relu` is one of several words"), "{error}");
            assert!(error.contains("\"nearest\"") && error.contains("\"bilinear\""), "{error}");
        }
    }

    #[test]
    fn a_triple_has_three_elements() {
        let kind = ParameterKind::IntegerOrTriple;
        assert_eq!(read(kind, "3").0.as_deref(), Some("3"));
        assert_eq!(read(kind, "(1, 2, self.size)").0.as_deref(), Some("(1 , 2 , self . size)"));
        let (text, errors) = read(kind, "(1, 2)");
        assert_eq!(text, None);
        assert!(errors[0].contains("`size` of `relu` has 2 elements"), "{errors:?}");
        assert!(read(kind, "(1, 2, 3.5)").0.is_none());
    }
}
