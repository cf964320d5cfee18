//! From float to quantized values and back.
//!
//! `inv = f32(1 / s)`, `q = clamp(rne(f32(x * inv)) + z, quant_min, quant_max)`: a reciprocal and a
//! product, not a quotient, and the zero point is added after rounding. The inverse is
//! `f32(f32(q - z) * s)`. Values out of range saturate, infinities too; NaN becomes the zero point.

mod layout;
mod per_channel;
mod range;

use std::ops::RangeInclusive;

use crate::error::Result;
use crate::isa::{Pass, isa};
use crate::length;
use crate::qparams::{QParams, QuantizedInteger};
use crate::quantizer::Quantizer;
use crate::threads::{elementwise_chunk, for_each_chunk};

pub use layout::{ImageShape, dequantize_nhwc_to_nchw, nchw_to_nhwc, nhwc_to_nchw, quantize_nchw_to_nhwc};
pub use per_channel::{
    ChannelExtents, dequantize_per_channel, dequantize_per_channel_float_qparams, quantize_per_channel,
    quantize_per_channel_float_qparams,
};
pub use range::range;

/// Quantizes with one scale and zero point; `range` is `quant_min..=quant_max`, normally
/// [`T::RANGE`](QuantizedInteger::RANGE).
///
/// PyTorch: `torch.quantize_per_tensor`.
///
/// # Errors
/// If the lengths differ, or scale, zero point or range cannot be used.
pub fn quantize_per_tensor<T: QuantizedInteger>(
    input: &[f32],
    qparams: QParams,
    range: RangeInclusive<i32>,
    output: &mut [T],
) -> Result<()> {
    length::check("output", output, input.len())?;
    let quantizer = Quantizer::new::<T>(qparams, range)?;
    let isa = isa();
    let chunk_len = elementwise_chunk(input.len(), 1);
    for_each_chunk(output, chunk_len, input.len(), |index, output| {
        let input = &input[index * chunk_len..][..output.len()];
        isa.run_pass(Quantize { quantizer, input, output });
    });
    Ok(())
}

/// Dequantizes with one scale and zero point.
///
/// PyTorch: `Tensor.dequantize`.
///
/// # Errors
/// If the lengths differ, or scale or zero point cannot be used.
pub fn dequantize_per_tensor<T: QuantizedInteger>(
    input: &[T],
    qparams: QParams,
    output: &mut [f32],
) -> Result<()> {
    length::check("output", output, input.len())?;
    qparams.check::<T>()?;
    let isa = isa();
    let chunk_len = elementwise_chunk(input.len(), 1);
    for_each_chunk(output, chunk_len, input.len(), |index, output| {
        let input = &input[index * chunk_len..][..output.len()];
        isa.run_pass(Dequantize { qparams, input, output });
    });
    Ok(())
}

struct Quantize<'a, T> {
    quantizer: Quantizer,
    input: &'a [f32],
    output: &'a mut [T],
}

impl<T: QuantizedInteger> Pass for Quantize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (q, &x) in self.output.iter_mut().zip(self.input) {
            *q = self.quantizer.quantize(x);
        }
    }
}

struct Dequantize<'a, T> {
    qparams: QParams,
    input: &'a [T],
    output: &'a mut [f32],
}

impl<T: QuantizedInteger> Pass for Dequantize<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (x, q) in self.output.iter_mut().zip(self.input) {
            *x = self.qparams.dequantize(q.to_i32());
        }
    }
}
