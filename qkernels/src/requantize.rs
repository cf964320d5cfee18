//! From the exact `i32` sum of a convolution or linear layer to the `u8` output.
//!
//! With `act[o] = f32(sx * sw[o])`, `lo = zy` for a fused ReLU and `quant_min` otherwise:
//!
//! - fbgemm: `clamp(sat16(sat16(rne(f32(f32(f32(acc) + b'[o]) * m[o]))) + zy), lo, quant_max)`,
//!   `m = f32(act / sy)`, `b' = f32(bias / act)` or, per tensor, `f32(bias * f32(1 / act))`.
//! - qnnpack: `clamp(sat16(rne(f32(f32(acc + qb[o]) * m[o]))) + zy, lo, quant_max)`,
//!   `m = f32(act * f32(1 / sy))`, `qb = rne(f32(bias * f32(1 / act)))` as `i32`.
//! - onednn: `v = f32(f32(f32(acc) * act[o]) + bias[o])`, ReLU if fused,
//!   `clamp(rne(f32(f32(v * f32(1 / sy)) + zy)), quant_min, quant_max)`.

use crate::error::{Error, Result};
use crate::length;
use crate::panel::PANEL;
use crate::qparams::{QParams, check_range, check_scale};
use crate::rounding::round_clamped;

/// Which PyTorch engine's order of operations is followed.
///
/// They differ by at most one step, in about one element of a thousand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Formula {
    /// PyTorch fbgemm, also `x86`: the float bias is divided by the accumulator's scale.
    Fbgemm,
    /// PyTorch qnnpack: the bias is rounded to an integer.
    Qnnpack,
    /// PyTorch onednn: the zero point is added before rounding; allows a fused addition.
    Onednn,
}

/// Scales of a layer's weight.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WeightScales<'a> {
    /// One scale for all output channels.
    PerTensor(f32),
    /// One scale for each output channel, `[O]`.
    PerChannel(&'a [f32]),
}

/// The parameters of a layer's epilogue.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RequantizationParameters<'a> {
    /// The order of operations.
    pub formula: Formula,
    /// Output channels, O.
    pub channels: usize,
    /// Scale of the input.
    pub input_scale: f32,
    /// Scales of the weight.
    pub weight_scales: WeightScales<'a>,
    /// Float bias, `[O]`.
    pub bias: Option<&'a [f32]>,
    /// Scale and zero point of the output, a quint8.
    pub output: QParams,
    /// Whether a ReLU is fused.
    pub relu: bool,
    /// Lower limit of the output; PyTorch's kernels use 0, also with `reduce_range`.
    pub quant_min: i32,
    /// Upper limit of the output; PyTorch's kernels use 255, also with `reduce_range`.
    pub quant_max: i32,
}

/// The precomputed epilogue of one layer: accumulator to output.
#[derive(Clone, Debug, PartialEq)]
pub struct Requantization {
    count: usize,
    pub(crate) channels: Channels,
    pub(crate) zero_point: i32,
    pub(crate) low: i32,
    pub(crate) high: i32,
    /// What is rounded is no larger in magnitude, whatever the sum, but for the zero point and the rounding of steps.
    pub(crate) largest: f32,
    relu: bool,
}

/// Per output channel constants of each formula, filled up so that a whole vector of them can be read from any
/// channel on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Channels {
    Fbgemm { bias: Vec<f32>, multiplier: Vec<f32> },
    Qnnpack { bias: Vec<i32>, multiplier: Vec<f32> },
    Onednn { scale: Vec<f32>, bias: Vec<f32>, inverse_output_scale: f32 },
}

