//! The integer matrix product behind linear layers and convolutions.
//!
//! Row `r` of the left side holds centred activations `xq - zx`, column `o` of the right side
//! centred weights `wq - zw[o]`, both as `i16`, so that
//!
//! ```text
//! acc[r][o] = sum over k of (xq[r][k] - zx) * (wq[o][k] - zw[o])
//! ```
//!
//! is literally the definition: no correction terms, and padding is 0. The left rows are produced
//! by a [`Rows`] source (a convolution's windows, a linear layer's input), a tile at a time; a
//! micro-kernel of the instruction set at hand multiplies the tile with one panel of columns after
//! the other, and the sums go straight from there to the [`Epilogue`].

mod epilogue;
mod pack;

use std::cell::Cell;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::isa::isa;
use crate::kernels::{Sums, center, multiply_panel};
use crate::threads::{for_each_chunk, threads_for};

pub(crate) use epilogue::{AddAndRequantize, Epilogue, FinishedPanel, KeepSums, RequantizeAndAdd};
pub(crate) use pack::{PANEL, PackedMatrix, Panel, QUAD, check_sum, weight_zero_point};

/// Bytes a tile of activation rows may occupy: half of a second-level cache.
const TILE_BYTES: usize = 256 * 1024;

/// Where the rows of the left side come from.
pub(crate) trait Rows: Sync {
    /// The bytes of one row of one group, from the input itself or gathered in `buffer`, which is as long
    /// as the row.
    fn bytes<'a>(&'a self, row: usize, group: usize, buffer: &'a mut [u8]) -> &'a [u8];

    /// The byte that stands for 0.
    fn zero_point(&self) -> u8;
}

/// Buffers of one thread, kept between calls so that a steady state allocates nothing.
#[derive(Default)]
struct Scratch {
    /// One row, where it has to be gathered.
    bytes: Vec<u8>,
    rows: Vec<i16>,
    widened: Vec<i16>,
    sums: Vec<Sums>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Multiplies all rows with all groups; `output` is `[rows][groups * columns]`, with `pitch` elements from
/// one row to the next.
///
/// All matrices have the same size, and the length of `output` has been checked.
pub(crate) fn multiply<E: Epilogue>(
    rows: &impl Rows,
    groups: &[PackedMatrix],
    epilogue: &E,
    output: &mut [E::Output],
    pitch: usize,
) {
    let Some(matrix) = groups.first() else { return };
    let row_count = output.len().div_ceil(pitch);
    let work = output.len().saturating_mul(matrix.padded_depth());
    let threads = threads_for(work);
    if groups.len() == 1 && row_count < threads {
        return multiply_by_columns(rows, matrix, epilogue, output, pitch, work);
    }
    let tile = rows_per_tile(matrix, row_count, threads);
    for_each_chunk(output, tile * pitch, work, |index, output| {
        let mut scratch = SCRATCH.take();
        let first_row = index * tile;
        for (group, matrix) in groups.iter().enumerate() {
            scratch.fill_rows(rows, first_row..first_row + output.len().div_ceil(pitch), group, matrix);
            let tile = Tile { matrix, first_row, column_offset: group * matrix.columns(), width: pitch };
            let output = &mut output[tile.column_offset..];
            scratch.multiply(&tile, 0..matrix.columns(), epilogue, output);
        }
        SCRATCH.set(scratch);
    });
}

/// Fewer rows than threads: the threads share the columns of each row instead.
fn multiply_by_columns<E: Epilogue>(
    rows: &impl Rows,
    matrix: &PackedMatrix,
    epilogue: &E,
    output: &mut [E::Output],
    pitch: usize,
    work: usize,
) {
    let width = matrix.columns();
    let block = width.div_ceil(threads_for(work)).next_multiple_of(PANEL);
    for (row, output) in output.chunks_mut(pitch).enumerate() {
        for_each_chunk(&mut output[..width], block, work, |index, output| {
            let mut scratch = SCRATCH.take();
            let first = index * block;
            scratch.fill_rows(rows, row..row + 1, 0, matrix);
            let tile = Tile { matrix, first_row: row, column_offset: 0, width: pitch };
            scratch.multiply(&tile, first..first + output.len(), epilogue, output);
            SCRATCH.set(scratch);
        });
    }
}

/// Rows whose activations stay in cache, and an equal number of tiles for every thread.
fn rows_per_tile(matrix: &PackedMatrix, row_count: usize, threads: usize) -> usize {
    let row_bytes = (matrix.padded_depth() * size_of::<i16>()).max(size_of::<Sums>());
    let most = (TILE_BYTES / row_bytes).clamp(8, 256);
    let tiles = row_count.div_ceil(most).next_multiple_of(threads.max(1));
    row_count.div_ceil(tiles.max(1)).max(1)
}

/// Where the product of a tile of rows with the columns of one group belongs.
struct Tile<'a> {
    matrix: &'a PackedMatrix,
    first_row: usize,
    /// The group's first column in the output.
    column_offset: usize,
    width: usize,
}

impl Scratch {
    fn fill_rows(&mut self, source: &impl Rows, rows: Range<usize>, group: usize, matrix: &PackedMatrix) {
        let (isa, padded_depth) = (isa(), matrix.padded_depth());
        self.rows.resize(rows.len() * padded_depth, 0);
        self.sums.resize(rows.len(), [0; PANEL]);
        self.bytes.resize(matrix.depth(), 0);
        for (row, values) in rows.zip(self.rows.chunks_exact_mut(padded_depth)) {
            let (values, padding) = values.split_at_mut(matrix.depth());
            center(isa, source.bytes(row, group, &mut self.bytes), source.zero_point(), values);
            padding.fill(0);
        }
    }

    /// Multiplies the rows with `columns` (which starts at a multiple of `PANEL`); `output` starts at the
    /// first of them.
    fn multiply<E: Epilogue>(
        &mut self,
        tile: &Tile<'_>,
        columns: Range<usize>,
        epilogue: &E,
        output: &mut [E::Output],
    ) {
        let isa = isa();
        for first in columns.clone().step_by(PANEL) {
            let panel = tile.matrix.panel(first / PANEL);
            multiply_panel(isa, &self.rows, panel, &mut self.widened, &mut self.sums);
            let finished = FinishedPanel {
                sums: &self.sums,
                first_row: tile.first_row,
                first_column: tile.column_offset + first,
                columns: PANEL.min(columns.end - first),
                width: tile.width,
            };
            epilogue.finish_panel(isa, &finished, &mut output[first - columns.start..]);
        }
    }
}

/// The zero point of the input as a byte, or an error if it is not one.
pub(crate) fn input_zero_point(zero_point: i32) -> Result<u8> {
    u8::try_from(zero_point)
        .map_err(|_| Error::parameter(format!("input zero point {zero_point} is outside 0..=255")))
}
