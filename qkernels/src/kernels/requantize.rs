//! Requantization of the sums of a panel: the scalar formulas on vectors, four of which make one vector of bytes.
//!
//! Every step is the same float operation in the same order, products and sums are not fused, and the conversion to
//! integers rounds half to even. Of the limits only the upper one is applied to floats. What is too small for an
//! integer becomes the smallest one, so that the lower limit can wait until four vectors share it: packing to 16
//! bits saturates, so does adding the zero point there, packing to bytes ends at 0, and a maximum does the rest.

use std::arch::x86_64::__m128i;

use super::Sums;
use crate::conv::{Addend, Residual};
use crate::gemm::{Addition, FinishedPanel, OutputRows, PANEL, Requantize};
use crate::quantize::Quantizer;
use crate::requantize::{Channels, Requantization};

/// Vectors of 32-bit floats and integers, and how they become bytes.
pub(super) trait FloatVectors: Copy {
    type Floats: Copy;
    type Integers: Copy;

    /// Elements of a vector: all columns of a panel, or half of them.
    const LANES: usize;

    fn splat(self, value: f32) -> Self::Floats;
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `b` if `a` is NaN.
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// `b` if `a` is NaN.
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    /// To an integer, half to even; still a float.
    fn round(self, value: Self::Floats) -> Self::Floats;

    fn to_floats(self, integers: Self::Integers) -> Self::Floats;
    /// Half to even; what is too large or too small becomes `i32::MIN`.
    fn to_integers(self, floats: Self::Floats) -> Self::Integers;
    fn splat_integer(self, value: i32) -> Self::Integers;
    fn sub_integers(self, a: Self::Integers, b: Self::Integers) -> Self::Integers;
    fn add_saturating(self, a: Self::Integers, b: Self::Integers) -> Self::Integers;

    /// Vector `v` of a panel's floats.
    fn load_floats(self, panel: &[f32; PANEL], v: usize) -> Self::Floats;
    /// Vector `v` of a panel's integers.
    fn load_integers(self, panel: &[i32; PANEL], v: usize) -> Self::Integers;
    /// Vector `v` of a panel's bytes, as integers.
    fn load_bytes(self, panel: &[u8; PANEL], v: usize) -> Self::Integers;

    /// `max(clamp(integers + offset, 0, 255), low)` as bytes, in order and in sixteens, of which there are `LANES / 4`.
    fn to_bytes(self, integers: [Self::Integers; 4], offset: i16, low: u8) -> [__m128i; 4];

    fn store_bytes(self, bytes: __m128i, output: &mut [u8; PANEL]);
}

/// What is rounded, of one vector of a row's sums.
trait Formula<S: FloatVectors> {
    fn value(&self, isa: S, row: usize, v: usize, sums: S::Integers) -> S::Floats;
}

/// [`Epilogue::finish_panel`](crate::gemm::Epilogue::finish_panel) of [`Requantize`].
#[inline(always)]
pub(super) fn requantize_panel<S: FloatVectors>(
    isa: S,
    epilogue: &Requantize<'_>,
    panel: &FinishedPanel<'_>,
    output: OutputRows<'_, u8>,
) {
    let Requantization { zero_point, relu, ref channels, .. } = *epilogue.requantization;
    let before = Limits::before_zero_point(epilogue.requantization);
    match channels {
        Channels::Fbgemm { bias, multiplier } => {
            let bias = load_floats(isa, bias, panel);
            let multiplier = load_floats(isa, multiplier, panel);
            finish_rows(isa, epilogue, panel, before, output, Fbgemm::<S> { bias, multiplier });
        }
        Channels::Qnnpack { bias, multiplier } => {
            let bias: &[i32; PANEL] = constants(bias, panel);
            let bias = [isa.load_integers(bias, 0), isa.load_integers(bias, PANEL / S::LANES - 1)];
            let multiplier = load_floats(isa, multiplier, panel);
            finish_rows(isa, epilogue, panel, before, output, Qnnpack::<S> { bias, multiplier });
        }
        Channels::Onednn { scale, bias, inverse_output_scale } => {
            let scale = load_floats(isa, scale, panel);
            let bias = load_floats(isa, bias, panel);
            let inverse_output_scale = isa.splat(*inverse_output_scale);
            let zero_point = isa.splat(zero_point as f32);
            // Without a ReLU, what is less than this is far below the lower limit.
            let low = isa.splat(if relu { 0.0 } else { f32::NEG_INFINITY });
            let formula = Onednn::<S> { scale, bias, low, inverse_output_scale, zero_point };
            let after = Limits { offset: 0, ..before };
            match &epilogue.addition {
                Addition::Addend(addend) => {
                    store_rows(isa, panel, after, output, OnednnAdd { formula, epilogue, panel, addend });
                }
                _ => finish_rows(isa, epilogue, panel, after, output, formula),
            }
        }
    }
}

