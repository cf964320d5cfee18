//! Concatenation: the channels of several images, one after the other in each pixel.

use std::cell::Cell;

use super::LookupTable;
use super::unary::{Clamp, Requantize, Unary};
use crate::elements::eight_bits_mut;
use crate::error::{Error, Result};
use crate::isa::{Isa, isa};
use crate::length;
use crate::pixels::copy_pixels;
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
            if length == 0 {
                continue;
            }
            let values = &input.values[first_run * length..][..output.len() / run * length];
            let runs = Runs { values, length, stride: run, output: &mut output[start..] };
            if input.qparams != qparams {
                runs.map(isa, Requantize { from: input.qparams, to: quantizer });
            } else if relu {
                runs.map(isa, at_least_zero);
            } else {
                isa.run(|| runs.copy());
            }
            start += length;
        }
    });
    Ok(())
}

/// One input of [`cat`] on its own: its runs of `length` values, to where they begin `stride` values apart.
///
/// `output` begins with the first of them; what lies between them stays as it is.
///
/// # Errors
/// If the values are not whole runs, `output` has less than `(runs - 1) * stride + length` elements, `stride` is less
/// than `length`, or a scale or zero point cannot be used.
pub fn cat_into<T: EightBit>(
    input: CatInput<'_, T>,
    length: usize,
    qparams: QParams,
    output: &mut [T],
    stride: usize,
) -> Result<()> {
    let CatInput { values, qparams: from } = input;
    from.check::<T>()?;
    let to = Quantizer::new::<T>(qparams, T::RANGE)?;
    if values.is_empty() {
        return Ok(());
    }
    if length == 0 || !values.len().is_multiple_of(length) {
        return Err(Error::geometry(format!("{} values are not runs of {length}", values.len())));
    }
    let output = length::strided("output", output, values.len() / length, length, stride)?;
    let chunk_len = elementwise_chunk(output.len(), stride);
    let isa = isa();
    for_each_chunk(output, chunk_len, values.len() / 4, |index, output| {
        let values = &values[index * (chunk_len / stride) * length..];
        let values = &values[..values.len().min(output.len().div_ceil(stride) * length)];
        let runs = Runs { values, length, stride, output };
        if from == qparams {
            isa.run(|| runs.copy());
        } else {
            runs.map(isa, Requantize { from, to });
        }
    });
    Ok(())
}

/// The runs of one input, and where they go.
struct Runs<'a, T> {
    values: &'a [T],
    length: usize,
    /// From one run of the output to the next.
    stride: usize,
    output: &'a mut [T],
}

/// From so many values on, a table of all results is worth its making.
const MIN_LOOK_UPS: usize = 1024;

/// Values that are computed together before they are dealt out to runs.
const BLOCK: usize = 2048;

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static RESULTS: Cell<Vec<u8>> = Cell::default();
}

impl<T: EightBit> Runs<'_, T> {
    #[inline(always)]
    fn copy(self) {
        copy_pixels(self.length, self.values, self.output, [self.length, self.stride]);
    }

    fn map(self, isa: Isa, operation: impl Unary<T>) {
        let Self { values, length, stride, output } = self;
        let runs_of_block = (BLOCK / length).max(1);
        let mut buffer = RESULTS.take();
        buffer.resize(runs_of_block * length, 0);
        let results = eight_bits_mut::<T>(&mut buffer);
        let table = (values.len() >= MIN_LOOK_UPS).then(|| {
            let every = LookupTable::every_value();
            let mut results = every;
            operation.apply_to_all(isa, &every, &mut results);
            LookupTable::of_results(&results)
        });
        let blocks = values.chunks(runs_of_block * length).zip(output.chunks_mut(runs_of_block * stride));
        for (values, output) in blocks {
            let results = &mut results[..values.len()];
            match &table {
                Some(table) => table.look_up(isa, values, results),
                None => operation.apply_to_all(isa, values, results),
            }
            isa.run(|| copy_pixels(length, results, output, [length, stride]));
        }
        RESULTS.set(buffer);
    }
}
