//! The quantization of a value, with checked constants.

use std::ops::RangeInclusive;

use crate::error::Result;
use crate::qparams::{QParams, QuantizedInteger, check_range};

/// Constants of one quantization, checked.
#[derive(Clone, Copy)]
pub(crate) struct Quantizer {
    pub(crate) inverse_scale: f32,
    pub(crate) zero_point: i32,
    pub(crate) low: i32,
    pub(crate) high: i32,
}

impl Quantizer {
    pub(crate) fn new<T: QuantizedInteger>(qparams: QParams, range: RangeInclusive<i32>) -> Result<Self> {
        qparams.check::<T>()?;
        check_range::<T>(&range)?;
        Ok(Self {
            inverse_scale: qparams.scale.recip(),
            zero_point: qparams.zero_point,
            low: *range.start(),
            high: *range.end(),
        })
    }

    /// With the range of a `T`, or its part from the zero point on if a ReLU is fused.
    pub(crate) fn with_relu<T: QuantizedInteger>(qparams: QParams, relu: bool) -> Result<Self> {
        qparams.check::<T>()?;
        let (low, high) = T::RANGE.into_inner();
        let low = if relu { qparams.zero_point } else { low };
        Self::new::<T>(qparams, low..=high)
    }

    #[inline(always)]
    pub(crate) fn quantize<T: QuantizedInteger>(self, x: f32) -> T {
        T::from_steps(x * self.inverse_scale, self.zero_point, self.low, self.high)
    }
}
