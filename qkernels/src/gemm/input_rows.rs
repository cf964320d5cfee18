//! Rows that lie one after the other, as those of a linear layer and of a pointwise convolution.

use std::ops::Range;

#[cfg(target_arch = "x86_64")]
use crate::operands::Windows;
use crate::operands::{Rows, RunTable};
#[cfg(target_arch = "x86_64")]
use crate::panel::QUAD;
use crate::panel::Runs;

/// The input itself, one row after the other.
pub(crate) struct InputRows<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) in_features: usize,
    pub(crate) zero_point: u8,
}

impl Rows for InputRows<'_> {
    fn runs(&self) -> Runs {
        Runs { count: 1, len: self.in_features }
    }

    fn locate(&self, rows: Range<usize>, _group: usize, table: &mut RunTable<'_>) {
        table.point(0, 0..rows.len(), rows.start * self.in_features, self.in_features);
    }

    #[cfg(target_arch = "x86_64")]
    fn windows(&self) -> Option<Windows<'_>> {
        let is_whole = self.in_features.is_multiple_of(QUAD);
        is_whole.then(|| Windows::of_matrix(self.input, self.in_features, self.zero_point))
    }

    fn input(&self) -> &[u8] {
        self.input
    }

    fn span(&self, rows: Range<usize>) -> &[u8] {
        &self.input[rows.start * self.in_features..rows.end * self.in_features]
    }

    fn zero_point(&self) -> u8 {
        self.zero_point
    }
}
