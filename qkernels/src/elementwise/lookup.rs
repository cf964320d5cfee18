//! A function of one 8-bit value, as a table of its 256 results.

use crate::elements::{bytes, bytes_mut};
use crate::error::Result;
use crate::isa::{Isa, isa};
use crate::kernels;
use crate::length;
use crate::qparams::{EightBit, QParams};
use crate::quantizer::Quantizer;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// The 256 results of a function of one 8-bit value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LookupTable<T> {
    results: [T; 256],
}

impl<T: EightBit> LookupTable<T> {
    /// The table of an integer function; `f` sees each value of `T` once.
    pub fn new(mut f: impl FnMut(T) -> T) -> Self {
        let (low, high) = T::RANGE.into_inner();
        let mut results = [T::from_i32(low); 256];
        for value in low..=high {
            let value = T::from_i32(value);
            results[value.index()] = f(value);
        }
        Self { results }
    }

    /// The table of a float function between two quantizations: `Q(f(dq(x)))`.
    ///
    /// # Errors
    /// If a scale or zero point cannot be used.
    pub fn from_float(input: QParams, output: QParams, mut f: impl FnMut(f32) -> f32) -> Result<Self> {
        input.check::<T>()?;
        let quantizer = Quantizer::new::<T>(output, T::RANGE)?;
        Ok(Self::new(|q| quantizer.quantize(f(input.dequantize(q.to_i32())))))
    }

    /// The result for `value`.
    pub fn get(&self, value: T) -> T {
        self.results[value.index()]
    }

    /// `output[i] = f(input[i])`.
    ///
    /// # Errors
    /// If the lengths differ.
    pub fn apply(&self, input: &[T], output: &mut [T]) -> Result<()> {
        length::check("output", output, input.len())?;
        let isa = isa();
        let chunk_len = elementwise_chunk(input.len(), 1);
        for_each_chunk(output, chunk_len, input.len(), |index, output| {
            self.look_up(isa, &input[index * chunk_len..][..output.len()], output);
        });
        Ok(())
    }

    /// All values, in the order of [`of_results`](Self::of_results).
    pub(super) fn every_value() -> [T; 256] {
        let mut values = [T::default(); 256];
        // The order of the table.
        for (value, byte) in bytes_mut(&mut values).iter_mut().zip(0..=u8::MAX) {
            *value = byte;
        }
        values
    }

    /// A table of the results of each value.
    pub(super) fn of_results(results: &[T; 256]) -> Self {
        Self { results: *results }
    }

    /// [`apply`](Self::apply) on this thread, to slices of equal length.
    pub(super) fn look_up(&self, isa: Isa, input: &[T], output: &mut [T]) {
        let table = &bytes(&self.results).as_chunks().0[0];
        kernels::look_up(isa, table, bytes(input), bytes_mut(output));
    }
}
