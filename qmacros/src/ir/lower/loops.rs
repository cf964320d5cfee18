//! `for layer in &self.layers`, and the direct call of a `Vec` field.

use proc_macro2::Span;
use quote::ToTokens;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block as Source, Expr, ExprAssign, ExprBinary, ExprForLoop, Ident, Pat, Type};

use super::callable::{Callable, can_run, dereferenced, own_field, peeled, plain_name};
use super::operators::Arithmetic;
use super::scope::{Bound, VariableId};
use super::{Lowering, Wanted};
use crate::errors::Message;
use crate::ir::{Carried, ForNode, LoopId, NodeKind, ValueId};
use crate::parse::FieldKind;

impl Lowering<'_> {
    pub(super) fn for_loop(&mut self, source: &ExprForLoop) {
        let span = source.for_token.span;
        if let Some(label) = &source.label {
            let message = Message::new("a label on a loop").help("remove it: every loop runs to its end");
            self.errors.error(label, message);
        }
        let Some((layers, element, kind)) = self.iterated(&source.expr) else { return };
        let Some(binding) = self.loop_variable(&source.pat) else { return };
        let id = self.new_loop();
        let loop_name = self.names.control(&layers.label);
        let layer = layers.iterated(
            &binding,
            binding.to_string().trim_start_matches("r#").to_owned(),
            id,
            &element,
            &kind,
        );

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
            let variable = lowering.scopes.declare(&binding, false, Bound::Callable(layer));
            lowering.scopes.get_mut(variable).must_be_read = true;
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
        let node = ForNode { id, iterable: layers.float_expr, binding, carried, body, name: loop_name };
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
        let node =
            ForNode { id, iterable: layers.float_expr.clone(), binding, carried, body, name: loop_name };
        self.push(NodeKind::For(node), span);
        Bound::Tensor(result)
    }

    fn new_loop(&mut self) -> LoopId {
        self.loops += 1;
        LoopId(self.loops - 1)
    }

    /// The `Vec` behind `&self.layers`, `self.layers.iter()`, or a loop variable that is a `Vec` itself.
    fn iterated(&mut self, expr: &Expr) -> Option<(Callable, Type, FieldKind)> {
        let inner = match peeled(expr) {
            Expr::MethodCall(call) if call.method == "iter" && call.args.is_empty() => &*call.receiver,
            inner => inner,
        };
        let Some(layers) = self.callable(inner) else {
            match own_field(dereferenced(inner)) {
                Some((_, ident)) if self.field(ident).is_none() => self.refuse_unknown_field(ident),
                _ => self.refuse_iterable(expr, inner),
            }
            return None;
        };
        match &layers.kind {
            FieldKind::Vec(element) if can_run(&element.1) => {
                let (ty, kind) = (**element).clone();
                Some((layers, ty, kind))
            }
            FieldKind::Vec(_) => {
                let span =
                    own_field(dereferenced(inner)).map_or_else(|| inner.span(), |(_, ident)| ident.span());
                self.refuse_elements(&layers, span);
                None
            }
            FieldKind::Sequential(_) => {
                let message = Message::new(format!("`{}` is a `Sequential`, not a `Vec`", layers.spelling))
                    .help(format!("call it: `{}(x)`", layers.spelling));
                self.errors.error(inner, message);
                None
            }
            _ => {
                let message = Message::new(format!("`{}` is no `Vec`", layers.spelling)).help(
                    "loop over a `Vec` of layers or models: `for layer in &self.layers { x = layer(x); }`",
                );
                self.errors.error(inner, message);
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

    fn refuse_iterable(&mut self, expr: &Expr, inner: &Expr) {
        let help = match inner {
            Expr::Range(_) => {
                "to repeat a block, put the copies into a `Vec` field and loop over it".to_owned()
            }
            Expr::MethodCall(call)
                if matches!(
                    call.method.to_string().as_str(),
                    "enumerate" | "rev" | "zip" | "skip" | "take"
                ) =>
            {
                format!("loop over the whole field in order; `{}` is not part of the language", call.method)
            }
            Expr::MethodCall(call) if call.method == "iter_mut" => {
                "write `for layer in &self.layers`".to_owned()
            }
            _ => "loop over a `Vec` field: `for layer in &self.layers { x = layer(x); }`".to_owned(),
        };
        let message = Message::new("`for` over something that is not a `Vec` field")
            .help(help)
            .note("each turn must stand for one layer or model of `self`, so that it gets scales of its own");
        self.errors.error(expr, message);
    }

    fn loop_variable(&mut self, pattern: &Pat) -> Option<Ident> {
        match pattern {
            Pat::Ident(binding) if binding.by_ref.is_none() && binding.subpat.is_none() => {
                Some(binding.ident.clone())
            }
            Pat::Paren(paren) => self.loop_variable(&paren.pat),
            _ => {
                let message = Message::new("the loop variable must be a name")
                    .help("write `for layer in &self.layers { x = layer(x); }`");
                self.errors.error(pattern, message);
                None
            }
        }
    }

    fn assigned_variables(&self, body: &Source) -> Vec<VariableId> {
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
