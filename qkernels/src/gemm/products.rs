//! Sums of products of two activations that become integers while they are in cache.

use std::marker::PhantomData;

use crate::epilogue::{Epilogue, Panels, Tiles};
use crate::error::Result;
use crate::isa::{Isa, Pass};
use crate::output_rows::OutputRows;
use crate::panel::PANEL;
use crate::qparams::{BinaryQParams, EightBit};
use crate::quantizer::Quantizer;

/// Turns the sums of a product into integers: `Q(f32(f64(acc) * sa * sb))`.
pub(crate) struct QuantizeProducts<T> {
    scales: [f64; 2],
    quantizer: Quantizer,
    integer: PhantomData<T>,
}

impl<T: EightBit> QuantizeProducts<T> {
    /// # Errors
    /// If a scale or a zero point is not one of `T`.
    pub(crate) fn new(qparams: &BinaryQParams) -> Result<Self> {
        qparams.check::<T>()?;
        let scales = [qparams.a.scale, qparams.b.scale].map(f64::from);
        let quantizer = Quantizer::with_relu::<T>(qparams.output, qparams.relu)?;
        Ok(Self { scales, quantizer, integer: PhantomData })
    }

    #[inline(always)]
    fn quantize(&self, sum: f64) -> T {
        self.quantizer.quantize((sum * self.scales[0] * self.scales[1]) as f32)
    }
}

impl<T: EightBit> Epilogue for QuantizeProducts<T> {
    type Output = T;

    fn finish(&self, _: usize, _: usize, sums: &[i32], output: &mut [T]) {
        for (output, &sum) in output.iter_mut().zip(sums) {
            *output = self.quantize(sum.into());
        }
    }

    fn finish_wide(&self, _: usize, _: usize, sum: i64, output: &mut T) {
        *output = self.quantize(sum as f64);
    }

    fn finish_tiles(&self, isa: Isa, panels: &Panels, tiles: &mut dyn Tiles, output: OutputRows<'_, T>) {
        isa.run_pass(QuantizeTiles { epilogue: self, panels: panels.count, tiles, output });
    }
}

struct QuantizeTiles<'a, T> {
    epilogue: &'a QuantizeProducts<T>,
    panels: usize,
    tiles: &'a mut dyn Tiles,
    output: OutputRows<'a, T>,
}

impl<T: EightBit> Pass for QuantizeTiles<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        let mut row = 0;
        while let Some(sums) = self.tiles.next() {
            for sums in sums.chunks_exact(self.panels) {
                for (sums, output) in sums.iter().zip(self.output.row_mut(row).chunks_mut(PANEL)) {
                    let values = sums.map(|sum| self.epilogue.quantize(sum.into()));
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
