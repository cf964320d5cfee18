//! What becomes of the sums: kept, or requantized to bytes while they are in cache.

use super::output::OutputRows;
use super::pack::PANEL;
use crate::conv::{Addend, Residual};
use crate::error::{Error, Result};
use crate::isa::Isa;
use crate::kernels::Sums;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};
use crate::length;
use crate::qparams::QuantizedInteger;
use crate::quantize::Quantizer;
use crate::requantize::{Channels, Requantization, no_fused_add};

/// What becomes of the sums.
pub(crate) trait Epilogue: Sync {
    /// Element of the output.
    type Output: Copy + Default + Send;

    /// Turns sums of `row`, in columns from `first_column` on, into output: the definition.
    fn finish(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [Self::Output]);

    /// [`finish`](Self::finish) for a panel; `output` holds as many rows, and the columns that exist.
    fn finish_panel(&self, _: Isa, panel: &FinishedPanel<'_>, output: OutputRows<'_, Self::Output>) {
        finish_by_rows(self, panel, output);
    }
}

/// The sums of some rows with one panel, and where they belong.
#[derive(Clone, Copy)]
pub(crate) struct FinishedPanel<'a> {
    pub(crate) sums: &'a [Sums],
    pub(crate) first_row: usize,
    pub(crate) first_column: usize,
}

fn finish_by_rows<E: Epilogue + ?Sized>(
    epilogue: &E,
    panel: &FinishedPanel<'_>,
    mut output: OutputRows<'_, E::Output>,
) {
    let columns = output.columns();
    for (row, (sums, output)) in (panel.first_row..).zip(panel.sums.iter().zip(output.rows_mut())) {
        epilogue.finish(row, panel.first_column, &sums[..columns], output);
    }
}

/// Keeps the sums.
pub(crate) struct KeepSums;

impl Epilogue for KeepSums {
    type Output = i32;

    fn finish(&self, _: usize, _: usize, sums: &[i32], output: &mut [i32]) {
        output.copy_from_slice(sums);
    }
}

/// Requantizes the sums of a layer, in the same pass as an addition.
pub(crate) struct Requantize<'a> {
    pub(crate) requantization: &'a Requantization,
    pub(crate) addition: Addition<'a>,
    /// What is rounded last is no larger in magnitude.
    largest: f32,
}

/// Whether something is added, and when; values are of the shape of the output.
pub(crate) enum Addition<'a> {
    Nothing,
    /// Before the sums are rounded; only onednn's formula has it.
    Addend(Addend<'a>),
    /// After they are rounded.
    Residual(Residual<'a>, Quantizer),
}

impl<'a> Requantize<'a> {
    pub(crate) fn new(requantization: &'a Requantization) -> Self {
        Self { requantization, addition: Addition::Nothing, largest: requantization.largest }
    }

    /// For an output of `len` elements.
    pub(crate) fn with_addend(
        requantization: &'a Requantization,
        addend: Addend<'a>,
        len: usize,
    ) -> Result<Self> {
        length::check("addend", addend.values, len)?;
        addend.qparams.check::<u8>()?;
        let Channels::Onednn { inverse_output_scale, .. } = requantization.channels else {
            return Err(no_fused_add());
        };
        let largest = requantization.largest + largest_value(addend.qparams.scale)? * inverse_output_scale;
        Ok(Self { requantization, addition: Addition::Addend(addend), largest })
    }

    /// For an output of `len` elements.
    pub(crate) fn with_residual(
        requantization: &'a Requantization,
        residual: Residual<'a>,
        len: usize,
    ) -> Result<Self> {
        let Residual { values, qparams } = residual;
        length::check("residual", values, len)?;
        qparams.check::<u8>()?;
        let largest = largest_value(qparams.a.scale)? + largest_value(qparams.b.scale)?;
        let quantizer = Quantizer::with_relu::<u8>(qparams.output, qparams.relu)?;
        let largest = largest * quantizer.inverse_scale;
        Ok(Self { requantization, addition: Addition::Residual(residual, quantizer), largest })
    }

    /// Whether all that is rounded fits into integers: for all sums, if the multipliers of a layer are less than a
    /// half, as those of real layers are.
    fn fits_integers(&self) -> bool {
        // A factor of two is left for zero points and for the rounding of the steps.
        self.largest < 1_073_741_824.0
    }

    /// The part of `values`, which are of the shape of the output, from `column` of `row` on.
    fn values_from<'v>(&self, values: &'v [u8], row: usize, column: usize) -> &'v [u8] {
        &values[row * self.requantization.channels() + column..]
    }

    /// The values of a panel that [`has_whole_vectors`](Self::has_whole_vectors).
    #[inline(always)]
    pub(crate) fn values_of_panel<'v>(&self, values: &'v [u8], panel: &FinishedPanel<'_>) -> PanelValues<'v> {
        let values = self.values_from(values, panel.first_row, panel.first_column);
        PanelValues { values, pitch: self.requantization.channels() }
    }

    /// Whether the values that are added can be read in vectors of [`PANEL`]: always, but for the last ones of a
    /// tensor with another number of channels.
    fn has_whole_vectors(&self, panel: &FinishedPanel<'_>) -> bool {
        let values = match &self.addition {
            Addition::Nothing => return true,
            Addition::Addend(addend) => addend.values,
            Addition::Residual(residual, _) => residual.values,
        };
        let last_row = panel.first_row + panel.sums.len().saturating_sub(1);
        self.values_from(values, last_row, panel.first_column).len() >= PANEL
    }
}