impl Requantization {
    /// Computes the constants of the formula.
    ///
    /// # Errors
    /// If a slice does not have one element per channel, a scale is not positive and finite, a
    /// product or quotient of scales is not, the bias is not finite, the output zero point is not
    /// a `u8`, or no output value is left between the limits.
    pub fn new(parameters: &RequantizationParameters<'_>) -> Result<Self> {
        let p = parameters;
        check_scale(p.input_scale)?;
        p.output.check::<u8>()?;
        check_range::<u8>(&(p.quant_min..=p.quant_max))?;
        let low = if p.relu { p.quant_min.max(p.output.zero_point) } else { p.quant_min };
        check_range::<u8>(&(low..=p.quant_max))?;
        let scale = accumulator_scales(p)?;
        let bias = match p.bias {
            Some(bias) => {
                length::check("bias", bias, p.channels)?;
                bias.to_vec()
            }
            None => vec![0.0; p.channels],
        };
        let per_tensor = matches!(p.weight_scales, WeightScales::PerTensor(_));
        let inverse_output_scale = p.output.scale.recip();
        let channels =
            match p.formula {
                Formula::Fbgemm => {
                    Channels::Fbgemm {
                        bias: zip(&bias, &scale, |bias, scale| {
                            if per_tensor { bias * scale.recip() } else { bias / scale }
                        }),
                        multiplier: scale.iter().map(|&scale| scale / p.output.scale).collect(),
                    }
                }
                Formula::Qnnpack => Channels::Qnnpack {
                    // `as` saturates, which is the clamp to qint32.
                    bias: zip(&bias, &scale, |bias, scale| (bias * scale.recip()).round_ties_even() as i32),
                    multiplier: scale.iter().map(|&scale| scale * inverse_output_scale).collect(),
                },
                Formula::Onednn => Channels::Onednn { scale, bias: bias.clone(), inverse_output_scale },
            };
        channels.check_finite(&bias)?;
        let largest = channels.largest_value();
        let channels = channels.padded(p.channels + PANEL - 1);
        Ok(Self {
            count: p.channels,
            channels,
            zero_point: p.output.zero_point,
            low,
            high: p.quant_max,
            largest,
            relu: p.relu,
        })
    }

    /// The same with a clamp behind it: every output `q` becomes `min(max(q, low), high)`.
    ///
    /// # Errors
    /// If `low` is greater than `high`.
    pub fn clamped(&self, low: u8, high: u8) -> Result<Self> {
        check_range::<u8>(&(low.into()..=high.into()))?;
        let limit = |limit: i32| limit.clamp(low.into(), high.into());
        Ok(Self { low: limit(self.low), high: limit(self.high), ..self.clone() })
    }

    /// Output channels.
    pub fn channels(&self) -> usize {
        self.count
    }

    /// The order of operations.
    pub fn formula(&self) -> Formula {
        match self.channels {
            Channels::Fbgemm { .. } => Formula::Fbgemm,
            Channels::Qnnpack { .. } => Formula::Qnnpack,
            Channels::Onednn { .. } => Formula::Onednn,
        }
    }

    /// The definition: the output of `channel` for the exact sum `accumulator`.
    ///
    /// # Panics
    /// If there is no such channel.
    pub fn requantize(&self, accumulator: i32, channel: usize) -> u8 {
        match &self.channels {
            Channels::Qnnpack { bias, .. } => {
                // The sum with the bias saturates.
                let bias = bias[channel];
                self.requantize_wide(i64::from(accumulator.saturating_add(bias)) - i64::from(bias), channel)
            }
            _ => self.requantize_wide(accumulator.into(), channel),
        }
    }

    /// [`requantize`](Self::requantize) of a sum that may leave `i32`.
    pub(crate) fn requantize_wide(&self, accumulator: i64, channel: usize) -> u8 {
        let zero_point = self.zero_point;
        let steps = match &self.channels {
            Channels::Fbgemm { bias, multiplier } => {
                let value = (accumulator as f32 + bias[channel]) * multiplier[channel];
                saturate_i16(saturate_i16(value.round_ties_even() as i32) + zero_point)
            }
            Channels::Qnnpack { bias, multiplier } => {
                let sum = accumulator + i64::from(bias[channel]);
                let value = sum as f32 * multiplier[channel];
                saturate_i16(value.round_ties_even() as i32) + zero_point
            }
            Channels::Onednn { scale, bias, inverse_output_scale } => {
                return onednn_output(
                    accumulator as f32 * scale[channel] + bias[channel],
                    *inverse_output_scale,
                    self.zero_point as f32,
                    self.relu,
                    self.low,
                    self.high,
                );
            }
        };
        steps.clamp(self.low, self.high) as u8
    }

