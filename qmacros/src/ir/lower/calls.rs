//! Calls: of layers, of models, of functions, as function and as method.

use proc_macro2::Span;
use qcatalogue::{Parameter, ParameterKind};
use syn::punctuated::Punctuated;
use syn::spanned::Spanned as _;
use syn::{
    Expr, ExprCall, ExprIndex, ExprMethodCall, ExprPath, FnArg, Ident, ImplItemFn, PatType, ReturnType,
    Token, Type,
};

use super::arguments::source;
use super::callable::{Callable, is_self, own_field, peeled};
use super::scope::{Bound, Size};
use super::{Lowering, Operation, Wanted};
use crate::errors::{Message, count};
use crate::ir::{Callee, LayerPlace, ModelNode, NodeKind, ValueId};
use crate::parse::{FieldKind, Forward};

fn typed(input: &FnArg) -> Option<&PatType> {
    match input {
        FnArg::Typed(typed) => Some(typed),
        FnArg::Receiver(_) => None,
    }
}

/// The name of the field that is called.
fn span_of(function: &Expr) -> Span {
    match function {
        Expr::Field(field) => field.member.span(),
        function => function.span(),
    }
}

type Arguments = Punctuated<Expr, Token![,]>;

impl<'m> Lowering<'m> {
    pub(super) fn call(&mut self, call: &ExprCall, wanted: Wanted<'_>) -> Bound {
        if let Some(list) = Self::new_list(call) {
            return list;
        }
        let function = peeled(&call.func);
        match function {
            Expr::Path(path) => self.call_path(path, call, wanted),
            Expr::Field(_) => match own_field(function) {
                Some((this, ident)) => self.call_field(this, ident, &call.args, wanted),
                None => match self.callable_within(function) {
                    Some(callable) => self.call_callable(&callable, &call.args, span_of(function), wanted),
                    None => self.expression(function, Wanted::One),
                },
            },
            Expr::Index(index) => match self.callable(function) {
                Some(callable) => {
                    self.call_callable(&callable, &call.args, index.bracket_token.span.join(), wanted)
                }
                None => {
                    self.refuse_element_call(index);
                    Bound::Poison
                }
            },
            _ => {
                self.refuse_call(function);
                Bound::Poison
            }
        }
    }

    fn refuse_element_call(&mut self, index: &ExprIndex) {
        let errors_before = self.errors.count();
        let message = match self.callable(&index.expr) {
            Some(list) if matches!(list.kind, FieldKind::Vec(_)) => {
                Message::new(format!("`{}` is called at an index that depends on a tensor", list.spelling))
                    .help("index by a number, a config field or a loop's variable: `self.convs[i](x)`")
            }
            Some(list) => Message::new(format!("`{}` is no `Vec` and no array of layers", list.spelling))
                .help("make it one, `convs: Vec<Conv2d>`, or write one field for each layer"),
            None => {
                let what = source(&index.expr);
                Message::new(format!("an element of `{what}` is called"))
                    .help("call a layer of the model: `self.convs[0](x)`")
            }
        };
        if self.errors.count() == errors_before {
            self.errors.error(index, message);
        }
    }

    fn call_path(&mut self, path: &ExprPath, call: &ExprCall, wanted: Wanted<'_>) -> Bound {
        if let Some(ident) = path.path.get_ident() {
            match self.scopes.read(ident) {
                Some(Bound::Callable(callable)) => {
                    return self.call_callable(&callable, &call.args, ident.span(), wanted);
                }
                Some(Bound::Poison) => return Bound::Poison,
                Some(other) => {
                    let message = Message::new(format!("`{ident}` is {}, not a layer", other.describe()))
                        .maybe_help(
                            self.field(ident)
                                .map(|_| format!("the layer is `self.{ident}`; write `self.{ident}(..)`")),
                        );
                    self.errors.error(ident, message);
                    return Bound::Poison;
                }
                None => {}
            }
        }
        if let [qualifier, name] = path.path.segments.iter().collect::<Vec<_>>().as_slice()
            && (qualifier.ident == "Self" || qualifier.ident == self.model.ident)
            && let Some(method) = self.method(&name.ident)
        {
            return self.inline(method, &call.args, name.ident.span(), wanted);
        }
        match self.function_named(path) {
            Some((function, name)) => self.call_function(function, name, None, &call.args, wanted),
            None => Bound::Poison,
        }
    }

