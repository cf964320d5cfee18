//! Requantization of the sums of a panel: the scalar formulas on vectors, four of which make one vector of bytes.
//!
//! Every step is the same float operation in the same order, products and sums are not fused, and the conversion to
//! integers rounds half to even. No value is too large for an integer
//! ([`Requantize::fits_integers`]), so that limits can wait until four vectors share them: packing to 16 bits
//! saturates, so does adding the zero point there, packing to bytes ends at 0 and 255, and other limits are those of
//! bytes.

use std::arch::x86_64::__m128i;

use super::Sums;
use crate::conv::Addend;
use crate::elementwise::BinaryQParams;
use crate::gemm::{Addition, FinishedPanel, OutputRows, PANEL, PanelValues, Requantize};
use crate::qparams::QParams;
use crate::quantize::Quantizer;
use crate::requantize::{Channels, Requantization};
use crate::rounding::ROUNDING_SHIFT;

/// Vectors of 32-bit floats and integers, and how they become bytes.
pub(super) trait FloatVectors: Copy {
    type Floats: Copy;
    type Integers: Copy;

    /// Elements of a vector: all columns of a panel, or half of them.
    const LANES: usize;

    fn splat(self, value: f32) -> Self::Floats;
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    fn to_floats(self, integers: Self::Integers) -> Self::Floats;
    /// Half to even, of values that fit.
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

    /// `clamp(integers + offset, low, high)` as bytes, in order and in sixteens, of which there are `LANES / 4`.
    fn to_bytes(self, integers: [Self::Integers; 4], offset: i16, low: u8, high: u8) -> [__m128i; 4];

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
    let Requantization { zero_point, ref channels, .. } = *epilogue.requantization;
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
            let formula = Onednn::<S> { scale, bias, inverse_output_scale, zero_point };
            let after = Limits { offset: 0, ..before };
            match &epilogue.addition {
                Addition::Addend(Addend { values, qparams }) => {
                    let values = epilogue.values_of_panel(values, panel);
                    store_rows(isa, panel, after, output, OnednnAdd { formula, values, qparams: *qparams });
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
    inverse_output_scale: S::Floats,
    zero_point: S::Floats,
}

impl<S: FloatVectors> Onednn<S> {
    #[inline(always)]
    fn real(&self, isa: S, v: usize, sums: S::Integers) -> S::Floats {
        isa.add(isa.mul(isa.to_floats(sums), self.scale[v]), self.bias[v])
    }

    /// Without the ReLU: what is negative ends at the zero point or below, and the limits make the same of both.
    #[inline(always)]
    fn steps(&self, isa: S, real: S::Floats) -> S::Floats {
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
    values: PanelValues<'a>,
    qparams: QParams,
}

impl<S: FloatVectors> Formula<S> for OnednnAdd<'_, S> {
    #[inline(always)]
    fn value(&self, isa: S, row: usize, v: usize, sums: S::Integers) -> S::Floats {
        let addend = dequantize(isa, self.values.row(row), v, self.qparams);
        self.formula.steps(isa, isa.add(self.formula.real(isa, v, sums), addend))
    }
}

/// An addition after rounding.
struct WithResidual<'a, S: FloatVectors, F> {
    formula: F,
    limits: Limits,
    values: PanelValues<'a>,
    qparams: BinaryQParams,
    inverse_scale: S::Floats,
}

impl<S: FloatVectors, F: Formula<S>> Formula<S> for WithResidual<'_, S, F> {
    #[inline(always)]
    fn value(&self, isa: S, row: usize, v: usize, sums: S::Integers) -> S::Floats {
        let BinaryQParams { a, b, .. } = self.qparams;
        let Limits { offset, low, high } = self.limits;
        let [low, high] = [isa.splat((low - offset) as f32), isa.splat((high - offset) as f32)];
        let value = self.formula.value(isa, row, v, sums);
        let shifted = isa.add(isa.min(isa.max(value, low), high), isa.splat(ROUNDING_SHIFT));
        // The rounded value and the zero points are small integers: this is exact.
        let zero_point = (a.zero_point - offset) as f32;
        let rounded = isa.sub(shifted, isa.splat(ROUNDING_SHIFT + zero_point));
        let a = isa.mul(rounded, isa.splat(a.scale));
        let b = dequantize(isa, self.values.row(row), v, b);
        isa.mul(isa.add(a, b), self.inverse_scale)
    }
}

#[inline(always)]
fn dequantize<S: FloatVectors>(isa: S, values: &[u8; PANEL], v: usize, qparams: QParams) -> S::Floats {
    let centred = isa.sub_integers(isa.load_bytes(values, v), isa.splat_integer(qparams.zero_point));
    isa.mul(isa.to_floats(centred), isa.splat(qparams.scale))
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
    let values = epilogue.values_of_panel(residual.values, panel);
    let formula = WithResidual { formula, limits, values, qparams: residual.qparams, inverse_scale };
    store_rows(isa, panel, Limits { offset: zero_point, low, high }, output, formula);
}

