//! Requantization of the sums of a panel or two: the scalar formulas on vectors, four of which make one vector of
//! bytes.
//!
//! Every step is the same float operation in the same order, products and sums are not fused, and the conversion to
//! integers rounds half to even. Limits wait until four vectors share them: packing to 16 bits saturates, so does
//! adding the zero point there, packing to bytes ends at 0 and 255, and other limits are those of bytes.

use std::array;

use super::Sums;
use crate::conv::Addend;
use crate::elementwise::BinaryQParams;
use crate::gemm::{Addition, OutputRows, PANEL, Panels, Requantize, Tiles};
use crate::qparams::QParams;
use crate::quantize::Quantizer;
use crate::requantize::{Channels, Requantization};
use crate::rounding::ROUNDING_SHIFT;

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

    /// `clamp(integers + offset, low, high)`, in order.
    fn to_bytes(self, integers: [Self::Integers; 4], offset: i16, low: u8, high: u8) -> Self::Bytes;

    /// Stores bytes from `first` on, as many as there is room for: a whole number of panels, or less if columns are
    /// missing.
    fn store_bytes(self, bytes: Self::Bytes, first: usize, output: &mut [u8]);
}

/// What is rounded, of vector `v` of a row.
trait Formula<S: FloatVectors> {
    /// Whether something is added.
    const ADDS: bool;

    fn value(&self, isa: S, v: usize, sums: S::Integers, added: S::Integers) -> S::Floats;
}

/// [`Epilogue::finish_tiles`](crate::gemm::Epilogue::finish_tiles) of [`Requantize`], for rows of `V` vectors.
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
            match &epilogue.addition {
                Addition::Addend(Addend { qparams, .. }) => {
                    let formula = OnednnAdd { formula, qparams: *qparams };
                    store_rows::<S, V, _>(isa, epilogue, panels, tiles, after, output, formula);
                }
                _ => finish_rows::<S, V>(isa, epilogue, panels, tiles, after, output, formula),
            }
        }
    }
}

struct Fbgemm<S: FloatVectors, const V: usize> {
    bias: [S::Floats; V],
    multiplier: [S::Floats; V],
}

impl<S: FloatVectors, const V: usize> Formula<S> for Fbgemm<S, V> {
    const ADDS: bool = false;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, _added: S::Integers) -> S::Floats {
        isa.mul(isa.add(isa.to_floats(sums), self.bias[v]), self.multiplier[v])
    }
}

struct Qnnpack<S: FloatVectors, const V: usize> {
    bias: [S::Integers; V],
    multiplier: [S::Floats; V],
}

impl<S: FloatVectors, const V: usize> Formula<S> for Qnnpack<S, V> {
    const ADDS: bool = false;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, _added: S::Integers) -> S::Floats {
        isa.mul(isa.to_floats(isa.add_saturating(sums, self.bias[v])), self.multiplier[v])
    }
}

struct Onednn<S: FloatVectors, const V: usize> {
    scale: [S::Floats; V],
    bias: [S::Floats; V],
    inverse_output_scale: S::Floats,
    zero_point: S::Floats,
}

impl<S: FloatVectors, const V: usize> Onednn<S, V> {
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

impl<S: FloatVectors, const V: usize> Formula<S> for Onednn<S, V> {
    const ADDS: bool = false;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, _added: S::Integers) -> S::Floats {
        self.steps(isa, self.real(isa, v, sums))
    }
}

struct OnednnAdd<S: FloatVectors, const V: usize> {
    formula: Onednn<S, V>,
    qparams: QParams,
}

impl<S: FloatVectors, const V: usize> Formula<S> for OnednnAdd<S, V> {
    const ADDS: bool = true;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, added: S::Integers) -> S::Floats {
        let addend = dequantize(isa, added, self.qparams);
        self.formula.steps(isa, isa.add(self.formula.real(isa, v, sums), addend))
    }
}

/// An addition after rounding.
struct WithResidual<S: FloatVectors, F> {
    formula: F,
    limits: Limits,
    qparams: BinaryQParams,
    inverse_scale: S::Floats,
}

