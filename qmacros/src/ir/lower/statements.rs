//! Statements: bindings, assignments, and the block they stand in.

use proc_macro2::{Literal, Span};
use quote::ToTokens;
use syn::ext::IdentExt;
use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block as Source, Expr, ExprAssign, ExprBinary, Ident, Local, Pat, PatSlice, PatTuple, Stmt};

use super::callable::{peeled, plain_name};
use super::expressions::narrow_span;
use super::loops::is_compound;
use super::operators::Arithmetic;
use super::scope::{Bound, Size, VariableId};
use super::{Lowering, Wanted};
use crate::errors::{Message, count, did_you_mean};
use crate::ir::ValueId;

impl Lowering<'_> {
    /// The body of `forward`, which alone may end in `return`.
    pub(super) fn outermost_block(&mut self, block: &Source, wanted: Wanted<'_>) -> (Option<Bound>, Span) {
        let end = block.brace_token.span.close();
        let Some((last, statements)) = block.stmts.split_last() else {
            self.refuse_missing_tail(end, None);
            return (None, end);
        };
        self.statements(statements);
        match last {
            Stmt::Expr(Expr::Return(tail), _) => match &tail.expr {
                Some(value) => (Some(self.expression(value, wanted)), narrow_span(value)),
                None => {
                    self.refuse_missing_tail(tail.span(), None);
                    (None, end)
                }
            },
            Stmt::Expr(tail, None) if !is_unit(tail) => {
                (Some(self.expression(tail, wanted)), narrow_span(tail))
            }
            Stmt::Expr(value, Some(semi)) if is_value(value) => {
                let errors_before = self.errors.count();
                self.expression(value, wanted);
                if self.errors.count() == errors_before {
                    self.refuse_missing_tail(semi.span, Some("remove this semicolon"));
                }
                (None, end)
            }
            statement => {
                let errors_before = self.errors.count();
                self.statement(statement);
                if self.errors.count() == errors_before {
                    self.refuse_missing_tail(end, None);
                }
                (None, end)
            }
        }
    }

    fn refuse_missing_tail(&mut self, span: Span, help: Option<&str>) {
        if self.forward.output_count == 0 {
            return;
        }
        let function = self.inlined.last().map_or_else(|| "forward".to_owned(), ToString::to_string);
        let message = Message::new(format!("`{function}` ends without a value"))
            .help(help.unwrap_or("end the body with the tensor that the model computes"));
        self.errors.error_at(span, message);
    }

    /// The statements of a block and its value. The caller opens the scope where one is needed.
    pub(super) fn inner_block(&mut self, block: &Source, wanted: Wanted<'_>) -> (Option<Bound>, Span) {
        let end = block.brace_token.span.close();
        match block.stmts.split_last() {
            Some((Stmt::Expr(tail, None), statements))
                if !matches!(wanted, Wanted::Nothing) && !is_unit(tail) =>
            {
                self.statements(statements);
                (Some(self.expression(tail, wanted)), narrow_span(tail))
            }
            Some((Stmt::Expr(tail, Some(semi)), statements))
                if !matches!(wanted, Wanted::Nothing) && is_value(tail) =>
            {
                self.statements(statements);
                let errors_before = self.errors.count();
                self.expression(tail, wanted);
                if self.errors.count() == errors_before {
                    let message = Message::new("this block has no value").help("remove this semicolon");
                    self.errors.error(semi, message);
                }
                (Some(Bound::Poison), end)
            }
            _ => {
                self.statements(&block.stmts);
                if let Wanted::One | Wanted::Tuple(_) = wanted {
                    let message = Message::new("this block has no value")
                        .help("end it with the value, without a semicolon");
                    self.errors.error_at(end, message);
                    return (Some(Bound::Poison), end);
                }
                (None, end)
            }
        }
    }

    fn statements(&mut self, statements: &[Stmt]) {
        for statement in statements {
            self.statement(statement);
        }
    }

    fn statement(&mut self, statement: &Stmt) {
        match statement {
            Stmt::Local(local) => self.local(local),
            Stmt::Expr(expr, _) => self.effect(expr),
            Stmt::Macro(call) => self.refuse_macro(&call.mac),
            Stmt::Item(item) => {
                let message = Message::new("an item inside of `forward`").help("move it out of the function");
                self.errors.error(item, message);
            }
        }
    }

    /// An expression whose value nobody asks for.
    pub(super) fn effect(&mut self, expr: &Expr) {
        match expr {
            Expr::Assign(assign) => self.assign(assign),
            Expr::Binary(binary) if is_compound(binary) => self.compound_assign(binary),
            Expr::ForLoop(source) => self.for_loop(source),
            Expr::If(branch) => {
                self.if_expression(branch, Wanted::Nothing);
            }
            Expr::Match(branch) => {
                self.match_expression(branch, Wanted::Nothing);
            }
            Expr::Block(block) if block.label.is_none() => {
                self.scopes.enter();
                self.inner_block(&block.block, Wanted::Nothing);
                self.scopes.leave();
            }
            Expr::Paren(paren) => self.effect(&paren.expr),
            Expr::Group(group) => self.effect(&group.expr),
            Expr::Tuple(tuple) if tuple.elems.is_empty() => {}
            expr => {
                let errors_before = self.errors.count();
                let bound = self.expression(expr, Wanted::One);
                let is_nothing = matches!(&bound, Bound::Tuple(elements) if elements.is_empty());
                if self.errors.count() == errors_before && !is_nothing {
                    self.refuse_dropped(narrow_span(expr));
                }
            }
        }
    }

    pub(super) fn refuse_dropped(&mut self, span: Span) {
        let message = Message::new("this value is never used")
            .help("bind it, `x = ..;`, or remove the statement")
            .note("an operation changes nothing in place; its result is all there is of it");
        self.errors.error_at(span, message);
    }

    fn local(&mut self, local: &Local) {
        let Some(init) = &local.init else {
            let message = Message::new("`let` without a value")
                .help("bind the value where it is made: `let y = if self.flag { a } else { b };`");
            self.errors.error(&local.pat, message);
            self.poison(&local.pat);
            return;
        };
        if let Some((else_token, _)) = &init.diverge {
            let message = Message::new("`let .. else` leaves `forward` early")
                .help("write `match &self.field { Some(layer) => .., None => .. }`");
            self.errors.error(else_token, message);
            self.poison(&local.pat);
            return;
        }
        let fresh = self.values.len();
        let kept = tuple_slots(&local.pat);
        let wanted = kept.as_deref().map_or(Wanted::One, Wanted::Tuple);
        let bound = self.expression(&init.expr, wanted);
        self.bind(&local.pat, bound, fresh);
    }

    /// Gives names to a value. Tensors from `fresh` on were made for it and take the name over.
    pub(super) fn bind(&mut self, pattern: &Pat, bound: Bound, fresh: usize) {
        match pattern {
            Pat::Ident(binding) if binding.by_ref.is_none() && binding.subpat.is_none() => {
                if let Bound::Callable(callable) = &bound
                    && fresh != usize::MAX
                {
                    let message = Message::new(format!("`{}` is bound to a second name", callable.spelling))
                        .help(format!("call it by its own: `{}(x)`", callable.spelling));
                    self.errors.error(&binding.ident, message);
                    self.scopes.declare(&binding.ident, false, Bound::Poison);
                    return;
                }
                let is_new_tensor = self.name_fresh(&bound, &binding.ident, fresh);
                let variable = self.scopes.declare(&binding.ident, binding.mutability.is_some(), bound);
                // What becomes of a new tensor is seen in the graph.
                self.scopes.get_mut(variable).must_be_read = !is_new_tensor;
            }
            Pat::Wild(wild) => {
                let underscore = Ident::new("_unused", wild.underscore_token.span);
                self.name_fresh(&bound, &underscore, fresh);
            }
            Pat::Type(typed) => self.bind(&typed.pat, bound, fresh),
            Pat::Paren(paren) => self.bind(&paren.pat, bound, fresh),
            Pat::Tuple(PatTuple { elems, .. }) | Pat::Slice(PatSlice { elems, .. }) => match bound {
                Bound::Shape(tensor) => {
                    for (axis, pattern) in elems.iter().enumerate() {
                        let dim = Literal::usize_unsuffixed(axis).to_token_stream();
                        self.bind(pattern, Bound::Size(Size::Of { tensor, dim }), fresh);
                    }
                }
                Bound::Tuple(elements) if elements.len() == elems.len() => {
                    for (pattern, bound) in elems.iter().zip(elements) {
                        self.bind(pattern, bound, fresh);
                    }
                }
                bound => {
                    if !matches!(bound, Bound::Poison) {
                        let message = Message::new(format!(
                            "{} cannot be taken apart into {}",
                            bound.describe(),
                            count(elems.len(), "name")
                        ))
                        .maybe_help(match bound {
                            Bound::Tensor(_) => {
                                Some("to cut a tensor, write `let (a, b) = x.chunk(2, 1);`".to_owned())
                            }
                            _ => None,
                        });
                        self.errors.error(pattern, message);
                    }
                    self.poison(pattern);
                }
            },
            pattern => {
                let message = Message::new("this pattern is not part of the language of `forward`")
                    .help("bind a name or a tuple of names: `let (a, b) = ..;`");
                self.errors.error(pattern, message);
                self.poison(pattern);
            }
        }
    }

    /// Declares the names of a pattern that was refused, so that nothing more is said about them.
    fn poison(&mut self, pattern: &Pat) {
        let mut names = NamesIn::default();
        names.visit_pat(pattern);
        for ident in names.0 {
            self.scopes.declare(&ident, true, Bound::Poison);
        }
    }

    /// Gives new tensors their name; whether there is any.
    fn name_fresh(&mut self, bound: &Bound, ident: &Ident, fresh: usize) -> bool {
        match bound {
            Bound::Tensor(ValueId(index)) if *index >= fresh => {
                if let Some(value) = self.values.get_mut(*index) {
                    value.name = ident.unraw().to_string();
                    value.span = ident.span();
                }
                true
            }
            Bound::Tuple(elements) => {
                let mut is_any_new = false;
                for element in elements {
                    is_any_new |= self.name_fresh(element, ident, fresh);
                }
                is_any_new
            }
            _ => false,
        }
    }

    fn assign(&mut self, assign: &ExprAssign) {
        let fresh = self.values.len();
        let targets: Vec<&Expr> = match peeled(&assign.left) {
            Expr::Tuple(tuple) => tuple.elems.iter().map(peeled).collect(),
            single => {
                let bound = self.expression(&assign.right, Wanted::One);
                return self.assign_to(single, bound, fresh);
            }
        };
        let kept: Vec<bool> = targets.iter().map(|target| !matches!(target, Expr::Infer(_))).collect();
        match self.expression(&assign.right, Wanted::Tuple(&kept)) {
            Bound::Tuple(elements) if elements.len() == targets.len() => {
                for (target, bound) in targets.into_iter().zip(elements) {
                    self.assign_to(target, bound, fresh);
                }
            }
            Bound::Poison => {}
            other => {
                let names = count(targets.len(), "name");
                let message =
                    Message::new(format!("{} cannot be taken apart into {names}", other.describe()));
                self.errors.error(&assign.left, message);
            }
        }
    }

    fn compound_assign(&mut self, binary: &ExprBinary) {
        let span = binary.op.span();
        let Some(op) = Arithmetic::of(&binary.op) else {
            self.refuse_operator(&binary.op);
            return;
        };
        let fresh = self.values.len();
        let left = self.expression(&binary.left, Wanted::One);
        let right = self.expression(&binary.right, Wanted::One);
        let bound = if let (Bound::Number(_), Bound::Number(_)) = (&left, &right) {
            let message = Message::new("a number is changed")
                .help("write the arithmetic where the number is used: `x * (self.scale * 2.0)`");
            self.errors.error_at(span, message);
            Bound::Poison
        } else {
            self.arithmetic(op, (&binary.left, left), (&binary.right, right), span)
        };
        self.assign_to(peeled(&binary.left), bound, fresh);
    }

    fn assign_to(&mut self, target: &Expr, bound: Bound, fresh: usize) {
        if let Expr::Infer(underscore) = target {
            let ident = Ident::new("_unused", underscore.underscore_token.span);
            self.name_fresh(&bound, &ident, fresh);
            return;
        }
        let Some(ident) = plain_name(target) else {
            let is_field = matches!(target, Expr::Field(_));
            let message =
                Message::new(if is_field { "assignment to a field" } else { "assignment to an expression" })
                    .help("assign to a variable: `x = relu(x);`")
                    .note("a forward pass changes nothing in the model");
            self.errors.error(target, message);
            return;
        };
        let Some(variable) = self.scopes.resolve(ident) else {
            let visible = self.scopes.visible_names();
            let help = match did_you_mean(&ident.to_string(), visible.iter().map(String::as_str)) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("declare it: `let mut {ident} = ..;`"),
            };
            let message = Message::new(format!("assignment to `{ident}`, which is not declared")).help(help);
            self.errors.error(ident, message);
            return;
        };
        self.check_assignable(variable, ident);
        self.name_fresh(&bound, ident, fresh);
        self.scopes.get_mut(variable).bound = bound;
    }

    pub(super) fn check_assignable(&mut self, variable: VariableId, ident: &Ident) {
        let declared = self.scopes.get(variable);
        if let Bound::Callable(callable) = &declared.bound {
            let message = Message::new(format!("assignment to `{}`, which names a layer", callable.spelling))
                .help("give the tensor a name of its own");
            self.errors.error(ident, message);
            return;
        }
        if declared.is_mutable || matches!(declared.bound, Bound::Poison) {
            return;
        }
        let is_parameter =
            self.forward.inputs.iter().any(|input| *input == declared.ident && self.is_input(input));
        let help = if is_parameter {
            format!("declare it `mut {ident}: Tensor`, or bind a new name: `let {ident} = ..;`")
        } else {
            format!("declare it `let mut {ident} = ..;`, or bind a new name: `let {ident} = ..;`")
        };
        let message = Message::new(format!("`{ident}` is assigned to and was not declared `mut`")).help(help);
        self.errors.error(ident, message);
        self.scopes.get_mut(variable).is_mutable = true;
    }

    fn is_input(&self, input: &Ident) -> bool {
        matches!(self.scopes.peek(input), Some(Bound::Tensor(value)) if value.0 < self.forward.inputs.len())
    }
}

