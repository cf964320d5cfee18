//! Quantized products of two activations. The right matrix is packed at each call, as its values are not known before.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ops::Range;
use std::sync::OnceLock;

use crate::deep::{DeepMatrix, SEGMENT};
use crate::elements;
use crate::epilogue::Epilogue;
use crate::error::Result;
use crate::gemm::{InputRows, PackedMatrix, QuantizeProducts, multiply_on};
use crate::geometry::MatmulGeometry;
use crate::isa::isa;
use crate::memory;
use crate::output_rows::OutputRows;
use crate::panel::{PANEL, PanelQuad, QUAD};
use crate::qparams::{BinaryQParams, EightBit};
use crate::threads::{for_each_index, threads_for};

/// Rows of a task at least, so that packing is a small part of it.
const TASK_ROWS: usize = 32;

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static SCRATCH: Cell<Option<Box<Scratch>>> = Cell::default();
}

#[derive(Default)]
struct Scratch {
    matrix: PackedMatrix,
    /// Left rows of signed integers, as unsigned ones.
    rows: Vec<u8>,
}

/// A product of matrices of `T` with these parameters.
///
/// `y = Q(f32(f64(acc) * sa * sb))` of the exact sums `acc = sum (aq - za) * (bq - zb)`. PyTorch: `quantized::matmul`.
pub struct QuantizedMatmul<T> {
    epilogue: QuantizeProducts<T>,
    /// As bytes of the kernel: unsigned on the left, signed on the right.
    zero_points: [i32; 2],
    integer: PhantomData<T>,
}

impl<T> std::fmt::Debug for QuantizedMatmul<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QuantizedMatmul").field("zero_points", &self.zero_points).finish_non_exhaustive()
    }
}

impl<T: EightBit> QuantizedMatmul<T> {
    /// # Errors
    /// If a scale or a zero point is not one of `T`.
    pub fn new(qparams: &BinaryQParams) -> Result<Self> {
        let epilogue = QuantizeProducts::new(qparams)?;
        let lowest = *T::RANGE.start();
        let zero_points = [qparams.a.zero_point - lowest, qparams.b.zero_point - lowest - 128];
        Ok(Self { epilogue, zero_points, integer: PhantomData })
    }

    /// The products of the pairs of `geometry`, one after the other: `left` `[.., rows, depth]` and `right`
    /// `[.., depth, columns]`, or `[.., columns, depth]`, to `output` `[products, rows, columns]`.
    ///
    /// # Errors
    /// If a length does not match, or there is no memory for a packed matrix.
    pub fn run(&self, geometry: &MatmulGeometry, left: &[T], right: &[T], output: &mut [T]) -> Result<()> {
        geometry.check(left, right, output)?;
        let MatmulGeometry { rows, depth, columns, .. } = *geometry;
        if output.is_empty() {
            return Ok(());
        }
        if depth == 0 {
            self.epilogue.finish(0, 0, &[0], &mut output[..1]);
            let zero = output[0];
            output.fill(zero);
            return Ok(());
        }
        if depth > SEGMENT {
            return self.run_deep(geometry, left, right, output);
        }
        let (isa, failure) = (isa(), OnceLock::new());
        let threads = threads_for(geometry.work());
        let tasks = geometry.cut(threads, rows.div_ceil(TASK_ROWS), columns.div_ceil(PANEL));
        let output = OutputRows::new(output, columns, columns);
        for_each_index(isa, tasks.count(), threads, |index| {
            let (product, [tiles, panels]) = tasks.task(index);
            let (left, right) = geometry.operands(product, left, right);
            let rows = tiles.start * TASK_ROWS..rows.min(tiles.end * TASK_ROWS);
            let columns = panels.start * PANEL..columns.min(panels.end * PANEL);
            let first = product * geometry.rows;
            // SAFETY: the tasks' products, rows and columns tell their parts apart.
            let output =
                unsafe { output.disjoint_part(first + rows.start..first + rows.end, columns.clone()) };
            let mut scratch = SCRATCH.take().unwrap_or_default();
            let Scratch { matrix, rows: unsigned } = &mut *scratch;
            let input = self.unsigned(&left[rows.start * depth..rows.end * depth], unsigned);
            let [zero_point, right_zero_point] = self.zero_points;
            let packed = matrix.repack(columns.len(), depth, right_zero_point, |quads| {
                pack(geometry, right, columns.clone(), quads);
            });
            match packed {
                Ok(()) => {
                    let rows = InputRows { input, in_features: depth, zero_point: zero_point as u8 };
                    multiply_on(1, &rows, std::slice::from_ref(matrix), &self.epilogue, output);
                }
                // The first one is enough.
                Err(error) => drop(failure.set(error)),
            }
            SCRATCH.set(Some(scratch));
        });
        failure.into_inner().map_or(Ok(()), Err)
    }

