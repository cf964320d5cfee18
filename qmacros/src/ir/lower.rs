//! `Forward` to [`Graph`]: each value assigned once, control flow structured, every name resolved.

mod arguments;
mod branches;
mod callable;
mod calls;
mod conditions;
mod expressions;
mod functions;
mod lists;
mod loops;
mod naming;
mod numbers;
mod operators;
mod refusals;
mod scope;
mod statements;
mod used;

use proc_macro2::Span;
use qcatalogue::Results;
use syn::Ident;
use syn::ext::IdentExt;

use self::naming::Names;
use self::scope::{Bound, Scopes};
pub use self::used::used_values;
use super::{Block, Callee, Graph, Member, NamedFunction, Node, NodeKind, OpNode, Outputs, Value, ValueId};
use crate::errors::{Errors, Message, count};
use crate::parse::{Forward, Model};

/// The body of `forward` as a graph. What it reports to `errors` is missing from the graph.
pub fn lower(errors: &mut Errors, model: &Model, forward: &Forward) -> Graph {
    let mut lowering = lowering(errors, model, forward);
    let inputs = lowering.inputs();
    let outputs = lowering.body();
    lowering.refuse_unread();
    let Lowering { values, mut blocks, functions, .. } = lowering;
    let body = blocks.pop().unwrap_or_default();
    let mut graph = Graph { name: model.ident.clone(), inputs, values, body, outputs, functions };
    used::prune(&mut graph);
    graph
}

fn lowering<'a>(errors: &'a mut Errors, model: &'a Model, forward: &'a Forward) -> Lowering<'a> {
    Lowering {
        reported_before: errors.count(),
        errors,
        model,
        forward,
        values: Vec::new(),
        blocks: vec![Block::default()],
        scopes: Scopes::default(),
        names: Names::new(model),
        loops: 0,
        functions: Vec::new(),
        inlined: Vec::new(),
    }
}

struct Lowering<'a> {
    errors: &'a mut Errors,
    model: &'a Model,
    forward: &'a Forward,
    values: Vec<Value>,
    /// The blocks that are open, outermost first.
    blocks: Vec<Block>,
    scopes: Scopes,
    names: Names,
    loops: usize,
    functions: Vec<NamedFunction>,
    /// The functions of the impl whose bodies are being read, outermost first.
    inlined: Vec<Ident>,
    /// How many errors there were before lowering.
    reported_before: usize,
}

/// How many values the place has room for in which an expression stands.
#[derive(Clone, Copy)]
enum Wanted<'w> {
    One,
    /// A tuple pattern: which of its elements get a name.
    Tuple(&'w [bool]),
    /// A statement.
    Nothing,
}

