//! What is int8, and where values are quantized and dequantized.

use super::*;

/// `quantize 0`, `dequantize 3`: the stubs, by the names of their values.
fn steps(fields: &str, body: &str) -> Vec<String> {
    let plan = plan(graph_of(fields, body));
    let names = plan.stubs.in_order().map(|stub| {
        let action = match stub.action {
            Action::Quantize => "quantize",
            Action::Dequantize => "dequantize",
        };
        let name = &plan.graph.values[stub.value.0].name;
        format!("{action} {name} for {}", stub.readers.join(", "))
    });
    names.collect()
}

fn float_reasons(graph: &Graph) -> Vec<FloatReason> {
    let domains = domains::infer(graph);
    let results = graph.body.nodes.iter().filter_map(|node| match &node.kind {
        NodeKind::Op(op) => Some(op.result),
        _ => None,
    });
    results.filter_map(|result| domains.float_reason(result)).collect()
}

#[test]
fn a_chain_is_quantized_once_and_dequantized_once() {
    assert_eq!(
        steps("a: Conv2d, b: Linear", "self.b(self.a(x).flatten(1))"),
        ["quantize x for a", "dequantize b for return"]
    );
}

#[test]
fn a_quantized_value_is_shared_by_its_readers() {
    assert_eq!(
        steps("a: Conv2d, b: Conv2d", "self.a(x) + self.b(x)"),
        ["quantize x for a, b", "dequantize a_plus_b for return"]
    );
}

#[test]
fn a_skipped_layer_has_float_around_it() {
    assert_eq!(
        steps("a: Linear, #[quantizable(skip)] s: Linear, b: Linear", "self.b(self.s(self.a(x)))"),
        ["quantize x for a", "dequantize a for s", "quantize s for b", "dequantize b for return"]
    );
}

#[test]
fn a_shape_operation_is_quantized_before_when_its_reader_is() {
    // FX: `skip_by_type` in golden/fx_graphs.json.
    assert_eq!(
        steps("#[quantizable(skip)] a: Conv2d, fc: Linear", "self.fc(self.a(x).flatten(1))"),
        ["quantize a for flatten", "dequantize fc for return"]
    );
}

#[test]
fn a_shape_operation_stays_int8_before_a_skipped_layer() {
    assert_eq!(
        steps("a: Conv2d, #[quantizable(skip)] fc: Linear", "self.fc(self.a(x).flatten(1))"),
        ["quantize x for a", "dequantize flatten for fc"]
    );
}

#[test]
fn cat_is_int8_if_one_input_is() {
    assert_eq!(
        steps("a: Conv2d, #[quantizable(skip)] s: Conv2d", "cat([self.a(x), self.s(x)], 1)"),
        ["quantize x for a", "quantize s for a_cat_s", "dequantize a_cat_s for return"]
    );
}

#[test]
fn each_of_several_results_is_a_value() {
    assert_eq!(
        steps("#[quantizable(skip)] s: Linear", "let (a, b) = extremes(x); self.s(b) + a"),
        [
            "quantize x for extremes",
            "dequantize b for s",
            "quantize s for s_plus_a",
            "dequantize s_plus_a for return"
        ]
    );
    assert_eq!(
        steps("#[quantizable(skip)] s: Cell, fc: Linear", "let (_, _, c) = self.s(x); self.fc(c)"),
        ["quantize c for fc", "dequantize fc for return"]
    );
    assert_eq!(steps("fc: Linear", "let (a, b) = extremes(dequant(x)); self.fc(a) + self.fc(b)"), [""; 0]);
}

#[test]
fn a_model_of_shape_operations_stays_in_float() {
    let graph = graph_of("", "relu(x).flatten(1)");
    assert_eq!(float_reasons(&graph), [FloatReason::NothingQuantizedAround; 2]);
    assert!(steps("", "relu(x).flatten(1)").is_empty());
}

#[test]
fn dequant_makes_a_float_float_region_until_quant() {
    let graph =
        graph_of("a: Linear, b: Linear, c: Linear", "let y = dequant(self.a(x)); self.c(quant(self.b(y)))");
    assert_eq!(float_reasons(&graph), [FloatReason::AfterDequant]);
    let body = "let y = dequant(self.a(x)); self.c(quant(self.b(y)))";
    assert_eq!(
        steps("a: Linear, b: Linear, c: Linear", body),
        ["quantize x for a", "dequantize c for return"]
    );
}

#[test]
fn a_residual_loop_keeps_its_variable_int8() {
    assert_eq!(
        steps(
            "a: Conv2d, layers: Vec<Block>",
            "let mut x = self.a(x); for block in &self.layers { x = relu(block(x) + x); } x"
        ),
        ["quantize x for a", "dequantize x for return"]
    );
}

#[test]
fn a_loop_over_skipped_layers_is_left_once() {
    assert_eq!(
        steps(
            "a: Linear, #[quantizable(skip)] layers: Vec<Linear>, b: Linear",
            "let mut x = self.a(x); for fc in &self.layers { x = fc(x); } self.b(x)"
        ),
        ["quantize x for a", "dequantize x for layers", "quantize x for b", "dequantize b for return"]
    );
}

#[test]
fn a_loop_of_pools_before_a_convolution_is_quantized_before_the_loop() {
    assert_eq!(
        steps(
            "pools: Vec<MaxPool2d>, a: Conv2d",
            "let mut x = x; for pool in &self.pools { x = pool(x); } self.a(x)"
        ),
        ["quantize x for pools", "dequantize a for return"]
    );
}

#[test]
fn a_branch_with_an_unchanged_arm_shares_the_quantized_input() {
    assert_eq!(
        steps(
            "a: Conv2d, d: Option<Conv2d>",
            "let y = self.a(x); let i = match &self.d { Some(d) => d(x), None => x }; y + i"
        ),
        ["quantize x for a, d", "dequantize y_plus_i for return"]
    );
}

#[test]
fn boundary_stubs_are_those_that_a_nested_model_has_not() {
    let plan =
        plan(graph_of("a: Linear, #[quantizable(skip)] s: Linear, b: Linear", "self.b(self.s(self.a(x)))"));
    let boundaries: Vec<bool> = plan.stubs.in_order().map(|stub| stub.at_boundary).collect();
    assert_eq!(boundaries, [true, false, false, true]);
}

#[test]
fn a_nested_model_takes_and_gives_quantized_values() {
    let graph = graph_of("block: Block, fc: Linear", "self.fc(self.block(x))");
    let domains = domains::infer(&graph);
    let NodeKind::Model(model) = &graph.body.nodes[0].kind else { panic!("a model comes first") };
    assert_eq!(domains.of(model.results[0]), Domain::Int8);
    assert_eq!(stubs::place(&graph, &domains).in_order().count(), 2);
}
