//! Local variables of generated functions: the user's names where they are free.
//!
//! They take the hygiene of the macro, so that they never meet the user's own identifiers, and the place of the
//! user's source, so that rustc's messages point there.

use std::collections::{HashMap, HashSet};

use proc_macro2::Span;
use quote::format_ident;
use syn::Ident;

use crate::ir::{Block, Graph, LoopId, NodeKind, ValueId};

/// The variable of each value.
#[derive(Debug)]
pub struct Names {
    locals: HashMap<ValueId, Ident>,
    unknown: Ident,
}

/// Variables that generated code uses for itself.
const RESERVED: [&str; 3] = ["tracer", "error", "self"];

impl Names {
    pub fn of(graph: &Graph) -> Self {
        let mut taken: HashSet<String> = RESERVED.iter().map(|&name| name.to_owned()).collect();
        let mut values = graph.inputs.clone();
        collect(&graph.body, &mut taken, &mut values);

        let mut locals = HashMap::new();
        for value in values {
            let known = &graph.values[value.0];
            let base =
                if syn::parse_str::<Ident>(&known.name).is_ok() { known.name.as_str() } else { "value" };
            let name = free_name(base, &taken);
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

/// The values in the order in which they are made, and the indices of the loops.
fn collect(block: &Block, taken: &mut HashSet<String>, values: &mut Vec<ValueId>) {
    for node in &block.nodes {
        match &node.kind {
            NodeKind::Op(op) => values.extend(op.results()),
            NodeKind::Model(model) => values.extend(&model.results),
            NodeKind::For(repeat) => {
                taken.extend(repeat.ids.iter().map(|&id| index(id).to_string()));
                values.extend(repeat.carried.iter().map(|carried| carried.entry));
                collect(&repeat.body, taken, values);
                values.extend(repeat.carried.iter().map(|carried| carried.result));
            }
            NodeKind::Branch(branch) => {
                collect(&branch.then_block, taken, values);
                collect(&branch.else_block, taken, values);
                values.extend(branch.merged.iter().map(|merged| merged.result));
            }
        }
    }
}

/// A variable of ours.
pub fn local(name: &str) -> Ident {
    Ident::new(name, Span::mixed_site())
}

/// The index of a loop.
pub fn index(id: LoopId) -> Ident {
    format_ident!("index_{}", id.0, span = Span::mixed_site())
}
