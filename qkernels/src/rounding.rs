//! Round half to even and saturation, in a form that compiles to plain vector arithmetic.

/// 1.5 * 2^23: in `[2^23, 2^24)` consecutive floats are one apart, so adding it rounds to an integer.
pub(crate) const ROUNDING_SHIFT: f32 = 12_582_912.0;

/// `rne(value)` for `|value| <= 2^22`.
///
/// Adding 1.5 * 2^23 lets the float unit round (half to even, the constant is even); the integer
/// is then the difference of the bit patterns. Without SSE4.1 `f32::round_ties_even` is a call into
/// the math library, this is two instructions.
#[inline(always)]
pub(crate) fn round_small(value: f32) -> i32 {
    debug_assert!(value.abs() <= 4_194_304.0);
    let shifted = (value + ROUNDING_SHIFT).to_bits();
    shifted.wrapping_sub(ROUNDING_SHIFT.to_bits()) as i32
}

/// `value` limited to `low..=high`; NaN becomes `low`.
#[inline(always)]
pub(crate) fn clamp(value: f32, low: f32, high: f32) -> f32 {
    // Each line is one `maxps` or `minps`; `f32::max` would also have to return the operand that is
    // not NaN, whichever side it is on.
    let value = if value > low { value } else { low };
    if value < high { value } else { high }
}

/// `clamp(rne(value), low, high)` for integer bounds of at most 2^22 in magnitude.
///
/// Limiting first gives the same result because the bounds are integers.
#[inline(always)]
pub(crate) fn round_clamped(value: f32, low: i32, high: i32) -> i32 {
    round_small(clamp(value, low as f32, high as f32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_agrees_with_the_standard_library() {
        let mut value = -70_000.0_f32;
        while value < 70_000.0 {
            assert_eq!(round_small(value), value.round_ties_even() as i32);
            value += 0.25;
        }
        assert_eq!(round_small(0.500_000_06), 1);
        assert_eq!(round_small(4_194_303.5), 4_194_304);
    }

    #[test]
    fn infinities_saturate_and_nan_goes_to_the_lower_bound() {
        assert_eq!(round_clamped(f32::INFINITY, -3, 5), 5);
        assert_eq!(round_clamped(f32::NEG_INFINITY, -3, 5), -3);
        assert_eq!(round_clamped(f32::NAN, -3, 5), -3);
    }
}
