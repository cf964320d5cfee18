//! Multiplication: the integers are multiplied exactly, then rescaled once.

use super::{BinaryQParams, map_binary};
use crate::error::{Error, Result};
use crate::qparams::EightBit;

/// `m = f32(f32(sa * sb) * f32(1 / sy))`, `clamp(rne(f32((aq - za) * (bq - zb) * m)) + zy)`, with a
/// fused ReLU if `qparams.relu`.
///
/// PyTorch: `quantized::mul`, `mul_relu`.
///
/// # Errors
/// If a length does not match, a scale or zero point cannot be used, or `m` is not finite.
pub fn mul<T: EightBit>(qparams: &BinaryQParams, a: &[T], b: &[T], output: &mut [T]) -> Result<()> {
    let (low, high) = qparams.check::<T>()?;
    let multiplier = qparams.a.scale * qparams.b.scale * qparams.output.scale.recip();
    if !multiplier.is_finite() {
        return Err(Error::parameter("the product of the scales is not finite"));
    }
    let (zero_a, zero_b, zero) = (qparams.a.zero_point, qparams.b.zero_point, qparams.output.zero_point);
    map_binary(a, b, output, |a, b| {
        let product = a.wrapping_sub(zero_a).wrapping_mul(b.wrapping_sub(zero_b));
        T::from_steps(product as f32 * multiplier, zero, low, high)
    })
}
