//! Calls: of layers, of models, of functions, as function and as method.

use proc_macro2::Span;
use qcatalogue::{Parameter, ParameterKind};
use syn::punctuated::Punctuated;
use syn::{Expr, ExprCall, ExprMethodCall, ExprPath, Ident, Token};

use super::callable::{Callable, is_self, own_field, peeled};
use super::scope::Bound;
use super::{Lowering, Operation, Wanted};
use crate::errors::Message;
use crate::ir::{Callee, LayerPlace, ModelNode, NodeKind, ValueId};
use crate::parse::FieldKind;

type Arguments = Punctuated<Expr, Token![,]>;

impl Lowering<'_> {
    pub(super) fn call(&mut self, call: &ExprCall, wanted: Wanted<'_>) -> Bound {
        let function = peeled(&call.func);
        match function {
            Expr::Path(path) => self.call_path(path, call, wanted),
            Expr::Field(_) => match own_field(function) {
                Some((this, ident)) => self.call_field(this, ident, &call.args, wanted),
                None => self.expression(function, Wanted::One),
            },
            _ => {
                self.refuse_call(function);
                Bound::Poison
            }
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
        if let Some(callable) = self.callable(&call.receiver) {
            if method == "forward" {
                let span = own_field(&call.receiver).map_or(method.span(), |(_, ident)| ident.span());
                return self.call_callable(&callable, &call.args, span, wanted);
            }
            self.refuse_method_of_layer(&callable, method);
            return Bound::Poison;
        }
        match method.to_string().as_str() {
            "clone" if call.args.is_empty() => self.expression(&call.receiver, wanted),
            "size" => self.size(call),
            _ => match self.method_named(method) {
                Some(function) => {
                    self.call_function(function, method, Some(&call.receiver), &call.args, wanted)
                }
                None => Bound::Poison,
            },
        }
    }

    fn size(&mut self, call: &ExprMethodCall) -> Bound {
        let Some(tensor) = self.tensor(&call.receiver, "the receiver of `size`") else {
            return Bound::Poison;
        };
        match call.args.first() {
            Some(dim) if call.args.len() == 1 && self.is_number(dim) => {
                Bound::Size { tensor, dim: self.number(dim) }
            }
            _ => {
                let message = Message::new("`size` takes one axis").help("write `x.size(0)`");
                self.errors.error(&call.method, message);
                Bound::Poison
            }
        }
    }

    fn call_field(&mut self, this: &Expr, ident: &Ident, args: &Arguments, wanted: Wanted<'_>) -> Bound {
        match self.field(ident).map(|field| Callable::of_field(field, this, ident)) {
            Some(callable) => self.call_callable(&callable, args, ident.span(), wanted),
            None if self.is_method_of_the_impl(ident) => {
                let message = Message::new(format!("`{ident}` is a function of yours, not a layer"))
                    .help("write its body here, or make it the `forward` of a `#[quantizable]` model of its own")
                    .note("the graph is read from this body alone; it cannot look into other functions");
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
            FieldKind::Flag | FieldKind::Config => {
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
        let mut operands = args.iter().map(|arg| self.tensor(arg, &role)).collect::<Vec<_>>().into_iter();
        match (operands.next(), operands.next()) {
            (Some(operand), None) => operand,
            _ => {
                let message = Message::new(format!(
                    "`{}` takes 1 tensor, {} given",
                    callable.spelling,
                    match args.len() {
                        1 => "1 is".to_owned(),
                        more => format!("{more} are"),
                    }
                ))
                .help(format!("write `{}(x)`", callable.spelling));
                self.errors.error_at(span, message);
                None
            }
        }
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
        if args.is_empty() || args.len() > 1 + optional.len() {
            let names: String = optional.iter().map(|parameter| format!(", {}?", parameter.name)).collect();
            let message = Message::new(format!(
                "`{spelling}` takes 1 to {} tensors, {} are given",
                1 + optional.len(),
                args.len()
            ))
            .help(format!("it is called as `{spelling}(x{names})`"));
            self.errors.error_at(span, message);
            return None;
        }
        let mut operands = vec![self.tensor(&args[0], &format!("the argument of `{spelling}`"))?];
        for (position, (arg, parameter)) in args.iter().skip(1).zip(optional).enumerate() {
            let role = format!("`{}` of `{spelling}`", parameter.name);
            let tensor = self.optional_tensor(arg, &role)?;
            if tensor.is_some() && operands.len() <= position {
                let message = Message::new(format!("{role} is given after one that is left out"))
                    .help("give all tensors before it, or leave out all from there on");
                self.errors.error(arg, message);
                return None;
            }
            operands.extend(tensor);
        }
        Some(operands)
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
            FieldKind::Option(content) => {
                self.refuse_option(callable, &content.1, span);
                Bound::Poison
            }
            FieldKind::Flag | FieldKind::Config => {
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

    fn refuse_option(&mut self, callable: &Callable, content: &FieldKind, span: Span) {
        let spelling = &callable.spelling;
        let message = Message::new(format!("`{spelling}` is an `Option` and may be absent"));
        let message = if super::callable::can_run(content) {
            message.help(format!(
                "say what happens without it: `match &{spelling} {{ Some(layer) => layer(x), None => x }}`"
            ))
        } else {
            message.help("only layers and models can be called")
        };
        self.errors.error_at(span, message);
    }

    fn refuse_config_call(&mut self, callable: &Callable, span: Span) {
        let spelling = &callable.spelling;
        let ty = &callable.ty;
        let ty = quote::quote!(#ty).to_string().replace(' ', "");
        let help = match callable.kind {
            FieldKind::Flag => format!("use it as a condition: `if {spelling} {{ .. }}`"),
            _ => "only layers and models can be called".to_owned(),
        };
        let message = Message::new(format!("`{spelling}` is of type `{ty}` and cannot be called")).help(help);
        self.errors.error_at(span, message);
    }

    fn refuse_method_of_layer(&mut self, callable: &Callable, method: &Ident) {
        let spelling = &callable.spelling;
        let message = Message::new(format!("`{method}` is called on `{spelling}`, which is not a tensor"))
            .help(format!("run it first: `{spelling}(x)` or `{spelling}.forward(x)`"))
            .note("`forward` may only run layers; whatever else they offer stays outside");
        self.errors.error(method, message);
    }
}
