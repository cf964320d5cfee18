//! Multiplication: the integers are multiplied exactly, then rescaled once.

use super::binary::{Binary, map_binary};
use crate::error::{Error, Result};
use crate::kernels::{BinaryMap, Operation, Rounding};
use crate::qparams::BinaryQParams;
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
    let [zero_a, zero_b] = [qparams.a, qparams.b].map(|operand| operand.zero_point as f32);
    let product = Product { zero_a, zero_b, multiplier, zero_point: qparams.output.zero_point, low, high };
    map_binary(product, a, b, output)
}

#[derive(Clone, Copy)]
struct Product {
    zero_a: f32,
    zero_b: f32,
    multiplier: f32,
    zero_point: i32,
    low: i32,
    high: i32,
}

impl<T: EightBit> Binary<T> for Product {
    #[inline(always)]
    fn apply(self, a: i32, b: i32) -> T {
        // Exact in float: differences of bytes and their products are below 2^24.
        let product = (a as f32 - self.zero_a) * (b as f32 - self.zero_b);
        T::from_steps(product * self.multiplier, self.zero_point, self.low, self.high)
    }

    fn map(self) -> Option<BinaryMap> {
        Some(BinaryMap {
            operation: Operation::Mul,
            zero_points: [self.zero_a, self.zero_b].map(|zero_point| zero_point as i32),
            scales: [1.0; 2],
            multiplier: self.multiplier,
            rounding: Rounding::new::<T>(self.zero_point, self.low, self.high),
        })
    }
}
