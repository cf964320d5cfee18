//! Constructs outside of the language.

use crate::ir::lower::testing::refused;

#[test]
fn an_early_return_is_refused_with_the_fix() {
    refused(
        "struct Net { flag: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { if self.flag { return x; } relu(x) } }",
        &[(
            "return x",
            "early return",
            "make the value the last of each arm: `if self.flag { a } else { b }`",
        )],
    );
}

#[test]
fn a_condition_on_a_tensor_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { if x.mean(1) > 0.5 { relu(x) } else { x } } }",
        &[(
            "x.mean(1) > 0.5",
            "a condition that depends on a tensor",
            "branch on fields and constants, `if self.depth > 2`, or compute both ways and blend them: `a * mask + b * (1.0 - mask)`",
        )],
    );
}

#[test]
fn a_tensor_is_no_condition() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { if x { relu(x) } else { x } } }",
        &[(
            "x",
            "a tensor is used as a condition",
            "branch on fields and constants, `if self.depth > 2`, or compute both ways and blend them: `a * mask + b * (1.0 - mask)`",
        )],
    );
}

#[test]
fn a_size_is_no_condition() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { if x.size(0) == 1 { x } else { relu(x) } } }",
        &[(
            "x.size(0) == 1",
            "a condition that depends on the size of a tensor",
            "branch on fields and constants, `if self.depth > 2`, or compute both ways and blend them: `a * mask + b * (1.0 - mask)`",
        )],
    );
}

#[test]
fn a_while_loop_is_refused() {
    refused(
        "struct Net { flag: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut y = x; while self.flag { y = relu(y); } y } }",
        &[(
            "while",
            "`while` in `forward`",
            "loop over a `Vec` field: `for layer in &self.layers { x = layer(x); }`",
        )],
    );
}

#[test]
fn a_loop_is_refused_at_its_keyword() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { loop { break; } x } }",
        &[(
            "loop",
            "`loop` in `forward`",
            "loop over a `Vec` field: `for layer in &self.layers { x = layer(x); }`",
        )],
    );
}

#[test]
fn break_and_continue_are_refused() {
    refused(
        "struct Net { layers: Vec<Linear> } impl Net { fn forward(&self, x: Tensor) -> Tensor { let mut y = x; for l in &self.layers { y = l(y); break; continue; } y } }",
        &[
            (
                "break",
                "`break` in `forward`",
                "leave out of the `Vec` what is not to run, or branch on a `bool` field: `if self.flag { .. }`",
            ),
            (
                "continue",
                "`continue` in `forward`",
                "leave out of the `Vec` what is not to run, or branch on a `bool` field: `if self.flag { .. }`",
            ),
        ],
    );
}

#[test]
fn a_closure_is_refused_at_its_parameters() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let f = |t: Tensor| t; f(x) } }",
        &[("|t: Tensor|", "a closure in `forward`", "write its body where it is used")],
    );
}

#[test]
fn a_macro_call_is_refused() {
    refused(
        r#"struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { println!("{x}"); relu(x) } }"#,
        &[(
            "println!",
            "the macro `println!` in `forward`",
            "remove it; to see what happens inside, put `#[quantizable(dump)]` on the impl",
        )],
    );
}

#[test]
fn a_question_mark_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x)? } }",
        &[("?", "`?` in `forward`", "remove it")],
    );
}

#[test]
fn await_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = x.await; relu(y) } }",
        &[("await", "`.await` in `forward`", "wait for the data before calling the model")],
    );
}

#[test]
fn an_unsafe_block_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { unsafe { relu(x) } } }",
        &[(
            "unsafe",
            "an `unsafe` block in `forward`",
            "remove `unsafe`: everything that `forward` may do is safe",
        )],
    );
}

#[test]
fn indexing_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x[0] } }",
        &[(
            "x[0]",
            "indexing of a value",
            "cut the tensor by `let (a, b) = x.chunk(2, 1);` or `let (a, b) = x.split(8, 1);`",
        )],
    );
}

