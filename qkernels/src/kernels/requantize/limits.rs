//! How rounded values become bytes.

use crate::requantize::Requantization;

/// `clamp(rne(value) + offset, low, high)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::kernels) struct Limits {
    pub(in crate::kernels) offset: i32,
    pub(in crate::kernels) low: i32,
    pub(in crate::kernels) high: i32,
}

impl Limits {
    /// Those that every byte has anyway.
    const OF_BYTES: Self = Self { offset: 0, low: 0, high: 255 };

    /// The zero point is added to the rounded value; at most 255 in magnitude, the limits make the saturations to
    /// `i16` in the definition change nothing.
    pub(super) fn before_zero_point(requantization: &Requantization) -> Self {
        let Requantization { low, high, zero_point, .. } = *requantization;
        Self { offset: zero_point, low, high }
    }

    /// `None` if they change nothing.
    pub(super) fn unless_of_bytes(self) -> Option<Self> {
        (self != Self::OF_BYTES).then_some(self)
    }
}
