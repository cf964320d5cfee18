//! Scale and zero point, and the integer types quantized values are stored in.

use std::ops::RangeInclusive;

use crate::elements::Element;
use crate::error::{Error, Result};
use crate::rounding::round_clamped;

/// Scale and zero point of a per-tensor quantized tensor: `x = (q - zero_point) * scale`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QParams {
    /// The real difference between two neighbouring integers; finite and positive.
    pub scale: f32,
    /// The integer that stands for 0.
    pub zero_point: i32,
}

impl QParams {
    /// Scale and zero point; checked by the functions that take them.
    pub fn new(scale: f32, zero_point: i32) -> Self {
        Self { scale, zero_point }
    }

    /// The real number `q` stands for: `f32(f32(q - z) * s)`.
    #[inline(always)]
    pub fn dequantize(self, q: i32) -> f32 {
        q.wrapping_sub(self.zero_point) as f32 * self.scale
    }

    /// `Ok` if the scale is finite and positive, has a finite reciprocal, and the zero point is a `T`.
    pub fn check<T: QuantizedInteger>(self) -> Result<()> {
        check_scale(self.scale)?;
        check_zero_point::<T>(self.zero_point)
    }
}

/// Scales and zero points of a binary operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BinaryQParams {
    /// Of the first operand.
    pub a: QParams,
    /// Of the second operand.
    pub b: QParams,
    /// Of the output.
    pub output: QParams,
    /// Whether a ReLU is fused: the output's lower limit is its zero point.
    pub relu: bool,
}

impl BinaryQParams {
    /// The output's limits, once all parameters have been checked.
    pub(crate) fn check<T: QuantizedInteger>(&self) -> Result<(i32, i32)> {
        for qparams in [self.a, self.b, self.output] {
            qparams.check::<T>()?;
        }
        let (low, high) = T::RANGE.into_inner();
        let low = if self.relu { self.output.zero_point } else { low };
        check_range::<T>(&(low..=high))?;
        Ok((low, high))
    }
}

/// `Ok` if `scale` is positive and finite and so is its reciprocal.
pub(crate) fn check_scale(scale: f32) -> Result<()> {
    if scale.is_finite() && scale > 0.0 && scale.recip().is_finite() {
        Ok(())
    } else {
        Err(Error::parameter(format!("scale {scale:e} is not a positive number with a finite reciprocal")))
    }
}

pub(crate) fn check_zero_point<T: QuantizedInteger>(zero_point: i32) -> Result<()> {
    if T::RANGE.contains(&zero_point) {
        Ok(())
    } else {
        Err(Error::parameter(format!(
            "zero point {zero_point} is outside {}..={}",
            T::RANGE.start(),
            T::RANGE.end()
        )))
    }
}

/// `Ok` if `range` is not empty and fits in `T`.
pub(crate) fn check_range<T: QuantizedInteger>(range: &RangeInclusive<i32>) -> Result<()> {
    if !range.is_empty() && T::RANGE.contains(range.start()) && T::RANGE.contains(range.end()) {
        Ok(())
    } else {
        Err(Error::parameter(format!(
            "quantized range {}..={} is empty or outside {}..={}",
            range.start(),
            range.end(),
            T::RANGE.start(),
            T::RANGE.end()
        )))
    }
}

/// An integer type quantized values are stored in: `u8` (quint8), `i8` (qint8) or `i32` (qint32).
pub trait QuantizedInteger: Element + Ord + sealed::Sealed {
    /// All values of the type, `quant_min..=quant_max` of PyTorch's full range.
    const RANGE: RangeInclusive<i32>;

    /// The value as `i32`.
    fn to_i32(self) -> i32;

    /// The value, which must lie in [`RANGE`](Self::RANGE), in this type.
    fn from_i32(value: i32) -> Self;

    /// `clamp(rne(steps) + zero_point, low, high)`, saturating; NaN gives `zero_point` clamped.
    ///
    /// `low..=high` lies in [`RANGE`](Self::RANGE), and so does `zero_point`.
    fn from_steps(steps: f32, zero_point: i32, low: i32, high: i32) -> Self;
}

/// The 8-bit storage types, `u8` (quint8) and `i8` (qint8).
pub trait EightBit: QuantizedInteger {
    /// The bit pattern, as an index into a table of 256 entries.
    fn index(self) -> usize;
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u8 {}
    impl Sealed for i8 {}
    impl Sealed for i32 {}
}

macro_rules! eight_bit {
    ($type:ty) => {
        impl QuantizedInteger for $type {
            const RANGE: RangeInclusive<i32> = <$type>::MIN as i32..=<$type>::MAX as i32;

            #[inline(always)]
            fn to_i32(self) -> i32 {
                i32::from(self)
            }

            #[inline(always)]
            fn from_i32(value: i32) -> Self {
                value as $type
            }

            #[inline(always)]
            fn from_steps(steps: f32, zero_point: i32, low: i32, high: i32) -> Self {
                let steps = if steps.is_nan() { 0.0 } else { steps };
                let (low, high) = (low.wrapping_sub(zero_point), high.wrapping_sub(zero_point));
                round_clamped(steps, low, high).wrapping_add(zero_point) as $type
            }
        }

        impl EightBit for $type {
            #[inline(always)]
            fn index(self) -> usize {
                usize::from(self as u8)
            }
        }
    };
}

eight_bit!(u8);
eight_bit!(i8);

impl QuantizedInteger for i32 {
    const RANGE: RangeInclusive<i32> = i32::MIN..=i32::MAX;

    #[inline(always)]
    fn to_i32(self) -> i32 {
        self
    }

    #[inline(always)]
    fn from_i32(value: i32) -> Self {
        value
    }

    #[inline(always)]
    fn from_steps(steps: f32, zero_point: i32, low: i32, high: i32) -> Self {
        // `as` saturates and sends NaN to 0.
        let steps = steps.round_ties_even() as i64;
        let value = steps.saturating_add(i64::from(zero_point));
        value.clamp(i64::from(low), i64::from(high)) as i32
    }
}
