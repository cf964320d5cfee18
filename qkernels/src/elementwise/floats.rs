//! Functions of two floats on integers.

use super::binary::{Binary, map_binary};
use crate::error::Result;
use crate::qparams::{BinaryQParams, EightBit, QParams};
use crate::quantizer::Quantizer;

/// `Q(f(dq(a), dq(b)))`, with a fused ReLU if `qparams.relu`.
///
/// # Errors
/// If the lengths do not fit, or a scale or zero point cannot be used.
pub fn zip_floats<T: EightBit>(
    qparams: &BinaryQParams,
    f: impl Fn(f32, f32) -> f32 + Copy + Sync,
    a: &[T],
    b: &[T],
    output: &mut [T],
) -> Result<()> {
    qparams.check::<T>()?;
    let quantizer = Quantizer::with_relu::<T>(qparams.output, qparams.relu)?;
    map_binary(OfFloats { a: qparams.a, b: qparams.b, quantizer, f }, a, b, output)
}

#[derive(Clone, Copy)]
struct OfFloats<F> {
    a: QParams,
    b: QParams,
    quantizer: Quantizer,
    f: F,
}

impl<T: EightBit, F: Fn(f32, f32) -> f32 + Copy + Sync> Binary<T> for OfFloats<F> {
    #[inline(always)]
    fn apply(self, a: i32, b: i32) -> T {
        self.quantizer.quantize((self.f)(self.a.dequantize(a), self.b.dequantize(b)))
    }
}