    pub(super) fn method_call(&mut self, call: &ExprMethodCall, wanted: Wanted<'_>) -> Bound {
        let method = &call.method;
        if is_self(&call.receiver) {
            return self.call_field(&call.receiver, method, &call.args, wanted);
        }
        if let Some((_, ident)) = own_field(&call.receiver)
            && self.field(ident).is_none()
        {
            self.refuse_unknown_field(ident);
            return Bound::Poison;
        }
        if let Some(callable) = self.callable_within(&call.receiver) {
            if matches!(callable.kind, FieldKind::Other) && method != "forward" && !call.args.is_empty() {
                return self.call_callable(&callable.inner(method), &call.args, method.span(), wanted);
            }
            if method == "forward" {
                let span = own_field(&call.receiver).map_or(method.span(), |(_, ident)| ident.span());
                return self.call_callable(&callable, &call.args, span, wanted);
            }
            self.refuse_method_of_layer(&callable, method);
            return Bound::Poison;
        }
        if let Some(bound) = self.list_method(call).or_else(|| self.unwrapped_element(call)) {
            return bound;
        }
        match method.to_string().as_str() {
            "clone" | "contiguous" if call.args.is_empty() => self.expression(&call.receiver, wanted),
            "size" | "shape" => self.size(call),
            _ => match self.method_named(method) {
                Some(function) => {
                    self.call_function(function, method, Some(&call.receiver), &call.args, wanted)
                }
                None => Bound::Poison,
            },
        }
    }

    /// `x.size(1)`, or all of them: `x.size()`, `x.shape()`.
    fn size(&mut self, call: &ExprMethodCall) -> Bound {
        let role = format!("the receiver of `{}`", call.method);
        let Some(tensor) = self.tensor(&call.receiver, &role) else { return Bound::Poison };
        match call.args.first() {
            None => Bound::Shape(tensor),
            Some(dim) if call.args.len() == 1 && call.method == "size" && self.is_number(dim) => {
                Bound::Size(Size::Of { tensor, dim: self.number(dim) })
            }
            _ => {
                let message = Message::new(format!("`{}` takes one axis, a number", call.method))
                    .help("write `x.size(1)`, or `let (n, c, h, w) = x.shape();`");
                self.errors.error(&call.method, message);
                Bound::Poison
            }
        }
    }

