//! Operations that make several tensors in one node.

use super::lowers_to;
use crate::ir::lower::testing::refused;

#[test]
fn one_node_makes_all_and_a_placeholder_keeps_its_place() {
    lowers_to(
        r"struct Net { cell: Cell } impl Net { fn forward(&self, x: Tensor) -> (Tensor, Tensor) { let (low, high) = x.extremes(); let (y, _, state) = self.cell(low); (y + high, state) } }",
        r"
%0 = input x
%1, %2 = extremes self.extremes(%0)
%3, %4, %5 = cell self.cell(%1)
%6 = add self.y_plus_high(%3, %2)
return (%6, %5)
",
    );
}

#[test]
fn they_are_assigned_and_returned_as_any_tuple() {
    lowers_to(
        r"struct Net { wide: bool } impl Net { fn forward(&self, x: Tensor) -> (Tensor, Tensor) { let (mut a, mut b) = extremes(x); (a, b) = if self.wide { extremes(a + b) } else { (b, a) }; extremes(a * b) } }",
        r"
%0 = input x
%1, %2 = extremes self.extremes(%0)
%6, %7 = if self.wide {
  %3 = add self.a_plus_b(%1, %2)
  %4, %5 = extremes self.extremes_1(%3)
  yield %4, %5
} else {
  yield %2, %1
}
%8 = mul self.a_times_b(%6, %7)
%9, %10 = extremes self.extremes_2(%8)
return (%9, %10)
",
    );
}

#[test]
fn a_single_name_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let y = x.extremes(); relu(y) } }",
        &[(
            "extremes",
            "`extremes` makes 2 tensors",
            "call it alone and bind them by a tuple pattern: `let (a, b) = ..;`",
        )],
    );
    refused(
        "struct Net { cell: Cell } impl Net { fn forward(&self, x: Tensor) -> Tensor { relu(self.cell(x)) } }",
        &[(
            "cell",
            "`self.cell` makes 3 tensors",
            "call it alone and bind them by a tuple pattern: `let (a, b, c) = ..;`",
        )],
    );
}

#[test]
fn a_chain_or_a_list_of_layers_has_no_room_for_several() {
    for (field, call) in [("Sequential<(ReLU, Cell)>", "self.cells(x)"), ("Vec<Cell>", "self.cells(x)")] {
        refused(
            &format!(
                "struct Net {{ cells: {field} }} impl Net {{ fn forward(&self, x: Tensor) -> Tensor {{ {call} }} }}"
            ),
            &[(
                "cells",
                "`self.cells` makes 3 tensors",
                "call it alone and bind them by a tuple pattern: `let (a, b, c) = ..;`",
            )],
        );
    }
}

#[test]
fn a_pattern_of_another_number_is_refused() {
    for (pattern, number) in [("(a, b)", 2), ("(a, b, _, _)", 4)] {
        refused(
            &format!(
                "struct Net {{ cell: Cell }} impl Net {{ fn forward(&self, x: Tensor) -> Tensor {{ let {pattern} = self.cell(x); a + b }} }}"
            ),
            &[(
                "cell",
                &format!("`self.cell` makes 3 tensors, the pattern has {number}"),
                "name each of them; `_` for those that are not needed",
            )],
        );
    }
}

#[test]
fn one_that_nothing_reads_is_refused() {
    refused(
        "struct Net {  } impl Net { fn forward(&self, x: Tensor) -> Tensor { let (low, high) = x.extremes(); low } }",
        &[("high", "value `high` is never used", "use it, remove the statement, or call it `_high`")],
    );
}
