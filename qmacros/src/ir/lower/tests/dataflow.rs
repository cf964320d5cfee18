//! Values: defined, used, and of one kind.

use crate::ir::lower::testing::refused;

#[test]
fn a_value_that_nothing_reads_is_refused_at_its_name() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = relu(x); relu6(x) } }",
        &[("y", "value `y` is never used", "use it, remove the statement, or call it `_y`")],
    );
}

#[test]
fn an_alias_that_nothing_reads_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = x; relu(x) } }",
        &[("y", "`y` is never used", "use it, remove the statement, or call it `_y`")],
    );
}

#[test]
fn a_result_that_is_dropped_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { relu(x); relu6(x) } }",
        &[("relu", "this value is never used", "bind it, `x = ..;`, or remove the statement")],
    );
}

#[test]
fn an_input_that_nothing_reads_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor, y: Tensor) -> Tensor { relu(x) } }",
        &[("y", "input `y` is never used", "use it, remove it, or call it `_y`")],
    );
}

#[test]
fn a_layer_that_never_runs_is_refused_at_its_field() {
    refused(
        "struct Net { fc: Linear, fd: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "fd",
            "field `fd` is never used in `forward`",
            "call it (`self.fd(x)`), remove the field, or mark it `#[quantizable(unused)]`",
        )],
    );
}

#[test]
fn a_loop_variable_that_is_not_called_is_refused() {
    refused(
        "struct Net { layers: Vec<Linear> } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut y = x; for layer in &self.layers { y = relu(y); } y } }",
        &[(
            "layer",
            "layer `layer` is never used",
            "call it, `layer(x)`, or call it `_layer` if that is meant",
        )],
    );
}

#[test]
fn an_undefined_variable_is_refused_with_the_likely_one() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let hidden = relu(x); hiden + x } }",
        &[("hiden", "no value named `hiden`", "did you mean `hidden`?")],
    );
}

#[test]
fn an_undeclared_variable_cannot_be_assigned() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { y = relu(x); x } }",
        &[("y", "assignment to `y`, which is not declared", "declare it: `let mut y = ..;`")],
    );
}

#[test]
fn a_variable_that_is_not_mut_cannot_be_assigned() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = relu(x); y += x; y } }",
        &[(
            "y",
            "`y` is assigned to and was not declared `mut`",
            "declare it `let mut y = ..;`, or bind a new name: `let y = ..;`",
        )],
    );
}

#[test]
fn an_input_that_is_not_mut_cannot_be_assigned() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x = relu(x); x } }",
        &[(
            "x",
            "`x` is assigned to and was not declared `mut`",
            "declare it `mut x: Tensor`, or bind a new name: `let x = ..;`",
        )],
    );
}

#[test]
fn arms_of_different_kinds_are_refused_with_the_variable() {
    refused(
        "struct Net { flag: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut y = x; if self.flag { y = (x, x); } relu(y) } }",
        &[(
            "if",
            "one arm makes `y` a tuple of 2 values, the other a tensor",
            "end both arms with the same kind of value",
        )],
    );
}

#[test]
fn arms_that_end_in_different_kinds_are_refused() {
    refused(
        "struct Net { flag: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = if self.flag { (x, x) } else { x }; relu(y) } }",
        &[(
            "if",
            "one arm ends in a tuple of 2 values, the other in a tensor",
            "end both arms with the same kind of value",
        )],
    );
}

#[test]
fn too_many_outputs_are_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { (x, x) } }",
        &[(
            "(x, x)",
            "`forward` promises a tensor and returns a tuple of 2 values",
            "write `-> (Tensor, Tensor)`, or return fewer values",
        )],
    );
}

#[test]
fn too_few_outputs_are_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> (Tensor, Tensor) { x } }",
        &[(
            "x",
            "`forward` promises a tuple of 2 tensors and returns a tensor",
            "write `-> Tensor`, or return a tuple",
        )],
    );
}

#[test]
fn a_number_is_no_output() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> (Tensor, Tensor) { (x, 3) } }",
        &[(
            "(x, 3)",
            "`forward` promises a tuple of 2 tensors and returns a number",
            "end the body with the tensor that the model computes",
        )],
    );
}

#[test]
fn an_if_without_else_has_no_value() {
    refused(
        "struct Net { flag: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = if self.flag { relu(x) }; y } }",
        &[("if", "`if` without `else` has no value", "say what the value is otherwise: `else { x }`")],
    );
}

#[test]
fn a_number_that_changes_in_a_loop_is_refused() {
    refused(
        "struct Net { layers: Vec<Linear> } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut k = 1.0; let mut y = x; for l in &self.layers { y = l(y) * k; k = 2.0; } y } }",
        &[(
            "for",
            "`k` is a number that changes from turn to turn",
            "put what differs between the turns into the elements of the `Vec`",
        )],
    );
}

#[test]
fn a_tensor_is_no_tuple() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let (a, b) = relu(x); a + b } }",
        &[(
            "(a, b)",
            "a tensor cannot be taken apart into 2 names",
            "to cut a tensor, write `let (a, b) = x.chunk(2, 1);`",
        )],
    );
}
