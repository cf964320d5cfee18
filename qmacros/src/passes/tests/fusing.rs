//! Which chains fuse, and which do not.

use super::*;

#[track_caller]
fn is_one(fields: &str, body: &str, expected: &str) {
    let text = fused(fields, body);
    assert!(text.contains(expected), "no `{expected}` in\n{text}");
    assert!(!text.contains("not "), "{text}");
}

#[track_caller]
fn is_left(fields: &str, body: &str, operation: &str) {
    let text = fused(fields, body);
    assert!(!text.contains(operation), "`{operation}` in\n{text}");
}

#[test]
fn every_pattern_fires() {
    let fields = "c: Conv2d, b: BatchNorm2d, r: ReLU";
    is_one(fields, "self.b(self.c(x))", "%1 = conv_bn self.c+b(%0)");
    is_one(fields, "self.r(self.c(x))", "%1 = conv_relu self.c+r(%0)");
    is_one(fields, "self.r(self.b(self.c(x)))", "%1 = conv_bn_relu self.c+b+r(%0)");
    is_one(fields, "relu(self.b(self.c(x)))", "%1 = conv_bn_relu self.c+b+relu(%0)");
    is_one("l: Linear", "relu(self.l(x))", "%1 = linear_relu self.l+relu(%0)");
    is_one("l: Linear, b: BatchNorm1d", "self.b(self.l(x))", "%1 = linear_bn self.l+b(%0)");
    is_one("l: Linear, b: BatchNorm1d", "self.b(self.l(x)).relu()", "%1 = linear_bn_relu self.l+b+relu(%0)");
    is_one("b: BatchNorm2d", "relu(self.b(x))", "%1 = bn_relu self.b+relu(%0)");
    is_one("", "relu(x + x)", "add_relu self.x_plus_x+relu(%0, %0)");
    is_one("", "relu(x * x)", "mul_relu self.x_times_x+relu(%0, %0)");
    is_one("", "relu(x + 1.0)", "add_scalar_relu");
    is_one("", "relu(x * 2.0)", "mul_scalar_relu");
}

#[test]
fn a_chain_may_run_through_bindings_and_sequential() {
    let fields = "s: Sequential<(Conv2d, BatchNorm2d)>, act: ReLU";
    is_one(fields, "let y = self.s(x); let z = self.act(y); z", "%1 = conv_bn_relu self.s.0+s.1+act(%0)");
}

#[test]
fn the_group_takes_the_place_of_its_first_member() {
    let expected = "\
%0 = input x
%1 = conv_relu self.a+relu(%0)
%2 = conv2d self.b(%0)
%3 = add self.y_plus_z(%1, %2)
return %3
";
    let body = "let y = self.a(x); let z = self.b(x); let y = relu(y); y + z";
    assert_eq!(fused("a: Conv2d, b: Conv2d", body), expected);
}

#[test]
fn a_chain_inside_a_loop_or_a_branch_is_fused() {
    is_one(
        "convs: Vec<Conv2d>",
        "let mut x = x; for conv in &self.convs { x = relu(conv(x)); } x",
        "conv_relu self.convs.{i}+relu",
    );
    is_one(
        "c: Conv2d, wide: bool",
        "let y = if self.wide { relu(self.c(x)) } else { x }; y",
        "conv_relu self.c+relu",
    );
}

#[test]
fn the_dimension_of_the_batch_norm_must_match() {
    is_left("c: Conv2d, b: BatchNorm1d", "self.b(self.c(x))", "conv_bn");
    is_left("l: Linear, b: BatchNorm2d", "self.b(self.l(x))", "linear_bn");
}

#[test]
fn other_activations_and_operations_stay_alone() {
    is_left("c: Conv2d", "relu6(self.c(x))", "conv_relu");
    is_left("b: BatchNorm1d", "relu(self.b(x))", "bn_relu");
    is_left("", "relu(x - x)", "sub_relu");
    is_left("c: Conv2d", "relu(self.c(x).flatten(1))", "_relu");
}

#[test]
fn declines_when_the_inner_value_is_read_elsewhere() {
    let fields = "c: Conv2d, b: BatchNorm2d";
    let text = fused(fields, "let y = self.c(x); relu(y) + y");
    assert!(text.contains("not conv_relu: `y` is needed on its own: `relu_plus_y` reads it\n"), "{text}");
    let text = fused(fields, "let y = self.c(x); let z = self.b(y); relu(z) + z");
    assert!(text.contains("= conv_bn self.c+b(%0)"), "{text}");
    assert!(text.contains("not conv_bn_relu"), "{text}");
}

#[test]
fn declines_when_the_inner_value_is_returned() {
    let graph = graph_with("c: Conv2d", "x: Tensor", "(Tensor, Tensor)", "let y = self.c(x); (relu(y), y)");
    let fusion = fuse(&graph);
    assert!(!graph_text(&fusion.graph).contains("conv_relu"));
    assert_eq!(fusion.declined[0].reason, "`y` is needed on its own: `forward` returns it");
}

#[test]
fn declines_when_the_size_of_the_inner_value_is_read() {
    let text = fused("c: Conv2d", "let y = self.c(x); let z = relu(y); z.reshape((y.size(0), -1))");
    assert!(text.contains("not conv_relu: `y` is needed on its own: `reshape` asks for its size"), "{text}");
}

#[test]
fn declines_when_a_nested_block_reads_the_inner_value() {
    let text = fused(
        "c: Conv2d, wide: bool",
        "let y = self.c(x); let z = relu(y); let w = if self.wide { z + y } else { z }; w",
    );
    assert!(text.contains("not conv_relu"), "{text}");
}

#[test]
fn declines_when_a_loop_or_branch_hands_the_inner_value_out() {
    let text = fused(
        "convs: Vec<Conv2d>",
        "let mut x = x; let mut last = x; for conv in &self.convs { x = conv(x); last = relu(x); } last",
    );
    assert!(text.contains("not conv_relu: `x` is needed on its own: the next iteration"), "{text}");
}

#[test]
fn does_not_cross_the_border_of_a_block() {
    is_left(
        "c: Conv2d, wide: bool",
        "let y = self.c(x); let z = if self.wide { relu(y) } else { x }; z",
        "conv_relu",
    );
    is_left(
        "convs: Vec<Conv2d>",
        "let mut x = x; for conv in &self.convs { x = conv(x); } relu(x)",
        "conv_relu",
    );
}

#[test]
fn does_not_cross_quant_or_dequant() {
    is_left("c: Conv2d", "relu(dequant(self.c(quant(x))))", "conv_relu");
}

#[test]
fn declines_when_skip_differs() {
    let fields = "#[quantizable(skip)] c: Conv2d, b: BatchNorm2d";
    let text = fused(fields, "self.b(self.c(x))");
    assert!(text.contains("not conv_bn: `c` is marked `skip` and `b` is not"), "{text}");
}

#[test]
fn a_function_takes_its_neighbours_skip() {
    is_one("#[quantizable(skip)] c: Conv2d", "relu(self.c(x))", "conv_relu self.c+relu");
}

#[test]
fn declines_when_the_qconfig_differs() {
    let fields = "#[quantizable(qconfig = narrow)] c: Conv2d, b: BatchNorm2d";
    let text = fused(fields, "self.b(self.c(x))");
    assert!(text.contains("not conv_bn: `c` and `b` have different qconfigs"), "{text}");
}
