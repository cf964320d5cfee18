//! The output of the sums: the sums themselves, or bytes, requantized while the sums are in cache.

use crate::error::{Error, Result};
use crate::isa::Isa;
use crate::length;
use crate::output_rows::OutputRows;
#[cfg(target_arch = "x86_64")]
use crate::panel::PANEL;
use crate::panel::Sums;
#[cfg(target_arch = "x86_64")]
use crate::prefetch::prefetch;
use crate::qparams::QuantizedInteger;
use crate::quantizer::Quantizer;
use crate::requantize::Requantization;
use crate::residual::Residual;

/// Turns sums into output.
pub(crate) trait Epilogue: Sync {
    /// Element of the output.
    type Output: Copy + Default + Send;

    /// Turns sums of `row`, in columns from `first_column` on, into output: the definition.
    fn finish(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [Self::Output]);

    /// [`finish`](Self::finish) of one sum, of a layer so deep that its sums may leave `i32`.
    fn finish_wide(&self, row: usize, column: usize, sum: i64, output: &mut Self::Output);

    /// [`finish`](Self::finish) for all tiles of some panels; `output` holds as many rows, and the columns that
    /// exist.
    fn finish_tiles(
        &self,
        _: Isa,
        panels: &Panels,
        tiles: &mut dyn Tiles,
        output: OutputRows<'_, Self::Output>,
    ) {
        finish_by_rows(self, panels, tiles, output);
    }

    /// [`finish`](Self::finish) for the rows from `first_row` on, `sums` and `output` being `[rows][columns]`, all of
    /// the columns.
    fn finish_rows(
        &self,
        _: Isa,
        first_row: usize,
        columns: usize,
        sums: &[i32],
        output: &mut [Self::Output],
    ) {
        let rows = sums.chunks_exact(columns).zip(output.chunks_exact_mut(columns));
        for (row, (sums, output)) in rows.enumerate() {
            self.finish(first_row + row, 0, sums, output);
        }
    }
}

/// A panel or two, and where their sums belong.
#[derive(Clone, Copy)]
pub(crate) struct Panels {
    pub(crate) count: usize,
    pub(crate) first_row: usize,
    pub(crate) first_column: usize,
}

/// The sums of some panels with many rows, a few rows at a time: while the sums of a tile become output, the
/// processor is multiplying the next one.
pub(crate) trait Tiles {
    /// The sums `[rows][panels]` of the next rows.
    fn next(&mut self) -> Option<&[Sums]>;
}

/// All rows at once.
impl Tiles for Option<&[Sums]> {
    fn next(&mut self) -> Option<&[Sums]> {
        self.take()
    }
}

/// [`Epilogue::finish_tiles`] by the definition, row by row.
pub(crate) fn finish_by_rows<E: Epilogue + ?Sized>(
    epilogue: &E,
    panels: &Panels,
    tiles: &mut dyn Tiles,
    mut output: OutputRows<'_, E::Output>,
) {
    let columns = output.columns();
    let mut row = 0;
    while let Some(sums) = tiles.next() {
        for sums in sums.chunks_exact(panels.count) {
            let sums = &sums.as_flattened()[..columns];
            epilogue.finish(panels.first_row + row, panels.first_column, sums, output.row_mut(row));
            row += 1;
        }
    }
}

/// Keeps the sums.
pub(crate) struct KeepSums;

impl Epilogue for KeepSums {
    type Output = i32;

    fn finish(&self, _: usize, _: usize, sums: &[i32], output: &mut [i32]) {
        output.copy_from_slice(sums);
    }

    fn finish_wide(&self, _: usize, _: usize, sum: i64, output: &mut i32) {
        *output = sum.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
    }
}

/// Requantizes the sums of a layer, in the same pass as an addition.
pub(crate) struct Requantize<'a> {
    pub(crate) requantization: &'a Requantization,
    pub(crate) addition: Option<Addition<'a>>,
    /// The bound of the magnitude of the values that are rounded last.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "the definition does not ask whether all fits into integers")
    )]
    largest: f32,
}

/// The addition to the requantized sums, with the quantizer of its results.
pub(crate) struct Addition<'a> {
    pub(crate) residual: Residual<'a>,
    pub(crate) quantizer: Quantizer,
}

