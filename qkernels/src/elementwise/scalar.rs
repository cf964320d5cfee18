//! Adding and multiplying by a scalar, which change the qparams and only sometimes the integers.

use super::LookupTable;
use crate::error::{Error, Result};
use crate::qparams::{EightBit, QParams};

/// Qparams of the output of a scalar operation, and how its integers follow from the input's.
#[derive(Clone, Debug, PartialEq)]
pub struct ScalarResult<T> {
    /// Scale of the output, before it is narrowed to `f32`.
    pub scale: f64,
    /// Zero point of the output.
    pub zero_point: i32,
    /// Integers of the output, or `None` if they are those of the input.
    pub table: Option<LookupTable<T>>,
}

impl<T: EightBit> ScalarResult<T> {
    /// Scale and zero point of the output.
    pub fn qparams(&self) -> QParams {
        QParams::new(self.scale as f32, self.zero_point)
    }

    /// Writes the output's integers.
    ///
    /// # Errors
    /// If the lengths differ.
    pub fn apply(&self, input: &[T], output: &mut [T]) -> Result<()> {
        if let Some(table) = &self.table {
            return table.apply(input, output);
        }
        crate::length::check("output", output, input.len())?;
        output.copy_from_slice(input);
        Ok(())
    }

    fn new(scale: f64, zero_point: i32, relu: bool, mut integer: impl FnMut(i32) -> i32) -> Result<Self> {
        QParams::new(scale as f32, zero_point).check::<T>()?;
        let low = if relu { zero_point } else { *T::RANGE.start() };
        let table = LookupTable::new(|q: T| T::from_i32(integer(q.to_i32()).max(low)));
        let is_identity = table == LookupTable::new(|q| q);
        Ok(Self { scale, zero_point, table: (!is_identity).then_some(table) })
    }
}

/// `x + c`, with `lo..=hi` the range of `T` and `k = rne(c / s)`:
///
/// ```text
/// if   z - k < lo: s' = (hi - (z-k)) / (hi-lo) * s ; z' = lo
/// elif z - k > hi: s' = ((z-k) - lo) / (hi-lo) * s ; z' = hi
/// else:            s' = s ; z' = z - k
/// if s' == s: q' = q
/// else:       q' = clamp(rne(f32((q - (z-k)) * f32(s * f32(1/s')))) + z', lo, hi)
/// ```
///
/// and `max(q', z')` with `relu`. PyTorch: `quantized::add_scalar`, `add_scalar_relu`.
///
/// # Errors
/// If the qparams cannot be used, before or after, or `c` is not finite.
pub fn add_scalar<T: EightBit>(qparams: QParams, c: f64, relu: bool) -> Result<ScalarResult<T>> {
    qparams.check::<T>()?;
    check_scalar(c)?;
    let (low, high) = T::RANGE.into_inner();
    let scale = f64::from(qparams.scale);
    // In double, as `c / s` may be far beyond the integers; exact up to 2^53 steps.
    let shifted = f64::from(qparams.zero_point) - (c / scale).round_ties_even();
    let span = f64::from(high) - f64::from(low);
    if shifted >= f64::from(low) && shifted <= f64::from(high) {
        return ScalarResult::new(scale, shifted as i32, relu, |q| q);
    }
    let (new_scale, zero_point) = if shifted < f64::from(low) {
        ((f64::from(high) - shifted) / span * scale, low)
    } else {
        ((shifted - f64::from(low)) / span * scale, high)
    };
    let multiplier = qparams.scale * (new_scale as f32).recip();
    ScalarResult::new(new_scale, zero_point, relu, |q| {
        let steps = (f64::from(q) - shifted) as f32 * multiplier;
        T::from_steps(steps, zero_point, low, high).to_i32()
    })
}

/// `x * c`: for `c > 0` only the scale changes, for `c < 0` the integers are mirrored,
/// `q' = lo + hi - q`, and `c = 0` gives `q' = 0, s' = 1, z' = 0`; `max(q', z')` with `relu`.
///
/// PyTorch: `quantized::mul_scalar`, `mul_scalar_relu`.
///
/// # Errors
/// If the qparams cannot be used, before or after, or `c` is not finite.
pub fn mul_scalar<T: EightBit>(qparams: QParams, c: f64, relu: bool) -> Result<ScalarResult<T>> {
    qparams.check::<T>()?;
    check_scalar(c)?;
    let (low, high) = T::RANGE.into_inner();
    let scale = f64::from(qparams.scale);
    if c == 0.0 {
        ScalarResult::new(1.0, 0, relu, |_| 0)
    } else if c > 0.0 {
        ScalarResult::new(c * scale, qparams.zero_point, relu, |q| q)
    } else {
        let mirrored = |q: i32| low + high - q;
        ScalarResult::new(-c * scale, mirrored(qparams.zero_point), relu, mirrored)
    }
}

fn check_scalar(c: f64) -> Result<()> {
    if c.is_finite() { Ok(()) } else { Err(Error::parameter(format!("scalar {c} is not finite"))) }
}
