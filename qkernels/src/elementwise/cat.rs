//! Concatenation: the channels of several images, one after the other in each pixel.

use super::unary::{Clamp, Requantize, Unary};
use crate::error::{Error, Result};
use crate::isa::{Pass, isa};
use crate::length;
use crate::qparams::{EightBit, QParams};
use crate::quantizer::Quantizer;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// One input of a concatenation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CatInput<'a, T> {
    /// `[outer, length]`: `length` values for each run of the output.
    pub values: &'a [T],
    /// Of the values.
    pub qparams: QParams,
}

/// Concatenates inputs `[outer, length_i]` to `[outer, sum of length_i]`.
///
/// Along the channels of `[N, H, W, C]`, `outer` is N * H * W and the lengths are the channels. An
/// input with the output's qparams is copied, another is `Q(dq(x))`; with `relu` no result is below the
/// output's zero point. PyTorch: `quantized::cat`, `cat_relu`.
///
/// # Errors
/// If a length does not match, or a scale or zero point cannot be used.
pub fn cat<T: EightBit>(
    outer: usize,
    inputs: &[CatInput<'_, T>],
    qparams: QParams,
    relu: bool,
    output: &mut [T],
) -> Result<()> {
    let quantizer = Quantizer::with_relu::<T>(qparams, relu)?;
    let mut len = 0_usize;
    for input in inputs {
        input.qparams.check::<T>()?;
        len = len.saturating_add(input.values.len());
        if input.values.len().checked_rem(outer).unwrap_or(input.values.len()) != 0 {
            return Err(Error::geometry(format!(
                "an input of {} values is not {outer} runs of equal length",
                input.values.len()
            )));
        }
    }
    length::check("output", output, len)?;
    if len == 0 {
        return Ok(());
    }
    let at_least_zero = Clamp { low: T::from_i32(qparams.zero_point), high: T::from_i32(*T::RANGE.end()) };
    let isa = isa();
    let run = len / outer;
    let chunk_len = elementwise_chunk(len, run);
    // Most inputs are copied, which costs less than a multiply-add.
    for_each_chunk(output, chunk_len, len / 4, |index, output| {
        let first_run = index * chunk_len / run;
        let mut start = 0;
        for input in inputs {
            let length = input.values.len() / outer;
            let runs = Runs { start, length, stride: run };
            let values = &input.values[first_run * length..];
            if length == 0 {
                continue;
            }
            if input.qparams != qparams {
                let operation = Requantize { from: input.qparams, to: quantizer };
                isa.run_pass(WriteRuns { runs, operation, values, output: &mut *output });
            } else if relu {
                isa.run_pass(WriteRuns { runs, operation: at_least_zero, values, output: &mut *output });
            } else {
                for (output, values) in runs.zip(values, output) {
                    output.copy_from_slice(values);
                }
            }
            start += length;
        }
    });
    Ok(())
}

/// Where one input goes: `length` values from `start` on in every `stride`.
#[derive(Clone, Copy)]
struct Runs {
    start: usize,
    length: usize,
    stride: usize,
}

impl Runs {
    /// The runs of `output` with those of `values`.
    #[inline(always)]
    fn zip<'a, T>(
        self,
        values: &'a [T],
        output: &'a mut [T],
    ) -> impl Iterator<Item = (&'a mut [T], &'a [T])> {
        let runs = output.chunks_exact_mut(self.stride);
        let runs = runs.map(move |output| &mut output[self.start..self.start + self.length]);
        runs.zip(values.chunks_exact(self.length))
    }
}

struct WriteRuns<'a, T, O> {
    runs: Runs,
    operation: O,
    values: &'a [T],
    output: &'a mut [T],
}

impl<T: EightBit, O: Unary<T>> Pass for WriteRuns<'_, T, O> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (output, values) in self.runs.zip(self.values, self.output) {
            for (output, &q) in output.iter_mut().zip(values) {
                *output = self.operation.apply(q);
            }
        }
    }
}
