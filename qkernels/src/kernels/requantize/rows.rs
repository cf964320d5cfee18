//! The loops over the rows of a panel or two.

use super::formula::{AtMostInteger, Formula};
use super::limits::Limits;
use super::{FloatVectors, vector_of_panels};
use crate::epilogue::{Panels, Requantize, Tiles};
use crate::output_rows::OutputRows;
use crate::panel::{PANEL, Sums};

/// Writes `clamp(rne(value) + offset, low, high)` of each row.
#[inline(always)]
pub(super) fn store_rows<S: FloatVectors, const V: usize, F: Formula<S>>(
    isa: S,
    epilogue: &Requantize<'_>,
    panels: &Panels,
    tiles: &mut dyn Tiles,
    limits: Limits,
    mut output: OutputRows<'_, u8>,
    formula: F,
) {
    let columns = output.columns();
    let panels_of_row = V * S::LANES / PANEL;
    assert!(columns <= V * S::LANES && panels.count == panels_of_row);
    let are_simple = columns == V * S::LANES && epilogue.fits_integers();
    let mut values = epilogue.values_of_panels(panels);
    let mut first_row = 0;
    while let Some(sums) = tiles.next() {
        let rows = sums.len() / panels_of_row;
        // While the sums of these rows become output, the lines of the next ones come into the cache.
        for row in first_row + rows..output.rows().min(first_row + 2 * rows) {
            output.prefetch(row);
            if F::ADDS {
                values.prefetch(row - first_row);
            }
        }
        let mut output = output.part(first_row..first_row + rows, 0..columns);
        // The rows of a vector of bytes.
        let rows_of_group = 4 / V;
        let simple_rows = match are_simple {
            true if F::ADDS => values.whole_rows().min(rows),
            true => rows,
            false => 0,
        };
        let (simple, special) = sums.split_at(simple_rows / rows_of_group * rows_of_group * panels_of_row);
        // Loops of their own, as tests in a loop cost as much as limits.
        let added = |row| values.whole_row(row);
        match limits.unless_of_bytes() {
            None => store_whole_rows::<S, V, F>(isa, simple, added, None, &mut output, &formula),
            Some(limits) => {
                store_whole_rows::<S, V, F>(isa, simple, added, Some(limits), &mut output, &formula);
            }
        }
        for (i, sums) in special.chunks(rows_of_group * panels_of_row).enumerate() {
            // Instead of rows that do not exist the last one again.
            let existing = |j: usize| j.min(sums.len() / panels_of_row - 1);
            let row = |j| simple.len() / panels_of_row + i * rows_of_group + existing(j);
            let mut copies = [[0; PANEL]; 4];
            let mut added = [[0; PANEL]; 4];
            for j in 0..rows_of_group {
                let panels = j * panels_of_row..(j + 1) * panels_of_row;
                copies[panels.clone()].copy_from_slice(&sums[existing(j) * panels_of_row..][..panels_of_row]);
                if F::ADDS {
                    let values = values.row(row(j));
                    added[panels].as_flattened_mut()[..values.len()].copy_from_slice(values);
                }
            }
            let added = |j| &added[j * panels_of_row..];
            let bytes = round::<S, V, _>(isa, &copies, added, Some(limits), &AtMostInteger(&formula));
            for j in 0..rows_of_group {
                isa.store_bytes(bytes, j * V * S::LANES, output.row_mut(row(j)));
            }
        }
        first_row += rows;
        if F::ADDS {
            values.skip_rows(rows);
        }
    }
}

/// The rows of `sums`, which make whole vectors of bytes; `added` gives what is added to each, panel by panel.
#[inline(always)]
fn store_whole_rows<'v, S: FloatVectors, const V: usize, F: Formula<S>>(
    isa: S,
    sums: &[Sums],
    added: impl Fn(usize) -> &'v [[u8; PANEL]],
    limits: Option<Limits>,
    output: &mut OutputRows<'_, u8>,
    formula: &F,
) {
    let panels_of_row = V * S::LANES / PANEL;
    let rows_of_group = 4 / V;
    for (i, sums) in sums.chunks_exact(rows_of_group * panels_of_row).enumerate() {
        let row = |j| i * rows_of_group + j;
        let bytes = round::<S, V, _>(isa, sums, |j| added(row(j)), limits, formula);
        for j in 0..rows_of_group {
            isa.store_bytes(bytes, j * V * S::LANES, &mut output.row_mut(row(j))[..V * S::LANES]);
        }
    }
}

/// Rounds as many rows as make a vector of bytes; `added` gives what is added to each, panel by panel.
#[inline(always)]
pub(super) fn round<'v, S: FloatVectors, const V: usize, F: Formula<S>>(
    isa: S,
    sums: &[Sums],
    added: impl Fn(usize) -> &'v [[u8; PANEL]],
    limits: Option<Limits>,
    formula: &F,
) -> S::Bytes {
    let mut integers = [isa.splat_integer(0); 4];
    for (i, integers) in integers.iter_mut().enumerate() {
        let (panel, part) = vector_of_panels::<S>(i);
        let sums = isa.load_integers(&sums[panel], part);
        let (panel, part) = vector_of_panels::<S>(i % V);
        let added = match F::ADDS {
            true => isa.load_bytes(&added(i / V)[panel], part),
            false => isa.splat_integer(0),
        };
        *integers = isa.to_integers(formula.value(isa, i % V, sums, added));
    }
    isa.to_bytes(integers, limits)
}
