//! The names of nodes: `conv1`, `downsample_0`, `y_plus_identity`.

use std::collections::HashSet;

use syn::ext::IdentExt;

use crate::parse::Model;

/// Names made of two operands stay readable up to here; longer ones give way to the operation's.
const LONGEST: usize = 40;

#[derive(Debug)]
pub struct Names {
    user_fields: HashSet<String>,
    /// Operations of all blocks, so that each has a name of its own in reports.
    operations: HashSet<String>,
    /// Branches and loops of all blocks, likewise.
    control: HashSet<String>,
    /// The names of each open block.
    blocks: Vec<HashSet<String>>,
}

impl Names {
    pub fn new(model: &Model) -> Self {
        let user_fields = model.fields.iter().map(|field| field.ident.unraw().to_string()).collect();
        Self {
            user_fields,
            operations: HashSet::new(),
            control: HashSet::new(),
            blocks: vec![HashSet::new()],
        }
    }

    pub fn enter(&mut self) {
        self.blocks.push(HashSet::new());
    }

    pub fn leave(&mut self) {
        self.blocks.pop();
    }

    /// For a layer or a model: its path in the struct, counted if it is called again.
    pub fn layer(&mut self, label: &str) -> String {
        let name = numbered(label, |name| self.is_free_here(name));
        self.claim(name)
    }

    /// For a function or an operator.
    pub fn operation(&mut self, label: &str) -> String {
        let name = numbered(label, |name| {
            self.is_free_here(name) && !self.user_fields.contains(name) && !self.operations.contains(name)
        });
        self.operations.insert(name.clone());
        self.claim(name)
    }

    /// For a loop or a branch: the field that it goes by.
    pub fn control(&mut self, label: &str) -> String {
        let name = numbered(label, |name| self.is_free_here(name) && !self.control.contains(name));
        self.control.insert(name.clone());
        self.claim(name)
    }

    fn is_free_here(&self, name: &str) -> bool {
        self.blocks.last().is_none_or(|block| !block.contains(name))
    }

    fn claim(&mut self, name: String) -> String {
        if let Some(block) = self.blocks.last_mut() {
            block.insert(name.clone());
        }
        name
    }
}

fn numbered(label: &str, is_free: impl Fn(&str) -> bool) -> String {
    let counted = (1..).map(|number| format!("{label}_{number}"));
    std::iter::once(label.to_owned()).chain(counted).find(|name| is_free(name)).unwrap_or_default()
}

/// `a_plus_b`, or `fallback` when that says too little or too much.
pub fn joined(left: &str, word: &str, right: &str, fallback: &str) -> String {
    let left = left.trim_start_matches('_');
    let right = right.trim_start_matches('_');
    let name = format!("{left}_{word}_{right}");
    if left.is_empty() || right.is_empty() || name.len() > LONGEST { fallback.to_owned() } else { name }
}