/// Writes `clamp(rne(value) + offset, low, high)` of each row.
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
    let mut rows = output.rows_mut();
    for (i, sums) in panel.sums.chunks(rows_of_bytes).enumerate() {
        let padded;
        let sums = if sums.len() == rows_of_bytes {
            sums
        } else {
            padded = with_missing_rows(sums);
            &padded[..rows_of_bytes]
        };
        let mut integers = [isa.splat_integer(0); 4];
        for (j, integers) in integers.iter_mut().enumerate() {
            let (row, v) = (j / vectors_of_row, j % vectors_of_row);
            let sums = isa.load_integers(&sums[row], v);
            *integers = isa.to_integers(formula.value(isa, i * rows_of_bytes + row, v, sums));
        }
        let bytes = isa.to_bytes(integers, offset as i16, low as u8, high as u8);
        for (bytes, output) in bytes.into_iter().take(rows_of_bytes).zip(&mut rows) {
            if let Ok(output) = <&mut [u8; PANEL]>::try_from(&mut *output) {
                isa.store_bytes(bytes, output);
            } else {
                let mut padded = [0; PANEL];
                isa.store_bytes(bytes, &mut padded);
                store_columns(&padded, output);
            }
        }
    }
}

/// Stores the columns that exist.
#[cold]
fn store_columns(bytes: &[u8; PANEL], output: &mut [u8]) {
    output.copy_from_slice(&bytes[..output.len()]);
}

/// The last rows of a panel and arbitrary ones, which are not stored.
#[cold]
fn with_missing_rows(sums: &[Sums]) -> [Sums; 4] {
    let mut padded = [[0; PANEL]; 4];
    padded[..sums.len()].copy_from_slice(sums);
    padded
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::conv::Residual;
    use crate::gemm::Epilogue;
    use crate::isa::Isa;
    use crate::requantize::{Formula, RequantizationParameters, WeightScales};

    fn requantize<'a>(
        kind: usize,
        requantization: &'a Requantization,
        values: &'a [u8],
        qparams: BinaryQParams,
    ) -> Requantize<'a> {
        match kind {
            0 => Requantize::new(requantization),
            1 => {
                let addend = Addend { values, qparams: qparams.b };
                // Only onednn's formula has it.
                Requantize::with_addend(requantization, addend, values.len())
                    .unwrap_or_else(|_| Requantize::new(requantization))
            }
            _ => {
                let residual = Residual { values, qparams };
                Requantize::with_residual(requantization, residual, values.len()).unwrap()
            }
        }
    }

    fn sum() -> impl Strategy<Value = i32> {
        let extremes = [i32::MIN, i32::MIN + 1, -1, 0, 1, i32::MAX - 1, i32::MAX];
        prop_oneof![
            prop::sample::select(extremes.to_vec()),
            any::<i32>(),
            -100_000..100_000_i32,
            -300..300_i32
        ]
    }

    fn qparams() -> impl Strategy<Value = QParams> {
        let zero_point = prop_oneof![Just(0), Just(255), 0..=255_i32];
        // The smallest scales make quotients that fit no integer.
        (prop_oneof![-8.0_f32..2.0, -126.0_f32..100.0], zero_point)
            .prop_map(|(e, z)| QParams::new(e.exp2(), z))
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn panels_equal_the_definition(
            formula in prop::sample::select(&[Formula::Fbgemm, Formula::Qnnpack, Formula::Onednn]),
            kind in 0..3_usize,
            columns in 1..=PANEL,
            sums in prop::collection::vec(prop::array::uniform16(sum()), 1..=11),
            accumulator_exponent in prop_oneof![-14.0_f32..-4.0, -34.0_f32..2.0, -126.0_f32..100.0],
            bias in prop_oneof![9 => prop::array::uniform16(-50.0_f32..50.0), 1 => prop::array::uniform16(-1e30_f32..1e30)],
            [a, b, output] in [qparams(), qparams(), qparams()],
            (requantized, clamp) in (
                qparams(),
                prop_oneof![Just([0, 255]), any::<[u8; 2]>().prop_map(|[a, b]| [a.min(b), a.max(b)])],
            ),
            relu in any::<[bool; 2]>(),
            values in prop::collection::vec(any::<u8>(), 11 * PANEL),
        ) {
            let requantization = Requantization::new(&RequantizationParameters {
                formula,
                channels: columns,
                input_scale: 1.0,
                weight_scales: WeightScales::PerTensor(accumulator_exponent.exp2()),
                bias: Some(&bias[..columns]),
                output: requantized,
                relu: relu[0],
                quant_min: 0,
                quant_max: 255,
            });
            // The largest scales and biases have infinite quotients.
            let Ok(requantization) = requantization else {
                return Ok(());
            };
            let requantization = requantization.clamped(clamp[0], clamp[1]).unwrap();
            let qparams = BinaryQParams { a, b, output, relu: relu[1] };
            let values = &values[..sums.len() * columns];
            let epilogue = requantize(kind, &requantization, values, qparams);
            let mut expected = vec![0; values.len()];
            for (row, output) in expected.chunks_exact_mut(columns).enumerate() {
                epilogue.finish(row, 0, &sums[row][..columns], output);
            }
            for isa in Isa::available() {
                let mut actual = vec![0; values.len()];
                let panel = FinishedPanel { sums: &sums, first_row: 0, first_column: 0 };
                epilogue.finish_panel(isa, &panel, OutputRows::new(&mut actual, columns, columns));
                prop_assert_eq!(&actual, &expected, "{}", isa);
            }
        }
    }
}