    /// [`requantize`](Self::requantize) for neighbouring channels, the first being `first_channel`.
    pub(crate) fn requantize_row(&self, first_channel: usize, accumulators: &[i32], output: &mut [u8]) {
        let end = first_channel + accumulators.len();
        let zero_point = self.zero_point;
        // Limits before the zero point is added: at most 255 in magnitude, so the saturations to
        // `i16` in the definition change nothing.
        let (low, high) = (self.low - zero_point, self.high - zero_point);
        let finish = |value: f32| round_clamped(value, low, high).wrapping_add(zero_point) as u8;
        match &self.channels {
            Channels::Fbgemm { bias, multiplier } => {
                let bias = &bias[first_channel..end];
                let multiplier = &multiplier[first_channel..end];
                for (((output, &accumulator), bias), multiplier) in
                    output.iter_mut().zip(accumulators).zip(bias).zip(multiplier)
                {
                    *output = finish((accumulator as f32 + bias) * multiplier);
                }
            }
            Channels::Qnnpack { bias, multiplier } => {
                let bias = &bias[first_channel..end];
                let multiplier = &multiplier[first_channel..end];
                for (((output, accumulator), &bias), multiplier) in
                    output.iter_mut().zip(accumulators).zip(bias).zip(multiplier)
                {
                    *output = finish(accumulator.saturating_add(bias) as f32 * multiplier);
                }
            }
            Channels::Onednn { scale, bias, inverse_output_scale } => {
                let (scale, bias) = (&scale[first_channel..end], &bias[first_channel..end]);
                for (((output, &accumulator), scale), bias) in
                    output.iter_mut().zip(accumulators).zip(scale).zip(bias)
                {
                    *output = onednn_output(
                        accumulator as f32 * scale + bias,
                        *inverse_output_scale,
                        zero_point as f32,
                        self.relu,
                        self.low,
                        self.high,
                    );
                }
            }
        }
    }

    /// An error unless there are `channels` channels.
    pub(crate) fn check_channels(&self, channels: usize) -> Result<()> {
        if self.channels() == channels {
            Ok(())
        } else {
            Err(Error::Length { what: "requantization", expected: channels, actual: self.channels() })
        }
    }
}

impl Channels {
    /// Behind the constants of the last channel those of the first ones come again.
    fn padded(mut self, len: usize) -> Self {
        fn pad<T: Copy>(values: &mut Vec<T>, len: usize) {
            while !values.is_empty() && values.len() < len {
                values.extend_from_within(..(len - values.len()).min(values.len()));
            }
        }
        match &mut self {
            Self::Fbgemm { bias, multiplier } => {
                pad(bias, len);
                pad(multiplier, len);
            }
            Self::Qnnpack { bias, multiplier } => {
                pad(bias, len);
                pad(multiplier, len);
            }
            Self::Onednn { scale, bias, .. } => {
                pad(scale, len);
                pad(bias, len);
            }
        }
        self
    }

    /// See [`Requantization::largest`].
    fn largest_value(&self) -> f32 {
        let largest_sum = -(i32::MIN as f32);
        let values: Vec<f32> = match self {
            Self::Fbgemm { bias, multiplier } => zip(bias, multiplier, |b, m| (largest_sum + b.abs()) * m),
            Self::Qnnpack { multiplier, .. } => multiplier.iter().map(|m| largest_sum * m).collect(),
            Self::Onednn { scale, bias, inverse_output_scale } => {
                zip(scale, bias, |s, b| (largest_sum * s + b.abs()) * inverse_output_scale)
            }
        };
        values.into_iter().fold(0.0, f32::max)
    }

    /// The constants must be finite, so that no later step can produce NaN.
    fn check_finite(&self, bias: &[f32]) -> Result<()> {
        let finite = |values: &[f32]| values.iter().all(|value| value.is_finite());
        let constants_are_finite = match self {
            Self::Fbgemm { bias, multiplier } => finite(bias) && finite(multiplier),
            Self::Qnnpack { multiplier, .. } => finite(multiplier),
            Self::Onednn { .. } => true,
        };
        if finite(bias) && constants_are_finite {
            Ok(())
        } else {
            Err(Error::parameter("a bias, or a quotient of it and the scales, is not finite"))
        }
    }
}

/// `act[o] = f32(sx * sw[o])`, one for each output channel.
fn accumulator_scales(p: &RequantizationParameters<'_>) -> Result<Vec<f32>> {
    let weight_scales = match p.weight_scales {
        WeightScales::PerTensor(scale) => vec![scale; p.channels],
        WeightScales::PerChannel(scales) => {
            length::check("weight scales", scales, p.channels)?;
            scales.to_vec()
        }
    };
    let scales: Vec<f32> = weight_scales.iter().map(|scale| p.input_scale * scale).collect();
    for &scale in weight_scales.iter().chain(&scales) {
        check_scale(scale)?;
    }
    Ok(scales)
}

fn zip<T>(a: &[f32], b: &[f32], f: impl Fn(f32, f32) -> T) -> Vec<T> {
    a.iter().zip(b).map(|(&a, &b)| f(a, b)).collect()
}

fn saturate_i16(value: i32) -> i32 {
    value.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

#[inline(always)]
fn onednn_output(
    value: f32,
    inverse_output_scale: f32,
    zero_point: f32,
    relu: bool,
    low: i32,
    high: i32,
) -> u8 {
    let value = if relu && value < 0.0 { 0.0 } else { value };
    round_clamped(value * inverse_output_scale + zero_point, low, high) as u8
}