struct Fbgemm<S: FloatVectors> {
    bias: [S::Floats; 2],
    multiplier: [S::Floats; 2],
}

impl<S: FloatVectors> Formula<S> for Fbgemm<S> {
    #[inline(always)]
    fn value(&self, isa: S, _row: usize, v: usize, sums: S::Integers) -> S::Floats {
        isa.mul(isa.add(isa.to_floats(sums), self.bias[v]), self.multiplier[v])
    }
}

struct Qnnpack<S: FloatVectors> {
    bias: [S::Integers; 2],
    multiplier: [S::Floats; 2],
}

impl<S: FloatVectors> Formula<S> for Qnnpack<S> {
    #[inline(always)]
    fn value(&self, isa: S, _row: usize, v: usize, sums: S::Integers) -> S::Floats {
        isa.mul(isa.to_floats(isa.add_saturating(sums, self.bias[v])), self.multiplier[v])
    }
}

struct Onednn<S: FloatVectors> {
    scale: [S::Floats; 2],
    bias: [S::Floats; 2],
    low: S::Floats,
    inverse_output_scale: S::Floats,
    zero_point: S::Floats,
}

impl<S: FloatVectors> Onednn<S> {
    #[inline(always)]
    fn real(&self, isa: S, v: usize, sums: S::Integers) -> S::Floats {
        isa.add(isa.mul(isa.to_floats(sums), self.scale[v]), self.bias[v])
    }

    #[inline(always)]
    fn steps(&self, isa: S, real: S::Floats) -> S::Floats {
        // -0.0 stays in the definition and becomes 0.0 here; the zero point added next hides it.
        let real = isa.max(real, self.low);
        isa.add(isa.mul(real, self.inverse_output_scale), self.zero_point)
    }
}

impl<S: FloatVectors> Formula<S> for Onednn<S> {
    #[inline(always)]
    fn value(&self, isa: S, _row: usize, v: usize, sums: S::Integers) -> S::Floats {
        self.steps(isa, self.real(isa, v, sums))
    }
}

struct OnednnAdd<'a, S: FloatVectors> {
    formula: Onednn<S>,
    epilogue: &'a Requantize<'a>,
    panel: &'a FinishedPanel<'a>,
    addend: &'a Addend<'a>,
}

impl<S: FloatVectors> Formula<S> for OnednnAdd<'_, S> {
    #[inline(always)]
    fn value(&self, isa: S, row: usize, v: usize, sums: S::Integers) -> S::Floats {
        let Addend { values, qparams } = *self.addend;
        let values = self.epilogue.values_at(values, self.panel.first_row + row, self.panel.first_column);
        let centred = isa.sub_integers(isa.load_bytes(values, v), isa.splat_integer(qparams.zero_point));
        let addend = isa.mul(isa.to_floats(centred), isa.splat(qparams.scale));
        self.formula.steps(isa, isa.add(self.formula.real(isa, v, sums), addend))
    }
}

/// An addition after rounding.
struct WithResidual<'a, S: FloatVectors, F> {
    formula: F,
    limits: Limits,
    epilogue: &'a Requantize<'a>,
    panel: &'a FinishedPanel<'a>,
    residual: &'a Residual<'a>,
    inverse_scale: S::Floats,
}

impl<S: FloatVectors, F: Formula<S>> Formula<S> for WithResidual<'_, S, F> {
    #[inline(always)]
    fn value(&self, isa: S, row: usize, v: usize, sums: S::Integers) -> S::Floats {
        let Residual { values, qparams } = *self.residual;
        let Limits { offset, low, high } = self.limits;
        let [low, high] = [isa.splat((low - offset) as f32), isa.splat((high - offset) as f32)];
        let value = self.formula.value(isa, row, v, sums);
        let rounded = isa.round(isa.min(isa.max(value, low), high));
        // The rounded value and the zero points are small integers: this is exact.
        let a = isa.add(rounded, isa.splat((offset - qparams.a.zero_point) as f32));
        let a = isa.mul(a, isa.splat(qparams.a.scale));
        let values = self.epilogue.values_at(values, self.panel.first_row + row, self.panel.first_column);
        let b = isa.sub_integers(isa.load_bytes(values, v), isa.splat_integer(qparams.b.zero_point));
        let b = isa.mul(isa.to_floats(b), isa.splat(qparams.b.scale));
        isa.mul(isa.add(a, b), self.inverse_scale)
    }
}

