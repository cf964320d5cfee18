//! What must be true of any graph; run after each pass.

use std::collections::HashSet;

use super::{Argument, PathSegment};
use super::{
    Block, BranchNode, Callee, Extent, ForNode, Graph, LoopId, Node, NodeKind, OpNode, Place, ValueId,
};

/// Checks `graph`; the error says what is broken, which is always a bug of ours.
pub fn verify(graph: &Graph) -> Result<(), String> {
    let mut verifier = Verifier { graph, defined: HashSet::new(), hidden: HashSet::new() };
    let mut scope = Scope::default();
    for &input in &graph.inputs {
        verifier.define(input, &mut scope)?;
    }
    verifier.block(&graph.body, &mut scope)?;
    for &output in &graph.outputs.values {
        verifier.read(output, &scope, "the output")?;
    }
    if !graph.outputs.is_tuple && graph.outputs.values.len() != 1 {
        return Err(format!("{} outputs that are no tuple", graph.outputs.values.len()));
    }
    Ok(())
}

/// What a block sees: the values and loops of the blocks around it and its own so far.
#[derive(Clone, Default)]
struct Scope {
    values: HashSet<ValueId>,
    loops: Vec<LoopId>,
}

struct Verifier<'a> {
    graph: &'a Graph,
    defined: HashSet<ValueId>,
    /// Values inside a fused group: made, but for nobody else to read.
    hidden: HashSet<ValueId>,
}

impl Verifier<'_> {
    fn name(&self, value: ValueId) -> String {
        match self.graph.values.get(value.0) {
            Some(known) => format!("value {} (`{}`)", value.0, known.name),
            None => format!("value {}", value.0),
        }
    }

    fn define(&mut self, value: ValueId, scope: &mut Scope) -> Result<(), String> {
        if value.0 >= self.graph.values.len() {
            return Err(format!("{} is not in the table of values", self.name(value)));
        }
        if !self.defined.insert(value) {
            return Err(format!("{} is made twice", self.name(value)));
        }
        scope.values.insert(value);
        Ok(())
    }

    fn read(&self, value: ValueId, scope: &Scope, reader: &str) -> Result<(), String> {
        if scope.values.contains(&value) {
            return Ok(());
        }
        let problem = if self.hidden.contains(&value) {
            "is inside a fused group"
        } else if self.defined.contains(&value) {
            "belongs to another block"
        } else {
            "is not made yet"
        };
        Err(format!("{reader} reads {}, which {problem}", self.name(value)))
    }

    fn block(&mut self, block: &Block, scope: &mut Scope) -> Result<(), String> {
        let mut names = HashSet::new();
        for node in &block.nodes {
            let name = name_of(node);
            if !names.insert(name) {
                return Err(format!("two nodes of a block are called `{name}`"));
            }
            self.node(node, name, scope)?;
        }
        Ok(())
    }

    fn node(&mut self, node: &Node, name: &str, scope: &mut Scope) -> Result<(), String> {
        match &node.kind {
            NodeKind::Op(op) => self.op(op, name, scope),
            NodeKind::Model(model) => {
                place_is_in_scope(&model.place, name, scope)?;
                for &operand in &model.operands {
                    self.read(operand, scope, name)?;
                }
                if !model.results_are_tuple && model.results.len() != 1 {
                    return Err(format!("`{name}` has {} results that are no tuple", model.results.len()));
                }
                model.results.iter().try_for_each(|&result| self.define(result, scope))
            }
            NodeKind::For(repeat) => self.repeat(repeat, name, scope),
            NodeKind::Branch(branch) => self.branch(branch, name, scope),
        }
    }

    fn op(&mut self, op: &OpNode, name: &str, scope: &mut Scope) -> Result<(), String> {
        for &operand in op.operands.iter().chain(&op.shape_operands) {
            self.read(operand, scope, name)?;
        }
        let Some((last, inner)) = op.members.split_last() else {
            return Err(format!("`{name}` does nothing"));
        };
        if last.result != op.result {
            return Err(format!("`{name}` hands out another value than its last member's"));
        }
        let made = op.operation().results.count();
        if op.results().len() != made || made > 1 && !inner.is_empty() {
            return Err(format!("`{name}` makes {} values", op.results().len()));
        }
        for member in inner {
            if !self.defined.insert(member.result) {
                return Err(format!("{} is made twice", self.name(member.result)));
            }
            self.hidden.insert(member.result);
        }
        for member in &op.members {
            match &member.callee {
                Callee::Layer(layer) => place_is_in_scope(&layer.place, name, scope)?,
                Callee::Function(call) => inputs_exist(&call.arguments, op, name)?,
            }
        }
        op.results().into_iter().try_for_each(|result| self.define(result, scope))
    }

    fn repeat(&mut self, repeat: &ForNode, name: &str, scope: &mut Scope) -> Result<(), String> {
        let mut inside = scope.clone();
        inside.loops.extend(&repeat.ids);
        for carried in &repeat.carried {
            self.read(carried.initial, scope, name)?;
            self.define(carried.entry, &mut inside)?;
        }
        self.block(&repeat.body, &mut inside)?;
        for carried in &repeat.carried {
            self.read(carried.next, &inside, name)?;
            self.define(carried.result, scope)?;
        }
        Ok(())
    }

    fn branch(&mut self, branch: &BranchNode, name: &str, scope: &mut Scope) -> Result<(), String> {
        let mut then_scope = scope.clone();
        let mut else_scope = scope.clone();
        self.block(&branch.then_block, &mut then_scope)?;
        self.block(&branch.else_block, &mut else_scope)?;
        for merged in &branch.merged {
            self.read(merged.then_value, &then_scope, name)?;
            self.read(merged.else_value, &else_scope, name)?;
            self.define(merged.result, scope)?;
        }
        Ok(())
    }
}

