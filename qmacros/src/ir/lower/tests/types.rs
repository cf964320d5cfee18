//! Structs, layer types and attributes.

use crate::ir::lower::testing::refused;

#[test]
fn a_mistyped_layer_is_refused_with_the_right_name() {
    refused(
        "struct Net { c: Conv2D } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.c(x) } }",
        &[(
            "Conv2D",
            "unknown layer `Conv2D`",
            "did you mean `Conv2d`? If `Conv2D` is a type of your own, mark the field `#[quantizable(model)]`",
        )],
    );
}

#[test]
fn a_layer_in_other_capitals_is_refused() {
    refused(
        "struct Net { c: Relu } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.c(x) } }",
        &[(
            "Relu",
            "unknown layer `Relu`",
            "did you mean `ReLU`? If `Relu` is a type of your own, mark the field `#[quantizable(model)]`",
        )],
    );
}

#[test]
fn a_layer_without_its_dimension_is_refused_with_all_that_exist() {
    refused(
        "struct Net { c: BatchNorm } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.c(x) } }",
        &[(
            "BatchNorm",
            "unknown layer `BatchNorm`",
            "did you mean `BatchNorm1d` or `BatchNorm2d`? If `BatchNorm` is a type of your own, mark the field `#[quantizable(model)]`",
        )],
    );
}

#[test]
fn a_mistyped_layer_inside_of_containers_is_refused() {
    refused(
        "struct Net { c: Vec<Sequential<(Liner, ReLU)>> } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.c(x) } }",
        &[(
            "Liner",
            "unknown layer `Liner`",
            "did you mean `Linear`? If `Liner` is a type of your own, mark the field `#[quantizable(model)]`",
        )],
    );
}

#[test]
fn a_layer_without_int8_form_is_refused_with_those_that_have_one() {
    refused(
        "struct Net { c: MultiheadAttention } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.c(x) } }",
        &[(
            "MultiheadAttention",
            "`MultiheadAttention` has no quantized form here",
            "the layers are those of `qcore::ops`; if `MultiheadAttention` is a type of your own, mark the field `#[quantizable(model)]`",
        )],
    );
}

#[test]
fn a_layer_with_advice_is_refused_with_it() {
    refused(
        "struct Net { c: Dropout2d } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.c(x) } }",
        &[(
            "Dropout2d",
            "`Dropout2d` has no quantized form here",
            "use `Dropout`: both do nothing at inference; if `Dropout2d` is a type of your own, mark the field `#[quantizable(model)]`",
        )],
    );
}

#[test]
fn a_sequential_without_a_tuple_is_refused() {
    refused(
        "struct Net { c: Sequential<Conv2d> } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.c(x) } }",
        &[(
            "Sequential<Conv2d>",
            "`Sequential` takes a tuple of layers",
            "list the elements as a tuple: `Sequential<(Conv2d, BatchNorm2d, ReLU)>`",
        )],
    );
}

#[test]
fn a_tuple_struct_is_refused() {
    refused(
        "struct Net(Linear); impl Net { fn forward(&self, x: Tensor) -> Tensor { x } }",
        &[("Net", "the fields of `Net` have no names", "write `struct Net { conv1: Conv2d, .. }`")],
    );
}

#[test]
fn a_unit_struct_is_refused() {
    refused(
        "struct Net; impl Net { fn forward(&self, x: Tensor) -> Tensor { x } }",
        &[(
            "Net",
            "`Net` has no fields, so there is nothing to quantize",
            "write `struct Net { conv1: Conv2d, .. }`",
        )],
    );
}

#[test]
fn a_struct_that_borrows_is_refused() {
    refused(
        "struct Net<'a> { fc: Linear, name: &'a str } impl<'a> Net<'a> { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[("'a", "`Net` borrows something", "let the model own its layers")],
    );
}