impl<S: FloatVectors, F: Formula<S>> Formula<S> for WithResidual<S, F> {
    const ADDS: bool = true;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, added: S::Integers) -> S::Floats {
        let BinaryQParams { a, b, .. } = self.qparams;
        let Limits { offset, low, high } = self.limits;
        let [low, high] = [isa.splat((low - offset) as f32), isa.splat((high - offset) as f32)];
        let value = self.formula.value(isa, v, sums, added);
        let shifted = isa.add(isa.min(isa.max(value, low), high), isa.splat(ROUNDING_SHIFT));
        // The rounded value and the zero points are small integers: this is exact.
        let zero_point = (a.zero_point - offset) as f32;
        let rounded = isa.sub(shifted, isa.splat(ROUNDING_SHIFT + zero_point));
        let a = isa.mul(rounded, isa.splat(a.scale));
        isa.mul(isa.add(a, dequantize(isa, added, b)), self.inverse_scale)
    }
}

/// A value that may be too large for an integer: infinite values, too, become an integer beyond all limits.
struct AtMostInteger<'a, F>(&'a F);

impl<S: FloatVectors, F: Formula<S>> Formula<S> for AtMostInteger<'_, F> {
    const ADDS: bool = F::ADDS;

    #[inline(always)]
    fn value(&self, isa: S, v: usize, sums: S::Integers, added: S::Integers) -> S::Floats {
        isa.min(self.0.value(isa, v, sums, added), isa.splat(1_073_741_824.0))
    }
}

