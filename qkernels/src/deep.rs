//! Products of so many weights that their sum may leave `i32`: summed in segments that cannot, and these in 64 bits.
//!
//! The matrix product relies on sums that fit in `i32` whatever the activations are. Some 33,000 weights of full size in
//! one output are the first that do not; such layers are few, and their products plain loops.

use crate::epilogue::Epilogue;
use crate::error::Result;
use crate::gemm::{check_sum, weight_zero_point};
use crate::isa::{Pass, isa};
use crate::threads::for_each_chunk;

/// As many products fit in `i32`: nothing is further than 255 from its zero point.
pub(crate) const SEGMENT: usize = i32::MAX as usize / (255 * 255);

/// The weights of some outputs that have the same inputs.
#[derive(Clone, Debug)]
pub(crate) struct DeepMatrix {
    columns: usize,
    depth: usize,
    /// `[columns][depth]`
    weights: Vec<i8>,
    /// One for each column.
    zero_points: Vec<i16>,
}

/// Whether a sum of one of the columns of `weights`, `[columns][depth]`, could leave `i32`; `zero_points` has one
/// element, or one for each column.
///
/// # Errors
/// If a zero point is not an `i8`.
pub(crate) fn is_deep(weights: &[i8], depth: usize, zero_points: &[i32]) -> Result<bool> {
    if depth <= SEGMENT {
        return Ok(false);
    }
    for (column, weights) in weights.chunks_exact(depth).enumerate() {
        let zero_point = weight_zero_point(zero_points, column)?;
        if check_sum(weights.iter().copied(), zero_point).is_err() {
            return Ok(true);
        }
    }
    Ok(false)
}

impl DeepMatrix {
    /// Of `weights` `[columns][depth]`; `zero_points` has one element, or one for each column.
    ///
    /// # Errors
    /// If a zero point is not an `i8`.
    pub(crate) fn new(weights: Vec<i8>, depth: usize, zero_points: &[i32]) -> Result<Self> {
        let columns = weights.len() / depth.max(1);
        let zero_points = (0..columns).map(|column| weight_zero_point(zero_points, column));
        Ok(Self { columns, depth, zero_points: zero_points.collect::<Result<_>>()?, weights })
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth
    }

    /// The weights, `[columns][depth]`.
    pub(crate) fn weights(&self) -> &[i8] {
        &self.weights
    }

    /// Multiplies the inputs of `row`, as many as the depth, with all columns; the first of them is the epilogue's
    /// `first_column`.
    pub(crate) fn multiply<E: Epilogue>(
        &self,
        row: usize,
        inputs: &[u8],
        zero_point: u8,
        first_column: usize,
        epilogue: &E,
        output: &mut [E::Output],
    ) {
        let isa = isa();
        for_each_chunk(output, 1, self.columns * self.depth, |column, output| {
            let weights = &self.weights[column * self.depth..][..self.depth];
            let zero_points = [zero_point.into(), self.zero_points[column]];
            let sum = isa.run_pass(Dot { inputs, weights, zero_points });
            for output in output {
                epilogue.finish_wide(row, first_column + column, sum, output);
            }
        });
    }
}

/// `sum (x - zx) * (w - zw)`.
struct Dot<'a> {
    inputs: &'a [u8],
    weights: &'a [i8],
    zero_points: [i16; 2],
}

impl Pass for Dot<'_> {
    type Output = i64;

    #[inline(always)]
    fn run(self) -> i64 {
        let [zero_x, zero_w] = self.zero_points.map(i32::from);
        let mut sum = 0;
        for (inputs, weights) in self.inputs.chunks(SEGMENT).zip(self.weights.chunks(SEGMENT)) {
            let mut segment = 0_i32;
            for (&x, &w) in inputs.iter().zip(weights) {
                segment += (i32::from(x) - zero_x) * (i32::from(w) - zero_w);
            }
            sum += i64::from(segment);
        }
        sum
    }
}
