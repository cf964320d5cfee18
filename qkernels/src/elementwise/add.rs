//! Addition and subtraction in float: dequantize both operands, quantize the result.

use super::{BinaryQParams, map_binary};
use crate::error::Result;
use crate::qparams::EightBit;
use crate::quantize::Quantizer;

/// `Q(f32(dq(a) + dq(b)))`, with a fused ReLU if `qparams.relu`.
///
/// PyTorch fbgemm, x86 and onednn: `quantized::add`, `add_relu`.
///
/// # Errors
/// If a length does not match, or a scale or zero point cannot be used.
pub fn add<T: EightBit>(qparams: &BinaryQParams, a: &[T], b: &[T], output: &mut [T]) -> Result<()> {
    qparams.check::<T>()?;
    let quantizer = Quantizer::with_relu::<T>(qparams.output, qparams.relu)?;
    let (qa, qb) = (qparams.a, qparams.b);
    map_binary(a, b, output, |a, b| quantizer.quantize(qa.dequantize(a) + qb.dequantize(b)))
}

/// `Q(f32(dq(a) - dq(b)))`, with a fused ReLU if `qparams.relu`.
///
/// PyTorch has no quantized subtraction; this is the addition's formula.
///
/// # Errors
/// If a length does not match, or a scale or zero point cannot be used.
pub fn sub<T: EightBit>(qparams: &BinaryQParams, a: &[T], b: &[T], output: &mut [T]) -> Result<()> {
    qparams.check::<T>()?;
    let quantizer = Quantizer::with_relu::<T>(qparams.output, qparams.relu)?;
    let (qa, qb) = (qparams.a, qparams.b);
    map_binary(a, b, output, |a, b| quantizer.quantize(qa.dequantize(a) - qb.dequantize(b)))
}
