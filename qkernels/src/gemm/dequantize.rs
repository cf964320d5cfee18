//! Sums that become floats while they are in cache.

use std::array::from_fn;

use crate::epilogue::{Epilogue, Panels, Tiles};
use crate::isa::{Isa, Pass};
use crate::linear::Dequantization;
use crate::output_rows::OutputRows;
use crate::panel::{PANEL, Sums};

/// The most panels whose sums come together.
const MAX_PANELS: usize = 4;

/// Turns the sums of a layer into floats.
pub(crate) struct Dequantize<'a>(pub(crate) Dequantization<'a>);

impl Dequantize<'_> {
    /// Multiplier and bias of a column; adding -0 changes nothing, not even a zero.
    #[inline(always)]
    fn affine(&self, column: usize) -> [f32; 2] {
        let Dequantization { multipliers, bias, .. } = self.0;
        let multiplier = if let [multiplier] = multipliers { *multiplier } else { multipliers[column] };
        [multiplier, bias.map_or(-0.0, |bias| bias[column])]
    }

    /// What no value is below; NaN stays.
    fn low(&self) -> f32 {
        if self.0.relu { 0.0 } else { f32::NEG_INFINITY }
    }
}

#[inline(always)]
fn value<const FUSED: bool>(sum: f32, multiplier: f32, bias: f32, low: f32) -> f32 {
    let value = if FUSED { sum.mul_add(multiplier, bias) } else { sum * multiplier + bias };
    if value < low { low } else { value }
}

impl Epilogue for Dequantize<'_> {
    type Output = f32;

    fn finish(&self, row: usize, first_column: usize, sums: &[i32], output: &mut [f32]) {
        for ((column, &sum), output) in (first_column..).zip(sums).zip(output) {
            self.finish_wide(row, column, sum.into(), output);
        }
    }

    fn finish_wide(&self, _: usize, column: usize, sum: i64, output: &mut f32) {
        let [multiplier, bias] = self.affine(column);
        *output = if self.0.fused {
            value::<true>(sum as f32, multiplier, bias, self.low())
        } else {
            value::<false>(sum as f32, multiplier, bias, self.low())
        };
    }

    fn finish_tiles(&self, isa: Isa, panels: &Panels, tiles: &mut dyn Tiles, output: OutputRows<'_, f32>) {
        assert!(panels.count <= MAX_PANELS);
        let mut constants = [([0.0; PANEL], [0.0; PANEL]); MAX_PANELS];
        for column in 0..output.columns() {
            let (multipliers, biases) = &mut constants[column / PANEL];
            [multipliers[column % PANEL], biases[column % PANEL]] = self.affine(panels.first_column + column);
        }
        let constants = &constants[..panels.count];
        let low = self.low();
        if self.0.fused {
            isa.run_pass(DequantizeTiles::<true> { constants, low, tiles, output });
        } else {
            isa.run_pass(DequantizeTiles::<false> { constants, low, tiles, output });
        }
    }
}

struct DequantizeTiles<'a, const FUSED: bool> {
    /// Multipliers and biases of each panel.
    constants: &'a [([f32; PANEL], [f32; PANEL])],
    low: f32,
    tiles: &'a mut dyn Tiles,
    output: OutputRows<'a, f32>,
}

impl<const FUSED: bool> Pass for DequantizeTiles<'_, FUSED> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let mut row = 0;
        while let Some(sums) = self.tiles.next() {
            for sums in sums.chunks_exact(self.constants.len()) {
                let output = self.output.row_mut(row).chunks_mut(PANEL);
                for ((sums, constants), output) in sums.iter().zip(self.constants).zip(output) {
                    let values = panel::<FUSED>(sums, constants, self.low);
                    match output.first_chunk_mut() {
                        Some(output) => *output = values,
                        None => output.copy_from_slice(&values[..output.len()]),
                    }
                }
                row += 1;
            }
        }
    }
}

/// The values of a row's sums with a panel, in vectors.
#[inline(always)]
fn panel<const FUSED: bool>(
    sums: &Sums,
    (multipliers, biases): &([f32; PANEL], [f32; PANEL]),
    low: f32,
) -> [f32; PANEL] {
    from_fn(|i| value::<FUSED>(sums[i] as f32, multipliers[i], biases[i], low))
}
