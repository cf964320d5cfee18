//! `for layer in &self.layers`, and the direct call of a `Vec` field.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote};
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Block as Source, Expr, ExprAssign, ExprBinary, ExprForLoop, ExprMethodCall, Ident, Pat, Type};

use super::callable::{Callable, dereferenced, own_field, peeled, plain_name};
use super::operators::Arithmetic;
use super::scope::{Bound, VariableId};
use super::{Lowering, Wanted};
use crate::codegen::index;
use crate::errors::Message;
use crate::ir::{Carried, ForNode, LoopId, NodeKind, ValueId};
use crate::parse::FieldKind;
use crate::parse::kind::can_run;

impl Lowering<'_> {
    pub(super) fn for_loop(&mut self, source: &ExprForLoop) {
        let span = source.for_token.span;
        if let Some(label) = &source.label {
            let message = Message::new("a label on a loop").help("remove it: every loop runs to its end");
            self.errors.error(label, message);
        }
        if let Some(turns) = self.turns(source) {
            return self.written_out(source, turns);
        }
        let Some(iteration) = self.iteration(&source.expr, &source.pat) else { return };
        let Iteration { ids, iterator, pattern, bindings, label } = iteration;
        let loop_name = self.names.control(&label);

        let variables = self.assigned_variables(&source.body);
        let mut carrying = Vec::new();
        for variable in variables {
            let bound = self.scopes.get(variable).bound.clone();
            let ident = self.scopes.get(variable).ident.clone();
            let mut slots = Vec::new();
            let entry = self.enter_iteration(&bound, &ident, &mut slots);
            self.scopes.get_mut(variable).bound = entry;
            carrying.push((variable, bound, slots));
        }
        let (body, ()) = self.in_block(|lowering| {
            for (binding, bound) in bindings {
                let is_layer = matches!(bound, Bound::Callable(_));
                let variable = lowering.scopes.declare(&binding, false, bound);
                lowering.scopes.get_mut(variable).must_be_read = is_layer;
            }
            let (tail, span) = lowering.inner_block(&source.body, super::Wanted::Nothing);
            if let Some(Bound::Tensor(_)) = tail {
                lowering.refuse_dropped(span);
            }
        });
        let mut carried = Vec::new();
        for (variable, initial, slots) in carrying {
            let next = self.scopes.get(variable).bound.clone();
            let ident = self.scopes.get(variable).ident.clone();
            let mut slots = slots.into_iter();
            let after = self.leave_iteration(&initial, &next, &ident, &mut slots, &mut carried, span);
            self.scopes.get_mut(variable).bound = after;
        }
        let iterable = iterated_text(&source.expr);
        let node = ForNode { ids, iterable, iterator, pattern, carried, body, name: loop_name };
        self.push(NodeKind::For(node), span);
    }

    /// `self.layers(x)`: every element in turn.
    pub(super) fn run_each(
        &mut self,
        layers: &Callable,
        element: &Type,
        kind: &FieldKind,
        input: ValueId,
        span: Span,
    ) -> Bound {
        if !can_run(kind) {
            self.refuse_elements(layers, span);
            return Bound::Poison;
        }
        let id = self.new_loop();
        let loop_name = self.names.control(&layers.label);
        let label = format!("{}_item", layers.label);
        let binding = Ident::new(&label, layers.root.field.span());
        let layer = layers.iterated(&binding, label, id, element, kind);
        let name = self.name_of(input).to_owned();
        let entry = self.value(name, span);
        let (body, output) = self.in_block(|lowering| lowering.run(&layer, entry, span, Wanted::One));
        let Bound::Tensor(next) = output else { return Bound::Poison };
        let result = self.value(layers.label.clone(), span);
        let carried = vec![Carried { initial: input, entry, next, result }];
        let iterable = layers.float_expr.clone();
        let (iterator, pattern) = (enumerated(&iterable), numbered_pattern(id, &binding));
        let node = ForNode { ids: vec![id], iterable, iterator, pattern, carried, body, name: loop_name };
        self.push(NodeKind::For(node), span);
        Bound::Tensor(result)
    }

    fn new_loop(&mut self) -> LoopId {
        self.loops += 1;
        LoopId(self.loops - 1)
    }

    /// What a `for` goes through, and what its pattern binds in each turn.
    fn iteration(&mut self, expr: &Expr, pattern: &Pat) -> Option<Iteration> {
        let expr = peeled(expr);
        let pattern = unparenthesised(pattern);
        if let Expr::MethodCall(call) = expr
            && self.mentions_layers(expr)
        {
            let [first, second] = [call.args.get(0), call.args.get(1)];
            match (call.method.to_string().as_str(), first, second) {
                ("iter" | "into_iter", None, _) => return self.layers(&call.receiver, expr, pattern),
                ("enumerate", None, _) => {
                    let [index, element] = self.pair(pattern, "enumerate")?;
                    let inner = self.iteration(&call.receiver, element)?;
                    let index = self.number_pattern(index);
                    let iterator = inner.iterator;
                    let iterator = quote!(::core::iter::Iterator::enumerate(#iterator));
                    let (position, element) = (index.tokens, inner.pattern);
                    let numbers = index.bindings.into_iter();
                    let numbers = numbers.map(|(ident, number)| (ident, Bound::Number(number)));
                    let bindings = numbers.chain(inner.bindings).collect();
                    let pattern = quote!((#position, #element));
                    return Some(Iteration { iterator, pattern, bindings, ..inner });
                }
                ("rev", None, _) => {
                    let inner = self.iteration(&call.receiver, pattern)?;
                    let iterator = inner.iterator;
                    let iterator = quote!(::core::iter::Iterator::rev(#iterator));
                    return Some(Iteration { iterator, ..inner });
                }
                (name @ ("skip" | "take" | "step_by"), Some(count), None) if self.is_number(count) => {
                    let inner = self.iteration(&call.receiver, pattern)?;
                    let (iterator, count) = (inner.iterator, self.number(count));
                    let adapter = Ident::new(name, call.method.span());
                    let iterator = quote!(::core::iter::Iterator::#adapter(#iterator, #count));
                    return Some(Iteration { iterator, ..inner });
                }
                ("zip", Some(other), None) => {
                    let [left, right] = self.pair(pattern, "zip")?;
                    let left = self.iteration(&call.receiver, left)?;
                    let right = self.iteration(other, right)?;
                    let (first, second) = (left.iterator, right.iterator);
                    let iterator = quote!(::core::iter::Iterator::zip(#first, #second));
                    let (first, second) = (left.pattern, right.pattern);
                    return Some(Iteration {
                        ids: [left.ids, right.ids].concat(),
                        iterator,
                        pattern: quote!((#first, #second)),
                        bindings: left.bindings.into_iter().chain(right.bindings).collect(),
                        label: left.label,
                    });
                }
                _ => {}
            }
        }
        let is_range = matches!(expr, Expr::Range(range) if range.end.is_some());
        if !self.mentions_layers(expr) && self.is_free_of_tensors(expr) && (is_range || self.is_config(expr))
        {
            let iterator = self.config(expr);
            let pattern = self.number_pattern(pattern);
            let numbers = pattern.bindings.into_iter();
            return Some(Iteration {
                ids: Vec::new(),
                iterator: if is_range { quote!((#iterator)) } else { iterator },
                pattern: pattern.tokens,
                bindings: numbers.map(|(ident, number)| (ident, Bound::Number(number))).collect(),
                label: match self.flag_label(expr) {
                    label if label == "branch" => "repeat".to_owned(),
                    label => label,
                },
            });
        }
        self.layers(expr, expr, pattern)
    }

    /// Whether an iterator goes through layers, alone or beside something else.
    fn mentions_layers(&mut self, expr: &Expr) -> bool {
        match dereferenced(expr) {
            Expr::MethodCall(call) => {
                self.mentions_layers(&call.receiver) || call.args.iter().any(|arg| self.mentions_layers(arg))
            }
            expr => self.callable(expr).is_some_and(|callable| can_run(&callable.kind)),
        }
    }

    /// The `Vec` or array behind `&self.layers` or a loop's variable.
    fn layers(&mut self, list: &Expr, whole: &Expr, pattern: &Pat) -> Option<Iteration> {
        let (layers, ty, kind) = self.iterated(list, whole)?;
        let binding = self.loop_variable(pattern)?;
        let id = self.new_loop();
        let label = binding.unraw().to_string();
        let element = layers.iterated(&binding, label, id, &ty, &kind);
        Some(Iteration {
            ids: vec![id],
            iterator: enumerated(&layers.float_expr),
            pattern: numbered_pattern(id, &binding),
            bindings: vec![(binding, Bound::Callable(element))],
            label: layers.label,
        })
    }

    /// The two patterns of `(i, layer)`.
    fn pair<'p>(&mut self, pattern: &'p Pat, adapter: &str) -> Option<[&'p Pat; 2]> {
        if let Pat::Tuple(tuple) = pattern
            && let [first, second] = tuple.elems.iter().collect::<Vec<_>>().as_slice()
        {
            return Some([first, second]);
        }
        let names = if adapter == "zip" { "(conv, norm)" } else { "(i, layer)" };
        let message = Message::new(format!("`{adapter}` gives two values in each turn"))
            .help(format!("bind both: `for {names} in ..`"));
        self.errors.error(pattern, message);
        None
    }

    fn iterated(&mut self, list: &Expr, whole: &Expr) -> Option<(Callable, Type, FieldKind)> {
        let Some(layers) = self.callable(list) else {
            match own_field(dereferenced(list)) {
                Some((_, ident)) if self.field(ident).is_none() => self.refuse_unknown_field(ident),
                _ => self.refuse_iterable(whole),
            }
            return None;
        };
        match &layers.kind {
            FieldKind::Vec(element) if can_run(&element.1) => {
                let (ty, kind) = (**element).clone();
                Some((layers, ty, kind))
            }
            FieldKind::Sequential(_) => {
                let message = Message::new(format!("`{}` is a `Sequential`, not a `Vec`", layers.spelling))
                    .help(format!("call it: `{}(x)`", layers.spelling));
                self.errors.error(list, message);
                None
            }
            _ => {
                let message = Message::new(format!("`{}` is no `Vec`", layers.spelling)).help(
                    "loop over a `Vec` or an array of layers or models: `for layer in &self.layers { x = layer(x); }`",
                );
                self.errors.error(list, message);
                None
            }
        }
    }

    fn refuse_elements(&mut self, layers: &Callable, span: Span) {
        let ty = layers.ty.to_token_stream().to_string().replace(' ', "");
        let message = Message::new(format!("`{}` is a `{ty}`, which holds no layers", layers.spelling))
            .help("loop over a `Vec` of layers or models")
            .note("each turn of a loop stands for the operations of one element");
        self.errors.error_at(span, message);
    }

    fn refuse_iterable(&mut self, expr: &Expr) {
        let (place, help) = match expr {
            Expr::MethodCall(call) if call.method == "iter_mut" => {
                (call.method.to_token_stream(), "write `for layer in &self.layers`".to_owned())
            }
            Expr::MethodCall(call) => (
                call.method.to_token_stream(),
                format!(
                    "`for` goes through a list by `iter`, `enumerate`, `rev`, `zip`, `skip`, `take` and `step_by`; write \
                     what `{}` does inside of the loop",
                    call.method
                ),
            ),
            Expr::Range(_) => (expr.to_token_stream(), "count to a number that the model has: `for i in 0..self.depth`".to_owned()),
            _ => (
                expr.to_token_stream(),
                "loop over a field: `for layer in &self.layers { x = layer(x); }`, or over numbers: `for i in 0..3`".to_owned(),
            ),
        };
        let message = Message::new("`for` over something that no instance of the model knows")
            .help(help)
            .note("each turn stands for operations of its own, so how many there are must be known when the model is prepared");
        self.errors.error(place, message);
    }

    fn loop_variable(&mut self, pattern: &Pat) -> Option<Ident> {
        match pattern {
            Pat::Ident(binding) if binding.by_ref.is_none() && binding.subpat.is_none() => {
                Some(binding.ident.clone())
            }
            Pat::Paren(paren) => self.loop_variable(&paren.pat),
            Pat::Wild(wild) => Some(Ident::new("_layer", wild.underscore_token.span)),
            Pat::Reference(reference) => self.loop_variable(&reference.pat),
            _ => {
                let message = Message::new("the loop variable must be a name")
                    .help("write `for layer in &self.layers { x = layer(x); }`");
                self.errors.error(pattern, message);
                None
            }
        }
    }

    pub(super) fn assigned_variables(&self, body: &Source) -> Vec<VariableId> {
        let mut assigned = Assigned::default();
        assigned.visit_block(body);
        let mut variables = Vec::new();
        for name in &assigned.names {
            if let Some(variable) = self.scopes.resolve(name)
                && !variables.contains(&variable)
            {
                variables.push(variable);
            }
        }
        variables
    }

    /// What a variable stands for when an iteration begins.
    fn enter_iteration(
        &mut self,
        bound: &Bound,
        ident: &Ident,
        slots: &mut Vec<(ValueId, ValueId)>,
    ) -> Bound {
        match bound {
            Bound::Tensor(initial) => {
                let name = ident.to_string();
                let entry = self.value(name.trim_start_matches("r#"), ident.span());
                slots.push((*initial, entry));
                Bound::Tensor(entry)
            }
            Bound::Tuple(elements) => Bound::Tuple(
                elements.iter().map(|element| self.enter_iteration(element, ident, slots)).collect(),
            ),
            Bound::List(elements) => Bound::List(
                elements.iter().map(|element| self.enter_iteration(element, ident, slots)).collect(),
            ),
            other => other.clone(),
        }
    }

    /// What it stands for after the loop.
    fn leave_iteration(
        &mut self,
        initial: &Bound,
        next: &Bound,
        ident: &Ident,
        slots: &mut impl Iterator<Item = (ValueId, ValueId)>,
        carried: &mut Vec<Carried>,
        span: Span,
    ) -> Bound {
        match (initial, next) {
            (Bound::Tensor(_), Bound::Tensor(next)) => {
                let Some((initial, entry)) = slots.next() else { return Bound::Poison };
                let name = ident.to_string();
                let result = self.value(name.trim_start_matches("r#"), ident.span());
                carried.push(Carried { initial, entry, next: *next, result });
                Bound::Tensor(result)
            }
            (Bound::Tuple(before), Bound::Tuple(after)) if before.len() == after.len() => {
                let pairs = before.iter().zip(after);
                let elements = pairs
                    .map(|(before, after)| self.leave_iteration(before, after, ident, slots, carried, span));
                Bound::Tuple(elements.collect())
            }
            (Bound::List(before), Bound::List(after)) if before.len() == after.len() => {
                let pairs = before.iter().zip(after);
                let elements = pairs
                    .map(|(before, after)| self.leave_iteration(before, after, ident, slots, carried, span));
                Bound::List(elements.collect())
            }
            (Bound::List(_), Bound::List(_)) => {
                let message = Message::new(format!("the list `{ident}` changes its length in a loop over a `Vec`"))
                    .help("make the field an array, `layers: [Conv2d; 4]`, or loop over plain numbers: `for i in 0..4`")
                    .note("how many tensors there are must be visible in the source, and a `Vec` may have any length");
                self.errors.error_at(span, message);
                Bound::Poison
            }
            (Bound::Poison, _) | (_, Bound::Poison) => Bound::Poison,
            (before, after) if before.is_same(after) => after.clone(),
            (before, after) => {
                let message = if before.describe() == after.describe() {
                    Message::new(format!("`{ident}` is {} that changes from turn to turn", before.describe()))
                        .help("put what differs between the turns into the elements of the `Vec`")
                } else {
                    Message::new(format!(
                        "`{ident}` is {} before the loop and {} after a turn",
                        before.describe(),
                        after.describe()
                    ))
                    .help("assign the same kind of value in each turn")
                };
                self.errors.error_at(span, message);
                Bound::Poison
            }
        }
    }
}

/// A `for` that is understood.
struct Iteration {
    ids: Vec<LoopId>,
    iterator: TokenStream,
    pattern: TokenStream,
    bindings: Vec<(Ident, Bound)>,
    label: String,
}

fn enumerated(list: &TokenStream) -> TokenStream {
    quote!(::core::iter::Iterator::enumerate(#list.iter()))
}

fn numbered_pattern(id: LoopId, binding: &Ident) -> TokenStream {
    let index = index(id);
    quote!((#index, #binding))
}

/// What the user sees of a loop: `self.layers` of `&self.layers` and `self.layers.iter()`.
fn iterated_text(expr: &Expr) -> TokenStream {
    match dereferenced(expr) {
        Expr::MethodCall(call) if call.method == "iter" => call.receiver.to_token_stream(),
        expr => expr.to_token_stream(),
    }
}

fn unparenthesised(pattern: &Pat) -> &Pat {
    match pattern {
        Pat::Paren(paren) => unparenthesised(&paren.pat),
        pattern => pattern,
    }
}

/// The names that are assigned to, in the order in which they first are.
#[derive(Default)]
struct Assigned {
    names: Vec<Ident>,
}

impl Assigned {
    fn target(&mut self, expr: &Expr) {
        match peeled(expr) {
            Expr::Tuple(tuple) => tuple.elems.iter().for_each(|element| self.target(element)),
            expr => self.names.extend(plain_name(expr).cloned()),
        }
    }
}

impl<'ast> Visit<'ast> for Assigned {
    fn visit_expr_assign(&mut self, assign: &'ast ExprAssign) {
        self.target(&assign.left);
        visit::visit_expr_assign(self, assign);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if matches!(call.method.to_string().as_str(), "push" | "pop" | "reverse") {
            self.target(&call.receiver);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_expr_binary(&mut self, binary: &'ast ExprBinary) {
        if is_compound(binary) {
            self.target(&binary.left);
        }
        visit::visit_expr_binary(self, binary);
    }
}

pub fn is_compound(binary: &ExprBinary) -> bool {
    use syn::BinOp;
    let is_other = matches!(
        binary.op,
        BinOp::RemAssign(_)
            | BinOp::BitXorAssign(_)
            | BinOp::BitAndAssign(_)
            | BinOp::BitOrAssign(_)
            | BinOp::ShlAssign(_)
            | BinOp::ShrAssign(_)
    );
    let is_arithmetic = Arithmetic::of(&binary.op).is_some()
        && matches!(
            binary.op,
            BinOp::AddAssign(_) | BinOp::SubAssign(_) | BinOp::MulAssign(_) | BinOp::DivAssign(_)
        );
    is_other || is_arithmetic
}
