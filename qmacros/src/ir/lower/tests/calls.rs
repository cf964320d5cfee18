//! Calls and their arguments.

use crate::ir::lower::testing::{lowered, refused};

#[test]
fn an_unknown_operation_is_refused_with_the_likely_one() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { reluu(x) } }",
        &[("reluu", "unknown operation `reluu`", "did you mean `relu`?")],
    );
}

#[test]
fn an_in_place_operation_is_refused_with_the_plain_one() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x.relu_() } }",
        &[("relu_", "unknown operation `relu_`", "did you mean `relu`?")],
    );
}

#[test]
fn a_layer_type_as_function_is_refused_with_the_operation() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { MaxPool2d(x, 2) } }",
        &[("MaxPool2d", "unknown operation `MaxPool2d`", "did you mean `max_pool2d`?")],
    );
}

#[test]
fn an_operation_without_int8_form_is_refused_with_a_way_round() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x.sum(2) } }",
        &[("sum", "`sum` has no quantized form here", "use `mean`, then multiply by the count")],
    );
}

#[test]
fn a_call_of_any_other_function_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { my_function(x) } }",
        &[(
            "my_function",
            "call of `my_function`, which is not an operation of the graph",
            "make it a function of this `impl`, `fn my_function(&self, x: Tensor) -> Tensor`, which is read where `self.my_function(x)` calls it; the operations are the functions of `qcore::functional`",
        )],
    );
}

#[test]
fn a_call_by_path_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { crate::helpers::activation(x) } }",
        &[(
            "crate::helpers::activation",
            "call of a function that is not an operation of the graph",
            "write what it computes with layers and operations, or make it a `#[quantizable]` model of its own",
        )],
    );
}

#[test]
fn an_operation_of_another_module_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { Torch::relu(x) } }",
        &[(
            "Torch::relu",
            "call of a function that is not an operation of the graph",
            "if you mean `qcore::functional::relu`, write `relu(..)`",
        )],
    );
}

#[test]
fn a_function_of_the_impl_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn helper(&self) {} fn forward(&self, x: Tensor) -> Tensor { self.helper(self.fc(x)) } }",
        &[(
            "helper",
            "`helper` takes and returns no tensor",
            "write `fn helper(&self, x: Tensor) -> Tensor` with the operations that it stands for",
        )],
    );
}

#[test]
fn an_unknown_field_is_refused_with_the_likely_one() {
    refused(
        "struct Net { conv1: Conv2d } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.conv2(self.conv1(x)) } }",
        &[("conv2", "`Net` has no field `conv2`", "did you mean `self.conv1`?")],
    );
}

#[test]
fn an_unknown_field_is_refused_with_all_fields() {
    refused(
        "struct Net { conv1: Conv2d, flag: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.pool(self.conv1(x)) } }",
        &[("pool", "`Net` has no field `pool`", "its fields are `conv1` and `flag`")],
    );
}

#[test]
fn a_field_without_self_is_refused_once() {
    refused(
        "struct Net { conv1: Conv2d } impl Net { fn forward(&self, x: Tensor) -> Tensor { conv1(x) } }",
        &[(
            "conv1",
            "no function or layer `conv1` in scope",
            "fields are reached through `self`: `self.conv1(x)`",
        )],
    );
}

#[test]
fn too_few_arguments_are_refused_with_the_parameters() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x.max_pool2d() } }",
        &[(
            "max_pool2d",
            "`max_pool2d` takes 2 to 6 arguments, 1 is given",
            "it is called as `max_pool2d(x, kernel_size, stride?, padding?, dilation?, ceil_mode?)`",
        )],
    );
}

#[test]
fn too_many_arguments_are_refused_with_the_parameters() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { relu(x, 1) } }",
        &[("relu", "`relu` takes 1 argument, 2 are given", "it is called as `relu(x)`")],
    );
}

#[test]
fn a_layer_takes_one_tensor() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x, x) } }",
        &[("fc", "`self.fc` takes 1 tensor, 2 are given", "write `self.fc(x)`")],
    );
}

#[test]
fn a_tensor_where_a_number_is_expected_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { max_pool2d(x, x) } }",
        &[(
            "x",
            "`kernel_size` of `max_pool2d` must be a number, this is a tensor",
            "write a literal, a constant or a config field: `self.size`",
        )],
    );
}

#[test]
fn a_number_where_a_tensor_is_expected_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { relu(3) } }",
        &[(
            "3",
            "the argument of `relu` must be a tensor, this is a number",
            "operators take numbers: `x + 1.0`, `x * self.scale`",
        )],
    );
}

#[test]
fn a_float_for_an_integer_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { max_pool2d(x, 2.5) } }",
        &[(
            "2.5",
            "`kernel_size` of `max_pool2d` must be an integer, this is a float",
            "write a whole number",
        )],
    );
}

