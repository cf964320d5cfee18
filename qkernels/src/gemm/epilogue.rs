//! What becomes of the sums: kept, or requantized to bytes while they are in cache.

use crate::conv::{Addend, Residual};
use crate::elementwise::BinaryQParams;
use crate::error::{Error, Result};
use crate::isa::Isa;
use crate::kernels::{self, Sums};
use crate::length;
use crate::qparams::QuantizedInteger;
use crate::quantize::Quantizer;
use crate::requantize::Requantization;

/// What becomes of the sums.
pub(crate) trait Epilogue: Sync {
    /// Element of the output.
    type Output: Copy + Default + Send;

    /// Turns sums of `row`, in columns from `first_column` on, into output.
    fn finish(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [Self::Output]);

    /// [`finish`](Self::finish) for a whole panel: `sums` of the rows from `first_row` on, `output` from
    /// the panel's first column on, with `width` elements from one row to the next.
    fn finish_panel(&self, _: Isa, panel: &FinishedPanel<'_>, output: &mut [Self::Output]) {
        finish_by_rows(self, panel, output);
    }
}

/// The sums of some rows with one panel, and where they belong.
pub(crate) struct FinishedPanel<'a> {
    pub(crate) sums: &'a [Sums],
    pub(crate) first_row: usize,
    pub(crate) first_column: usize,
    /// How many of the panel's columns exist.
    pub(crate) columns: usize,
    /// Elements from one output row to the next.
    pub(crate) width: usize,
}

/// Finishes a panel row by row.
fn finish_by_rows<E: Epilogue + ?Sized>(epilogue: &E, panel: &FinishedPanel<'_>, output: &mut [E::Output]) {
    for (i, sums) in panel.sums.iter().enumerate() {
        let output = &mut output[i * panel.width..][..panel.columns];
        epilogue.finish(panel.first_row + i, panel.first_column, &sums[..panel.columns], output);
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

impl Epilogue for Requantization {
    type Output = u8;

    fn finish(&self, _row: usize, first_column: usize, sums: &[i32], output: &mut [u8]) {
        self.requantize_row(first_column, sums, output);
    }

    fn finish_panel(&self, isa: Isa, panel: &FinishedPanel<'_>, output: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = isa.avx2() {
            return kernels::avx2::requantize_panel(avx2, self, None, panel, output);
        }
        finish_by_rows(self, panel, output);
    }
}

/// A fused addition and the requantization around it; only onednn's formula has one.
pub(crate) struct AddAndRequantize<'a> {
    pub(crate) requantization: &'a Requantization,
    pub(crate) addend: Addend<'a>,
    pub(crate) out_channels: usize,
}

impl AddAndRequantize<'_> {
    /// The other operand of `len` outputs from `column` of `row` on.
    pub(crate) fn addend(&self, row: usize, column: usize, len: usize) -> &[u8] {
        &self.addend.values[row * self.out_channels + column..][..len]
    }
}

impl Epilogue for AddAndRequantize<'_> {
    type Output = u8;

    fn finish(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [u8]) {
        let addend = self.addend(row, first_column, sums.len());
        let qparams = self.addend.qparams;
        self.requantization.requantize_row_add(first_column, sums, addend, qparams, output);
    }

    fn finish_panel(&self, isa: Isa, panel: &FinishedPanel<'_>, output: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = isa.avx2() {
            return kernels::avx2::requantize_panel(avx2, self.requantization, Some(self), panel, output);
        }
        finish_by_rows(self, panel, output);
    }
}

/// A requantization followed by an addition, each with its own rounding.
pub(crate) struct RequantizeAndAdd<'a> {
    requantization: &'a Requantization,
    /// `[rows, columns]`.
    values: &'a [u8],
    qparams: BinaryQParams,
    quantizer: Quantizer,
}

impl<'a> RequantizeAndAdd<'a> {
    /// For outputs of `len` elements.
    pub(crate) fn new(
        requantization: &'a Requantization,
        residual: Residual<'a>,
        len: usize,
    ) -> Result<Self> {
        let Residual { values, qparams } = residual;
        length::check("residual", values, len)?;
        qparams.check::<u8>()?;
        if [qparams.a, qparams.b].iter().any(|operand| !(operand.scale * 255.0).is_finite()) {
            return Err(Error::parameter("the scale of an addend is too large for its values to be finite"));
        }
        let quantizer = Quantizer::with_relu::<u8>(qparams.output, qparams.relu)?;
        Ok(Self { requantization, values, qparams, quantizer })
    }
}

impl Epilogue for RequantizeAndAdd<'_> {
    type Output = u8;

    fn finish(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [u8]) {
        self.requantization.requantize_row(first_column, sums, output);
        let first = row * self.requantization.channels() + first_column;
        let BinaryQParams { a, b, .. } = self.qparams;
        for (output, value) in output.iter_mut().zip(&self.values[first..]) {
            let sum = a.dequantize(output.to_i32()) + b.dequantize(value.to_i32());
            *output = self.quantizer.quantize(sum);
        }
    }
}