impl Lowering<'_> {
    fn inputs(&mut self) -> Vec<ValueId> {
        let mut inputs = Vec::new();
        self.scopes.enter();
        for (ident, &is_mutable) in self.forward.inputs.iter().zip(&self.forward.mutable_inputs) {
            if self.scopes.is_declared_here(ident) {
                let message = Message::new(format!("two parameters are called `{ident}`"))
                    .help("give each tensor a name of its own");
                self.errors.error(ident, message);
            }
            let value = self.value(ident.unraw().to_string(), ident.span());
            self.scopes.declare(ident, is_mutable, Bound::Tensor(value));
            inputs.push(value);
        }
        inputs
    }

    fn body(&mut self) -> Outputs {
        let kept = vec![true; self.forward.output_count];
        let wanted = if self.forward.output_is_tuple { Wanted::Tuple(&kept) } else { Wanted::One };
        let (tail, span) = self.outermost_block(&self.forward.body, wanted);
        let values = match tail {
            Some(bound) => self.outputs(bound, span),
            None => Vec::new(),
        };
        Outputs { values, is_tuple: self.forward.output_is_tuple, span }
    }

    /// Waits until nothing else is wrong: what a mistake would have read is not seen.
    fn refuse_unread(&mut self) {
        if self.errors.count() > self.reported_before {
            return;
        }
        for variable in self.scopes.unread() {
            let name = &variable.ident;
            let message = match &variable.bound {
                Bound::Callable(callable) => Message::new(format!("layer `{name}` is never used"))
                    .help(format!("call it, `{name}(x)`, or call it `_{name}` if that is meant"))
                    .note(format!(
                        "what `{}` holds would never run, and could not be calibrated",
                        callable.root.field
                    )),
                _ => Message::new(format!("`{name}` is never used"))
                    .help(format!("use it, remove the statement, or call it `_{name}`")),
            };
            self.errors.error(name, message);
        }
    }

    fn outputs(&mut self, bound: Bound, span: Span) -> Vec<ValueId> {
        let expected = self.forward.output_count;
        if expected == 0 {
            return Vec::new();
        }
        match (bound, self.forward.output_is_tuple) {
            (Bound::Poison, _) => Vec::new(),
            (Bound::Tensor(value), false) => vec![value],
            (Bound::Tuple(elements), true) if elements.len() == expected => {
                let mut values = Vec::new();
                for element in elements {
                    match element {
                        Bound::Tensor(value) => values.push(value),
                        Bound::Poison => {}
                        other => self.refuse_output(&other, span),
                    }
                }
                values
            }
            (other, _) => {
                self.refuse_output(&other, span);
                Vec::new()
            }
        }
    }

    fn refuse_output(&mut self, found: &Bound, span: Span) {
        let expected = if self.forward.output_is_tuple {
            format!("a tuple of {}", count(self.forward.output_count, "tensor"))
        } else {
            "a tensor".to_owned()
        };
        let help = match found {
            Bound::Tuple(elements) if elements.len() > 1 => {
                format!("write `-> ({})`, or return fewer values", vec!["Tensor"; elements.len()].join(", "))
            }
            Bound::Tensor(_) => "write `-> Tensor`, or return a tuple".to_owned(),
            _ => "end the body with the tensor that the model computes".to_owned(),
        };
        let what = format!("`forward` promises {expected} and returns {}", found.describe());
        self.errors.error_at(span, Message::new(what).help(help));
    }

    fn value(&mut self, name: impl Into<String>, span: Span) -> ValueId {
        self.values.push(Value { name: name.into(), span });
        ValueId(self.values.len() - 1)
    }

    /// For a value that ends a chain: what is made of it speaks of the chain, not of its last link.
    fn rename(&mut self, value: ValueId, name: &str) {
        if let Some(value) = self.values.get_mut(value.0) {
            value.name = name.to_owned();
        }
    }

    fn name_of(&self, value: ValueId) -> &str {
        self.values.get(value.0).map_or("", |value| &value.name)
    }

    fn push(&mut self, kind: NodeKind, span: Span) {
        if let Some(block) = self.blocks.last_mut() {
            block.nodes.push(Node { kind, span });
        }
    }

    /// What the operation makes, where there is room for what is `wanted`.
    fn push_op(&mut self, op: Operation, wanted: Wanted<'_>, span: Span) -> Bound {
        let made = op.callee.operation().results;
        // A state is one value of the pattern.
        let (number, in_state) = match made {
            Results::One | Results::Pieces => {
                let result = self.value(op.name.clone(), span);
                self.push_node(op, result, Vec::new(), span);
                return Bound::Tensor(result);
            }
            Results::Several(number) => (number, 1),
            Results::WithState(in_state) => (2, in_state),
        };
        match wanted {
            Wanted::Tuple(kept) if kept.len() == number => {
                let kept: Vec<bool> = (0..made.count()).map(|value| kept[value.min(number - 1)]).collect();
                let results = self.values_for(&kept, &op.name, span);
                if let Some((&result, further)) = results.split_first() {
                    self.push_node(op, result, further.to_vec(), span);
                }
                let mut bounds: Vec<Bound> = results.into_iter().map(Bound::Tensor).collect();
                if in_state > 1 {
                    let state = bounds.split_off(number - 1);
                    bounds.push(Bound::Tuple(state));
                }
                Bound::Tuple(bounds)
            }
            wanted => {
                self.refuse_pattern(&op.callee.spelling(), made, wanted, span);
                Bound::Poison
            }
        }
    }

    fn push_node(&mut self, op: Operation, result: ValueId, further_results: Vec<ValueId>, span: Span) {
        let Operation { callee, operands, shape_operands, name } = op;
        let members = vec![Member { name, callee, result, span }];
        let node = OpNode { members, operands, shape_operands, result, further_results };
        self.push(NodeKind::Op(node), span);
    }

    /// A value for each element of a tuple pattern.
    fn values_for(&mut self, kept: &[bool], name: &str, span: Span) -> Vec<ValueId> {
        let named = kept.iter().enumerate().map(|(index, kept)| {
            let underscore = if *kept { "" } else { "_" };
            self.value(format!("{underscore}{name}_{index}"), span)
        });
        named.collect()
    }

    fn refuse_pattern(&mut self, call: &str, made: Results, wanted: Wanted<'_>, span: Span) {
        let number = made.count();
        let message = match wanted {
            _ if matches!(made, Results::WithState(_)) => {
                let names: Vec<&str> = ["h", "c"].into_iter().take(number - 1).collect();
                Message::new(format!("`{call}` makes an output and a state of {} tensors", number - 1)).help(format!(
                    "call it alone and bind them by a pattern: `let (y, ({})) = ..;`, or `let (y, state) = ..;`",
                    names.join(", ")
                ))
            }
            Wanted::Tuple(kept) => {
                Message::new(format!("`{call}` makes {number} tensors, the pattern has {}", kept.len()))
                    .help("name each of them; `_` for those that are not needed")
            }
            Wanted::One | Wanted::Nothing => {
                let names: Vec<String> = ('a'..='z').take(number).map(String::from).collect();
                Message::new(format!("`{call}` makes {number} tensors")).help(format!(
                    "call it alone and bind them by a tuple pattern: `let ({}) = ..;`",
                    names.join(", ")
                ))
            }
        };
        self.errors.error_at(span, message);
    }

    /// What `build` adds to the graph, in a block and a scope of its own.
    fn in_block<T>(&mut self, build: impl FnOnce(&mut Self) -> T) -> (Block, T) {
        self.blocks.push(Block::default());
        self.names.enter();
        self.scopes.enter();
        let built = build(self);
        self.scopes.leave();
        self.names.leave();
        (self.blocks.pop().unwrap_or_default(), built)
    }
}

/// An [`OpNode`] to be.
struct Operation {
    callee: Callee,
    operands: Vec<ValueId>,
    shape_operands: Vec<ValueId>,
    name: String,
}

#[cfg(test)]
pub mod testing;
#[cfg(test)]
mod tests;