fn name_of(node: &Node) -> &str {
    match &node.kind {
        NodeKind::Op(op) => op.members.first().map_or("", |member| &member.name),
        NodeKind::Model(model) => &model.name,
        NodeKind::For(repeat) => &repeat.name,
        NodeKind::Branch(branch) => &branch.name,
    }
}

fn place_is_in_scope(place: &Place, name: &str, scope: &Scope) -> Result<(), String> {
    for segment in &place.path {
        match segment {
            PathSegment::Index { id, .. } if !scope.loops.contains(id) => {
                return Err(format!("`{name}` speaks of the index of loop {} outside of it", id.0));
            }
            PathSegment::Index { .. } | PathSegment::Name(_) | PathSegment::Number(_) => {}
        }
    }
    Ok(())
}

fn inputs_exist(arguments: &[Argument], op: &OpNode, name: &str) -> Result<(), String> {
    for argument in arguments {
        let extents = match argument {
            Argument::Tensor(Some(operand)) if *operand >= op.operands.len() => {
                return Err(format!("`{name}` is given a tensor that it does not read"));
            }
            Argument::Extents(extents) => extents,
            Argument::Expr(_) | Argument::Tensor(_) | Argument::Piece(_) => continue,
        };
        if !extents.iter().all(|extent| is_readable(extent, op)) {
            return Err(format!("`{name}` asks for the size of a tensor that it does not read"));
        }
    }
    Ok(())
}

fn is_readable(extent: &Extent, op: &OpNode) -> bool {
    match extent {
        Extent::SizeOf { shape_operand, .. } => *shape_operand < op.shape_operands.len(),
        Extent::Arithmetic { operands, .. } => operands.iter().all(|operand| is_readable(operand, op)),
        Extent::Expr(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::graph_of;

    #[test]
    fn a_lowered_graph_is_sound() {
        assert_eq!(verify(&graph_of("fc: Linear", "let y = self.fc(x); relu(y) + x")), Ok(()));
    }

    #[test]
    fn a_value_made_twice_is_found() {
        let mut graph = graph_of("fc: Linear", "let y = self.fc(x); relu(y)");
        let copy = graph.body.nodes[0].clone();
        graph.body.nodes.push(copy);
        assert!(verify(&graph).is_err());
    }

    #[test]
    fn a_value_read_before_it_is_made_is_found() {
        let mut graph = graph_of("fc: Linear", "let y = self.fc(x); relu(y)");
        graph.body.nodes.swap(0, 1);
        assert!(verify(&graph).is_err_and(|error| error.contains("not made yet")));
    }

    #[test]
    fn a_value_of_a_loop_body_read_outside_is_found() {
        let mut graph =
            graph_of("layers: Vec<Linear>", "let mut x = x; for fc in &self.layers { x = fc(x); } x");
        let NodeKind::For(repeat) = &graph.body.nodes[0].kind else { panic!("a loop comes first") };
        graph.outputs.values = vec![repeat.carried[0].next];
        assert!(verify(&graph).is_err_and(|error| error.contains("another block")));
    }
}
