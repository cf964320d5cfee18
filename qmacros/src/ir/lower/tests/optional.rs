//! Tensors that may be left out of a call.

use super::lowers_to;
use crate::ir::lower::testing::refused;

#[test]
fn a_given_tensor_is_a_further_operand() {
    lowers_to(
        r"struct Net {  } impl Net { fn forward(&self, x: Tensor, h: Tensor) -> Tensor { let a = x.blend(&h, 2, relu(h)); let b = a.blend(None, 2, a); let c = blend(b, None, 2, None); c.blend(c, 2) } }",
        r"
%0 = input x
%1 = input h
%2 = relu self.relu(%1)
%3 = blend self.blend(%0, %1, %2; %1, 2, %2)
%4 = blend self.blend_1(%3, %3; None, 2, %3)
%5 = blend self.blend_2(%4; None, 2, None)
%6 = blend self.blend_3(%5, %5; %5, 2)
return %6
",
    );
}

#[test]
fn a_layer_is_called_with_its_tensors_alone() {
    lowers_to(
        r"struct Net { cell: Cell, cells: Vec<Cell> } impl Net { fn forward(&self, x: Tensor) -> Tensor { let (mut y, mut h, s) = self.cell(x); for cell in &self.cells { (y, h, _) = cell(y, h, s); } let (z, _, _) = self.cell(y, h, None); z } }",
        r"
%0 = input x
%1, %2, %3 = cell self.cell(%0)
%9, %10 = for i in self.cells (%4 = %1, %5 = %2) {
  %6, %7, %8 = cell self.cells.{i}(%4, %5, %3)
  next %6, %7
}
%11, %12, %13 = cell self.cell(%9, %10)
return %11
",
    );
}

#[test]
fn anything_else_than_a_tensor_is_refused() {
    let refuse = |call: &str, place: &str, what: &str, help: &str| {
        refused(
            &format!(
                "struct Net {{ size: usize, fc: Linear }} impl Net {{ fn forward(&self, x: Tensor) -> Tensor {{ let y = self.fc(x); {call} }} }}"
            ),
            &[(place, what, help)],
        );
    };
    let number = "`hidden` of `blend` must be a tensor, this is a number";
    refuse("y.blend(1.0, 2)", "1.0", number, "give a tensor, or `None`");
    refuse("y.blend(self.size, 2)", "self.size", number, "give a tensor, or `None`");
    refuse(
        "y.blend((y, y), 2)",
        "(y, y)",
        "`hidden` of `blend` must be a tensor, this is a tuple of 2 values",
        "take it apart first: `let (a, b) = ..;`",
    );
    refuse("y.blend(Some(y), 2)", "Some", "`Some(..)` around a value", "write the value alone");
    refuse(
        "y.blend(None, None)",
        "None",
        "`steps` of `blend` is left out by `None`",
        "write its default, or leave out all arguments from here on",
    );
    refuse(
        "y.blend(y)",
        "blend",
        "`blend` takes 3 to 4 arguments, 2 are given",
        "it is called as `blend(x, hidden, steps, state?)`",
    );
}

#[test]
fn a_layer_knows_its_tensors_by_their_order() {
    let refuse = |call: &str, place: &str, what: &str, help: &str| {
        refused(
            &format!(
                "struct Net {{ cell: Cell }} impl Net {{ fn forward(&self, x: Tensor) -> Tensor {{ let (y, _, _) = {call}; y }} }}"
            ),
            &[(place, what, help)],
        );
    };
    refuse(
        "self.cell(x, None, x)",
        "x",
        "`state` of `self.cell` is given after one that is left out",
        "give all tensors before it, or leave out all from there on",
    );
    refuse(
        "self.cell(x, 2)",
        "2",
        "`hidden` of `self.cell` must be a tensor, this is a number",
        "give a tensor, or `None`",
    );
    let help = "it is called as `self.cell(x, hidden?, state?)`";
    refuse("self.cell()", "cell", "`self.cell` takes 1 to 3 tensors, 0 are given", help);
    refuse("self.cell(x, x, x, x)", "cell", "`self.cell` takes 1 to 3 tensors, 4 are given", help);
}
