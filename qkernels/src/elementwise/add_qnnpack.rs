//! qnnpack's addition, in integers.
//!
//! ```text
//! ra = f32(sa / sy); rb = f32(sb / sy); e = floor(log2(max(ra, rb))); shift = 21 - e
//! ma = rne(ra * 2^shift); mb = rne(rb * 2^shift)
//! acc = (aq - za) * ma + (bq - zb) * mb
//! rem = (acc & (2^shift - 1)) - (acc < 0)
//! y   = clamp((acc >> shift) + (rem > (2^shift - 1) / 2) + zy, lo, 255)    # ties away from zero
//! ```

use super::{BinaryQParams, map_binary};
use crate::error::{Error, Result};

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
    let (multiplier_a, multiplier_b) = (multiplier(ratio_a), multiplier(ratio_b));
    let (zero_a, zero_b, zero) = (qparams.a.zero_point, qparams.b.zero_point, qparams.output.zero_point);
    // `shift` reaches 35, so the mask needs 64 bits; multipliers are at most 2^22, so the sum
    // stays below 2^31.
    let mask = (1_i64 << shift) - 1;
    map_binary(a, b, output, |a, b| {
        let sum = i64::from((a - zero_a) * multiplier_a + (b - zero_b) * multiplier_b);
        let remainder = (sum & mask) - i64::from(sum < 0);
        let rounded = (sum >> shift) + i64::from(remainder > mask >> 1);
        (rounded + i64::from(zero)).clamp(i64::from(low), i64::from(high)) as u8
    })
}
