//! `if` and `match`: two arms, and the values that come out of both.

use proc_macro2::{Span, TokenStream};
use quote::quote_spanned;
use syn::{Arm as MatchArm, Block as Source, Expr, ExprIf, ExprMatch, Pat};

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
    /// The arms of a `match` that are left.
    Rest(&'s Site, &'s [MatchArm]),
}

/// Where a value comes out of both arms.
#[derive(Clone, Copy)]
struct MergeSite<'c> {
    /// The variable that has it, or the branch.
    name: Span,
    branch: Span,
    /// Whether it is the value of the branch itself.
    is_value: bool,
    /// The condition, where it may choose between numbers.
    chosen: Option<&'c TokenStream>,
}

/// What a `match` on a config expression asks, and where.
struct Site {
    scrutinee: TokenStream,
    label: String,
    span: Span,
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
        if !self.is_option(&branch.expr) && self.is_config(&branch.expr) {
            return self.match_config(branch, wanted);
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

    /// `match self.activation { Activation::Relu => .., _ => .. }`: one branch after the other.
    fn match_config(&mut self, branch: &ExprMatch, wanted: Wanted<'_>) -> Bound {
        for arm in &branch.arms {
            if let Pat::Guard(guard) = &arm.pat
                && !self.is_free_of_tensors(&guard.guard)
            {
                self.refuse_condition(&guard.guard);
                return Bound::Poison;
            }
        }
        let scrutinee = self.config(&branch.expr);
        let patterns = branch.arms.iter().map(|arm| &arm.pat);
        let place = branch.brace_token.span.join();
        let exhaustive = quote_spanned!(place=> let _ = || match #scrutinee { #(#patterns => {})* };);
        let label = self.flag_label(&branch.expr);
        let site = Site { scrutinee, label, span: branch.match_token.span };
        self.match_arms(&site, &branch.arms, Some(exhaustive), wanted)
    }

    fn match_arms(
        &mut self,
        site: &Site,
        arms: &[MatchArm],
        exhaustive: Option<TokenStream>,
        wanted: Wanted<'_>,
    ) -> Bound {
        let (first, rest) = match arms {
            [] => {
                let message = Message::new("a `match` without arms")
                    .help("write `match self.kind { A => .., _ => .. }`");
                self.errors.error_at(site.span, message);
                return Bound::Poison;
            }
            [only] => return self.arm(arm(only), wanted),
            [first, rest @ ..] => (first, rest),
        };
        let pattern = self.number_pattern(&first.pat);
        let last = match rest {
            [last] => Some(self.number_pattern(&last.pat)),
            _ => None,
        };
        let decision = Decision::Matches {
            scrutinee: site.scrutinee.clone(),
            pattern,
            otherwise: last.filter(|last| !last.bindings.is_empty()),
            label: site.label.clone(),
        };
        let otherwise = Arm::Rest(site, rest);
        self.two_arms_of(decision, arm(first), otherwise, exhaustive, site.span, wanted)
    }

    fn two_arms(
        &mut self,
        decision: Decision,
        then_arm: Arm<'_>,
        else_arm: Arm<'_>,
        span: Span,
        wanted: Wanted<'_>,
    ) -> Bound {
        self.two_arms_of(decision, then_arm, else_arm, None, span, wanted)
    }

    fn two_arms_of(
        &mut self,
        decision: Decision,
        then_arm: Arm<'_>,
        else_arm: Arm<'_>,
        exhaustive: Option<TokenStream>,
        span: Span,
        wanted: Wanted<'_>,
    ) -> Bound {
        let (mut then_numbers, mut else_numbers) = (Vec::new(), Vec::new());
        let (condition, content, label, is_negated) = match decision {
            Decision::Flag { condition, label } => (Condition::Flag(condition), None, label, false),
            Decision::Matches { scrutinee, pattern, otherwise, label } => {
                then_numbers = pattern.bindings;
                let otherwise = otherwise.map(|otherwise| {
                    else_numbers = otherwise.bindings;
                    otherwise.tokens
                });
                (Condition::Matches { scrutinee, pattern: pattern.tokens, otherwise }, None, label, false)
            }
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
            lowering.declare_numbers(&then_numbers);
            lowering.arm(then_arm, wanted)
        });
        let after_then = self.scopes.restore(&before);
        let (else_block, else_value) = self.in_block(|lowering| {
            lowering.declare_numbers(&else_numbers);
            lowering.arm(else_arm, wanted)
        });
        let after_else = self.scopes.restore(&before);

        let chosen = match &condition {
            Condition::Flag(flag) => Some(flag.clone()),
            _ => None,
        };
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
                MergeSite { name: ident.span(), branch: span, is_value: false, chosen: chosen.as_ref() },
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
                MergeSite { name: span, branch: span, is_value: true, chosen: chosen.as_ref() },
            ),
        };
        self.push(
            NodeKind::Branch(BranchNode {
                condition,
                then_block,
                else_block,
                merged,
                name: branch_name,
                exhaustive,
            }),
            span,
        );
        value
    }

    fn arm(&mut self, arm: Arm<'_>, wanted: Wanted<'_>) -> Bound {
        match (arm, wanted) {
            (Arm::Missing, _) => Bound::Tuple(Vec::new()),
            (Arm::Rest(site, arms), _) => self.match_arms(site, arms, None, wanted),
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
        site: MergeSite<'_>,
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
            (Bound::List(then_elements), Bound::List(else_elements))
                if then_elements.len() == else_elements.len() =>
            {
                let pairs = then_elements.into_iter().zip(else_elements).enumerate();
                let elements = pairs.map(|(index, (then_bound, else_bound))| {
                    self.merge(merged, then_bound, else_bound, &format!("{name}_{index}"), site)
                });
                Bound::List(elements.collect())
            }
            (Bound::Number(then_number), Bound::Number(else_number)) if site.chosen.is_some() => {
                let chosen = site.chosen;
                Bound::Number(quote_spanned!(site.name=> (if #chosen { #then_number } else { #else_number })))
            }
            (then_bound, else_bound) => {
                let (first, second) = (then_bound.describe(), else_bound.describe());
                let message = match first == second {
                    true if first.starts_with("a list") => {
                        Message::new(format!("one arm makes `{name}` longer than the other"))
                            .help("push as many tensors in each arm")
                    }
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
