//! Normalization of rows to mean 0 and variance 1: the heart of layer, group and instance norm (NUMERICS section 8).

use crate::error::{Error, Result};
use crate::float::sums::sum_of;
use crate::length;
use crate::qparams::{EightBit, QParams};
use crate::threads::for_each_chunk;

use super::softmax::check_rows;

/// A weight and a bias for each channel, and where the channels are.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// `[C]`, or none for ones.
    pub weight: Option<&'a [f32]>,
    /// `[C]`, or none for zeros.
    pub bias: Option<&'a [f32]>,
    /// Neighbouring elements of one channel.
    pub inner: usize,
}

/// The rows to normalize, and by what.
#[derive(Clone, Copy, Debug)]
pub struct Normalization<'a> {
    /// The elements of a row, whose mean and variance are taken.
    pub len: usize,
    /// The number of channels, which repeat: element `i` of the tensor has channel `i / inner % channels`.
    pub channels: usize,
    /// Scales and shifts what has been normalized.
    pub affine: Affine<'a>,
    /// Added to the variance.
    pub eps: f32,
}

impl Normalization<'_> {
    fn check(&self, input: usize, output: usize) -> Result<()> {
        check_rows(self.len, input, output)?;
        let Affine { weight, bias, inner } = self.affine;
        for (what, values) in [("weights", weight), ("biases", bias)] {
            if let Some(values) = values {
                length::check(what, values, self.channels)?;
            }
        }
        let is_whole = inner > 0 && self.len.is_multiple_of(inner);
        if output > 0 && (!is_whole || self.channels == 0) {
            let message = format!("{} channels of {inner} in rows of {}", self.channels, self.len);
            return Err(Error::parameter(message));
        }
        Ok(())
    }

    /// Sets each element of a row to `finish(normalized(x) * weight + bias)`.
    #[inline(always)]
    fn apply<T: Copy>(
        &self,
        row: usize,
        input: &[T],
        output: &mut [T],
        normalized: impl Fn(T) -> f32,
        finish: impl Fn(f32) -> T,
    ) {
        let Affine { weight, bias, inner } = self.affine;
        let first = row * self.len / inner;
        if inner == 1 {
            // The row may begin at any channel, and have the channels several times over.
            let mut start = 0;
            while start < self.len {
                let channel = (first + start) % self.channels;
                let count = (self.channels - channel).min(self.len - start);
                let (input, output) = (&input[start..][..count], &mut output[start..][..count]);
                let elements = output.iter_mut().zip(input);
                match (weight, bias) {
                    (Some(weight), Some(bias)) => {
                        let affine = weight[channel..].iter().zip(&bias[channel..]);
                        elements.zip(affine).for_each(|((y, &x), (weight, bias))| {
                            *y = finish(normalized(x) * weight + bias);
                        });
                    }
                    (weight, bias) => elements.enumerate().for_each(|(index, (y, &x))| {
                        let at = |values: Option<&[f32]>| values.map(|values| values[channel + index]);
                        *y = finish(normalized(x) * at(weight).unwrap_or(1.0) + at(bias).unwrap_or(0.0));
                    }),
                }
                start += count;
            }
            return;
        }
        for stretch in 0..self.len / inner {
            let channel = (first + stretch) % self.channels;
            let weight = weight.map_or(1.0, |weight| weight[channel]);
            let bias = bias.map_or(0.0, |bias| bias[channel]);
            let (input, output) =
                (&input[stretch * inner..][..inner], &mut output[stretch * inner..][..inner]);
            output.iter_mut().zip(input).for_each(|(y, &x)| *y = finish(normalized(x) * weight + bias));
        }
    }
}

/// Sums of at most this many squares of differences of bytes fit in 32 bits.
const BLOCK: usize = 1 << 15;

/// `Q((q - z - mean) * k * weight + bias)` of each row, with `k = s / sqrt(var * s^2 + eps)`; mean and variance in steps
/// of the input, from exact sums, each further operation rounded to `f32` (NUMERICS section 8).
///
/// # Errors
/// When the lengths do not fit together or a scale cannot be used.
pub fn normalize<T: EightBit>(
    normalization: &Normalization<'_>,
    qparams: QParams,
    output_qparams: QParams,
    input: &[T],
    output: &mut [T],
) -> Result<()> {
    normalization.check(input.len(), output.len())?;
    qparams.check::<T>()?;
    output_qparams.check::<T>()?;
    let (len, work) = (normalization.len, output.len().saturating_mul(4));
    for_each_chunk(
        output,
        len,
        work,
        #[inline(always)]
        |row, output| {
            let input = &input[row * len..][..output.len()];
            normalize_row(normalization, row, qparams, output_qparams, input, output);
        },
    );
    Ok(())
}

#[inline(always)]
fn normalize_row<T: EightBit>(
    normalization: &Normalization<'_>,
    row: usize,
    qparams: QParams,
    output_qparams: QParams,
    input: &[T],
    output: &mut [T],
) {
    let QParams { scale, zero_point } = qparams;
    let (mut sum, mut squares) = (0_i64, 0_u64);
    for block in input.chunks(BLOCK) {
        let (mut block_sum, mut block_squares) = (0_i32, 0_u32);
        for q in block {
            let steps = q.to_i32() - zero_point;
            block_sum += steps;
            block_squares += (steps * steps) as u32;
        }
        sum += i64::from(block_sum);
        squares += u64::from(block_squares);
    }
    let count = input.len() as f32;
    let mean = sum as f32 / count;
    let variance = (squares as f32 / count - mean * mean).max(0.0);
    let k = scale / (variance * scale * scale + normalization.eps).sqrt();
    let inverse_scale = 1.0 / output_qparams.scale;
    let (low, high) = T::RANGE.into_inner();
    let normalized = |q: T| ((q.to_i32() - zero_point) as f32 - mean) * k;
    let quantized = |y: f32| T::from_steps(y * inverse_scale, output_qparams.zero_point, low, high);
    normalization.apply(row, input, output, normalized, quantized);
}

/// `(x - mean) / sqrt(var + eps) * weight + bias` of each row, with sums in `f64`.
///
/// # Errors
/// When the lengths do not fit together.
pub fn normalize_float(normalization: &Normalization<'_>, input: &[f32], output: &mut [f32]) -> Result<()> {
    normalization.check(input.len(), output.len())?;
    let (len, work) = (normalization.len, output.len().saturating_mul(8));
    for_each_chunk(
        output,
        len,
        work,
        #[inline(always)]
        |row, output| {
            let input = &input[row * len..][..output.len()];
            let count = input.len() as f64;
            let mean = sum_of(input, f64::from) / count;
            let squares = sum_of(input, |x| (f64::from(x) - mean) * (f64::from(x) - mean));
            let k = 1.0 / (squares / count + f64::from(normalization.eps)).sqrt();
            let normalized = |x: f32| ((f64::from(x) - mean) * k) as f32;
            normalization.apply(row, input, output, normalized, |y| y);
        },
    );
    Ok(())
}
