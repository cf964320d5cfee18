//! Requantization of the sums of a panel or two: the scalar formulas on vectors, four of which make one vector of
//! bytes.
//!
//! Every step is the same float operation in the same order, products and sums are not fused, and the conversion to
//! integers rounds half to even. Limits wait until four vectors share them: packing to 16 bits saturates, so does
//! adding the zero point there, packing to bytes ends at 0 and 255, and other limits are those of bytes.

mod flat;
mod formula;
mod limits;
mod rows;

use std::array;

use crate::epilogue::{Addition, Panels, Requantize, Tiles};
use crate::output_rows::OutputRows;
use crate::panel::PANEL;
use crate::quantizer::Quantizer;
use crate::requantize::{Channels, Requantization};
pub(super) use flat::requantize_rows;
use formula::{Fbgemm, Formula, Onednn, Qnnpack, WithResidual};
pub(super) use limits::Limits;
use rows::store_rows;

/// Vectors of 32-bit floats and integers, and how they become bytes.
pub(super) trait FloatVectors: Copy {
    type Floats: Copy;
    type Integers: Copy;
    /// As many bytes as four vectors have elements.
    type Bytes: Copy;

    /// Elements of a vector: all columns of a panel, or half of them.
    const LANES: usize;

    fn splat(self, value: f32) -> Self::Floats;
    fn add(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn sub(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn mul(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn max(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;
    fn min(self, a: Self::Floats, b: Self::Floats) -> Self::Floats;

    fn to_floats(self, integers: Self::Integers) -> Self::Floats;
    /// Half to even; values that are too small become the least integer.
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

    /// `clamp(integers + offset, low, high)`, in order; without limits `clamp(integers, 0, 255)`.
    fn to_bytes(self, integers: [Self::Integers; 4], limits: Option<Limits>) -> Self::Bytes;

    /// Stores all bytes; there is room for just as many.
    fn store_vector(self, bytes: Self::Bytes, output: &mut [u8]);

    /// Stores bytes from `first` on, as many as there is room for: a whole number of panels, or less if columns are
    /// missing.
    fn store_bytes(self, bytes: Self::Bytes, first: usize, output: &mut [u8]);
}

/// [`Epilogue::finish_tiles`](crate::epilogue::Epilogue::finish_tiles) of [`Requantize`], for rows of `V` vectors.
#[inline(always)]
pub(super) fn requantize_tiles<S: FloatVectors, const V: usize>(
    isa: S,
    epilogue: &Requantize<'_>,
    panels: &Panels,
    tiles: &mut dyn Tiles,
    output: OutputRows<'_, u8>,
) {
    let Requantization { zero_point, ref channels, .. } = *epilogue.requantization;
    let before = Limits::before_zero_point(epilogue.requantization);
    let floats = |values| load_floats::<S, V>(isa, panels_of(values, panels));
    match channels {
        Channels::Fbgemm { bias, multiplier } => {
            let formula = Fbgemm::<S, V> { bias: floats(bias), multiplier: floats(multiplier) };
            finish_rows::<S, V>(isa, epilogue, panels, tiles, before, output, formula);
        }
        Channels::Qnnpack { bias, multiplier } => {
            let bias = load_integers::<S, V>(isa, panels_of(bias, panels));
            let formula = Qnnpack::<S, V> { bias, multiplier: floats(multiplier) };
            finish_rows::<S, V>(isa, epilogue, panels, tiles, before, output, formula);
        }
        Channels::Onednn { scale, bias, inverse_output_scale } => {
            let formula = Onednn::<S, V> {
                scale: floats(scale),
                bias: floats(bias),
                inverse_output_scale: isa.splat(*inverse_output_scale),
                zero_point: isa.splat(zero_point as f32),
            };
            let after = Limits { offset: 0, ..before };
            finish_rows::<S, V>(isa, epilogue, panels, tiles, after, output, formula);
        }
    }
}

/// Requantizes each row and adds the residual, if there is one.
#[inline(always)]
fn finish_rows<S: FloatVectors, const V: usize>(
    isa: S,
    epilogue: &Requantize<'_>,
    panels: &Panels,
    tiles: &mut dyn Tiles,
    limits: Limits,
    output: OutputRows<'_, u8>,
    formula: impl Formula<S>,
) {
    let Some(Addition { residual, quantizer }) = &epilogue.addition else {
        return store_rows::<S, V, _>(isa, epilogue, panels, tiles, limits, output, formula);
    };
    let Quantizer { inverse_scale, zero_point, low, high } = *quantizer;
    let inverse_scale = isa.splat(inverse_scale);
    let formula = WithResidual { formula, limits, qparams: residual.qparams, inverse_scale };
    let limits = Limits { offset: zero_point, low, high };
    store_rows::<S, V, _>(isa, epilogue, panels, tiles, limits, output, formula);
}

/// The panel of vector `v` of some panels, and which of its vectors that is.
#[inline(always)]
fn vector_of_panels<S: FloatVectors>(v: usize) -> (usize, usize) {
    (v * S::LANES / PANEL, v % (PANEL / S::LANES))
}

/// The constants of the columns, which are padded to whole panels.
#[inline(always)]
fn panels_of<'a, T>(constants: &'a [T], panels: &Panels) -> &'a [[T; PANEL]] {
    constants[panels.first_column..].as_chunks().0
}

#[inline(always)]
fn load_floats<S: FloatVectors, const V: usize>(isa: S, panels: &[[f32; PANEL]]) -> [S::Floats; V] {
    array::from_fn(|v| {
        let (panel, v) = vector_of_panels::<S>(v);
        isa.load_floats(&panels[panel], v)
    })
}

#[inline(always)]
fn load_integers<S: FloatVectors, const V: usize>(isa: S, panels: &[[i32; PANEL]]) -> [S::Integers; V] {
    array::from_fn(|v| {
        let (panel, v) = vector_of_panels::<S>(v);
        isa.load_integers(&panels[panel], v)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::epilogue::Epilogue;
    use crate::isa::Isa;
    use crate::qparams::BinaryQParams;
    use crate::qparams::QParams;
    use crate::requantize::{Formula, RequantizationParameters, WeightScales};
    use crate::residual::Residual;

    fn requantize<'a>(
        has_residual: bool,
        requantization: &'a Requantization,
        values: &'a [u8],
        qparams: BinaryQParams,
    ) -> Requantize<'a> {
        if has_residual {
            let residual = Residual { values, qparams };
            Requantize::with_residual(requantization, residual, values.len()).unwrap()
        } else {
            Requantize::new(requantization)
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
            has_residual in any::<bool>(),
            (columns, sums) in (prop::sample::select(&[1, 2, 4][..]), 1..=11_usize).prop_flat_map(|(panels, rows)| {
                let sums = prop::collection::vec(prop::array::uniform16(sum()), rows * panels);
                ((panels - 1) * PANEL + 1..=panels * PANEL, sums)
            }),
            accumulator_exponent in prop_oneof![-14.0_f32..-4.0, -34.0_f32..2.0, -126.0_f32..100.0],
            bias in prop_oneof![9 => prop::collection::vec(-50.0_f32..50.0, 64), 1 => prop::collection::vec(-1e30_f32..1e30, 64)],
            [a, b, output] in [qparams(), qparams(), qparams()],
            (requantized, clamp) in (
                qparams(),
                prop_oneof![Just([0, 255]), any::<[u8; 2]>().prop_map(|[a, b]| [a.min(b), a.max(b)])],
            ),
            relu in any::<[bool; 2]>(),
            values in prop::collection::vec(any::<u8>(), 11 * 4 * PANEL),
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
            let panels = columns.div_ceil(PANEL);
            let values = &values[..sums.len() / panels * columns];
            let epilogue = requantize(has_residual, &requantization, values, qparams);
            let mut expected = vec![0; values.len()];
            for (sums, (row, output)) in sums.chunks(panels).zip(expected.chunks_exact_mut(columns).enumerate()) {
                epilogue.finish(row, 0, &sums.as_flattened()[..columns], output);
            }
            for isa in Isa::available().filter(|isa| panels == 1 || !matches!(isa, Isa::Avx2(_) | Isa::AvxVnni(_))) {
                let mut actual = vec![0; values.len()];
                let panels = Panels { count: panels, first_row: 0, first_column: 0 };
                let output = OutputRows::new(&mut actual, columns, columns);
                epilogue.finish_tiles(isa, &panels, &mut Some(sums.as_slice()), output);
                prop_assert_eq!(&actual, &expected, "{}", isa);
            }
        }
    }
}
