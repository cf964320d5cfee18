//! ReLU and clamp on integers, and moving a tensor to other qparams.

use crate::elements::{bytes, bytes_mut};
use crate::error::{Error, Result};
use crate::isa::{Isa, Pass, isa};
use crate::kernels::{self, BinaryMap, MAX_ROUNDED, Operation, Rounding};
use crate::length;
use crate::qparams::{EightBit, QParams, check_zero_point};
use crate::quantizer::Quantizer;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// `max(q, zero_point)`; the output keeps the input's qparams.
///
/// PyTorch: `torch.relu` on a quantized tensor.
///
/// # Errors
/// If the lengths differ or the zero point is not a `T`.
pub fn relu<T: EightBit>(input: &[T], zero_point: i32, output: &mut [T]) -> Result<()> {
    check_zero_point::<T>(zero_point)?;
    map_unary(Clamp { low: T::from_i32(zero_point), high: T::from_i32(*T::RANGE.end()) }, input, output)
}

/// `clamp(q, Q(min), Q(max))`; the output keeps the input's qparams.
///
/// PyTorch: `clamp` and `hardtanh` on a quantized tensor; `relu6` is `clamp` from 0 to 6.
///
/// # Errors
/// If the lengths differ, scale or zero point cannot be used, or `min > max` or one is NaN.
pub fn clamp<T: EightBit>(input: &[T], qparams: QParams, min: f32, max: f32, output: &mut [T]) -> Result<()> {
    if !matches!(min.partial_cmp(&max), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
        return Err(Error::parameter(format!("clamp from {min} to {max} is empty")));
    }
    let quantizer = Quantizer::new::<T>(qparams, T::RANGE)?;
    map_unary(Clamp { low: quantizer.quantize::<T>(min), high: quantizer.quantize(max) }, input, output)
}

/// The values of `input` with the qparams of the output: a copy if they are equal, `Q(dq(x))`
/// otherwise, and with `relu` not below the output's zero point.
///
/// PyTorch: each input of `quantized::cat`, `cat_relu`.
///
/// # Errors
/// If the lengths differ, or a scale or zero point cannot be used.
pub fn requantize<T: EightBit>(
    input: &[T],
    input_qparams: QParams,
    output_qparams: QParams,
    relu: bool,
    output: &mut [T],
) -> Result<()> {
    input_qparams.check::<T>()?;
    let quantizer = Quantizer::with_relu::<T>(output_qparams, relu)?;
    if input_qparams != output_qparams {
        return map_unary(Requantize { from: input_qparams, to: quantizer }, input, output);
    }
    if relu {
        return self::relu(input, output_qparams.zero_point, output);
    }
    length::check("output", output, input.len())?;
    output.copy_from_slice(input);
    Ok(())
}

/// An operation on one integer, with its constants.
pub(super) trait Unary<T: EightBit>: Copy + Sync {
    /// To be marked `#[inline(always)]`: it is the body of a loop that becomes vectors.
    fn apply(self, q: T) -> T;

    /// [`apply`](Self::apply) to each value, on this thread, for slices of equal length.
    #[inline(always)]
    fn apply_to_all(self, isa: Isa, values: &[T], results: &mut [T]) {
        isa.run_pass(UnaryPass { operation: self, input: values, output: results });
    }
}

#[derive(Clone, Copy)]
pub(super) struct Clamp<T> {
    pub(super) low: T,
    pub(super) high: T,
}

impl<T: EightBit> Unary<T> for Clamp<T> {
    #[inline(always)]
    fn apply(self, q: T) -> T {
        q.max(self.low).min(self.high)
    }
}

#[derive(Clone, Copy)]
pub(super) struct Requantize {
    pub(super) from: QParams,
    pub(super) to: Quantizer,
}

impl<T: EightBit> Unary<T> for Requantize {
    #[inline(always)]
    fn apply(self, q: T) -> T {
        self.to.quantize(self.from.dequantize(q.to_i32()))
    }

    fn apply_to_all(self, isa: Isa, values: &[T], results: &mut [T]) {
        let Quantizer { inverse_scale, zero_point, low, high } = self.to;
        // An addition of nothing.
        let map = BinaryMap {
            operation: Operation::Add,
            zero_points: [self.from.zero_point; 2],
            scales: [self.from.scale, 0.0],
            multiplier: inverse_scale,
            rounding: Rounding::new::<T>(zero_point, low, high),
        };
        let is_small = 255.0 * self.from.scale * inverse_scale < MAX_ROUNDED;
        if !is_small || !kernels::map_pairs(isa, &map, bytes(values), bytes(values), bytes_mut(results)) {
            isa.run_pass(UnaryPass { operation: self, input: values, output: results });
        }
    }
}

/// `output[i] = operation(input[i])`.
fn map_unary<T: EightBit>(operation: impl Unary<T>, input: &[T], output: &mut [T]) -> Result<()> {
    length::check("output", output, input.len())?;
    let isa = isa();
    let chunk_len = elementwise_chunk(input.len(), 1);
    // Less than a multiply-add for each element.
    for_each_chunk(output, chunk_len, input.len() / 2, |index, output| {
        let input = &input[index * chunk_len..][..output.len()];
        operation.apply_to_all(isa, input, output);
    });
    Ok(())
}

struct UnaryPass<'a, T, O> {
    operation: O,
    input: &'a [T],
    output: &'a mut [T],
}

impl<T: EightBit, O: Unary<T>> Pass for UnaryPass<'_, T, O> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for (output, &q) in self.output.iter_mut().zip(self.input) {
            *output = self.operation.apply(q);
        }
    }
}