/// `clamp(rne(value) + offset, low, high)`.
#[derive(Clone, Copy)]
struct Limits {
    offset: i32,
    low: i32,
    high: i32,
}

impl Limits {
    /// The zero point is added to the rounded value; at most 255 in magnitude, the limits make the saturations to
    /// `i16` in the definition change nothing.
    fn before_zero_point(requantization: &Requantization) -> Self {
        let Requantization { low, high, zero_point, .. } = *requantization;
        Self { offset: zero_point, low, high }
    }
}

/// Requantizes each row and adds the residual, if there is one.
#[inline(always)]
fn finish_rows<S: FloatVectors>(
    isa: S,
    epilogue: &Requantize<'_>,
    panel: &FinishedPanel<'_>,
    limits: Limits,
    output: OutputRows<'_, u8>,
    formula: impl Formula<S>,
) {
    let Addition::Residual(residual, quantizer) = &epilogue.addition else {
        return store_rows(isa, panel, limits, output, formula);
    };
    let Quantizer { inverse_scale, zero_point, low, high } = *quantizer;
    let inverse_scale = isa.splat(inverse_scale);
    let formula = WithResidual { formula, limits, epilogue, panel, residual, inverse_scale };
    store_rows(isa, panel, Limits { offset: zero_point, low, high }, output, formula);
}

/// Writes `clamp(rne(value) + offset)` of each row.
#[inline(always)]
fn store_rows<S: FloatVectors>(
    isa: S,
    panel: &FinishedPanel<'_>,
    Limits { offset, low, high }: Limits,
    mut output: OutputRows<'_, u8>,
    formula: impl Formula<S>,
) {
    let vectors_of_row = PANEL / S::LANES;
    let rows_of_bytes = 4 / vectors_of_row;
    let high = isa.splat((high - offset) as f32);
    let bytes_of = |first: usize, sums: &[Sums]| {
        let mut integers = [isa.splat_integer(0); 4];
        for (j, integers) in integers.iter_mut().enumerate() {
            // Of rows that do not exist the last one is computed again, and not stored.
            let row = (j / vectors_of_row).min(sums.len() - 1);
            let v = j % vectors_of_row;
            let value = formula.value(isa, first + row, v, isa.load_integers(&sums[row], v));
            *integers = isa.to_integers(isa.min(value, high));
        }
        isa.to_bytes(integers, offset as i16, low as u8)
    };
    let mut rows = output.rows_mut();
    for (i, sums) in panel.sums.chunks(rows_of_bytes).enumerate() {
        let first = i * rows_of_bytes;
        // A group of rows whose number the compiler knows is the one to be fast.
        let bytes = if sums.len() == rows_of_bytes {
            bytes_of(first, &sums[..rows_of_bytes])
        } else {
            bytes_of(first, sums)
        };
        for (bytes, output) in bytes.into_iter().take(rows_of_bytes).zip(&mut rows) {
            if let Ok(output) = <&mut [u8; PANEL]>::try_from(&mut *output) {
                isa.store_bytes(bytes, output);
            } else {
                let mut padded = [0; PANEL];
                isa.store_bytes(bytes, &mut padded);
                output.copy_from_slice(&padded[..output.len()]);
            }
        }
    }
}

/// The constants of the panel's columns.
#[inline(always)]
fn constants<'a, T>(constants: &'a [T], panel: &FinishedPanel<'_>) -> &'a [T; PANEL] {
    constants[panel.first_column..].first_chunk().expect("the constants are padded")
}

/// The vectors of the panel's constants, twice the same if there is only one.
#[inline(always)]
fn load_floats<S: FloatVectors>(isa: S, values: &[f32], panel: &FinishedPanel<'_>) -> [S::Floats; 2] {
    let values = constants(values, panel);
    [isa.load_floats(values, 0), isa.load_floats(values, PANEL / S::LANES - 1)]
}
