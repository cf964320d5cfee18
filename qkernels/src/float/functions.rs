//! Functions of one value, of operations that a compiler makes into vectors: exponential, sigmoid, hyperbolic tangent, and
//! what is made of them. They are within a few units in the last place of the exact values, and the same on every
//! instruction set.

/// `x` times the normal distribution's probability of less than `x`.
#[inline(always)]
pub fn gelu(x: f32) -> f32 {
    x * normal(x)
}

/// [`gelu`], with `tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))` for the error function.
#[inline(always)]
pub fn gelu_tanh(x: f32) -> f32 {
    // (1 + tanh(y)) / 2 is the sigmoid of 2 y.
    x * sigmoid(1.595_769 * (x + 0.044_715 * x * x * x))
}

/// `x / (1 + e^-x)`
#[inline(always)]
pub fn silu(x: f32) -> f32 {
    x * sigmoid(x)
}

/// The normal distribution's probability of less than `x`: for a negative one `e^(-x^2 / 2) t P(t)` with
/// `t = 1 / (1 + 0.3 |x|)`, where `P` has the least largest relative error, 1.5e-7.
#[inline(always)]
fn normal(x: f32) -> f32 {
    let magnitude = x.abs();
    let t = 1.0 / 0.3_f32.mul_add(magnitude, 1.0);
    let mut sum = 0.035_674_73_f32;
    for coefficient in
        [-0.157_202_85, 0.206_353_07, -0.053_683_184, 0.128_561_35, 0.099_913_58, 0.120_753_94, 0.119_629_3]
    {
        sum = sum.mul_add(t, coefficient);
    }
    let tail = exp(-0.5 * magnitude * magnitude) * (t * sum);
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// `1 / (1 + e^-x)`
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent: near 0 the polynomial of Cephes' `tanhf`, else `1 - 2 / (e^2|x| + 1)`.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let square = x * x;
    let mut near = -5.704_988_7e-3_f32;
    for coefficient in [2.063_908_8e-2, -5.373_971_6e-2, 1.333_144_2e-1, -3.333_328e-1] {
        near = near.mul_add(square, coefficient);
    }
    let near = (near * square).mul_add(x, x);
    let magnitude = x.abs();
    let far = 1.0 - 2.0 / (exp(magnitude + magnitude) + 1.0);
    if magnitude < 0.625 { near } else { far.copysign(x) }
}

/// `e^x` by Cephes' `expf`: `2^n e^r` with `r` within half of the logarithm of 2. It goes to 0, but not to
/// infinity.
#[inline(always)]
pub fn exp(x: f32) -> f32 {
    /// Behind it there is no room for fractions: an addition rounds to an integer, in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0;
    let limited = if x > 88.0 { 88.0 } else { x };
    let limited = if x < -87.0 { -87.0 } else { limited };
    let shifted = limited.mul_add(std::f32::consts::LOG2_E, ROUNDING);
    let whole = shifted - ROUNDING;
    // The logarithm of 2 in two parts.
    let r = whole.mul_add(2.121_944_4e-4, whole.mul_add(-0.693_359_4, limited));
    let mut sum = 1.987_569_1e-4_f32;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5] {
        sum = sum.mul_add(r, coefficient);
    }
    let sum = sum.mul_add(r * r, r) + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUNDING.to_bits()).wrapping_add(127) << 23;
    let power = sum * f32::from_bits(exponent);
    if x < -87.0 { 0.0 } else { power }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_are_near_the_exact_ones() {
        for step in -2_000_000..2_000_000 {
            let x = step as f32 * 1e-4 / 2.0;
            let exact = f64::from(x);
            let exact_tanh = libm::tanh(exact);
            let difference = (f64::from(tanh(x)) - exact_tanh).abs();
            assert!(difference <= 3e-7 * exact_tanh.abs(), "tanh({x}): {difference}");
            let exact_sigmoid = 1.0 / (1.0 + libm::exp(-exact));
            let difference = (f64::from(sigmoid(x)) - exact_sigmoid).abs();
            assert!(difference <= 3e-7 * exact_sigmoid.max(1e-30), "sigmoid({x}): {difference}");
            let difference = (f64::from(silu(x)) - exact * exact_sigmoid).abs();
            assert!(difference <= 4e-7 * (exact * exact_sigmoid).abs().max(1e-28), "silu({x}): {difference}");
        }
        assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
        assert_eq!([tanh(f32::INFINITY), tanh(-1e30)], [1.0, -1.0]);
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
        assert!(sigmoid(f32::NEG_INFINITY) < 1e-37);
    }

    /// Where values are small, rounding `x^2 / 2` costs as many units as it is large.
    #[test]
    fn gelu_is_near_the_exact_one() {
        for step in -150_000..150_000 {
            let x = step as f32 * 1e-4;
            let exact = f64::from(x);
            let gelu_exact = exact * 0.5 * libm::erfc(-exact * std::f64::consts::FRAC_1_SQRT_2);
            let difference = (f64::from(gelu(x)) - gelu_exact).abs();
            let allowed = (5e-7 + 1e-7 * exact * exact) * gelu_exact.abs();
            assert!(difference <= allowed.max(1e-28), "gelu({x}): {difference}");
            let inner = (2.0 / std::f64::consts::PI).sqrt() * (exact + 0.044_715 * exact * exact * exact);
            let sigmoid = 1.0 / (1.0 + libm::exp(-2.0 * inner));
            let difference = (f64::from(gelu_tanh(x)) - exact * sigmoid).abs();
            let allowed = (5e-7 + 1e-6 * inner.abs()) * (exact * sigmoid).abs();
            assert!(difference <= allowed.max(1e-28), "gelu_tanh({x}): {difference}");
        }
        assert!(gelu(f32::NAN).is_nan());
        assert_eq!(gelu(f32::INFINITY), f32::INFINITY);
    }
}
