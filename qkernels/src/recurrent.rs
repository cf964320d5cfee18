//! The arithmetic of recurrent cells: gates of one row, from the products of its input and of its state.
//!
//! All of it is `f32`, each operation rounded on its own (NUMERICS section 11). Sigmoid and hyperbolic tangent are within
//! a few units in the last place of the exact values, and the same on every instruction set.

use crate::error::Result;
use crate::isa::{Pass, isa};
use crate::length;

/// A long short-term memory's step for one row: `input` and `state` are the gates `i, f, g, o`, each of as many values
/// as `h` and `c` have. PyTorch: `torch.nn.LSTMCell`.
///
/// # Errors
/// If the lengths do not fit together.
pub fn lstm(input: &[f32], state: &[f32], h: &mut [f32], c: &mut [f32]) -> Result<()> {
    let len = h.len();
    length::check("c", c, len)?;
    check_gates(input, state, 4, len)?;
    isa().run_pass(Lstm { input, state, h, c });
    Ok(())
}

/// A gated recurrent unit's step for one row: the gates are `r, z, n`. PyTorch: `torch.nn.GRUCell`.
///
/// # Errors
/// If the lengths do not fit together.
pub fn gru(input: &[f32], state: &[f32], h: &mut [f32]) -> Result<()> {
    check_gates(input, state, 3, h.len())?;
    isa().run_pass(Gru { input, state, h });
    Ok(())
}

/// `tanh(input + state)`. PyTorch: `torch.nn.RNNCell`.
///
/// # Errors
/// If the lengths do not fit together.
pub fn rnn_tanh(input: &[f32], state: &[f32], h: &mut [f32]) -> Result<()> {
    check_gates(input, state, 1, h.len())?;
    isa().run_pass(RnnTanh { input, state, h });
    Ok(())
}

/// `max(input + state, 0)`; NaN stays. PyTorch: `torch.nn.RNNCell` with `nonlinearity="relu"`.
///
/// # Errors
/// If the lengths do not fit together.
pub fn rnn_relu(input: &[f32], state: &[f32], h: &mut [f32]) -> Result<()> {
    check_gates(input, state, 1, h.len())?;
    for ((h, &input), &state) in h.iter_mut().zip(input).zip(state) {
        let sum = input + state;
        *h = if sum < 0.0 { 0.0 } else { sum };
    }
    Ok(())
}

fn check_gates(input: &[f32], state: &[f32], gates: usize, len: usize) -> Result<()> {
    let len = length::product("gates", &[gates, len])?;
    length::check("input gates", input, len)?;
    length::check("state gates", state, len)
}

struct Lstm<'a> {
    input: &'a [f32],
    state: &'a [f32],
    h: &'a mut [f32],
    c: &'a mut [f32],
}

impl Pass for Lstm<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let len = self.h.len();
        let gate = |index: usize| (&self.input[index * len..][..len], &self.state[index * len..][..len]);
        let ((input_i, state_i), (input_f, state_f)) = (gate(0), gate(1));
        let ((input_g, state_g), (input_o, state_o)) = (gate(2), gate(3));
        let (h, c) = (&mut self.h[..len], &mut self.c[..len]);
        for k in 0..len {
            let i = sigmoid(input_i[k] + state_i[k]);
            let f = sigmoid(input_f[k] + state_f[k]);
            let g = tanh(input_g[k] + state_g[k]);
            let o = sigmoid(input_o[k] + state_o[k]);
            c[k] = f * c[k] + i * g;
            h[k] = o * tanh(c[k]);
        }
    }
}

struct Gru<'a> {
    input: &'a [f32],
    state: &'a [f32],
    h: &'a mut [f32],
}