#[inline(always)]
fn dequantize<S: FloatVectors>(isa: S, values: S::Integers, qparams: QParams) -> S::Floats {
    let centred = isa.sub_integers(values, isa.splat_integer(qparams.zero_point));
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
fn finish_rows<S: FloatVectors, const V: usize>(
    isa: S,
    epilogue: &Requantize<'_>,
    panels: &Panels,
    tiles: &mut dyn Tiles,
    limits: Limits,
    output: OutputRows<'_, u8>,
    formula: impl Formula<S>,
) {
    let Addition::Residual(residual, quantizer) = &epilogue.addition else {
        return store_rows::<S, V, _>(isa, epilogue, panels, tiles, limits, output, formula);
    };
    let Quantizer { inverse_scale, zero_point, low, high } = *quantizer;
    let inverse_scale = isa.splat(inverse_scale);
    let formula = WithResidual { formula, limits, qparams: residual.qparams, inverse_scale };
    let limits = Limits { offset: zero_point, low, high };
    store_rows::<S, V, _>(isa, epilogue, panels, tiles, limits, output, formula);
}

/// Writes `clamp(rne(value) + offset, low, high)` of each row.
#[inline(always)]
fn store_rows<S: FloatVectors, const V: usize, F: Formula<S>>(
    isa: S,
    epilogue: &Requantize<'_>,
    panels: &Panels,
    tiles: &mut dyn Tiles,
    limits: Limits,
    mut output: OutputRows<'_, u8>,
    formula: F,
) {
    let columns = output.columns();
    let panels_of_row = V * S::LANES / PANEL;
    assert!(columns <= V * S::LANES && panels.count == panels_of_row);
    let are_simple = columns == V * S::LANES && epilogue.fits_integers();
    let mut values = epilogue.values_of_panels(panels);
    let mut first_row = 0;
    while let Some(sums) = tiles.next() {
        let rows = sums.len() / panels_of_row;
        let mut output = output.part(first_row..first_row + rows, 0..columns);
        // So many rows make a vector of bytes.
        let rows_of_group = 4 / V;
        let simple_rows = match are_simple {
            true if F::ADDS => values.whole_rows().min(rows),
            true => rows,
            false => 0,
        };
        let (simple, special) = sums.split_at(simple_rows / rows_of_group * rows_of_group * panels_of_row);
        for (i, sums) in simple.chunks_exact(rows_of_group * panels_of_row).enumerate() {
            let row = |j| i * rows_of_group + j;
            let added = |j| values.whole_row(row(j));
            let bytes = round::<S, V, _>(isa, sums, added, limits, &formula);
            for j in 0..rows_of_group {
                isa.store_bytes(bytes, j * V * S::LANES, &mut output.row_mut(row(j))[..V * S::LANES]);
            }
        }
        for (i, sums) in special.chunks(rows_of_group * panels_of_row).enumerate() {
            // Instead of rows that do not exist the last one again.
            let existing = |j: usize| j.min(sums.len() / panels_of_row - 1);
            let row = |j| simple.len() / panels_of_row + i * rows_of_group + existing(j);
            let mut copies = [[0; PANEL]; 4];
            let mut added = [[0; PANEL]; 4];
            for j in 0..rows_of_group {
                let panels = j * panels_of_row..(j + 1) * panels_of_row;
                copies[panels.clone()].copy_from_slice(&sums[existing(j) * panels_of_row..][..panels_of_row]);
                if F::ADDS {
                    let values = values.row(row(j));
                    added[panels].as_flattened_mut()[..values.len()].copy_from_slice(values);
                }
            }
            let added = |j| &added[j * panels_of_row..];
            let bytes = round::<S, V, _>(isa, &copies, added, limits, &AtMostInteger(&formula));
            for j in 0..rows_of_group {
                isa.store_bytes(bytes, j * V * S::LANES, output.row_mut(row(j)));
            }
        }
        first_row += rows;
        if F::ADDS {
            values.skip_rows(rows);
        }
    }
}

/// Rounds as many rows as make a vector of bytes; `added` gives what is added to each, panel by panel.
#[inline(always)]
fn round<'v, S: FloatVectors, const V: usize, F: Formula<S>>(
    isa: S,
    sums: &[Sums],
    added: impl Fn(usize) -> &'v [[u8; PANEL]],
    Limits { offset, low, high }: Limits,
    formula: &F,
) -> S::Bytes {
    let mut integers = [isa.splat_integer(0); 4];
    for (i, integers) in integers.iter_mut().enumerate() {
        let (panel, part) = vector_of_panels::<S>(i);
        let sums = isa.load_integers(&sums[panel], part);
        let (panel, part) = vector_of_panels::<S>(i % V);
        let added = match F::ADDS {
            true => isa.load_bytes(&added(i / V)[panel], part),
            false => isa.splat_integer(0),
        };
        *integers = isa.to_integers(formula.value(isa, i % V, sums, added));
    }
    isa.to_bytes(integers, offset as i16, low as u8, high as u8)
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
    use crate::conv::Residual;
    use crate::gemm::Epilogue;
    use crate::isa::Isa;
    use crate::kernels::TileSize;
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
            (columns, sums) in (1..=2_usize, 1..=11_usize).prop_flat_map(|(panels, rows)| {
                let sums = prop::collection::vec(prop::array::uniform16(sum()), rows * panels);
                ((panels - 1) * PANEL + 1..=panels * PANEL, sums)
            }),
            accumulator_exponent in prop_oneof![-14.0_f32..-4.0, -34.0_f32..2.0, -126.0_f32..100.0],
            bias in prop_oneof![9 => prop::array::uniform32(-50.0_f32..50.0), 1 => prop::array::uniform32(-1e30_f32..1e30)],
            [a, b, output] in [qparams(), qparams(), qparams()],
            (requantized, clamp) in (
                qparams(),
                prop_oneof![Just([0, 255]), any::<[u8; 2]>().prop_map(|[a, b]| [a.min(b), a.max(b)])],
            ),
            relu in any::<[bool; 2]>(),
            values in prop::collection::vec(any::<u8>(), 11 * 2 * PANEL),
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
            let epilogue = requantize(kind, &requantization, values, qparams);
            let mut expected = vec![0; values.len()];
            for (sums, (row, output)) in sums.chunks(panels).zip(expected.chunks_exact_mut(columns).enumerate()) {
                epilogue.finish(row, 0, &sums.as_flattened()[..columns], output);
            }
            for isa in Isa::available().filter(|&isa| TileSize::of(isa).is_none_or(|tile| panels <= tile.panels)) {
                let mut actual = vec![0; values.len()];
                let panels = Panels { count: panels, first_row: 0, first_column: 0 };
                let output = OutputRows::new(&mut actual, columns, columns);
                epilogue.finish_tiles(isa, &panels, &mut Some(sums.as_slice()), output);
                prop_assert_eq!(&actual, &expected, "{}", isa);
            }
        }
    }
}
