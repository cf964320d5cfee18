//! The integer matrix product behind linear layers and convolutions.
//!
//! Row `r` of the left side holds activations `xq`, column `o` of the right side weights `wq`. With `zx` and `zw`
//! the integers that stand for 0,
//!
//! ```text
//! acc[r][o] = sum over k of (xq[r][k] - zx) * (wq[o][k] - zw[o])
//!           = sum over k of xq[r][k] * wq[o][k]  -  zx * sum over k of wq[o][k]
//!             -  zw[o] * (sum over k of xq[r][k]  -  K * zx)
//! ```
//!
//! A micro-kernel computes the first sum; it starts from the second term, which is known for each column,
//! and the third is 0 for almost every model. Sums wrap around on the way; the result fits in `i32`.
//!
//! The loops, from outside: a *task* of a thread is some rows and some columns; a *block* of rows stays in cache
//! while all columns of the task pass by, a panel or two at a time; and of those rows a *tile* is as many as a
//! micro-kernel holds in registers. A tile's sums go straight to the [`Epilogue`].

mod analysis;
mod block;
mod dequantize;
mod input_rows;
mod pack;
mod products;
mod requantize;
mod saturation;
mod split;
mod storage;

use std::cell::Cell;

use crate::epilogue::Epilogue;
use crate::error::{Error, Result};
use crate::isa::isa;
use crate::operands::Rows;
use crate::output_rows::OutputRows;
use crate::threads::{for_each_index, threads_for};

use block::{Block, Scratch};
pub(crate) use dequantize::Dequantize;
pub(crate) use input_rows::InputRows;
#[cfg(target_arch = "x86_64")]
pub(crate) use pack::PanelColumns;
pub(crate) use pack::{PackedMatrix, check_sum, check_zero_point_count, weight_zero_point};
pub(crate) use products::QuantizeProducts;
use split::Split;
pub(crate) use storage::Storage;

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static SCRATCH: Cell<Option<Box<Scratch>>> = Cell::default();
}

/// Multiplies all rows with all groups; the columns of `output` are those of the groups, one group after the other.
///
/// All matrices have the same size, and that of `output` has been checked.
pub(crate) fn multiply<R: Rows, E: Epilogue>(
    source: &R,
    groups: &[PackedMatrix],
    epilogue: &E,
    output: OutputRows<'_, E::Output>,
) {
    let Some(matrix) = groups.first() else { return };
    let depth = matrix.runs().padded_depth();
    let work = output.rows().saturating_mul(groups.len() * matrix.columns()).saturating_mul(depth);
    multiply_on(threads_for(work), source, groups, epilogue, output);
}

/// [`multiply`] on so many threads: 1 is the calling one alone.
pub(crate) fn multiply_on<R: Rows, E: Epilogue>(
    threads: usize,
    source: &R,
    groups: &[PackedMatrix],
    epilogue: &E,
    output: OutputRows<'_, E::Output>,
) {
    let Some(matrix) = groups.first() else { return };
    let isa = isa();
    let neighbours = if isa.has_tiles() { source.neighbours() } else { 1 };
    let split = Split::new(matrix, groups.len(), output.rows(), neighbours, source.input().len(), threads);
    for_each_index(isa, split.tasks(), split.threads, |task| {
        let mut scratch = SCRATCH.take().unwrap_or_default();
        let (rows, panels) = split.task(task);
        for first in rows.clone().step_by(split.block) {
            let rows = first..rows.end.min(first + split.block);
            for (group, matrix) in groups.iter().enumerate() {
                let block = Block {
                    isa,
                    source,
                    epilogue,
                    group,
                    matrix,
                    rows: rows.clone(),
                    panels: panels.clone(),
                };
                // SAFETY: a row and a panel are together in one task only.
                let output = unsafe { output.disjoint_part(rows.clone(), block.columns()) };
                block.multiply(&mut scratch, output);
            }
        }
        SCRATCH.set(Some(scratch));
    });
}

/// The zero point of the input as a byte, or an error if it is not one.
pub(crate) fn input_zero_point(zero_point: i32) -> Result<u8> {
    u8::try_from(zero_point)
        .map_err(|_| Error::parameter(format!("input zero point {zero_point} is outside 0..=255")))
}