impl<'a> Requantize<'a> {
    pub(crate) fn new(requantization: &'a Requantization) -> Self {
        Self { requantization, addition: None, largest: requantization.largest }
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
        Ok(Self { requantization, addition: Some(Addition { residual, quantizer }), largest })
    }

    /// [`Epilogue::finish`]: the definition.
    pub(crate) fn finish_row(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [u8]) {
        self.requantization.requantize_row(first_column, sums, output);
        self.add_to_row(row, first_column, output);
    }

    /// The addition, if there is one, to outputs of `row` from `first_column` on.
    pub(crate) fn add_to_row(&self, row: usize, first_column: usize, output: &mut [u8]) {
        if let Some(Addition { residual: Residual { values, qparams }, quantizer }) = &self.addition {
            let values = self.values_from(values, row, first_column);
            for (output, value) in output.iter_mut().zip(values) {
                let [a, b] = [qparams.a.dequantize(output.to_i32()), qparams.b.dequantize(value.to_i32())];
                *output = quantizer.quantize(a + b);
            }
        }
    }

    /// Whether all that is rounded fits into integers: for all sums, if the multipliers of a layer are less than a
    /// half, as those of real layers are.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn fits_integers(&self) -> bool {
        // A factor of two is left for zero points and for the rounding of the steps.
        self.largest < 1_073_741_824.0
    }

    /// The part of `values`, which are of the shape of the output, from `column` of `row` on.
    fn values_from<'v>(&self, values: &'v [u8], row: usize, column: usize) -> &'v [u8] {
        &values[row * self.requantization.channels() + column..]
    }

    /// The values that are added to some panels.
    #[cfg(target_arch = "x86_64")]
    #[inline(always)]
    pub(crate) fn values_of_panels(&self, panels: &Panels) -> PanelValues<'_> {
        let values = self.addition.as_ref().map_or(&[][..], |addition| addition.residual.values);
        let row_stride = self.requantization.channels();
        let values = values.get(panels.first_row * row_stride + panels.first_column..).unwrap_or_default();
        PanelValues::new(values, panels.count, row_stride)
    }
}

/// Values that are added to the sums of some panels, in rows.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(crate) struct PanelValues<'a> {
    values: &'a [u8],
    panels: usize,
    row_stride: usize,
    whole_rows: usize,
}

#[cfg(target_arch = "x86_64")]
impl<'a> PanelValues<'a> {
    #[inline(always)]
    fn new(values: &'a [u8], panels: usize, row_stride: usize) -> Self {
        let whole_rows = values.len().checked_sub(panels * PANEL).map_or(0, |last| last / row_stride + 1);
        Self { values, panels, row_stride, whole_rows }
    }

    /// Leaves the first rows out.
    #[inline(always)]
    pub(crate) fn skip_rows(&mut self, rows: usize) {
        self.values = self.values.get(rows * self.row_stride..).unwrap_or_default();
        self.whole_rows = self.whole_rows.saturating_sub(rows);
    }

    /// Rows that can be read in whole panels: all, but for the last ones of a tensor with another number of channels.
    pub(crate) fn whole_rows(&self) -> usize {
        self.whole_rows
    }

    /// One of the [`whole_rows`](Self::whole_rows), panel by panel; values of columns that do not exist are
    /// arbitrary.
    #[inline(always)]
    pub(crate) fn whole_row(&self, row: usize) -> &'a [[u8; PANEL]] {
        assert!(row < self.whole_rows);
        // SAFETY: `row * row_stride + panels * PANEL` is at most the length, by the quotient that is `whole_rows`.
        unsafe {
            let start = self.values.as_ptr().add(row * self.row_stride);
            std::slice::from_raw_parts(start.cast(), self.panels)
        }
    }

    /// Brings a row, as far as it is in one line, into the cache.
    #[inline(always)]
    pub(crate) fn prefetch(&self, row: usize) {
        prefetch(self.values.as_ptr().wrapping_add(row * self.row_stride));
    }

    /// The existing values of a row, from its first column on.
    pub(crate) fn row(&self, row: usize) -> &'a [u8] {
        let values = self.values.get(row * self.row_stride..).unwrap_or_default();
        &values[..values.len().min(self.panels * PANEL)]
    }
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