impl Pass for Gru<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let len = self.h.len();
        let gate = |index: usize| (&self.input[index * len..][..len], &self.state[index * len..][..len]);
        let ((input_r, state_r), (input_z, state_z), (input_n, state_n)) = (gate(0), gate(1), gate(2));
        let h = &mut self.h[..len];
        for k in 0..len {
            let r = sigmoid(input_r[k] + state_r[k]);
            let z = sigmoid(input_z[k] + state_z[k]);
            let n = tanh(input_n[k] + r * state_n[k]);
            h[k] = (h[k] - n) * z + n;
        }
    }
}

struct RnnTanh<'a> {
    input: &'a [f32],
    state: &'a [f32],
    h: &'a mut [f32],
}

impl Pass for RnnTanh<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((h, &input), &state) in self.h.iter_mut().zip(self.input).zip(self.state) {
            *h = tanh(input + state);
        }
    }
}

/// `1 / (1 + e^-x)`
#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The hyperbolic tangent: near 0 the polynomial of Cephes' `tanhf`, else `1 - 2 / (e^2|x| + 1)`.
#[inline(always)]
fn tanh(x: f32) -> f32 {
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

/// `e^x` by Cephes' `expf`: `2^n e^r` with `r` within half of the logarithm of 2. It goes neither to 0 nor to infinity.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Behind it there is no room for fractions: an addition rounds to an integer, in the lowest bits.
    const ROUNDING: f32 = 12_582_912.0;
    let x = if x > 88.0 { 88.0 } else { x };
    let x = if x < -87.0 { -87.0 } else { x };
    let shifted = x.mul_add(std::f32::consts::LOG2_E, ROUNDING);
    let whole = shifted - ROUNDING;
    // The logarithm of 2 in two parts.
    let r = whole.mul_add(2.121_944_4e-4, whole.mul_add(-0.693_359_4, x));
    let mut sum = 1.987_569_1e-4_f32;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_6e-1, 0.5] {
        sum = sum.mul_add(r, coefficient);
    }
    let sum = sum.mul_add(r * r, r) + 1.0;
    let exponent = shifted.to_bits().wrapping_sub(ROUNDING.to_bits()).wrapping_add(127) << 23;
    sum * f32::from_bits(exponent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, with_isa};

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
        }
        assert!(tanh(f32::NAN).is_nan() && sigmoid(f32::NAN).is_nan());
        assert_eq!([tanh(f32::INFINITY), tanh(-1e30)], [1.0, -1.0]);
        assert_eq!(sigmoid(f32::INFINITY), 1.0);
        assert!(sigmoid(f32::NEG_INFINITY) < 1e-37);
    }

    #[test]
    fn every_instruction_set_gives_the_same_bits() {
        for len in [1, 7, 16, 33] {
            let values = |seed: usize, len: usize| -> Vec<f32> {
                (0..len).map(|k| ((k * 7919 + seed * 104_729) % 1000) as f32 / 50.0 - 10.0).collect()
            };
            let run = |isa| {
                with_isa(isa, || {
                    let (mut h, mut c) = (values(3, len), values(4, len));
                    lstm(&values(1, 4 * len), &values(2, 4 * len), &mut h, &mut c).unwrap();
                    gru(&values(5, 3 * len), &values(6, 3 * len), &mut h).unwrap();
                    let mut last = vec![0.0; len];
                    rnn_tanh(&h, &c, &mut last).unwrap();
                    [h, c, last].concat().iter().map(|value| value.to_bits()).collect::<Vec<_>>()
                })
            };
            for isa in Isa::available() {
                assert_eq!(run(isa), run(Isa::Scalar), "{isa}");
            }
        }
    }

    #[test]
    fn lengths_are_checked() {
        let (mut h, mut c) = ([0.0; 2], [0.0; 2]);
        assert!(lstm(&[0.0; 8], &[0.0; 7], &mut h, &mut c).is_err());
        assert!(lstm(&[0.0; 8], &[0.0; 8], &mut h, &mut c[..1]).is_err());
        assert!(gru(&[0.0; 5], &[0.0; 6], &mut h).is_err());
        assert!(rnn_relu(&[0.0; 2], &[0.0; 1], &mut h).is_err());
    }
}
