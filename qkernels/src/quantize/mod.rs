//! From float to quantized values and back.
//!
//! `inv = f32(1 / s)`, `q = clamp(rne(f32(x * inv)) + z, quant_min, quant_max)`: a reciprocal and a
//! product, not a quotient, and the zero point is added after rounding. The inverse is
//! `f32(f32(q - z) * s)`. Values out of range saturate, infinities too; NaN becomes the zero point.

mod layout;
mod per_channel;
mod range;

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicUsize, Ordering};

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
/// [`T::RANGE`](QuantizedInteger::RANGE). Gives the number of values that are NaN or infinite, counted in the same pass.
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
) -> Result<usize> {
    length::check("output", output, input.len())?;
    let quantizer = Quantizer::new::<T>(qparams, range)?;
    let isa = isa();
    let chunk_len = elementwise_chunk(input.len(), 1);
    let not_finite = AtomicUsize::new(0);
    for_each_chunk(output, chunk_len, input.len(), |index, output| {
        let input = &input[index * chunk_len..][..output.len()];
        count(&not_finite, isa.run_pass(Quantize { quantizer, input, output }));
    });
    Ok(not_finite.into_inner())
}

/// Adds to a count that is nearly always 0.
fn count(total: &AtomicUsize, found: usize) {
    if found > 0 {
        total.fetch_add(found, Ordering::Relaxed);
    }
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

/// Quantizes, and counts the values that are NaN or infinite.
struct Quantize<'a, T> {
    quantizer: Quantizer,
    input: &'a [f32],
    output: &'a mut [T],
}

impl<T: QuantizedInteger> Pass for Quantize<'_, T> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let mut not_finite = 0;
        // The count of a block fits into a lane beside the values.
        for (output, input) in self.output.chunks_mut(BLOCK).zip(self.input.chunks(BLOCK)) {
            let mut count = 0_u32;
            for (q, &x) in output.iter_mut().zip(input) {
                *q = self.quantizer.quantize(x);
                count += u32::from(x.to_bits() & EXPONENT == EXPONENT);
            }
            not_finite += count as usize;
        }
        not_finite
    }
}

/// Values whose count is kept in 32 bits.
const BLOCK: usize = 1 << 16;

/// The bits that are all set in NaN and infinities, and in nothing else.
const EXPONENT: u32 = 0x7F80_0000;

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
