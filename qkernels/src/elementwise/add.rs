//! Addition and subtraction in float: dequantize both operands, quantize the result.

use super::binary::{Binary, map_binary};
use crate::error::Result;
use crate::kernels::{BinaryMap, Operation, Rounding};
use crate::qparams::BinaryQParams;
use crate::qparams::{EightBit, QParams};
use crate::quantizer::Quantizer;

/// `Q(f32(dq(a) + dq(b)))`, with a fused ReLU if `qparams.relu`.
///
/// PyTorch fbgemm, x86 and onednn: `quantized::add`, `add_relu`.
///
/// # Errors
/// If a length does not match, or a scale or zero point cannot be used.
pub fn add<T: EightBit>(qparams: &BinaryQParams, a: &[T], b: &[T], output: &mut [T]) -> Result<()> {
    map_binary(Sum::<false>::new::<T>(qparams)?, a, b, output)
}

/// `Q(f32(dq(a) - dq(b)))`, with a fused ReLU if `qparams.relu`.
///
/// PyTorch has no quantized subtraction; this is the addition's formula.
///
/// # Errors
/// If a length does not match, or a scale or zero point cannot be used.
pub fn sub<T: EightBit>(qparams: &BinaryQParams, a: &[T], b: &[T], output: &mut [T]) -> Result<()> {
    map_binary(Sum::<true>::new::<T>(qparams)?, a, b, output)
}

/// `a + b`, or `a - b` if `SUBTRACT`.
#[derive(Clone, Copy)]
struct Sum<const SUBTRACT: bool> {
    a: QParams,
    b: QParams,
    quantizer: Quantizer,
}

impl<const SUBTRACT: bool> Sum<SUBTRACT> {
    fn new<T: EightBit>(qparams: &BinaryQParams) -> Result<Self> {
        qparams.check::<T>()?;
        let quantizer = Quantizer::with_relu::<T>(qparams.output, qparams.relu)?;
        Ok(Self { a: qparams.a, b: qparams.b, quantizer })
    }
}

impl<const SUBTRACT: bool, T: EightBit> Binary<T> for Sum<SUBTRACT> {
    #[inline(always)]
    fn apply(self, a: i32, b: i32) -> T {
        let (a, b) = (self.a.dequantize(a), self.b.dequantize(b));
        self.quantizer.quantize(if SUBTRACT { a - b } else { a + b })
    }

    fn map(self) -> Option<BinaryMap> {
        let Self { a, b, quantizer: Quantizer { inverse_scale, zero_point, low, high } } = self;
        Some(BinaryMap {
            operation: if SUBTRACT { Operation::Sub } else { Operation::Add },
            zero_points: [a.zero_point, b.zero_point],
            scales: [a.scale, b.scale],
            multiplier: inverse_scale,
            rounding: Rounding::new::<T>(zero_point, low, high),
        })
    }
}
