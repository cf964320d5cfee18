//! Mean over some axes of a quantized tensor.

use crate::blocks::{Block, at, at_mut, for_each_block};
use crate::error::{Error, Result};
use crate::isa::{Pass, isa};
use crate::length;
use crate::qparams::{EightBit, QParams};
use crate::quantizer::Quantizer;
use crate::threads::for_each_chunk;

/// A tensor seen from the axes that are averaged: `[outer, reduced, inner]`.
///
/// The mean over `H` and `W` of `[N, H, W, C]` has `outer` N, `reduced` `H * W`, `inner` C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MeanExtents {
    /// Product of the sizes before the averaged axes.
    pub outer: usize,
    /// Product of the averaged sizes, n.
    pub reduced: usize,
    /// Product of the sizes after the averaged axes.
    pub inner: usize,
}

/// Which of PyTorch's formulas the mean follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MeanRule {
    /// `clamp(rne(f32(sum(q) / n)))`. PyTorch, when the axes are the trailing ones of its tensor.
    Raw,
    /// `clamp(rne(f32(sum(q - z) * f32(s / f32(s * n)))) + z)`. PyTorch qnnpack, over the two last
    /// axes of a 4-d tensor.
    CenteredPrime,
    /// `Q(f32(f32(sum of dq) / n))`. PyTorch, over other axes.
    Dequantized,
}

/// Mean over the middle extent, `[outer, reduced, inner]` to `[outer, inner]`.
///
/// PyTorch: `torch.mean` on a quantized tensor.
///
/// # Errors
/// If a length does not match, scale or zero point cannot be used, or nothing is averaged.
pub fn mean<T: EightBit>(
    extents: MeanExtents,
    qparams: QParams,
    rule: MeanRule,
    input: &[T],
    output: &mut [T],
) -> Result<()> {
    let MeanExtents { outer, reduced, inner } = extents;
    length::check("input", input, length::product("input", &[outer, reduced, inner])?)?;
    length::check("output", output, length::product("output", &[outer, inner])?)?;
    let quantizer = Quantizer::new::<T>(qparams, T::RANGE)?;
    if reduced == 0 {
        return Err(Error::geometry("the mean of no elements does not exist"));
    }
    if output.is_empty() {
        return Ok(());
    }
    let mean = Mean { rule, reduced, qparams, quantizer };
    let isa = isa();
    let block = reduced * inner;
    for_each_chunk(output, inner, input.len(), |index, output| {
        let input = &input[index * block..][..block];
        isa.run_pass(MeanColumns { mean, input, output });
    });
    Ok(())
}

/// The formula and its constants.
#[derive(Clone, Copy)]
struct Mean {
    rule: MeanRule,
    reduced: usize,
    qparams: QParams,
    quantizer: Quantizer,
}

/// The mean over the rows of `[reduced, inner]`.
struct MeanColumns<'a, T> {
    mean: Mean,
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: EightBit> Pass for MeanColumns<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        for_each_block(self.output.len(), &mut self);
    }
}

impl<T: EightBit> Block for MeanColumns<'_, T> {
    #[inline(always)]
    fn compute<const N: usize>(&mut self, first: usize) {
        let Mean { rule, reduced, qparams: QParams { scale, zero_point }, quantizer } = self.mean;
        let (low, high) = T::RANGE.into_inner();
        let divisor = reduced as f32;
        let means = match rule {
            MeanRule::Raw => {
                self.sums::<N>(first).map(|sum| T::from_steps(sum as f32 / divisor, 0, low, high))
            }
            MeanRule::CenteredPrime => {
                let offset = reduced as i64 * i64::from(zero_point);
                let multiplier = scale / (scale * divisor);
                self.sums::<N>(first)
                    .map(|sum| T::from_steps((sum - offset) as f32 * multiplier, zero_point, low, high))
            }
            MeanRule::Dequantized if reduced <= Self::IN_SEQUENCE => {
                self.real_sums::<N>(first).map(|sum| quantizer.quantize(sum / divisor))
            }
            MeanRule::Dequantized => {
                let offset = reduced as i64 * i64::from(zero_point);
                let unit = f64::from(scale) / reduced as f64;
                self.sums::<N>(first).map(|sum| quantizer.quantize(((sum - offset) as f64 * unit) as f32))
            }
        };
        *at_mut(self.output, first) = means;
    }
}

impl<T: EightBit> MeanColumns<'_, T> {
    /// Real numbers that are added one after the other, as PyTorch does: of more the exact sum is taken, as one in
    /// float is steps off.
    const IN_SEQUENCE: usize = 256;

    /// Exact sums of the columns from `first` on.
    #[inline(always)]
    fn sums<const N: usize>(&self, first: usize) -> [i64; N] {
        let inner = self.output.len();
        let mut sums = [0_i64; N];
        // Sums of at most 2^23 bytes fit in `i32`.
        for rows in self.input.chunks(inner.saturating_mul(1 << 23)) {
            let mut partial = [0_i32; N];
            if inner == 1 {
                partial[0] = rows.iter().fold(0, |sum, q| sum.wrapping_add(q.to_i32()));
            } else {
                for row in rows.chunks_exact(inner) {
                    for (sum, q) in partial.iter_mut().zip(at::<T, N>(row, first)) {
                        *sum = sum.wrapping_add(q.to_i32());
                    }
                }
            }
            for (sum, partial) in sums.iter_mut().zip(partial) {
                *sum += i64::from(partial);
            }
        }
        sums
    }

    /// Sums of the real numbers in the columns from `first` on, from the first row to the last.
    #[inline(always)]
    fn real_sums<const N: usize>(&self, first: usize) -> [f32; N] {
        let mut sums = [0.0; N];
        for row in self.input.chunks_exact(self.output.len()) {
            for (sum, q) in sums.iter_mut().zip(at::<T, N>(row, first)) {
                *sum += self.mean.qparams.dequantize(q.to_i32());
            }
        }
        sums
    }
}
