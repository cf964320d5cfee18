//! Softmax along rows.

use crate::error::{Error, Result};
use crate::float::functions::exp;
use crate::float::sums::{LANES, sum_of};
use crate::isa::isa;
use crate::qparams::{EightBit, QParams};
use crate::threads::for_each_chunk;

/// One in the fixed-point form of exponentials: sums of 2^31 of them fit in 64 bits.
const ONE: f64 = (1_u64 << 32) as f64;

/// Softmax on integers: `Q(e^(x - max) / sum e^(x - max))` of each row.
///
/// The exponential of each of the 256 distances from the row's maximum is in a table, as 32 bits behind the point; their
/// sum is exact. PyTorch dequantizes, takes the softmax in `f32` and quantizes, which differs by less than a step.
#[derive(Clone, Debug)]
pub struct Softmax {
    /// By distance from the maximum.
    exponentials: [u64; 256],
    output: QParams,
}

impl Softmax {
    /// From integers of this scale.
    ///
    /// # Errors
    /// When a scale cannot be used.
    pub fn new<T: EightBit>(input: QParams, output: QParams) -> Result<Self> {
        input.check::<T>()?;
        output.check::<T>()?;
        let mut exponentials = [0; 256];
        for (distance, exponential) in exponentials.iter_mut().enumerate() {
            let x = -(distance as f64) * f64::from(input.scale);
            *exponential = (libm::exp(x) * ONE).round_ties_even() as u64;
        }
        Ok(Self { exponentials, output })
    }

    /// The softmax of each row of `len` elements.
    ///
    /// # Errors
    /// When the lengths differ or are no whole number of rows, or a row has more than 2^31 elements.
    pub fn apply<T: EightBit>(&self, len: usize, input: &[T], output: &mut [T]) -> Result<()> {
        check_rows(len, input.len(), output.len())?;
        let (isa, work) = (isa(), output.len().saturating_mul(8));
        for_each_chunk(output, len, work, |row, output| {
            let input = &input[row * len..][..output.len()];
            isa.run(
                #[inline(always)]
                || self.row(input, output),
            );
        });
        Ok(())
    }

    #[inline(always)]
    fn row<T: EightBit>(&self, input: &[T], output: &mut [T]) {
        let max = input.iter().fold(*T::RANGE.start(), |max, q| max.max(q.to_i32()));
        let sum: u64 = input.iter().map(|q| self.exponentials[distance(max, *q)]).sum();
        let unit = 1.0 / (sum as f64);
        let steps =
            |distance: usize| (self.exponentials[distance] as f64 * unit) as f32 * (1.0 / self.output.scale);
        let (low, high) = T::RANGE.into_inner();
        let result = |distance| T::from_steps(steps(distance), self.output.zero_point, low, high);
        if input.len() < 256 {
            output.iter_mut().zip(input).for_each(|(output, q)| *output = result(distance(max, *q)));
            return;
        }
        let mut table = [output[0]; 256];
        table.iter_mut().enumerate().for_each(|(distance, entry)| *entry = result(distance));
        output.iter_mut().zip(input).for_each(|(output, q)| *output = table[distance(max, *q)]);
    }
}

/// How far an integer is below the maximum.
#[inline(always)]
fn distance<T: EightBit>(max: i32, q: T) -> usize {
    usize::from((max - q.to_i32()) as u8)
}

/// The softmax of each row of `len` values, in `f32` with the sum in `f64`.
///
/// # Errors
/// When the lengths differ or are no whole number of rows.
pub fn softmax_float(len: usize, input: &[f32], output: &mut [f32]) -> Result<()> {
    check_rows(len, input.len(), output.len())?;
    let work = output.len().saturating_mul(FLOAT_WORK);
    for_each_chunk(
        output,
        len,
        work,
        #[inline(always)]
        |row, output| {
            let input = &input[row * len..][..output.len()];
            let max = max(input);
            output.iter_mut().zip(input).for_each(|(y, &x)| *y = exp(x - max));
            let sum = sum_of(output, f64::from) as f32;
            output.iter_mut().for_each(|y| *y /= sum);
        },
    );
    Ok(())
}

/// The logarithm of the softmax of each row of `len` values.
///
/// # Errors
/// When the lengths differ or are no whole number of rows.
pub fn log_softmax_float(len: usize, input: &[f32], output: &mut [f32]) -> Result<()> {
    check_rows(len, input.len(), output.len())?;
    let work = output.len().saturating_mul(FLOAT_WORK);
    for_each_chunk(
        output,
        len,
        work,
        #[inline(always)]
        |row, output| {
            let input = &input[row * len..][..output.len()];
            let max = max(input);
            let sum = sum_of(input, |x| f64::from(exp(x - max)));
            let log_sum = sum.ln() as f32;
            output.iter_mut().zip(input).for_each(|(y, &x)| *y = x - max - log_sum);
        },
    );
    Ok(())
}

/// Products of bytes in the time of a value, about.
const FLOAT_WORK: usize = 16;

/// The largest value of a row; what is not a number does not count.
#[inline(always)]
fn max(row: &[f32]) -> f32 {
    let larger = |max: f32, x: f32| if x > max { x } else { max };
    let (rows, rest) = row.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for row in rows {
        lanes.iter_mut().zip(row).for_each(|(max, &x)| *max = larger(*max, x));
    }
    lanes.iter().chain(rest).fold(f32::NEG_INFINITY, |max, &x| larger(max, x))
}

pub(super) fn check_rows(len: usize, input: usize, output: usize) -> Result<()> {
    if input != output {
        return Err(Error::parameter(format!("an input of {input} elements and an output of {output}")));
    }
    if output > 0 && (len == 0 || len > 1 << 31 || !output.is_multiple_of(len)) {
        return Err(Error::parameter(format!("{output} elements in rows of {len}")));
    }
    Ok(())
}
