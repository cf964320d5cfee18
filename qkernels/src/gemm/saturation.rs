//! Products of 8 bits that saturate, and their losses.
//!
//! Where there is no dot product of bytes with 32-bit sums, `vpmaddubsw` multiplies: two neighbouring activations
//! with their weights, and the sum of both products saturates at 16 bits. Only two large activations reach that far,
//! and after a ReLU they are rare. So they are looked for in a block once, and for each panel the losses of their sums
//! are added.

use crate::isa::Isa;
use crate::kernels;
use crate::operands::{LargeQuad, LocatedRows, PairBounds};
use crate::panel::{PanelQuad, Sums};

/// If more than one quad in this number could saturate, correcting them takes longer than products that need no
/// correction.
const QUADS_OF_LARGE: usize = 8;

/// The rows from which it is concluded that the quads are too many.
const ROWS_TO_JUDGE: usize = 16;

/// The large quads of a block.
#[derive(Default)]
pub(super) struct LargeQuads {
    quads: Vec<LargeQuad>,
    /// Where those of each row end.
    ends: Vec<usize>,
}

impl LargeQuads {
    /// Looks for them; `false`, and none of them, if there are too many.
    pub(super) fn find(&mut self, isa: Isa, located: &LocatedRows<'_>, bounds: PairBounds) -> bool {
        self.clear();
        let quads_of_row = located.used().len() * located.runs().quads();
        for row in 0..located.rows() {
            kernels::find_large_quads(isa, located, row, bounds, &mut self.quads);
            let rows = located.rows().min(row + ROWS_TO_JUDGE);
            if self.quads.len() > rows * quads_of_row / QUADS_OF_LARGE {
                self.clear();
                return false;
            }
            self.ends.push(self.quads.len());
        }
        true
    }

    pub(super) fn clear(&mut self) {
        self.quads.clear();
        self.ends.clear();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.quads.is_empty()
    }

    /// Adds the losses to the sums of the rows from `first_row` on with a panel.
    pub(super) fn correct<'s>(
        &self,
        isa: Isa,
        first_row: usize,
        weights: &[PanelQuad],
        sums: impl Iterator<Item = &'s mut Sums>,
    ) {
        let mut start = if first_row == 0 { 0 } else { self.ends[first_row - 1] };
        for (sums, &end) in sums.zip(&self.ends[first_row..]) {
            if start < end {
                kernels::add_lost(isa, &self.quads[start..end], weights, sums);
            }
            start = end;
        }
    }
}