#[test]
fn an_impl_for_one_instance_is_refused() {
    refused(
        "struct Net<const N: usize> { fc: Linear } impl Net<3> { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "Net<3>",
            "the impl is not for every `Net`",
            "write `impl<const N: usize> Net<N>`, with the names of the struct's parameters",
        )],
    );
}

#[test]
fn skip_and_qconfig_contradict_each_other() {
    refused(
        "struct Net { #[quantizable(skip, qconfig = a::b)] fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "qconfig = a::b",
            "`skip` and `qconfig` contradict each other",
            "keep `skip` to leave the layer in float, or `qconfig` to choose how it is quantized",
        )],
    );
}

#[test]
fn an_argument_given_twice_is_refused() {
    refused(
        "struct Net { #[quantizable(skip)] #[quantizable(skip)] fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[("skip", "`skip` is given twice", "remove one of the two")],
    );
}

#[test]
fn an_unknown_argument_is_refused_with_the_likely_one() {
    refused(
        "struct Net { #[quantizable(skp)] fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[("skp", "unknown argument `skp`", "did you mean `skip`?")],
    );
}

#[test]
fn an_argument_of_the_impl_is_refused_on_a_field() {
    refused(
        "struct Net { #[quantizable(dump)] fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "dump",
            "unknown argument `dump`",
            r#"`dump` belongs on the `impl` block; a field takes `skip`, `rename = "features.0"`, `first = 1`, `qconfig = path`, `unused` and `model`"#,
        )],
    );
}

#[test]
fn an_attribute_without_arguments_is_refused_on_a_field() {
    refused(
        "struct Net { #[quantizable] fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "#[quantizable]",
            "`#[quantizable]` on a field needs an argument",
            r#"the arguments are `skip`, `rename = "features.0"`, `first = 1`, `qconfig = path`, `unused` and `model`"#,
        )],
    );
}

#[test]
fn rename_needs_a_text() {
    refused(
        "struct Net { #[quantizable(rename = 3)] fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "rename = 3",
            "`rename` needs the state-dict key as a string",
            r#"write `#[quantizable(rename = "features.0")]`"#,
        )],
    );
}

#[test]
fn rename_needs_a_key() {
    refused(
        r#"struct Net { #[quantizable(rename = "a..b")] fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }"#,
        &[(
            r#"rename = "a..b""#,
            "`a..b` is no state-dict key",
            r#"names joined by dots, as PyTorch writes them: `#[quantizable(rename = "features.0")]`"#,
        )],
    );
}

#[test]
fn two_fields_with_one_key_are_refused() {
    refused(
        r#"struct Net { #[quantizable(rename = "fd")] fc: Linear, fd: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fd(self.fc(x)) } }"#,
        &[(
            "fc",
            "`fc` and `fd` both have the state-dict key `fd`",
            r#"give each field a key of its own with `#[quantizable(rename = "..")]`"#,
        )],
    );
}

#[test]
fn unused_is_refused_on_a_field_that_is_used() {
    refused(
        "struct Net { #[quantizable(unused)] fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[("fc", "field `fc` is marked `unused` and used in `forward`", "remove `#[quantizable(unused)]`")],
    );
}

#[test]
fn stubs_are_manual_or_not_named() {
    refused(
        r#"struct Net { fc: Linear } #[quantizable(stubs = "auto")] impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }"#,
        &[(
            r#"stubs = "auto""#,
            "`stubs` knows one value",
            r#"write `#[quantizable(stubs = "manual")]`, or leave it out to have the boundaries placed for you"#,
        )],
    );
}

#[test]
fn an_argument_of_a_field_is_refused_on_the_impl() {
    refused(
        "struct Net { fc: Linear } #[quantizable(skip)] impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }",
        &[(
            "skip",
            "unknown argument `skip`",
            r#"`skip` belongs on a field; an `impl` block takes `stubs = "manual"`, `deny(float_ops)`, `dump`, `prepared = NetWithObservers`, `converted = Int8Net` and `crate = ::renamed`"#,
        )],
    );
}
