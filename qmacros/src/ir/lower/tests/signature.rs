//! The signature of `forward`.

use crate::ir::lower::testing::refused;

#[test]
fn a_mutable_self_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&mut self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[("&mut self", "`forward` takes `&mut self`", "write `&self`")],
    );
}

#[test]
fn self_by_value_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[("self", "`forward` takes `self` by value", "write `&self`")],
    );
}

#[test]
fn a_missing_self_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(x: Tensor) -> Tensor { x } }",
        &[("forward", "`forward` has no `&self`", "write `fn forward(&self, x: Tensor) -> Tensor`")],
    );
}

#[test]
fn a_missing_return_type_is_refused_once() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) { self.fc(x); } }",
        &[("forward", "`forward` returns nothing", "write `-> Tensor` before the body")],
    );
}

#[test]
fn a_result_as_return_type_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Result<Tensor> { self.fc(x) } }",
        &[(
            "Result<Tensor>",
            "`forward` must return a `Tensor` or a tuple of them",
            "write `-> Tensor` or `-> (Tensor, Tensor)`",
        )],
    );
}

#[test]
fn a_number_as_parameter_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor, scale: f32) -> Tensor { self.fc(x) + scale } }",
        &[("f32", "`scale` is not a `Tensor`", "make it a field of the struct and read it as `self.scale`")],
    );
}

#[test]
fn a_reference_as_parameter_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: &Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "&Tensor",
            "`x` is taken by reference",
            "write `x: Tensor`: a tensor is cheap to clone, and the macro works out who needs it last",
        )],
    );
}

#[test]
fn a_pattern_as_parameter_is_refused_once() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, (x, y): (Tensor, Tensor)) -> Tensor { self.fc(x + y) } }",
        &[(
            "(x, y)",
            "a parameter of `forward` is a name, not a pattern",
            "write one parameter for each tensor: `forward(&self, a: Tensor, b: Tensor)`",
        )],
    );
}

#[test]
fn a_forward_without_tensors_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self) -> Tensor { self.fc(x) } }",
        &[
            ("forward", "`forward` takes no tensor", "write `fn forward(&self, x: Tensor) -> Tensor`"),
            ("x", "no value named `x`", "tensors come in as parameters of `forward`"),
        ],
    );
}

#[test]
fn a_generic_forward_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward<T>(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "<T>",
            "`forward` cannot be generic",
            "move the parameter to the struct: `struct Net<const N: usize> { .. }`",
        )],
    );
}

#[test]
fn qualifiers_are_refused_one_by_one() {
    refused(
        r#"struct Net { fc: Linear } impl Net { const unsafe extern "C" fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }"#,
        &[
            ("const", "`forward` cannot be `const`", "remove `const`"),
            ("unsafe", "`forward` cannot be `unsafe`", "remove `unsafe`"),
            (r#"extern "C""#, "`forward` cannot be `extern`", "remove `extern`"),
        ],
    );
}

#[test]
fn an_async_forward_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { async fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[("async", "`forward` cannot be `async`", "remove `async`")],
    );
}

#[test]
fn a_misspelt_forward_is_refused_with_its_name() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forwad(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[("forwad", "no `forward` in this `impl` block", "did you mean to name `forwad` `forward`?")],
    );
}

#[test]
fn an_impl_without_forward_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn new() -> Self { Net { fc: Linear::new(2, 1) } } }",
        &[(
            "Net",
            "no `forward` in this `impl` block",
            "add `pub fn forward(&self, x: Tensor) -> Tensor { .. }`, or remove `#[quantizable]` here",
        )],
    );
}

#[test]
fn a_second_forward_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "forward",
            "a second `forward`",
            "keep one; give the other a name of its own, or a model of its own",
        )],
    );
}