    /// The rows as unsigned bytes: themselves, or in `buffer`.
    #[inline(always)]
    fn unsigned<'a>(&self, rows: &'a [T], buffer: &'a mut Vec<u8>) -> &'a [u8] {
        let (bytes, flip) = (elements::bytes(rows), flip(*T::RANGE.start()));
        if flip == 0 {
            return bytes;
        }
        buffer.clear();
        buffer.extend(bytes.iter().map(|byte| byte ^ flip));
        buffer
    }

    /// Of a depth whose sums may leave `i32`.
    fn run_deep(&self, geometry: &MatmulGeometry, left: &[T], right: &[T], output: &mut [T]) -> Result<()> {
        let MatmulGeometry { rows, depth, columns, .. } = *geometry;
        let [zero_point, right_zero_point] = self.zero_points;
        for (product, output) in output.chunks_exact_mut(rows * columns).enumerate() {
            let (left, right) = geometry.operands(product, left, right);
            let mut signed: Vec<i8> = memory::zeroed("a deep matrix", depth * columns)?;
            let flip = flip(*T::RANGE.start() + 128);
            for (column, signed) in signed.chunks_exact_mut(depth).enumerate() {
                for (k, signed) in signed.iter_mut().enumerate() {
                    let place =
                        if geometry.is_transposed { column * depth + k } else { k * columns + column };
                    *signed = (right[place].index() as u8 ^ flip).cast_signed();
                }
            }
            let matrix = DeepMatrix::new(signed, depth, &[right_zero_point])?;
            let mut unsigned = Vec::new();
            memory::reserve("rows of unsigned bytes", &mut unsigned, depth)?;
            for (row, output) in output.chunks_exact_mut(columns).enumerate() {
                let inputs = self.unsigned(&left[row * depth..][..depth], &mut unsigned);
                matrix.multiply(row, inputs, zero_point as u8, 0, &self.epilogue, output);
            }
        }
        Ok(())
    }
}

/// What exchanges signed and unsigned integers that are `lowest` apart: their highest bit, or nothing.
const fn flip(lowest: i32) -> u8 {
    if lowest == 0 { 0 } else { 0x80 }
}

/// Packs some columns of a right matrix, as signed bytes.
#[inline(always)]
fn pack<T: EightBit>(geometry: &MatmulGeometry, right: &[T], columns: Range<usize>, quads: &mut [PanelQuad]) {
    let MatmulGeometry { depth, columns: stride, is_transposed, .. } = *geometry;
    let (right, flip) = (elements::bytes(right), flip(*T::RANGE.start() + 128));
    let panel_len = depth.div_ceil(QUAD);
    for (first, quads) in columns.clone().step_by(PANEL).zip(quads.chunks_exact_mut(panel_len)) {
        let width = PANEL.min(columns.end - first);
        for (quad, PanelQuad(bytes)) in quads.iter_mut().enumerate() {
            let (k, bytes) = (quad * QUAD, bytes.as_chunks_mut::<QUAD>().0);
            let count = QUAD.min(depth - k);
            if count < QUAD || width < PANEL {
                bytes.fill([0; QUAD]);
                for (column, bytes) in bytes.iter_mut().enumerate().take(width) {
                    for (i, byte) in bytes.iter_mut().enumerate().take(count) {
                        let column = first + column;
                        let place =
                            if is_transposed { column * depth + k + i } else { (k + i) * stride + column };
                        *byte = (right[place] ^ flip).cast_signed();
                    }
                }
            } else if is_transposed {
                let columns = right[first * depth..].chunks(depth);
                for (bytes, column) in bytes.iter_mut().zip(columns) {
                    if let Some(values) = column[k..].first_chunk::<QUAD>() {
                        *bytes = values.map(|value| (value ^ flip).cast_signed());
                    }
                }
            } else {
                let row = |i: usize| right[(k + i) * stride + first..].first_chunk::<PANEL>();
                if let (Some(a), Some(b), Some(c), Some(d)) = (row(0), row(1), row(2), row(3)) {
                    for ((((bytes, a), b), c), d) in bytes.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                        *bytes = [a, b, c, d].map(|value| (value ^ flip).cast_signed());
                    }
                }
            }
        }
    }
}
