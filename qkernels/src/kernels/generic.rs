//! The product of activation rows and a panel in plain Rust: the definition of the other kernels.

use std::ops::Range;

use super::words_of_run;
use crate::operands::LocatedRows;
use crate::panel::{PANEL, PanelQuad, QUAD, Runs, Sums};

/// Columns multiplied at once: four dot products share the loads of one activation row.
const COLUMNS: usize = 4;

/// Two neighbouring products are added first; written in pairs, this is one `pmaddwd` of SSE2.
type Pair = [i16; 2];

/// [`widen_rows`](super::widen_rows).
pub(super) fn widen_rows(located: &LocatedRows<'_>, rows: Range<usize>, words: &mut [i16]) {
    let runs = located.runs();
    let mut words = words.chunks_exact_mut(words_of_run(runs));
    for row in rows {
        for (run, words) in (0..runs.count).zip(&mut words) {
            for (word, &q) in words.iter_mut().zip(located.bytes(run, row)) {
                *word = i16::from(q);
            }
        }
    }
}

/// [`widen_panel`](super::widen_panel), one column after the other.
pub(super) fn widen_panel(quads: &[PanelQuad], runs: Runs, words: &mut [i16]) {
    let run_len = words_of_run(runs);
    for (column, words) in words.chunks_exact_mut(runs.count * run_len).enumerate() {
        for (quads, words) in quads.chunks_exact(runs.quads()).zip(words.chunks_exact_mut(run_len)) {
            let weights = quads.iter().flat_map(|quad| quad.0.as_chunks::<QUAD>().0[column]);
            for (word, weight) in words.iter_mut().zip(weights) {
                *word = i16::from(weight);
            }
        }
    }
}

/// [`multiply_words`](super::multiply_words), four columns at a time.
pub(super) fn multiply_words(rows: &[i16], panel: &[i16], initial: &Sums, sums: &mut [Sums]) {
    let depth = panel.len() / PANEL;
    for (i, columns) in panel.chunks_exact(COLUMNS * depth).enumerate() {
        let first = i * COLUMNS;
        for (row, sums) in rows.chunks_exact(depth).zip(&mut *sums) {
            let products = dot4(row, columns, depth);
            for ((sum, initial), product) in sums[first..].iter_mut().zip(&initial[first..]).zip(products) {
                *sum = initial.wrapping_add(product);
            }
        }
    }
}

/// Four dot products of `row` with the four rows of `columns`, each of length `depth`.
///
/// Not inlined, so that it is vectorised the same way whatever surrounds the call.
#[inline(never)]
fn dot4(row: &[i16], columns: &[i16], depth: usize) -> [i32; COLUMNS] {
    #[inline(always)]
    fn add(sum: i32, a: &Pair, b: &Pair) -> i32 {
        let product = |i: usize| i32::from(a[i]) * i32::from(b[i]);
        sum.wrapping_add(product(0).wrapping_add(product(1)))
    }
    fn pairs(values: &[i16]) -> &[Pair] {
        values.as_chunks().0
    }
    let row = pairs(&row[..depth]);
    let [b0, b1, b2, b3] = [0, 1, 2, 3].map(|i| pairs(&columns[i * depth..][..depth]));
    // Four scalars, zipped slices and pairs by reference: this is the form that becomes `pmaddwd`, in
    // every profile. Sums in an array, more than four of them, two rows at once, or pairs by value
    // do not; the benchmark shows it as a factor of two to six.
    let (mut s0, mut s1, mut s2, mut s3) = (0, 0, 0, 0);
    for ((((a, b0), b1), b2), b3) in row.iter().zip(b0).zip(b1).zip(b2).zip(b3) {
        s0 = add(s0, a, b0);
        s1 = add(s1, a, b1);
        s2 = add(s2, a, b2);
        s3 = add(s3, a, b3);
    }
    [s0, s1, s2, s3]
}