/// Values that are added to the sums of a panel.
#[derive(Clone, Copy)]
pub(crate) struct PanelValues<'a> {
    values: &'a [u8],
    pitch: usize,
}

impl<'a> PanelValues<'a> {
    /// Those of a row of the panel; arbitrary in rows and columns that do not exist.
    #[inline(always)]
    pub(crate) fn row(&self, row: usize) -> &'a [u8; PANEL] {
        self.values.get(row * self.pitch..).and_then(<[u8]>::first_chunk).unwrap_or_else(|| missing_values())
    }
}

/// A function, so that the fast path has a branch and not a choice of addresses, on which the loads would wait.
#[cold]
fn missing_values() -> &'static [u8; PANEL] {
    &[0; PANEL]
}

/// The largest value of that scale; an error if it is infinite, so that no sum of two is NaN.
fn largest_value(scale: f32) -> Result<f32> {
    let largest = scale * 255.0;
    if largest.is_finite() {
        Ok(largest)
    } else {
        Err(Error::parameter("the scale of an addend is too large for its values to be finite"))
    }
}

impl Epilogue for Requantize<'_> {
    type Output = u8;

    fn finish(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [u8]) {
        match &self.addition {
            Addition::Nothing => self.requantization.requantize_row(first_column, sums, output),
            Addition::Addend(Addend { values, qparams }) => {
                let values = self.values_from(values, row, first_column);
                self.requantization.requantize_row_add(first_column, sums, values, *qparams, output);
            }
            Addition::Residual(Residual { values, qparams }, quantizer) => {
                self.requantization.requantize_row(first_column, sums, output);
                let values = self.values_from(values, row, first_column);
                for (output, value) in output.iter_mut().zip(values) {
                    let [a, b] =
                        [qparams.a.dequantize(output.to_i32()), qparams.b.dequantize(value.to_i32())];
                    *output = quantizer.quantize(a + b);
                }
            }
        }
    }

    fn finish_panel(&self, isa: Isa, panel: &FinishedPanel<'_>, output: OutputRows<'_, u8>) {
        match isa {
            _ if !(self.fits_integers() && self.has_whole_vectors(panel)) => {
                finish_by_rows(self, panel, output)
            }
            Isa::Scalar => finish_by_rows(self, panel, output),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512Vnni(proof) => avx512::requantize_panel(proof, self, panel, output),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2(proof) => avx2::requantize_panel(proof, self, panel, output),
            #[cfg(target_arch = "x86_64")]
            Isa::AvxVnni(proof) => avx2::requantize_panel(proof.avx2(), self, panel, output),
        }
    }
}
