//! The arithmetic of recurrent cells: gates of one row, from the products of its input and of its state.
//!
//! All of it is `f32`, each operation rounded on its own (NUMERICS section 11). Sigmoid and hyperbolic tangent are within
//! a few units in the last place of the exact values, and the same on every instruction set.

use crate::error::Result;
use crate::float::functions::{sigmoid, tanh};
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::{Isa, with_isa};

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
