//! Rows of few columns that follow each other, requantized as if they were one.

use super::formula::{AtMostInteger, Fbgemm, Formula, Onednn, Qnnpack, WithResidual};
use super::limits::Limits;
use super::rows::round;
use super::{FloatVectors, vector_of_panels};
use crate::epilogue::{Addition, Requantize};
use crate::panel::{PANEL, Sums};
use crate::quantizer::Quantizer;
use crate::requantize::{Channels, Requantization};

/// Panels of as many elements as a vector of bytes has, at most.
const PANELS: usize = 4;

/// Vectors of floats for a vector of bytes.
const V: usize = 4;

/// [`Epilogue::finish_rows`](crate::epilogue::Epilogue::finish_rows) of [`Requantize`].
#[inline(always)]
pub(in crate::kernels) fn requantize_rows<S: FloatVectors>(
    isa: S,
    epilogue: &Requantize<'_>,
    first_row: usize,
    sums: &[i32],
    output: &mut [u8],
) {
    let Requantization { zero_point, ref channels, .. } = *epilogue.requantization;
    let count = epilogue.requantization.channels();
    let rows = Rows { isa, epilogue, first_row, sums, channels: count, step: PANEL % count };
    let before = Limits::before_zero_point(epilogue.requantization);
    match channels {
        Channels::Fbgemm { bias, multiplier } => rows.finish(
            before,
            output,
            #[inline(always)]
            |columns| Fbgemm::<S, V> {
                bias: load_floats(isa, bias, columns),
                multiplier: load_floats(isa, multiplier, columns),
            },
        ),
        Channels::Qnnpack { bias, multiplier } => rows.finish(
            before,
            output,
            #[inline(always)]
            |columns| Qnnpack::<S, V> {
                bias: load_integers(isa, bias, columns),
                multiplier: load_floats(isa, multiplier, columns),
            },
        ),
        Channels::Onednn { scale, bias, inverse_output_scale } => {
            let after = Limits { offset: 0, ..before };
            rows.finish(
                after,
                output,
                #[inline(always)]
                |columns| Onednn::<S, V> {
                    scale: load_floats(isa, scale, columns),
                    bias: load_floats(isa, bias, columns),
                    inverse_output_scale: isa.splat(*inverse_output_scale),
                    zero_point: isa.splat(zero_point as f32),
                },
            );
        }
    }
}

/// The constants of sixteen columns from `column` on; behind the last one come the first ones again.
#[inline(always)]
fn panel_at<T>(constants: &[T], column: usize) -> &[T; PANEL] {
    match constants[column..].first_chunk() {
        Some(panel) => panel,
        None => unreachable!("constants are filled up by a panel"),
    }
}

#[inline(always)]
fn load_floats<S: FloatVectors>(isa: S, constants: &[f32], columns: [usize; PANELS]) -> [S::Floats; V] {
    let mut vectors = [isa.splat(0.0); V];
    for (i, vector) in vectors.iter_mut().enumerate() {
        let (panel, v) = vector_of_panels::<S>(i);
        *vector = isa.load_floats(panel_at(constants, columns[panel]), v);
    }
    vectors
}

#[inline(always)]
fn load_integers<S: FloatVectors>(isa: S, constants: &[i32], columns: [usize; PANELS]) -> [S::Integers; V] {
    let mut vectors = [isa.splat_integer(0); V];
    for (i, vector) in vectors.iter_mut().enumerate() {
        let (panel, v) = vector_of_panels::<S>(i);
        *vector = isa.load_integers(panel_at(constants, columns[panel]), v);
    }
    vectors
}

struct Rows<'a, S> {
    isa: S,
    epilogue: &'a Requantize<'a>,
    first_row: usize,
    sums: &'a [i32],
    channels: usize,
    /// By how many columns a panel begins behind the one before it.
    step: usize,
}

impl<S: FloatVectors> Rows<'_, S> {
    /// `formula` has the constants of panels that begin at some columns.
    #[inline(always)]
    fn finish<F: Formula<S>>(
        &self,
        limits: Limits,
        output: &mut [u8],
        formula: impl Fn([usize; PANELS]) -> F,
    ) {
        let Some(Addition { residual, quantizer }) = &self.epilogue.addition else {
            return self.store(limits, output, formula);
        };
        let Quantizer { inverse_scale, zero_point, low, high } = *quantizer;
        let inverse_scale = self.isa.splat(inverse_scale);
        self.store(
            Limits { offset: zero_point, low, high },
            output,
            #[inline(always)]
            |columns| WithResidual {
                formula: formula(columns),
                limits,
                qparams: residual.qparams,
                inverse_scale,
            },
        );
    }

    /// Rounds as many sums as make a vector of bytes; `column` is that of the first, and then of the next ones.
    #[inline(always)]
    fn round<F: Formula<S>>(
        &self,
        sums: &[Sums],
        added: &[[u8; PANEL]],
        column: &mut usize,
        limits: Option<Limits>,
        formula: &impl Fn([usize; PANELS]) -> F,
    ) -> S::Bytes {
        let isa = self.isa;
        let mut columns = [0; PANELS];
        for panel_column in &mut columns[..V * S::LANES / PANEL] {
            *panel_column = *column;
            let next = *column + self.step;
            *column = if next < self.channels { next } else { next - self.channels };
        }
        let formula = formula(columns);
        if self.epilogue.fits_integers() {
            round::<S, V, _>(
                isa,
                sums,
                #[inline(always)]
                |_| added,
                limits,
                &formula,
            )
        } else {
            round::<S, V, _>(
                isa,
                sums,
                #[inline(always)]
                |_| added,
                limits,
                &AtMostInteger(&formula),
            )
        }
    }

    /// Writes `clamp(rne(value) + offset, low, high)` of each sum.
    #[inline(always)]
    fn store<F: Formula<S>>(
        &self,
        limits: Limits,
        output: &mut [u8],
        formula: impl Fn([usize; PANELS]) -> F,
    ) {
        let Self { isa, epilogue, first_row, sums, channels, .. } = *self;
        assert_eq!(sums.len(), output.len());
        let added = epilogue
            .addition
            .as_ref()
            .map_or(&[][..], |addition| &addition.residual.values[first_row * channels..][..sums.len()]);
        let limits = limits.unless_of_bytes();
        let panels = V * S::LANES / PANEL;
        let mut column = 0;
        let (groups, last) = sums.as_chunks::<PANEL>();
        let whole = groups.len() / panels * panels;
        let mut outputs = output.chunks_mut(panels * PANEL);
        let mut added = added;
        for (sums, output) in groups[..whole].chunks_exact(panels).zip(&mut outputs) {
            let bytes = self.round(sums, added.as_chunks().0, &mut column, limits, &formula);
            isa.store_vector(bytes, output);
            added = added.get(panels * PANEL..).unwrap_or_default();
        }
        if let Some(output) = outputs.next() {
            let mut sums = [[0; PANEL]; PANELS];
            let rest = groups[whole..].as_flattened().iter().chain(last);
            sums.as_flattened_mut().iter_mut().zip(rest).for_each(|(to, sum)| *to = *sum);
            let mut more = [[0; PANEL]; PANELS];
            more.as_flattened_mut()[..added.len()].copy_from_slice(added);
            let bytes = self.round(&sums, &more, &mut column, limits, &formula);
            for (panel, output) in output.chunks_mut(PANEL).enumerate() {
                isa.store_bytes(bytes, panel * PANEL, output);
            }
        }
    }
}