#[derive(Default)]
struct NamesIn(Vec<Ident>);

impl<'ast> Visit<'ast> for NamesIn {
    fn visit_pat_ident(&mut self, pattern: &'ast syn::PatIdent) {
        self.0.push(pattern.ident.clone());
        visit::visit_pat_ident(self, pattern);
    }
}

/// For a tuple pattern: which of its elements get a name.
fn tuple_slots(pattern: &Pat) -> Option<Vec<bool>> {
    match pattern {
        Pat::Tuple(tuple) => {
            Some(tuple.elems.iter().map(|element| !matches!(element, Pat::Wild(_))).collect())
        }
        Pat::Type(typed) => tuple_slots(&typed.pat),
        Pat::Paren(paren) => tuple_slots(&paren.pat),
        _ => None,
    }
}

/// Whether a tail expression has no value to speak of.
fn is_unit(expr: &Expr) -> bool {
    match expr {
        Expr::ForLoop(_) | Expr::While(_) | Expr::Assign(_) => true,
        Expr::If(branch) => branch.else_branch.is_none(),
        Expr::Binary(binary) => is_compound(binary),
        _ => false,
    }
}

fn is_value(expr: &Expr) -> bool {
    matches!(peeled(expr), Expr::Path(_) | Expr::Call(_) | Expr::MethodCall(_) | Expr::Tuple(_))
        || matches!(peeled(expr), Expr::Binary(binary) if !is_compound(binary))
}
