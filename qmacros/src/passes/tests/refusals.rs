//! What a pass refuses.

use super::*;

fn manual(fields: &str, body: &str) -> Vec<String> {
    let options = ForwardOptions { manual_stubs: true, ..ForwardOptions::default() };
    let plan = run(graph_of(fields, body), &options);
    assert_eq!(plan.stubs.in_order().count(), 0);
    let first_lines = plan.diagnostics.iter().map(|(_, text)| text.lines().next().unwrap_or("").to_owned());
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
    let plan = run(graph_of("a: Linear", "dequant(self.a(x))"), &options);
    let expected = "`self.a` is quantized and gets `x`, which is float\n\nhelp: hand it `quant(x)`\n\
                    note: `stubs = \"manual\"` leaves every quantize and dequantize step to you";
    assert_eq!(plan.diagnostics[0].1, expected);
}

#[test]
fn denied_float_operations_are_named_with_the_reason() {
    let options = ForwardOptions { deny_float_ops: true, ..ForwardOptions::default() };
    let fields = "a: Linear, #[quantizable(skip)] s: Linear";
    let plan = run(graph_of(fields, "let y = self.s(self.a(x)); self.a(dequant(y))"), &options);
    let found: Vec<_> = plan.diagnostics.iter().map(|(_, text)| text.lines().next()).collect();
    assert_eq!(
        found,
        [
            Some("`self.s` runs in float: its field is marked `#[quantizable(skip)]`"),
            Some("`self.a` runs in float: its input was computed from a `dequant(…)`"),
        ]
    );
}
