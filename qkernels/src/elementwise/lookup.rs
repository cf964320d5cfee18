//! A function of one 8-bit value, as a table of its 256 results.

use crate::elements::{bytes, bytes_mut};
use crate::error::Result;
use crate::isa::isa;
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
        let table = &bytes(&self.results).as_chunks().0[0];
        let chunk_len = elementwise_chunk(input.len(), 1);
        for_each_chunk(bytes_mut(output), chunk_len, input.len(), |index, output| {
            let input = &bytes(input)[index * chunk_len..][..output.len()];
            kernels::look_up(isa, table, input, output);
        });
        Ok(())
    }
}