    pub(super) fn method(&self, name: &Ident) -> Option<&'m ImplItemFn> {
        let forward: &'m Forward = self.forward;
        forward.methods.iter().find(|method| method.sig.ident == *name)
    }

    /// A function of the impl block: its body in the place of the call.
    fn inline(&mut self, method: &'m ImplItemFn, args: &Arguments, span: Span, wanted: Wanted<'_>) -> Bound {
        let name = &method.sig.ident;
        if self.inlined.contains(name) {
            let message = Message::new(format!("`{name}` calls itself"))
                .help("write a loop: `for layer in &self.layers { x = layer(x); }`")
                .note("a graph is finite: what a function computes is written out where it is called");
            self.errors.error_at(span, message);
            return Bound::Poison;
        }
        let parameters: Vec<&PatType> = method.sig.inputs.iter().filter_map(typed).collect();
        if parameters.len() != args.len() {
            let message = Message::new(format!(
                "`{name}` takes {}, {} given",
                count(parameters.len(), "argument"),
                if args.len() == 1 { "1 is".to_owned() } else { format!("{} are", args.len()) }
            ))
            .help("give as many as it has parameters");
            self.errors.error_at(span, message);
            return Bound::Poison;
        }
        let arguments: Vec<Bound> = args.iter().map(|arg| self.argument_of_a_method(arg)).collect();
        let hidden = self.scopes.hide();
        self.scopes.enter();
        for (parameter, bound) in parameters.iter().zip(arguments) {
            self.bind(&parameter.pat, bound, usize::MAX);
        }
        self.inlined.push(name.clone());
        let outputs = match &method.sig.output {
            ReturnType::Type(_, ty) => match &**ty {
                Type::Tuple(tuple) => Some(tuple.elems.len()),
                _ => None,
            },
            ReturnType::Default => None,
        };
        let all = vec![true; outputs.unwrap_or_default()];
        let inner = match (wanted, outputs) {
            (Wanted::Tuple(kept), Some(number)) if kept.len() == number => wanted,
            (_, Some(_)) => Wanted::Tuple(&all),
            (_, None) => Wanted::One,
        };
        let (tail, _) = self.outermost_block(&method.block, inner);
        self.inlined.pop();
        self.scopes.leave();
        self.scopes.show(hidden);
        tail.unwrap_or(Bound::Poison)
    }

    /// A tensor, a number, or a layer that is handed on.
    fn argument_of_a_method(&mut self, arg: &Expr) -> Bound {
        if self.is_number(arg) {
            return self.expression(arg, Wanted::One);
        }
        match self.callable(arg) {
            Some(callable) => Bound::Callable(callable),
            None => self.expression(arg, Wanted::One),
        }
    }

    fn call_field(&mut self, this: &Expr, ident: &Ident, args: &Arguments, wanted: Wanted<'_>) -> Bound {
        let callable = self.field(ident).map(|field| Callable::of_field(field, this, ident));
        if let (None, Some(method)) = (&callable, self.method(ident)) {
            return self.inline(method, args, ident.span(), wanted);
        }
        match callable {
            Some(callable) => self.call_callable(&callable, args, ident.span(), wanted),
            None if self.is_method_of_the_impl(ident) => {
                let message = Message::new(format!("`{ident}` takes and returns no tensor"))
                    .help(format!("write `fn {ident}(&self, x: Tensor) -> Tensor` with the operations that it stands for"))
                    .note("its body is then read where it is called");
                self.errors.error(ident, message);
                Bound::Poison
            }
            None => {
                self.refuse_unknown_field(ident);
                Bound::Poison
            }
        }
    }

    pub(super) fn call_callable(
        &mut self,
        callable: &Callable,
        args: &Arguments,
        span: Span,
        wanted: Wanted<'_>,
    ) -> Bound {
        match &callable.kind {
            FieldKind::Option(content) => {
                self.refuse_option(callable, &content.1, span);
                Bound::Poison
            }
            FieldKind::Tuple(elements) => {
                self.refuse_tuple_call(callable, elements, span);
                Bound::Poison
            }
            FieldKind::Flag | FieldKind::Config | FieldKind::Pointer(_) => {
                self.refuse_config_call(callable, span);
                Bound::Poison
            }
            FieldKind::Other => {
                let operands = self.model_operands(callable, args, span);
                self.run_model(callable, operands, span, wanted)
            }
            FieldKind::Layer(operation) => match self.layer_operands(callable, operation, args, span) {
                Some(operands) => self.run_layer(callable, operation, operands, span, wanted),
                None => Bound::Poison,
            },
            _ => match self.single_operand(callable, args, span) {
                Some(value) => self.run(callable, value, span, wanted),
                None => Bound::Poison,
            },
        }
    }

    fn single_operand(&mut self, callable: &Callable, args: &Arguments, span: Span) -> Option<ValueId> {
        let role = format!("the argument of `{}`", callable.spelling);
        if args.len() != 1 {
            self.refuse_operand_count(callable, args, span);
            return None;
        }
        self.tensor(&args[0], &role)
    }

    fn refuse_operand_count(&mut self, callable: &Callable, args: &Arguments, span: Span) {
        let spelling = &callable.spelling;
        let given = args.len();
        let numbers = args.iter().skip(1).filter(|arg| self.is_number(arg)).count();
        let message = Message::new(format!(
            "`{spelling}` takes 1 tensor, {given} {} given",
            if given == 1 { "is" } else { "are" }
        ))
        .help(match numbers {
            0 => format!("write `{spelling}(x)`"),
            _ => format!("write `{spelling}(x)`; what the layer is set to is given where it is made"),
        });
        self.errors.error_at(span, message);
    }

    /// The tensor of a layer, then its optional ones: it knows them by their order, so none is left out in between.
    fn layer_operands(
        &mut self,
        callable: &Callable,
        operation: &qcatalogue::Operation,
        args: &Arguments,
        span: Span,
    ) -> Option<Vec<ValueId>> {
        let optional: Vec<&Parameter> =
            operation.parameters.iter().filter(|parameter| parameter.kind == ParameterKind::Tensor).collect();
        if optional.is_empty() {
            return self.single_operand(callable, args, span).map(|operand| vec![operand]);
        }
        let spelling = &callable.spelling;
        let Some(first) = args.first() else {
            self.refuse_optional_operands(spelling, &optional, 0, span);
            return None;
        };
        let mut operands = vec![self.tensor(first, &format!("the argument of `{spelling}`"))?];
        let mut given = Vec::new();
        for arg in args.iter().skip(1) {
            // A state may be a tuple, `self.lstm(x, (h, c))`, and be bound to one name.
            let tensors: Vec<(&Expr, Bound)> = match peeled(arg) {
                Expr::Tuple(tuple) => {
                    tuple.elems.iter().map(|each| (each, self.optional_operand(each))).collect()
                }
                arg => match self.optional_operand(arg) {
                    Bound::Tuple(elements) if !elements.is_empty() => {
                        elements.into_iter().map(|element| (arg, element)).collect()
                    }
                    bound => vec![(arg, bound)],
                },
            };
            given.extend(tensors);
        }
        if given.len() > optional.len() {
            self.refuse_optional_operands(spelling, &optional, 1 + given.len(), span);
            return None;
        }
        for (position, ((arg, bound), parameter)) in given.into_iter().zip(optional).enumerate() {
            let role = format!("`{}` of `{spelling}`", parameter.name);
            let Some(tensor) = self.as_optional_tensor(bound, arg, &role)? else { continue };
            if operands.len() <= position {
                let message = Message::new(format!("{role} is given after one that is left out"))
                    .help("give all tensors before it, or leave out all from there on");
                self.errors.error(arg, message);
                return None;
            }
            operands.push(tensor);
        }
        Some(operands)
    }

    fn refuse_optional_operands(
        &mut self,
        spelling: &str,
        optional: &[&Parameter],
        given: usize,
        span: Span,
    ) {
        let names: String = optional.iter().map(|parameter| format!(", {}?", parameter.name)).collect();
        let message = Message::new(format!(
            "`{spelling}` takes 1 to {} tensors, {given} are given",
            1 + optional.len()
        ))
        .help(format!("it is called as `{spelling}(x{names})`"));
        self.errors.error_at(span, message);
    }

    fn run_layer(
        &mut self,
        callable: &Callable,
        operation: &'static qcatalogue::Operation,
        operands: Vec<ValueId>,
        span: Span,
        wanted: Wanted<'_>,
    ) -> Bound {
        let name = self.names.layer(&callable.label);
        let callee = Callee::Layer(LayerPlace { operation, place: callable.place() });
        self.push_op(Operation { callee, operands, shape_operands: Vec::new(), name }, wanted, span)
    }

    /// Runs a layer, a `Sequential` or a `Vec` of them on one tensor.
    pub(super) fn run(
        &mut self,
        callable: &Callable,
        input: ValueId,
        span: Span,
        wanted: Wanted<'_>,
    ) -> Bound {
        match &callable.kind {
            FieldKind::Layer(operation) => self.run_layer(callable, operation, vec![input], span, wanted),
            FieldKind::Sequential(elements) => {
                let mut value = input;
                for (index, (ty, kind)) in elements.iter().enumerate() {
                    match self.run(&callable.element(index, ty, kind), value, span, Wanted::One) {
                        Bound::Tensor(next) => value = next,
                        _ => return Bound::Poison,
                    }
                }
                if value != input {
                    self.rename(value, &callable.label);
                }
                Bound::Tensor(value)
            }
            FieldKind::Vec(element) => self.run_each(callable, &element.0, &element.1, input, span),
            FieldKind::Other => self.run_model(callable, Some(vec![input]), span, wanted),
            FieldKind::Tuple(elements) => {
                self.refuse_tuple_call(callable, elements, span);
                Bound::Poison
            }
            FieldKind::Option(content) => {
                self.refuse_option(callable, &content.1, span);
                Bound::Poison
            }
            FieldKind::Flag | FieldKind::Config | FieldKind::Pointer(_) => {
                self.refuse_config_call(callable, span);
                Bound::Poison
            }
        }
    }

    fn model_operands(&mut self, callable: &Callable, args: &Arguments, span: Span) -> Option<Vec<ValueId>> {
        let args: Vec<&Expr> = match args.first().map(peeled) {
            Some(Expr::Tuple(tuple)) if args.len() == 1 => tuple.elems.iter().collect(),
            _ => args.iter().collect(),
        };
        if args.is_empty() {
            let message = Message::new(format!("`{}` is called without a tensor", callable.spelling))
                .help(format!("write `{}(x)`", callable.spelling));
            self.errors.error_at(span, message);
            return None;
        }
        let role = format!("the argument of `{}`", callable.spelling);
        let operands: Vec<Option<ValueId>> = args.iter().map(|arg| self.tensor(arg, &role)).collect();
        operands.into_iter().collect()
    }

    fn run_model(
        &mut self,
        callable: &Callable,
        operands: Option<Vec<ValueId>>,
        span: Span,
        wanted: Wanted<'_>,
    ) -> Bound {
        let Some(operands) = operands else { return Bound::Poison };
        let name = self.names.layer(&callable.label);
        let (results, bound) = match wanted {
            Wanted::Tuple(kept) => {
                let results = self.values_for(kept, &name, span);
                let bound = Bound::Tuple(results.iter().copied().map(Bound::Tensor).collect());
                (results, bound)
            }
            Wanted::One | Wanted::Nothing => {
                let result = self.value(name.clone(), span);
                (vec![result], Bound::Tensor(result))
            }
        };
        let node = ModelNode {
            place: callable.place(),
            operands,
            results,
            results_are_tuple: matches!(wanted, Wanted::Tuple(_)),
            name,
        };
        self.push(NodeKind::Model(node), span);
        bound
    }
}
