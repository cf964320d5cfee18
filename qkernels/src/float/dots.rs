//! All dot products of the rows of two matrices.

use super::COST;
use crate::isa::isa;
use crate::kernels::float::{DOT_COLUMNS, DOT_ROWS, Rows, dot_tile};
use crate::threads::{for_each_index, threads_for};

/// Rows of a task: what is read for them is worth a thread.
const TASK_ROWS: usize = 8 * DOT_ROWS;

/// Calls `write(row, column, dot)` with the dot product of each row of `left` and each of `right`, all of `depth`
/// floats. `left` is read once.
pub(super) fn for_each_dot(
    left: &[f32],
    right: &[f32],
    depth: usize,
    write: impl Fn(usize, usize, f32) + Sync,
) {
    let isa = isa();
    let (rows, columns) = (left.len() / depth, right.len() / depth);
    let threads = threads_for(left.len().saturating_mul(columns).saturating_mul(COST));
    for_each_index(isa, rows.div_ceil(TASK_ROWS), threads, |task| {
        let end = (task * TASK_ROWS + TASK_ROWS).min(rows);
        let mut row = task * TASK_ROWS;
        while row < end {
            let count = if end - row < DOT_ROWS { 1 } else { DOT_ROWS };
            for column in (0..columns).step_by(DOT_COLUMNS) {
                let size = [count, DOT_COLUMNS.min(columns - column)];
                let [left, right] = [(left, row), (right, column)]
                    .map(|(values, first)| Rows { values: &values[first * depth..], stride: depth });
                let dots = dot_tile(isa, size, left, right, depth);
                for (r, dots) in dots.iter().enumerate().take(size[0]) {
                    for (c, &dot) in dots.iter().enumerate().take(size[1]) {
                        write(row + r, column + c, dot);
                    }
                }
            }
            row += count;
        }
    });
}
