//! Mean over some axes of a quantized tensor.

use crate::error::{Error, Result};
use crate::length;
use crate::qparams::{EightBit, QParams};
use crate::quantize::Quantizer;

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
    let QParams { scale, zero_point } = qparams;
    let (low, high) = T::RANGE.into_inner();
    let divisor = reduced as f32;
    let block = reduced * inner;
    for (input, output) in input.chunks_exact(block).zip(output.chunks_exact_mut(inner)) {
        for (position, output) in output.iter_mut().enumerate() {
            let values = || input[position..].iter().step_by(inner).map(|q| q.to_i32());
            let sum = || values().map(i64::from).sum::<i64>();
            *output = match rule {
                MeanRule::Raw => T::from_steps(sum() as f32 / divisor, 0, low, high),
                MeanRule::CenteredPrime => {
                    let centered = sum() - reduced as i64 * i64::from(zero_point);
                    let multiplier = scale / (scale * divisor);
                    T::from_steps(centered as f32 * multiplier, zero_point, low, high)
                }
                MeanRule::Dequantized => {
                    let sum: f32 = values().map(|q| qparams.dequantize(q)).sum();
                    quantizer.quantize(sum / divisor)
                }
            };
        }
    }
    Ok(())
}
