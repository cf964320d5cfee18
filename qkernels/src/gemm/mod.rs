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
//! by a [`Rows`] source (a convolution's windows, a linear layer's input), a tile at a time, and
//! the sums go straight from a tile to the [`Epilogue`]. A micro-kernel for one instruction set
//! replaces [`dot4`] and the storage order in [`PackedMatrix`].

use std::cell::Cell;
use std::ops::Range;

use crate::error::{Error, Result};
use crate::length;
use crate::threads::{for_each_chunk, threads_for};

/// Columns multiplied at once: four dot products share the loads of one activation row.
const COLUMNS: usize = 4;

/// Depths are filled up with zeros to a multiple of this: whole vectors, no scalar remainder.
const DEPTH_UNIT: usize = 16;

/// Bytes a tile of activation rows, or of sums, may occupy: half of a small second-level cache.
const TILE_BYTES: usize = 128 * 1024;

/// Two neighbouring products are added first; written in pairs, this is one `pmaddwd` of SSE2.
type Pair = [i16; 2];

/// Weights of one group: `[columns][depth]`, filled up with zeros to whole tiles.
#[derive(Clone, Debug)]
pub(crate) struct PackedMatrix {
    columns: usize,
    depth: usize,
    padded_depth: usize,
    weights: Vec<i8>,
    /// One per column, filled up like the weights.
    zero_points: Vec<i16>,
}

