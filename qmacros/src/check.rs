//! Everything a well-formed graph can still get wrong, reported together.

use std::collections::HashSet;

use quote::ToTokens;
use syn::ext::IdentExt;
use syn::visit::{self, Visit};
use syn::{Attribute, ExprField, ExprMethodCall, Member};

use crate::errors::{Errors, Message};
use crate::handoff::self_path;
use crate::ir::lower::used_values;
use crate::ir::{Block, Graph, NodeKind, ValueId};
use crate::parse::{Field, FieldKind, Forward, Model, configure};

/// All checks. What depends on a graph without gaps waits until lowering found nothing wrong.
pub fn all(errors: &mut Errors, model: &Model, forward: &Forward, graph: &Graph, is_complete: bool) {
    attributes(errors, forward);
    generics(errors, model, forward);
    fields(errors, model, forward, is_complete);
    if is_complete && forward.output_count > 0 {
        values(errors, graph);
    }
}

/// One impl for all instances of the struct, by the struct's own names: the generated types take them over.
fn generics(errors: &mut Errors, model: &Model, forward: &Forward) {
    let (parameters, arguments, _) = model.generics.split_for_impl();
    let expected = arguments.to_token_stream().to_string();
    let last = self_path(&forward.item).and_then(|path| path.segments.last());
    let found = last.map(|segment| segment.arguments.to_token_stream().to_string()).unwrap_or_default();
    let is_declared = model.generics.params.len() == forward.item.generics.params.len();
    if found == expected && is_declared {
        return;
    }
    let (name, parameters) = (&model.ident, parameters.to_token_stream().to_string());
    let tidy =
        |text: String| text.replace(" <", "<").replace("< ", "<").replace(" >", ">").replace(" :", ":");
    let message = Message::new(format!("the impl is not for every `{name}`"))
        .help(tidy(format!(
            "write `impl{parameters} {name}{expected}`, with the names of the struct's parameters"
        )))
        .note("one set of variants is generated for the struct and all its parameters");
    errors.error(&forward.item.self_ty, message);
}

/// Attributes of which nothing would be left. What rustc evaluates `#[cfg]` on was evaluated before.
fn attributes(errors: &mut Errors, forward: &Forward) {
    struct Attributes<'e>(&'e mut Errors);

    impl<'ast> Visit<'ast> for Attributes<'_> {
        fn visit_attribute(&mut self, attribute: &'ast Attribute) {
            if configure::says_nothing(attribute) {
                return;
            }
            let name = attribute.path().to_token_stream().to_string().replace(' ', "");
            let message = if attribute.path().is_ident("cfg") || attribute.path().is_ident("cfg_attr") {
                Message::new(format!("`#[{name}(..)]` cannot stand here"))
                    .help(format!(
                        "put it on a `let`, a block or an arm, `#[{name}(..)] {{ x = relu(x); }}`, or branch: \
                         `if cfg!(..) {{ a }} else {{ b }}`"
                    ))
                    .note("as everywhere in Rust, it takes away `let`s, blocks, calls, arms and elements of a list")
            } else {
                Message::new(format!("`#[{name}]` inside of `forward` has no effect"))
                    .help("remove it")
                    .note("the body becomes a graph of operations; only lints such as `#[allow(..)]`, and `#[cfg(..)]`, may stand in it")
            };
            self.0.error(attribute, message);
        }
    }

    let mut attributes = Attributes(errors);
    for body in forward.bodies() {
        attributes.visit_block(body);
    }
}

/// Layers that never run.
fn fields(errors: &mut Errors, model: &Model, forward: &Forward, is_complete: bool) {
    let mut mentioned = Mentioned::default();
    for body in forward.bodies() {
        mentioned.visit_block(body);
    }
    for field in &model.fields {
        let name = field.ident.unraw().to_string();
        let is_used = mentioned.fields.contains(&name);
        if field.attributes.unused && is_used {
            let message = Message::new(format!("field `{name}` is marked `unused` and used in `forward`"))
                .help("remove `#[quantizable(unused)]`");
            errors.error(&field.ident, message);
        }
        // What a mistake would have used is not seen.
        if !is_complete
            || is_used
            || field.attributes.unused
            || name.starts_with('_')
            || !must_be_used(model, field)
        {
            continue;
        }
        let call = match &field.kind {
            FieldKind::Option(_) => format!("match &self.{name} {{ Some(layer) => layer(x), None => x }}"),
            _ => format!("self.{name}(x)"),
        };
        let message = Message::new(format!("field `{name}` is never used in `forward`"))
            .help(format!("call it (`{call}`), remove the field, or mark it `#[quantizable(unused)]`"))
            .note("a layer that never runs is never calibrated and cannot be converted");
        errors.error(&field.ident, message);
    }
}

fn must_be_used(model: &Model, field: &Field) -> bool {
    fn holds_layers(kind: &FieldKind) -> bool {
        match kind {
            FieldKind::Layer(_) | FieldKind::Sequential(_) => true,
            FieldKind::Vec(element) | FieldKind::Option(element) | FieldKind::Pointer(element) => {
                holds_layers(&element.1)
            }
            FieldKind::Tuple(elements) => elements.iter().any(|(_, kind)| holds_layers(kind)),
            FieldKind::Flag | FieldKind::Config | FieldKind::Other => false,
        }
    }
    let is_type_parameter = || match &field.ty {
        syn::Type::Path(path) => {
            model.generics.type_params().any(|parameter| path.path.is_ident(&parameter.ident))
        }
        _ => false,
    };
    holds_layers(&field.kind) || field.attributes.model || is_type_parameter()
}

#[derive(Default)]
struct Mentioned {
    fields: HashSet<String>,
}

impl<'ast> Visit<'ast> for Mentioned {
    fn visit_expr_field(&mut self, field: &'ast ExprField) {
        if let (true, Member::Named(ident)) = (is_self(&field.base), &field.member) {
            self.fields.insert(ident.unraw().to_string());
        }
        visit::visit_expr_field(self, field);
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if is_self(&call.receiver) {
            self.fields.insert(call.method.unraw().to_string());
        }
        visit::visit_expr_method_call(self, call);
    }
}

fn is_self(expr: &syn::Expr) -> bool {
    matches!(expr, syn::Expr::Path(path) if path.path.is_ident("self"))
}

/// Values that lead nowhere.
fn values(errors: &mut Errors, graph: &Graph) {
    let used = used_values(graph);
    let mut made: Vec<ValueId> = graph.inputs.clone();
    collect_made(&graph.body, &mut made);
    for value in made {
        let Some(description) = graph.values.get(value.0) else { continue };
        if used.contains(&value) || description.name.starts_with('_') {
            continue;
        }
        let name = &description.name;
        let message = if graph.inputs.contains(&value) {
            Message::new(format!("input `{name}` is never used"))
                .help(format!("use it, remove it, or call it `_{name}`"))
                .note("an input that nothing reads is never calibrated")
        } else {
            Message::new(format!("value `{name}` is never used"))
                .help(format!("use it, remove the statement, or call it `_{name}`"))
                .note("what nothing reads is computed for nothing, and its observer would slow calibration down")
        };
        errors.error_at(description.span, message);
    }
}

fn collect_made(block: &Block, made: &mut Vec<ValueId>) {
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) => made.extend(op.results()),
            NodeKind::Model(model) => made.extend(&model.results),
            NodeKind::For(repeat) => collect_made(&repeat.body, made),
            NodeKind::Branch(branch) => {
                collect_made(&branch.then_block, made);
                collect_made(&branch.else_block, made);
            }
        }
    }
}
