//! qnnpack's addition, in integers.
//!
//! ```text
//! ra = f32(sa / sy); rb = f32(sb / sy); e = floor(log2(max(ra, rb))); shift = 21 - e
//! ma = rne(ra * 2^shift); mb = rne(rb * 2^shift)
//! acc = (aq - za) * ma + (bq - zb) * mb
//! rem = (acc & (2^shift - 1)) - (acc < 0)
//! y   = clamp((acc >> shift) + (rem > (2^shift - 1) / 2) + zy, lo, 255)    # ties away from zero
//! ```

use super::binary::{Binary, map_binary};
use crate::error::{Error, Result};
use crate::qparams::BinaryQParams;

/// Adds quint8 values in qnnpack's fixed-point arithmetic, with a fused ReLU if `qparams.relu`.
///
/// PyTorch qnnpack: `quantized::add`, `add_relu`.
///
/// # Errors
/// If a length does not match or a scale or zero point cannot be used, and where qnnpack refuses:
/// the larger of `sa / sy` and `sb / sy` is outside `[2^-14, 2^8)`, or a fused ReLU leaves no
/// output range (zero point 255).
pub fn add_qnnpack(qparams: &BinaryQParams, a: &[u8], b: &[u8], output: &mut [u8]) -> Result<()> {
    let (low, high) = qparams.check::<u8>()?;
    if low >= high {
        return Err(Error::parameter(
            "qnnpack refuses an empty output range: a fused ReLU with zero point 255",
        ));
    }
    let ratio = |scale: f32| scale / qparams.output.scale;
    let (ratio_a, ratio_b) = (ratio(qparams.a.scale), ratio(qparams.b.scale));
    let larger = ratio_a.max(ratio_b);
    if !(2.0_f32.powi(-14)..256.0).contains(&larger) {
        return Err(Error::parameter(format!(
            "qnnpack refuses a ratio of input to output scale of {larger:e}, outside [2^-14, 2^8)"
        )));
    }
    // The exponent field is floor(log2) for a normal number, and -14..=7 here.
    let exponent = (larger.to_bits() >> 23) as i32 - 127;
    let shift = 21 - exponent;
    let multiplier = |ratio: f32| (ratio * 2.0_f32.powi(shift)).round_ties_even() as i32;
    let [multiplier_a, multiplier_b] = [ratio_a, ratio_b].map(multiplier);
    let [zero_a, zero_b] = [qparams.a, qparams.b].map(|operand| operand.zero_point);
    let zero_point = qparams.output.zero_point;
    let sum = FixedPointSum { zero_a, zero_b, multiplier_a, multiplier_b, shift, zero_point, low, high };
    // The sum is below 2^31: beyond a shift of 31 it is less than half and rounds to zero.
    let negligible = FixedPointSum { multiplier_a: 0, multiplier_b: 0, shift: 31, ..sum };
    map_binary(if shift <= 31 { sum } else { negligible }, a, b, output)
}

#[derive(Clone, Copy)]
struct FixedPointSum {
    zero_a: i32,
    zero_b: i32,
    /// At most 2^22, so that the sum of two products with 255 fits in `i32`.
    multiplier_a: i32,
    multiplier_b: i32,
    shift: i32,
    zero_point: i32,
    low: i32,
    high: i32,
}

impl Binary<u8> for FixedPointSum {
    #[inline(always)]
    fn apply(self, a: i32, b: i32) -> u8 {
        let a = a.wrapping_sub(self.zero_a).wrapping_mul(self.multiplier_a);
        let b = b.wrapping_sub(self.zero_b).wrapping_mul(self.multiplier_b);
        let sum = a.wrapping_add(b);
        let mask = i32::MAX >> (31 - self.shift);
        let remainder = (sum & mask).wrapping_sub(i32::from(sum < 0));
        let rounded = (sum >> self.shift).wrapping_add(i32::from(remainder > mask >> 1));
        rounded.wrapping_add(self.zero_point).clamp(self.low, self.high) as u8
    }
}
