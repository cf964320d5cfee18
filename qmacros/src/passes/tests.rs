//! Each pass from a parsed body to a printed graph.

use super::domains::{Domain, FloatReason};
use super::fusion::fuse;
use super::liveness::{Use, analyze};
use super::testing::{graph_of, graph_with};
use super::{Action, Plan, domains, run, stubs};
use crate::ir::print::graph_text;
use crate::ir::{Graph, NodeKind};
use crate::parse::ForwardOptions;

fn fused(fields: &str, body: &str) -> String {
    let fusion = fuse(&graph_of(fields, body));
    let mut text = graph_text(&fusion.graph);
    for declined in fusion.declined {
        text.push_str(&format!("not {}: {}\n", declined.fusion, declined.reason));
    }
    text
}

fn plan(graph: Graph) -> Plan {
    run(graph, ForwardOptions::default())
}

mod fusing {
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
        is_one(
            "l: Linear, b: BatchNorm1d",
            "self.b(self.l(x)).relu()",
            "%1 = linear_bn_relu self.l+b+relu(%0)",
        );
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
        let graph =
            graph_with("c: Conv2d", "x: Tensor", "(Tensor, Tensor)", "let y = self.c(x); (relu(y), y)");
        let fusion = fuse(&graph);
        assert!(!graph_text(&fusion.graph).contains("conv_relu"));
        assert_eq!(fusion.declined[0].reason, "`y` is needed on its own: `forward` returns it");
    }

    #[test]
    fn declines_when_the_size_of_the_inner_value_is_read() {
        let text = fused("c: Conv2d", "let y = self.c(x); let z = relu(y); z.reshape((y.size(0), -1))");
        assert!(
            text.contains("not conv_relu: `y` is needed on its own: `reshape` asks for its size"),
            "{text}"
        );
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
}

mod domains_and_stubs {
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
        assert_eq!(
            steps("fc: Linear", "let (a, b) = extremes(dequant(x)); self.fc(a) + self.fc(b)"),
            [""; 0]
        );
    }

    #[test]
    fn a_model_of_shape_operations_stays_in_float() {
        let graph = graph_of("", "relu(x).flatten(1)");
        assert_eq!(float_reasons(&graph), [FloatReason::NothingQuantizedAround; 2]);
        assert!(steps("", "relu(x).flatten(1)").is_empty());
    }

    #[test]
    fn dequant_makes_a_float_float_region_until_quant() {
        let graph = graph_of(
            "a: Linear, b: Linear, c: Linear",
            "let y = dequant(self.a(x)); self.c(quant(self.b(y)))",
        );
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
        let plan = plan(graph_of(
            "a: Linear, #[quantizable(skip)] s: Linear, b: Linear",
            "self.b(self.s(self.a(x)))",
        ));
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
}

mod refusals {
    use super::*;

    fn manual(fields: &str, body: &str) -> Vec<String> {
        let options = ForwardOptions { manual_stubs: true, ..ForwardOptions::default() };
        let plan = run(graph_of(fields, body), options);
        assert_eq!(plan.stubs.in_order().count(), 0);
        let first_lines =
            plan.diagnostics.iter().map(|(_, text)| text.lines().next().unwrap_or("").to_owned());
        first_lines.collect()
    }

    #[test]
    fn manual_stubs_in_their_place_are_accepted() {
        assert!(manual("a: Conv2d", "dequant(relu(self.a(quant(x))))").is_empty());
        assert!(manual("a: Linear, b: Linear", "let y = dequant(self.a(quant(x))); y + y").is_empty());
        assert!(manual("#[quantizable(skip)] a: Linear", "self.a(x)").is_empty());
    }

    #[test]
    fn manual_stubs_report_each_mismatch() {
        assert_eq!(
            manual("a: Linear", "dequant(self.a(x))"),
            ["`self.a` is quantized and gets `x`, which is float"]
        );
        assert_eq!(manual("a: Linear", "self.a(quant(x))"), ["`forward` returns `a`, which is quantized"]);
        assert_eq!(
            manual("#[quantizable(skip)] a: Linear", "self.a(quant(x))"),
            ["`self.a` runs in float and gets `quant`, which is quantized"]
        );
        assert_eq!(
            manual("", "dequant(x + quant(x))"),
            ["`add` gets `x`, which is float, and `quant`, which is quantized"]
        );
        assert_eq!(manual("", "dequant(quant(quant(x)))"), ["`quant` is quantized already"]);
        assert_eq!(manual("", "dequant(x)"), ["`x` is not quantized"]);
    }

    #[test]
    fn manual_stubs_report_a_loop_that_changes_the_domain() {
        let found = manual(
            "layers: Vec<Linear>",
            "let mut y = quant(x); for fc in &self.layers { y = dequant(fc(y)); } y",
        );
        assert_eq!(found[0], "`y` is quantized in the first iteration and float in the next");
    }

    #[test]
    fn a_message_has_help_and_a_note() {
        let options = ForwardOptions { manual_stubs: true, ..ForwardOptions::default() };
        let plan = run(graph_of("a: Linear", "dequant(self.a(x))"), options);
        let expected = "`self.a` is quantized and gets `x`, which is float\n\nhelp: hand it `quant(x)`\n\
                        note: `stubs = \"manual\"` leaves every quantize and dequantize step to you";
        assert_eq!(plan.diagnostics[0].1, expected);
    }

    #[test]
    fn denied_float_operations_are_named_with_the_reason() {
        let options = ForwardOptions { deny_float_ops: true, ..ForwardOptions::default() };
        let fields = "a: Linear, #[quantizable(skip)] s: Linear";
        let plan = run(graph_of(fields, "let y = self.s(self.a(x)); self.a(dequant(y))"), options);
        let found: Vec<_> = plan.diagnostics.iter().map(|(_, text)| text.lines().next()).collect();
        assert_eq!(
            found,
            [
                Some("`self.s` runs in float: its field is marked `#[quantizable(skip)]`"),
                Some("`self.a` runs in float: its input was computed from a `dequant(…)`"),
            ]
        );
    }
}

mod last_uses {
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
}