#[test]
fn a_comparison_is_refused_at_its_operator() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x > 1.0 } }",
        &[(
            ">",
            "comparison `>` of tensors",
            "keep the part above a bound with `relu`, or limit it with `clamp(x, min, max)`",
        )],
    );
}

#[test]
fn a_division_by_a_tensor_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x / relu(x) } }",
        &[(
            "/",
            "division by a tensor",
            "divide by a number, or multiply by a reciprocal that comes in as a tensor",
        )],
    );
}

#[test]
fn the_remainder_is_no_operation() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x % 2 } }",
        &[(
            "%",
            "operator `%` on tensors",
            "the operators of `forward` are `+`, `-`, `*`, and `/` by a number",
        )],
    );
}

#[test]
fn a_local_item_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { fn helper() {} x } }",
        &[("fn helper() {}", "an item inside of `forward`", "move it out of the function")],
    );
}

#[test]
fn a_struct_expression_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { Output { x } } }",
        &[("Output { x }", "a struct is built in `forward`", "return several tensors as a tuple: `(a, b)`")],
    );
}

#[test]
fn an_assignment_to_a_field_is_refused() {
    refused(
        "struct Net { scale: f32 } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.scale = 2.0; x } }",
        &[("self.scale", "assignment to a field", "assign to a variable: `x = relu(x);`")],
    );
}

#[test]
fn a_let_without_a_value_is_refused_once() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y; y = relu(x); y } }",
        &[(
            "y",
            "`let` without a value",
            "bind the value where it is made: `let y = if self.flag { a } else { b };`",
        )],
    );
}

#[test]
fn let_else_is_refused_once() {
    refused(
        "struct Net { opt: Option<Linear> } impl Net { fn forward(&self, x: Tensor) -> Tensor { let Some(p) = &self.opt else { panic!() }; p(x) } }",
        &[(
            "else",
            "`let .. else` leaves `forward` early",
            "write `match &self.field { Some(layer) => .., None => .. }`",
        )],
    );
}

#[test]
fn a_guard_is_refused() {
    refused(
        "struct Net { opt: Option<Linear>, flag: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { match &self.opt { Some(p) if self.flag => p(x), _ => x } } }",
        &[("self.flag", "a guard on an arm", "nest an `if` on a `bool` field in the arm")],
    );
}

#[test]
fn a_missing_arm_is_refused() {
    refused(
        "struct Net { opt: Option<Linear> } impl Net { fn forward(&self, x: Tensor) -> Tensor { match &self.opt { Some(p) => p(x) } } }",
        &[("match", "an arm is missing", "write `match &self.opt { Some(layer) => .., None => .. }`")],
    );
}

#[test]
fn a_body_that_ends_in_a_semicolon_is_refused_there() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { relu(x); } }",
        &[(";", "`forward` ends without a value", "remove this semicolon")],
    );
}

#[test]
fn an_empty_body_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor {  } }",
        &[("}", "`forward` ends without a value", "end the body with the tensor that the model computes")],
    );
}

#[test]
fn mistakes_are_reported_together_in_the_order_of_the_source() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = relu(z); let w = foo(y); if x > 2 { } self.fd(w) } }",
        &[
            ("z", "no value named `z`", "the names in scope are `x`"),
            (
                "foo",
                "call of `foo`, which is not an operation of the graph",
                "make it a function of this `impl`, `fn foo(&self, x: Tensor) -> Tensor`, which is read where `self.foo(x)` calls it; the operations are the functions of `qcore::functional`",
            ),
            (
                "x > 2",
                "a condition that depends on a tensor",
                "branch on fields and constants, `if self.depth > 2`, or compute both ways and blend them: `a * mask + b * (1.0 - mask)`",
            ),
            ("fd", "`Net` has no field `fd`", "did you mean `self.fc`?"),
        ],
    );
}