impl PackedMatrix {
    /// Packs `columns` rows of weights of length `depth`; `weight(o, k)` reads one.
    ///
    /// `zero_points` has one element, or one per column.
    ///
    /// # Errors
    /// If a zero point is not an `i8`, or a sum could leave `i32`.
    pub(crate) fn new(
        columns: usize,
        depth: usize,
        zero_points: &[i32],
        weight: impl Fn(usize, usize) -> i8,
    ) -> Result<Self> {
        let padded_depth = length::product("packed weight", &[depth.div_ceil(DEPTH_UNIT), DEPTH_UNIT])?;
        let padded_columns = columns.div_ceil(COLUMNS) * COLUMNS;
        let mut packed = Self {
            columns,
            depth,
            padded_depth,
            weights: vec![0; length::product("packed weight", &[padded_columns, padded_depth])?],
            zero_points: vec![0; padded_columns],
        };
        for column in 0..columns {
            let zero_point = weight_zero_point(zero_points, column)?;
            packed.zero_points[column] = zero_point;
            let row = &mut packed.weights[column * padded_depth..][..depth];
            for (k, slot) in row.iter_mut().enumerate() {
                *slot = weight(column, k);
            }
            check_sum(row.iter().copied(), zero_point)?;
        }
        Ok(packed)
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// Bytes of the packed weights.
    pub(crate) fn byte_len(&self) -> usize {
        self.weights.len() + size_of_val(self.zero_points.as_slice())
    }

    /// Centred weights of the `COLUMNS` columns from `first`, a multiple of it.
    fn widen(&self, first: usize, buffer: &mut Vec<i16>) {
        buffer.clear();
        for column in first..first + COLUMNS {
            let row = &self.weights[column * self.padded_depth..][..self.padded_depth];
            let zero_point = self.zero_points[column];
            buffer.extend(row.iter().map(|&w| i16::from(w).wrapping_sub(zero_point)));
        }
    }

    /// Sums of all `rows` with `columns` (which starts at a multiple of `COLUMNS`), into `sums`
    /// `[rows][columns.len()]`.
    fn multiply(&self, rows: &[i16], columns: Range<usize>, widened: &mut Vec<i16>, sums: &mut [i32]) {
        let stride = columns.len();
        for first in columns.clone().step_by(COLUMNS) {
            self.widen(first, widened);
            let offset = first - columns.start;
            let used = COLUMNS.min(columns.end - first);
            let rows = rows.chunks_exact(self.padded_depth);
            for (row, sums) in rows.zip(sums.chunks_exact_mut(stride)) {
                let dots = dot4(row, widened, self.padded_depth);
                sums[offset..offset + used].copy_from_slice(&dots[..used]);
            }
        }
    }
}

/// The zero point of `column`, from one for all or one for each.
pub(crate) fn weight_zero_point(zero_points: &[i32], column: usize) -> Result<i16> {
    let zero_point = match zero_points {
        [zero_point] => *zero_point,
        _ => zero_points[column],
    };
    i8::try_from(zero_point)
        .map(i16::from)
        .map_err(|_| Error::parameter(format!("weight zero point {zero_point} is outside -128..=127")))
}

/// `Ok` if `sum |xq - zx| * |wq - zw|` cannot leave `i32`, whatever the activations are.
pub(crate) fn check_sum(weights: impl Iterator<Item = i8>, zero_point: i16) -> Result<()> {
    let magnitude: u64 = weights.map(|w| u64::from(i16::from(w).abs_diff(zero_point))).sum();
    if magnitude <= i32::MAX as u64 / 255 {
        Ok(())
    } else {
        Err(Error::parameter(
            "the weights of one output channel are so many that their sum could overflow 32 bits",
        ))
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

/// Where the rows of the left side come from.
pub(crate) trait Rows: Sync {
    /// Writes the centred activations of one row of one group.
    fn fill(&self, row: usize, group: usize, values: &mut [i16]);
}

/// What becomes of the sums.
pub(crate) trait Epilogue: Sync {
    /// Element of the output.
    type Output: Copy + Default + Send;

    /// Turns sums of `row`, in columns from `first_column` on, into output.
    fn finish(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [Self::Output]);
}

/// Keeps the sums.
pub(crate) struct KeepSums;

impl Epilogue for KeepSums {
    type Output = i32;

    fn finish(&self, _: usize, _: usize, sums: &[i32], output: &mut [i32]) {
        output.copy_from_slice(sums);
    }
}

/// Buffers of one thread, kept between calls so that a steady state allocates nothing.
#[derive(Default)]
struct Scratch {
    rows: Vec<i16>,
    widened: Vec<i16>,
    sums: Vec<i32>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Multiplies all rows with all groups; `output` is `[rows][groups * columns]`.
///
/// All matrices have the same size, and the length of `output` has been checked.
pub(crate) fn multiply<E: Epilogue>(
    rows: &impl Rows,
    groups: &[PackedMatrix],
    epilogue: &E,
    output: &mut [E::Output],
) {
    let Some(matrix) = groups.first() else { return };
    let width = groups.len() * matrix.columns;
    let row_count = output.len() / width;
    let work = output.len().saturating_mul(matrix.padded_depth);
    let threads = threads_for(work);
    if groups.len() == 1 && row_count < threads {
        return multiply_by_columns(rows, matrix, epilogue, output, threads, work);
    }
    let tile = rows_per_tile(matrix, row_count, threads);
    for_each_chunk(output, tile * width, work, |index, output| {
        let mut scratch = SCRATCH.take();
        let first_row = index * tile;
        let tile_rows = output.len() / width;
        for (group, matrix) in groups.iter().enumerate() {
            scratch.fill_rows(rows, first_row..first_row + tile_rows, group, matrix);
            scratch.multiply(matrix, 0..matrix.columns, tile_rows);
            let first_column = group * matrix.columns;
            let sums = scratch.sums.chunks_exact(matrix.columns);
            for (i, (sums, output)) in sums.zip(output.chunks_exact_mut(width)).enumerate() {
                let output = &mut output[first_column..first_column + matrix.columns];
                epilogue.finish(first_row + i, first_column, sums, output);
            }
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
    threads: usize,
    work: usize,
) {
    let block = matrix.columns.div_ceil(threads).next_multiple_of(COLUMNS);
    for (row, output) in output.chunks_exact_mut(matrix.columns).enumerate() {
        for_each_chunk(output, block, work, |index, output| {
            let mut scratch = SCRATCH.take();
            let first = index * block;
            scratch.fill_rows(rows, row..row + 1, 0, matrix);
            scratch.multiply(matrix, first..first + output.len(), 1);
            epilogue.finish(row, first, &scratch.sums, output);
            SCRATCH.set(scratch);
        });
    }
}

/// Rows whose activations and sums stay in cache, and an equal number of tiles for every thread.
fn rows_per_tile(matrix: &PackedMatrix, row_count: usize, threads: usize) -> usize {
    let row_bytes = (matrix.padded_depth * size_of::<i16>()).max(matrix.columns * size_of::<i32>());
    let most = (TILE_BYTES / row_bytes.max(1)).clamp(8, 256);
    let tiles = row_count.div_ceil(most).next_multiple_of(threads.max(1));
    row_count.div_ceil(tiles.max(1)).max(1)
}

impl Scratch {
    fn fill_rows(&mut self, source: &impl Rows, rows: Range<usize>, group: usize, matrix: &PackedMatrix) {
        let padded_depth = matrix.padded_depth;
        self.rows.resize(rows.len() * padded_depth, 0);
        for (row, values) in rows.zip(self.rows.chunks_exact_mut(padded_depth)) {
            let (values, padding) = values.split_at_mut(matrix.depth);
            source.fill(row, group, values);
            padding.fill(0);
        }
    }

    fn multiply(&mut self, matrix: &PackedMatrix, columns: Range<usize>, rows: usize) {
        self.sums.resize(rows * columns.len(), 0);
        matrix.multiply(&self.rows, columns, &mut self.widened, &mut self.sums);
    }
}

/// `xq - zx` for neighbouring activations.
#[inline(always)]
pub(crate) fn center(input: &[u8], zero_point: i16, values: &mut [i16]) {
    for (value, &q) in values.iter_mut().zip(input) {
        *value = i16::from(q).wrapping_sub(zero_point);
    }
}

/// The zero point of the input as `i16`, or an error if it is not a `u8`.
pub(crate) fn input_zero_point(zero_point: i32) -> Result<i16> {
    u8::try_from(zero_point)
        .map(i16::from)
        .map_err(|_| Error::parameter(format!("input zero point {zero_point} is outside 0..=255")))
}
