//! ReLU and clamp on integers, and moving a tensor to other qparams.

use super::LookupTable;
use crate::error::{Error, Result};
use crate::length;
use crate::qparams::{EightBit, QParams, check_zero_point};
use crate::quantize::Quantizer;

/// `max(q, zero_point)`; the output keeps the input's qparams.
///
/// PyTorch: `torch.relu` on a quantized tensor.
///
/// # Errors
/// If the lengths differ or the zero point is not a `T`.
pub fn relu<T: EightBit>(input: &[T], zero_point: i32, output: &mut [T]) -> Result<()> {
    length::check("output", output, input.len())?;
    check_zero_point::<T>(zero_point)?;
    let zero_point = T::from_i32(zero_point);
    for (output, &q) in output.iter_mut().zip(input) {
        *output = q.max(zero_point);
    }
    Ok(())
}

/// `clamp(q, Q(min), Q(max))`; the output keeps the input's qparams.
///
/// PyTorch: `clamp` and `hardtanh` on a quantized tensor; `relu6` is `clamp` from 0 to 6.
///
/// # Errors
/// If the lengths differ, scale or zero point cannot be used, or `min > max` or one is NaN.
pub fn clamp<T: EightBit>(input: &[T], qparams: QParams, min: f32, max: f32, output: &mut [T]) -> Result<()> {
    length::check("output", output, input.len())?;
    if !matches!(min.partial_cmp(&max), Some(std::cmp::Ordering::Less | std::cmp::Ordering::Equal)) {
        return Err(Error::parameter(format!("clamp from {min} to {max} is empty")));
    }
    let quantizer = Quantizer::new::<T>(qparams, T::RANGE)?;
    let (low, high) = (quantizer.quantize::<T>(min), quantizer.quantize::<T>(max));
    for (output, &q) in output.iter_mut().zip(input) {
        *output = q.clamp(low, high);
    }
    Ok(())
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
    length::check("output", output, input.len())?;
    input_qparams.check::<T>()?;
    let quantizer = Quantizer::with_relu::<T>(output_qparams, relu)?;
    if input_qparams != output_qparams {
        let table = LookupTable::new(|q: T| quantizer.quantize(input_qparams.dequantize(q.to_i32())));
        return table.apply(input, output);
    }
    if relu {
        return self::relu(input, output_qparams.zero_point, output);
    }
    output.copy_from_slice(input);
    Ok(())
}
