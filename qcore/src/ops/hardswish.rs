//! `hardswish`: `x * relu6(x + 3) / 6`.

use std::sync::Arc;

use qkernels::EightBit;
use qkernels::elementwise::LookupTable;
use serde::{Deserialize, Serialize};

use super::activation::limit;
use super::inputs::{check_dtype, exactly, kernel_error, with_eight_bit};
use super::plain::{no_parameters, plain_op};
use super::{Executable, Format, Kernel, Lowering, Op, Planned, Precision, executable, per_tensor, unary};
use crate::{Backend, DType, QParams, Result};

/// `x * relu6(x + 3) / 6`, for tensors of any shape.
///
/// In int8 a table has the result for each of the 256 integers (NUMERICS section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hardswish;

impl Hardswish {
    /// The same as `Hardswish`.
    pub fn new() -> Self {
        Self
    }
}

/// The operation `hardswish(x)`.
pub fn hardswish() -> Result<Hardswish> {
    Ok(Hardswish)
}

const NAME: &str = "hardswish";

no_parameters!(Hardswish, "Hardswish");

impl Op for Hardswish {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        match lowering.precision {
            Precision::Float => Ok(executable(NAME, |inputs| {
                let [x] = exactly(NAME, inputs)?;
                check_dtype(NAME, x, None)?;
                let kernel = unary::<f32, f32>(NAME, |x, y| qkernels::float::map_into(x, y, function));
                Ok(Planned::kernel(kernel, x.without_gaps()))
            })),
            Precision::Static => {
                let (backend, output) = (lowering.backend, lowering.output_qparams(NAME)?.clone());
                let [input] = lowering.input_qparams(NAME)?;
                // A scale for which there is no table is an error now.
                kernel(input.dtype, per_tensor(NAME, input)?, &output, backend)?;
                Ok(executable(NAME, move |inputs| {
                    let [x] = exactly(NAME, inputs)?;
                    check_dtype(NAME, x, Some(output.dtype))?;
                    let kernel = kernel(output.dtype, x.qparams(NAME)?, &output, backend)?;
                    Ok(Planned::kernel(kernel, x.with_format(Format::of(Some(&output)))))
                }))
            }
            _ => Err(lowering.unsupported(NAME)),
        }
    }
}

fn function(x: f32) -> f32 {
    x * limit(x + 3.0, [0.0, 6.0]) / 6.0
}

/// Looks integers of this type up.
fn kernel(
    dtype: DType,
    input: qkernels::QParams,
    output: &QParams,
    backend: Backend,
) -> Result<Box<dyn Kernel>> {
    let output = per_tensor(NAME, output)?;
    with_eight_bit!(NAME, dtype, T => {
        let table = LookupTable::<T>::from_float(input, output, function).map_err(kernel_error(NAME))?;
        let table = match (backend, dtype) {
            (Backend::Qnnpack, DType::QUInt8) => qnnpack_table(input, output),
            _ => table,
        };
        Ok(unary::<T, T>(NAME, move |x, y| table.apply(x, y)))
    })
}

/// qnnpack divides by the scale of the output, where the others multiply by its reciprocal.
fn qnnpack_table<T: EightBit>(input: qkernels::QParams, output: qkernels::QParams) -> LookupTable<T> {
    let (low, high) = T::RANGE.into_inner();
    LookupTable::new(|q: T| {
        let steps = function(input.dequantize(q.to_i32())) / output.scale;
        T::from_steps(steps, output.zero_point, low, high)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QTensor;
    use crate::ops::tests::{
        assert_values, float, i8_qparams, integers, qtensor, run_int8, tensor, u8_qparams,
    };

    #[test]
    fn floats_are_bent_around_zero() {
        let x = tensor(&[6], &[-4.0, -3.0, -1.5, 0.0, 1.0, 8.0]);
        assert_values(&float(&Hardswish, &[&x]).unwrap(), &[0.0, 0.0, -0.375, 0.0, 4.0 / 6.0, 8.0]);
        let nan = float(&hardswish().unwrap(), &[&tensor(&[1], &[f32::NAN])]).unwrap();
        assert!(nan.view()[[0].as_slice()].is_nan());
    }

    /// From the reference data that PyTorch made.
    #[test]
    fn integers_are_those_of_pytorch() {
        let x = qtensor(&[10], &[0, 5, 20, 50, 90, 100, 110, 130, 140, 255], 0.058_744_78, 28);
        let y = run_int8(&Hardswish, Backend::Fbgemm, &[&x], &u8_qparams(0.051_023_394, 106)).unwrap();
        assert_eq!(integers(&y), [99, 99, 102, 124, 177, 189, 200, 223, 235, 255]);
        let x = qtensor(&[10], &[0, 5, 20, 50, 90, 100, 110, 130, 140, 255], 0.085_369_12, 111);
        let y = run_int8(&Hardswish, Backend::Qnnpack, &[&x], &u8_qparams(0.083_409_525, 174)).unwrap();
        assert_eq!(integers(&y), [174, 174, 174, 174, 170, 170, 174, 189, 201, 255]);
        let signed = ndarray::arr1(&[-128_i8, -123, -108, -78, -38, -28, -18, 2, 12, 127]);
        let x = QTensor::from_int_repr(signed, i8_qparams(0.117_971_41, -128)).unwrap();
        let y = run_int8(&Hardswish, Backend::Fbgemm, &[&x], &i8_qparams(0.088_511_76, -38)).unwrap();
        assert_eq!(integers(&y), [-38, -34, -14, 29, 82, 95, 109, 127, 127, 127]);
    }

    #[test]
    fn qnnpack_divides_by_the_scale_of_the_output() {
        // 286.2890625 is 52.5 steps of 5.453125, but its product with the reciprocal is more.
        let run = |backend| {
            let x = qtensor(&[1], &[1], 286.289_06, 0);
            integers(&run_int8(&Hardswish, backend, &[&x], &u8_qparams(5.453_125, 0)).unwrap())
        };
        assert_eq!(run(Backend::Qnnpack), [52]);
        assert_eq!(run(Backend::Native), [53]);
    }
}
