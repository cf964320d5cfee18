//! Where a value is read last.

use super::*;

/// The operands of all operations in order: `x` where it is moved, `&x` where it is cloned.
fn moves(fields: &str, body: &str) -> Vec<String> {
    fn collect(block: &crate::ir::Block, graph: &Graph, found: &mut Vec<String>) {
        let liveness = analyze(graph);
        for node in &block.nodes {
            match &node.kind {
                NodeKind::Op(op) => {
                    for (slot, operand) in op.operands.iter().enumerate() {
                        let is_last = liveness.is_last(Use::Operand { node: op.result, slot });
                        let mark = if is_last { "" } else { "&" };
                        found.push(format!("{mark}{}", graph.values[operand.0].name));
                    }
                }
                NodeKind::Model(_) => {}
                NodeKind::For(repeat) => collect(&repeat.body, graph, found),
                NodeKind::Branch(branch) => {
                    collect(&branch.then_block, graph, found);
                    collect(&branch.else_block, graph, found);
                }
            }
        }
    }
    let graph = graph_of(fields, body);
    let mut found = Vec::new();
    collect(&graph.body, &graph, &mut found);
    found
}

#[test]
fn a_value_is_moved_where_it_is_read_last() {
    assert_eq!(moves("", "let y = relu(x); x + y"), ["&x", "x", "y"]);
    assert_eq!(moves("", "x + x"), ["&x", "x"]);
}

#[test]
fn a_value_from_outside_is_never_moved_in_a_loop() {
    let body = "let mut y = x; for fc in &self.layers { y = fc(y) + x; } y";
    assert_eq!(moves("layers: Vec<Linear>", body), ["y", "fc", "&x"]);
}

#[test]
fn each_of_several_results_is_moved_in_a_loop() {
    let body = "let mut y = x; for fc in &self.layers { let (a, b) = extremes(fc(y)); y = b + a; } y";
    assert_eq!(moves("layers: Vec<Linear>", body), ["y", "fc", "b", "a"]);
}

#[test]
fn each_arm_moves_for_itself() {
    let body = "let y = if self.wide { relu(x) } else { relu6(x) }; y";
    assert_eq!(moves("wide: bool", body), ["x", "x"]);
}

#[test]
fn a_size_that_is_asked_for_later_keeps_the_value() {
    let body = "let y = relu(x); y.reshape((x.size(0), -1))";
    assert_eq!(moves("", body), ["&x", "y"]);
}
