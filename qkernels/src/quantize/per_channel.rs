//! Quantization with a scale and zero point for each channel.

use std::ops::RangeInclusive;

use super::{Dequantize, Quantize};
use crate::error::{Error, Result};
use crate::isa::isa;
use crate::length;
use crate::qparams::{QParams, QuantizedInteger, check_range, check_scale};
use crate::quantizer::Quantizer;
use crate::rounding::clamp;

/// A tensor seen from its channel axis: `[outer, channels, inner]`.
///
/// For axis 0 of `[O, I, KH, KW]` that is `outer` 1, `channels` O, `inner` `I * KH * KW`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelExtents {
    /// Product of the sizes before the channel axis.
    pub outer: usize,
    /// Size of the channel axis.
    pub channels: usize,
    /// Product of the sizes after the channel axis.
    pub inner: usize,
}

impl ChannelExtents {
    fn check<I, O, Z>(self, input: &[I], scales: &[f32], zero_points: &[Z], output: &[O]) -> Result<()> {
        let len = length::product("tensor", &[self.outer, self.channels, self.inner])?;
        length::check("input", input, len)?;
        length::check("output", output, len)?;
        length::check("scales", scales, self.channels)?;
        length::check("zero points", zero_points, self.channels)?;
        scales.iter().try_for_each(|&scale| check_scale(scale))
    }

    /// Calls `body(channel, input, output)` for each run of one channel.
    fn for_each_run<I, O>(self, input: &[I], output: &mut [O], mut body: impl FnMut(usize, &[I], &mut [O])) {
        if input.is_empty() {
            return;
        }
        let runs = input.chunks_exact(self.inner).zip(output.chunks_exact_mut(self.inner));
        for (run, (input, output)) in runs.enumerate() {
            body(run % self.channels, input, output);
        }
    }
}

/// Quantizes with the scale and zero point of each channel.
///
/// PyTorch: `torch.quantize_per_channel`.
///
/// # Errors
/// If a length does not match, or a scale, zero point or the range cannot be used.
pub fn quantize_per_channel<T: QuantizedInteger>(
    input: &[f32],
    extents: ChannelExtents,
    scales: &[f32],
    zero_points: &[i32],
    range: RangeInclusive<i32>,
    output: &mut [T],
) -> Result<()> {
    extents.check(input, scales, zero_points, output)?;
    let quantizers = scales
        .iter()
        .zip(zero_points)
        .map(|(&scale, &zero_point)| Quantizer::new::<T>(QParams::new(scale, zero_point), range.clone()))
        .collect::<Result<Vec<_>>>()?;
    let isa = isa();
    extents.for_each_run(input, output, |channel, input, output| {
        isa.run_pass(Quantize { quantizer: quantizers[channel], input, output });
    });
    Ok(())
}

/// Dequantizes with the scale and zero point of each channel.
///
/// # Errors
/// If a length does not match, or a scale or zero point cannot be used.
pub fn dequantize_per_channel<T: QuantizedInteger>(
    input: &[T],
    extents: ChannelExtents,
    scales: &[f32],
    zero_points: &[i32],
    output: &mut [f32],
) -> Result<()> {
    extents.check(input, scales, zero_points, output)?;
    for (&scale, &zero_point) in scales.iter().zip(zero_points) {
        QParams::new(scale, zero_point).check::<T>()?;
    }
    let isa = isa();
    extents.for_each_run(input, output, |channel, input, output| {
        let qparams = QParams::new(scales[channel], zero_points[channel]);
        isa.run_pass(Dequantize { qparams, input, output });
    });
    Ok(())
}

/// Quantizes with a float zero point, which is added before rounding:
/// `q = clamp(rne(f32(z + f32(x * f32(1 / s)))), quant_min, quant_max)`. NaN becomes `rne(z)`,
/// clamped.
///
/// PyTorch: `torch.quantize_per_channel` with `per_channel_affine_float_qparams`.
///
/// # Errors
/// If a length does not match, a zero point is not finite, or a scale or the range cannot be used.
pub fn quantize_per_channel_float_qparams<T: QuantizedInteger>(
    input: &[f32],
    extents: ChannelExtents,
    scales: &[f32],
    zero_points: &[f32],
    range: RangeInclusive<i32>,
    output: &mut [T],
) -> Result<()> {
    extents.check(input, scales, zero_points, output)?;
    check_range::<T>(&range)?;
    check_finite(zero_points)?;
    let (low, high) = range.into_inner();
    extents.for_each_run(input, output, |channel, input, output| {
        let (inverse_scale, zero_point) = (scales[channel].recip(), zero_points[channel]);
        for (q, &x) in output.iter_mut().zip(input) {
            let shifted = zero_point + x * inverse_scale;
            let shifted = if shifted.is_nan() { zero_point } else { shifted };
            // Bounds of a qint32 are not all floats, so those are limited again as integers.
            let rounded = clamp(shifted, low as f32, high as f32).round_ties_even() as i32;
            *q = T::from_i32(rounded.clamp(low, high));
        }
    });
    Ok(())
}

/// Dequantizes with a float zero point: `x = f32(f32(q - z) * s)`.
///
/// # Errors
/// If a length does not match, a zero point is not finite, or a scale cannot be used.
pub fn dequantize_per_channel_float_qparams<T: QuantizedInteger>(
    input: &[T],
    extents: ChannelExtents,
    scales: &[f32],
    zero_points: &[f32],
    output: &mut [f32],
) -> Result<()> {
    extents.check(input, scales, zero_points, output)?;
    check_finite(zero_points)?;
    extents.for_each_run(input, output, |channel, input, output| {
        for (x, q) in output.iter_mut().zip(input) {
            *x = (q.to_i32() as f32 - zero_points[channel]) * scales[channel];
        }
    });
    Ok(())
}

fn check_finite(zero_points: &[f32]) -> Result<()> {
    match zero_points.iter().find(|zero_point| !zero_point.is_finite()) {
        Some(zero_point) => Err(Error::parameter(format!("zero point {zero_point} is not finite"))),
        None => Ok(()),
    }
}