#[test]
fn an_integer_field_for_a_float_is_refused_with_a_cast() {
    refused(
        "struct Net { groups: usize } impl Net { fn forward(&self, x: Tensor) -> Tensor { x * self.groups } }",
        &[(
            "self.groups",
            "the number beside `*` must be a float, this is an integer",
            "write `self.groups as f32`",
        )],
    );
}

#[test]
fn an_integer_for_a_bool_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { max_pool2d(x, 2, 2, 0, 1, 1) } }",
        &[("1", "`ceil_mode` of `max_pool2d` must be a bool, this is an integer", "write `true` or `false`")],
    );
}

#[test]
fn a_triple_for_a_pair_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { max_pool2d(x, (1, 2, 3)) } }",
        &[(
            "(1, 2, 3)",
            "`kernel_size` of `max_pool2d` has 3 elements",
            "give one number for both directions, or a pair: `(height, width)`",
        )],
    );
}

#[test]
fn a_named_argument_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { max_pool2d(x, 3, stride = 2) } }",
        &[("stride = 2", "Rust has no named arguments", "give the arguments in order, this one as `2`")],
    );
}

#[test]
fn none_as_argument_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { max_pool2d(x, 3, None, 1) } }",
        &[(
            "None",
            "`stride` of `max_pool2d` is left out by `None`",
            "write its default, or leave out all arguments from here on",
        )],
    );
}

#[test]
fn none_stands_for_the_other_way_to_say_a_size() {
    for call in
        ["interpolate(x, None, 2.0, \"bilinear\", true)", "interpolate(x, (4, 5))", "x.interpolate(8)"]
    {
        let source =
            format!("struct Net {{ }} impl Net {{ fn forward(&self, x: Tensor) -> Tensor {{ {call} }} }}");
        assert!(lowered(&source).is_ok(), "{call}");
    }
}

#[test]
fn a_size_outside_of_reshape_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x.flatten(x.size(0)) } }",
        &[(
            "x.size(0)",
            "`start_dim` of `flatten` depends on the size of a tensor",
            "write a literal or a config field: `self.size`",
        )],
    );
}

#[test]
fn an_option_is_refused_without_match() {
    refused(
        "struct Net { opt: Option<Linear> } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.opt(x) } }",
        &[(
            "opt",
            "`self.opt` is an `Option` and may be absent",
            "say what happens without it: `match &self.opt { Some(layer) => layer(x), None => x }`",
        )],
    );
}

#[test]
fn a_flag_cannot_be_called() {
    refused(
        "struct Net { flag: bool } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.flag(x) } }",
        &[(
            "flag",
            "`self.flag` is of type `bool` and cannot be called",
            "use it as a condition: `if self.flag { .. }`",
        )],
    );
}

#[test]
fn a_number_cannot_be_called() {
    refused(
        "struct Net { groups: usize } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.groups(x) } }",
        &[(
            "groups",
            "`self.groups` is of type `usize` and cannot be called",
            "only layers and models can be called",
        )],
    );
}

#[test]
fn a_layer_is_no_operand() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { x + self.fc } }",
        &[("fc", "`self.fc` is a layer, not a tensor", "call it: `self.fc(x)`")],
    );
}

#[test]
fn the_weight_of_a_layer_is_out_of_reach() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { x + self.fc.weight } }",
        &[("self.fc.weight", "`self.fc` is reached into", "call the whole: `self.fc(x)`")],
    );
}

#[test]
fn a_method_of_a_layer_is_refused() {
    refused(
        "struct Net { fc: Linear } impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc.in_features(x) } }",
        &[(
            "in_features",
            "`in_features` is called on `self.fc`, which is not a tensor",
            "run it first: `self.fc(x)` or `self.fc.forward(x)`",
        )],
    );
}

#[test]
fn cat_takes_a_list() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { cat(x, 1) } }",
        &[("x", "`cat` takes a list of tensors", "write `cat([a, b], 1)`")],
    );
}

#[test]
fn pieces_need_a_tuple_pattern() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { x.chunk(2, 1) } }",
        &[(
            "chunk",
            "`chunk` makes several tensors",
            "bind them by a tuple pattern: `let (a, b) = x.chunk(2, 1);`",
        )],
    );
}

#[test]
fn the_pattern_names_as_many_pieces_as_there_are() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let (a, b, c) = x.chunk(2); cat([a, b, c]) } }",
        &[(
            "2",
            "`chunk` makes 2 tensors, the pattern has 3",
            "name each piece; `_` for those that are not needed",
        )],
    );
}

#[test]
fn a_tensor_field_is_refused() {
    refused(
        "struct Net { bias: Tensor } impl Net { fn forward(&self, x: Tensor) -> Tensor { x + self.bias } }",
        &[(
            "bias",
            "the field `bias` is a tensor",
            "pass it in as a parameter: `fn forward(&self, x: Tensor, bias: Tensor)`",
        )],
    );
}
