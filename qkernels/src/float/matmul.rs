//! Products of float matrices.

use std::cell::Cell;
use std::ops::Range;

use super::COST;
use super::dots::for_each_dot;
use super::tile::multiply_into;
use crate::error::Result;
use crate::geometry::MatmulGeometry;
use crate::isa::{Isa, isa};
use crate::kernels::float::{FloatTile, ProductTile, Rows};
use crate::kernels::{Matrix, transpose};
use crate::output_rows::OutputRows;
use crate::threads::{for_each_index, threads_for};

/// Products that are summed at once, at most: a panel of as many rows fits into a first-level cache.
const DEPTH: usize = 256;

/// Fewer rows than this are multiplied with a transposed matrix where it lies: packing it would take longer.
const MIN_PACKED_ROWS: usize = 4;

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static PANEL: Cell<Vec<f32>> = Cell::default();
}

/// The products of the pairs of `geometry`, one after the other: `left` `[.., rows, depth]` and `right`
/// `[.., depth, columns]`, or `[.., columns, depth]`, to `output` `[products, rows, columns]`.
///
/// PyTorch: `torch.matmul`.
///
/// # Errors
/// If a length does not match.
pub fn matmul_into(geometry: &MatmulGeometry, left: &[f32], right: &[f32], output: &mut [f32]) -> Result<()> {
    geometry.check(left, right, output)?;
    let MatmulGeometry { rows, depth, columns, is_transposed, .. } = *geometry;
    if output.is_empty() || depth == 0 {
        output.fill(0.0);
        return Ok(());
    }
    if is_transposed && rows < MIN_PACKED_ROWS {
        for (product, output) in output.chunks_exact_mut(rows * columns).enumerate() {
            let (left, right) = geometry.operands(product, left, right);
            let output = OutputRows::new(output, columns, columns);
            for_each_dot(right, left, depth, |column, row, dot| {
                // SAFETY: each dot product is computed once.
                let mut output = unsafe { output.disjoint_part(row..row + 1, column..column + 1) };
                output.row_mut(0)[0] = dot;
            });
        }
        return Ok(());
    }
    let isa = isa();
    let size = FloatTile::of(isa);
    let threads = threads_for(geometry.work().saturating_mul(COST));
    let tasks = geometry.cut(threads, rows.div_ceil(size.rows), columns.div_ceil(size.columns()));
    let output = OutputRows::new(output, columns, columns);
    for_each_index(isa, tasks.count(), threads, |index| {
        let (product, [tiles, panels]) = tasks.task(index);
        let (left, right) = geometry.operands(product, left, right);
        let rows = tiles.start * size.rows..rows.min(tiles.end * size.rows);
        let columns = panels.start * size.columns()..columns.min(panels.end * size.columns());
        let first = product * geometry.rows;
        // SAFETY: the tasks' products, rows and columns tell their parts apart.
        let mut output =
            unsafe { output.disjoint_part(first + rows.start..first + rows.end, columns.clone()) };
        let mut panel = PANEL.take();
        panel.resize(panel.len().max(DEPTH * size.columns()), 0.0);
        for column in columns.clone().step_by(size.columns()) {
            let columns =
                column - columns.start..(column - columns.start + size.columns()).min(columns.len());
            for start in (0..depth).step_by(DEPTH) {
                let part = start..depth.min(start + DEPTH);
                pack(isa, geometry, right, part.clone(), column..column + columns.len(), &mut panel);
                for row in rows.clone().step_by(size.rows) {
                    let end = rows.end.min(row + size.rows);
                    let tile = ProductTile {
                        left: Rows { values: &left[row * depth + start..], stride: depth },
                        left_step: 1,
                        right: Rows { values: &panel, stride: size.columns() },
                        panel: panel.len(),
                        panels: 1,
                        depth: part.len(),
                        add: start > 0,
                        finish: None,
                    };
                    let rows = row - rows.start..end - rows.start;
                    multiply_into(isa, &tile, output.part(rows, columns.clone()));
                }
            }
        }
        PANEL.set(panel);
    });
    Ok(())
}

/// Copies a part of the depth of some columns, at most a panel, one row of a panel after the other.
#[inline(always)]
fn pack(
    isa: Isa,
    geometry: &MatmulGeometry,
    right: &[f32],
    part: Range<usize>,
    columns: Range<usize>,
    panel: &mut [f32],
) {
    let width = FloatTile::of(isa).columns();
    let values = &mut panel[..part.len() * width];
    if geometry.is_transposed {
        let from = Matrix {
            values: &right[columns.start * geometry.depth + part.start..],
            row_stride: geometry.depth,
        };
        let to = Matrix { values, row_stride: width };
        return transpose(isa, [columns.len(), part.len()], from, to);
    }
    let rows = right[part.start * geometry.columns..].chunks(geometry.columns);
    for (row, to) in rows.zip(values.chunks_exact_mut(width)) {
        to[..columns.len()].copy_from_slice(&row[columns.clone()]);
    }
}
