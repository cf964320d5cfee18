//! Local variables of generated functions: the user's names where they are free.
//!
//! They take the hygiene of the macro, so that they never meet the user's own identifiers, and the place of the
//! user's source, so that rustc's messages point there.

use std::collections::{HashMap, HashSet};

use proc_macro2::Span;
use quote::format_ident;
use syn::Ident;
use syn::ext::IdentExt as _;

use crate::ir::{Block, Graph, LoopId, NodeKind, ValueId};

/// The variable of each value.
#[derive(Debug)]
pub struct Names {
    locals: HashMap<ValueId, Ident>,
    unknown: Ident,
}

/// Variables that generated code uses for itself.
const RESERVED: [&str; 12] = [
    "tracer",
    "observation",
    "conversion",
    "archive",
    "path",
    "visit",
    "error",
    "sizes",
    "self",
    "op",
    "arm",
    "input",
];

impl Names {
    pub fn of(graph: &Graph) -> Self {
        let mut fields = HashSet::new();
        let mut values = graph.inputs.clone();
        collect(&graph.body, &mut fields, &mut values);
        fields.extend(RESERVED.iter().map(|&name| name.to_owned()));
        let mut taken = fields.clone();

        let mut locals = HashMap::new();
        for value in values {
            let known = &graph.values[value.0];
            let base =
                if syn::parse_str::<Ident>(&known.name).is_ok() { known.name.as_str() } else { "value" };
            let base = if fields.contains(base) { format!("{base}_out") } else { base.to_owned() };
            let name = free_name(&base, &taken);
            taken.insert(name.clone());
            locals.insert(value, Ident::new(&name, known.span.resolved_at(Span::mixed_site())));
        }
        Self { locals, unknown: local("unknown") }
    }

    pub fn local(&self, value: ValueId) -> &Ident {
        self.locals.get(&value).unwrap_or(&self.unknown)
    }

    pub fn locals(&self, values: impl IntoIterator<Item = ValueId>) -> Vec<&Ident> {
        values.into_iter().map(|value| self.local(value)).collect()
    }
}

fn free_name(base: &str, taken: &HashSet<String>) -> String {
    if !taken.contains(base) {
        return base.to_owned();
    }
    let mut number = 1;
    loop {
        let name = format!("{base}_{number}");
        if !taken.contains(&name) {
            return name;
        }
        number += 1;
    }
}

fn collect(block: &Block, fields: &mut HashSet<String>, values: &mut Vec<ValueId>) {
    for node in &block.nodes {
        let field = match &node.kind {
            NodeKind::Op(op) => {
                values.push(op.result);
                &op.field
            }
            NodeKind::Model(model) => {
                values.extend(&model.results);
                &model.field
            }
            NodeKind::For(repeat) => {
                values.extend(repeat.carried.iter().map(|carried| carried.entry));
                collect(&repeat.body, fields, values);
                values.extend(repeat.carried.iter().map(|carried| carried.result));
                &repeat.field
            }
            NodeKind::Branch(branch) => {
                collect(&branch.then_block, fields, values);
                collect(&branch.else_block, fields, values);
                values.extend(branch.merged.iter().map(|merged| merged.result));
                &branch.field
            }
        };
        fields.insert(field.unraw().to_string());
    }
}

/// A variable of ours.
pub fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The variable that holds a field of a generated struct before the struct is made, or after it is taken apart.
pub fn field_local(field: &Ident) -> Ident {
    let mut local = field.clone();
    local.set_span(field.span().resolved_at(Span::mixed_site()));
    local
}

/// The index of a loop.
pub fn index(id: LoopId) -> Ident {
    format_ident!("index_{}", id.0, span = Span::mixed_site())
}

/// The entries of a loop that are made so far.
pub fn entries(id: LoopId) -> Ident {
    format_ident!("entries_{}", id.0, span = Span::mixed_site())
}

/// The entry of the current iteration.
pub fn entry(id: LoopId) -> Ident {
    format_ident!("entry_{}", id.0, span = Span::mixed_site())
}
