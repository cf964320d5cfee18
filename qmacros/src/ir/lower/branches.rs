//! `if` and `match`: two arms, and the values that come out of both.

use proc_macro2::Span;
use syn::{Arm as MatchArm, Block as Source, Expr, ExprIf, ExprLit, ExprMatch, Lit, Pat};

use super::callable::peeled;
use super::conditions::{Decision, Presence, presence_pattern};
use super::scope::Bound;
use super::{Lowering, Wanted};
use crate::errors::Message;
use crate::ir::{BranchNode, Condition, Merged, NodeKind};
use crate::parse::FieldKind;

#[derive(Clone, Copy)]
enum Arm<'s> {
    Block(&'s Source),
    Expr(&'s Expr),
    Missing,
}

/// Where a value comes out of both arms.
#[derive(Clone, Copy)]
struct MergeSite {
    /// The variable that has it, or the branch.
    name: Span,
    branch: Span,
    /// Whether it is the value of the branch itself.
    is_value: bool,
}

impl Lowering<'_> {
    pub(super) fn if_expression(&mut self, branch: &ExprIf, wanted: Wanted<'_>) -> Bound {
        let Some(decision) = self.decision(&branch.cond) else { return Bound::Poison };
        let otherwise = match &branch.else_branch {
            None => Arm::Missing,
            Some((_, otherwise)) => match &**otherwise {
                Expr::Block(block) => Arm::Block(&block.block),
                other => Arm::Expr(other),
            },
        };
        if let (Arm::Missing, Wanted::One | Wanted::Tuple(_)) = (otherwise, wanted) {
            let message = Message::new("`if` without `else` has no value")
                .help("say what the value is otherwise: `else { x }`");
            self.errors.error(branch.if_token, message);
            return Bound::Poison;
        }
        self.two_arms(decision, Arm::Block(&branch.then_branch), otherwise, branch.if_token.span, wanted)
    }

    pub(super) fn match_expression(&mut self, branch: &ExprMatch, wanted: Wanted<'_>) -> Bound {
        let span = branch.match_token.span;
        if self.is_number(&branch.expr) {
            return self.match_flag(branch, wanted);
        }
        let Some(option) = self.option(&branch.expr) else { return Bound::Poison };
        for arm in &branch.arms {
            if let Pat::Guard(guard) = &arm.pat {
                let message = Message::new("a guard on an arm")
                    .help("nest an `if` on a `bool` field in the arm")
                    .note("which way the graph goes must be known when the model is prepared");
                self.errors.error(&guard.guard, message);
                return Bound::Poison;
            }
        }
        let (mut present, mut absent) = (None, None);
        for arm in &branch.arms {
            match presence_pattern(&arm.pat) {
                Some(Presence::Some(_)) => present = present.or(Some(arm)),
                Some(Presence::None) => absent = absent.or(Some(arm)),
                None if matches!(arm.pat, Pat::Wild(_)) => absent = absent.or(Some(arm)),
                None => {
                    self.refuse_option_pattern(&arm.pat);
                    return Bound::Poison;
                }
            }
        }
        let (Some(present), Some(absent)) = (present, absent) else {
            let message = Message::new("an arm is missing")
                .help(format!("write `match &{} {{ Some(layer) => .., None => .. }}`", option.spelling));
            self.errors.error(branch.match_token, message);
            return Bound::Poison;
        };
        match self.presence(option, &present.pat) {
            Some(decision) => self.two_arms(decision, arm(present), arm(absent), span, wanted),
            None => Bound::Poison,
        }
    }

    /// `match self.flag { true => .., false => .. }`.
    fn match_flag(&mut self, branch: &ExprMatch, wanted: Wanted<'_>) -> Bound {
        let is = |pattern: &Pat, value: bool| matches!(pattern, Pat::Lit(ExprLit { lit: Lit::Bool(found), .. }) if found.value == value);
        let arms = match branch.arms.as_slice() {
            [yes, no] if is(&yes.pat, true) && (is(&no.pat, false) || matches!(no.pat, Pat::Wild(_))) => {
                Some((yes, no))
            }
            [no, yes] if is(&no.pat, false) && (is(&yes.pat, true) || matches!(yes.pat, Pat::Wild(_))) => {
                Some((yes, no))
            }
            _ => None,
        };
        match (arms, self.decision(&branch.expr)) {
            (Some((yes, no)), Some(decision)) => {
                self.two_arms(decision, arm(yes), arm(no), branch.match_token.span, wanted)
            }
            (None, Some(_)) => {
                let message = Message::new("`match` on a number")
                    .help("write `if self.kind == 1 { .. } else { .. }`, or use a `bool` field");
                self.errors.error(branch.match_token, message);
                Bound::Poison
            }
            (_, None) => Bound::Poison,
        }
    }

    fn two_arms(
        &mut self,
        decision: Decision,
        then_arm: Arm<'_>,
        else_arm: Arm<'_>,
        span: Span,
        wanted: Wanted<'_>,
    ) -> Bound {
        let (condition, content, label, is_negated) = match decision {
            Decision::Flag { condition, label } => (Condition::Flag(condition), None, label, false),
            Decision::Presence { option, binding, is_negated } => {
                let content = match &option.kind {
                    FieldKind::Option(inner) => Some(option.content(&binding, &inner.0, &inner.1)),
                    _ => None,
                };
                let condition =
                    Condition::IsSome { option: option.float_expr.clone(), binding: binding.clone() };
                (condition, content.map(|content| (binding, content)), option.label, is_negated)
            }
        };
        let branch_name = self.names.control(&label);
        let (then_arm, else_arm) = if is_negated { (else_arm, then_arm) } else { (then_arm, else_arm) };

        let before = self.scopes.snapshot();
        let (then_block, then_value) = self.in_block(|lowering| {
            if let Some((binding, content)) = &content {
                let variable = lowering.scopes.declare(binding, false, Bound::Callable(content.clone()));
                lowering.scopes.get_mut(variable).must_be_read = true;
            }
            lowering.arm(then_arm, wanted)
        });
        let after_then = self.scopes.restore(&before);
        let (else_block, else_value) = self.in_block(|lowering| lowering.arm(else_arm, wanted));
        let after_else = self.scopes.restore(&before);

        let mut merged = Vec::new();
        for (index, (then_bound, else_bound)) in after_then.into_iter().zip(after_else).enumerate() {
            let variable = self.scopes.at(index);
            let ident = self.scopes.get(variable).ident.clone();
            let name = ident.to_string();
            let bound = self.merge(
                &mut merged,
                then_bound,
                else_bound,
                &name,
                MergeSite { name: ident.span(), branch: span, is_value: false },
            );
            self.scopes.get_mut(variable).bound = bound;
        }
        let value = match wanted {
            Wanted::Nothing => Bound::Tuple(Vec::new()),
            _ => self.merge(
                &mut merged,
                then_value,
                else_value,
                &label,
                MergeSite { name: span, branch: span, is_value: true },
            ),
        };
        self.push(
            NodeKind::Branch(BranchNode { condition, then_block, else_block, merged, name: branch_name }),
            span,
        );
        value
    }

    fn arm(&mut self, arm: Arm<'_>, wanted: Wanted<'_>) -> Bound {
        match (arm, wanted) {
            (Arm::Missing, _) => Bound::Tuple(Vec::new()),
            (Arm::Block(block), _) => self.inner_block(block, wanted).0.unwrap_or(Bound::Tuple(Vec::new())),
            (Arm::Expr(expr), Wanted::Nothing) => {
                self.effect(expr);
                Bound::Tuple(Vec::new())
            }
            (Arm::Expr(expr), _) => match peeled(expr) {
                Expr::Block(block) if block.label.is_none() => self.arm(Arm::Block(&block.block), wanted),
                expr => self.expression(expr, wanted),
            },
        }
    }

    /// The value after the branch of what has these two values at the ends of its arms.
    fn merge(
        &mut self,
        merged: &mut Vec<Merged>,
        then_bound: Bound,
        else_bound: Bound,
        name: &str,
        site: MergeSite,
    ) -> Bound {
        if then_bound.is_same(&else_bound) {
            return then_bound;
        }
        match (then_bound, else_bound) {
            (Bound::Poison, _) | (_, Bound::Poison) => Bound::Poison,
            (Bound::Tensor(then_value), Bound::Tensor(else_value)) => {
                let result = self.value(name.trim_start_matches("r#"), site.name);
                merged.push(Merged { then_value, else_value, result });
                Bound::Tensor(result)
            }
            (Bound::Tuple(then_elements), Bound::Tuple(else_elements))
                if then_elements.len() == else_elements.len() =>
            {
                let pairs = then_elements.into_iter().zip(else_elements).enumerate();
                let elements = pairs.map(|(index, (then_bound, else_bound))| {
                    self.merge(merged, then_bound, else_bound, &format!("{name}_{index}"), site)
                });
                Bound::Tuple(elements.collect())
            }
            (then_bound, else_bound) => {
                let (first, second) = (then_bound.describe(), else_bound.describe());
                let message = match first == second {
                    true => Message::new("the arms end in different numbers")
                        .help("do the operation that needs the number inside of each arm"),
                    false if site.is_value => {
                        Message::new(format!("one arm ends in {first}, the other in {second}"))
                            .help("end both arms with the same kind of value")
                    }
                    false => Message::new(format!("one arm makes `{name}` {first}, the other {second}"))
                        .help("end both arms with the same kind of value"),
                };
                self.errors.error_at(site.branch, message);
                Bound::Poison
            }
        }
    }
}

fn arm(arm: &MatchArm) -> Arm<'_> {
    Arm::Expr(&arm.body)
}
