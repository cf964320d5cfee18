//! `add_scalar` and `mul_scalar`: a tensor and a number, with the output's scale computed from the input's.

use std::sync::Arc;

use qkernels::EightBit;
use qkernels::elementwise::{self, ScalarResult};
use serde::{Deserialize, Serialize};

use super::activation::limit;
use super::inputs::{check_dtype, exactly, is_relu_fused, with_eight_bit};
use super::plain::{no_parameters, plain_op};
use super::{
    Activation, Executable, Format, Lowering, Op, Planned, Precision, TensorSpec, executable, per_tensor,
    unary,
};
use crate::train::{Backward, Gradients};
use crate::{DType, Error, QParams, Result};

/// Which of the two, and the number.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scalar {
    Add(f64),
    Mul(f64),
}

/// Defines one of the two operations.
macro_rules! scalar_operation {
    ($operation:ident, $kind:ident, $constructor:ident, $meaning:literal) => {
        #[doc = concat!("`", $meaning, "` with a number `c`.")]
        ///
        /// In int8 the scale and zero point change rather than the integers (NUMERICS section 6).
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $operation {
            scalar: f64,
        }

        #[doc = concat!("The operation `", $meaning, "`.")]
        ///
        /// # Errors
        /// When `scalar` is not finite.
        pub fn $constructor(scalar: impl Into<f64>) -> Result<$operation> {
            let operation = $operation { scalar: scalar.into() };
            Scalar::$kind(operation.scalar).check()?;
            Ok(operation)
        }

        no_parameters!($operation);

        impl Op for $operation {
            fn name(&self) -> &'static str {
                Scalar::$kind(self.scalar).name()
            }

            plain_op!();

            fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
                Scalar::$kind(self.scalar).lower(lowering)
            }

            fn derive_output(&self, input: &QParams) -> Result<QParams> {
                Scalar::$kind(self.scalar).derive_output(input)
            }

            fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
                let factor = match Scalar::$kind(self.scalar) {
                    Scalar::Add(_) => 1.0,
                    Scalar::Mul(factor) => factor as f32,
                };
                pass.elementwise(|_, _| factor)
            }

            fn ignores_input(&self) -> bool {
                matches!(Scalar::$kind(self.scalar), Scalar::Mul(0.0))
            }
        }
    };
}

scalar_operation!(AddScalar, Add, add_scalar, "x + c");
scalar_operation!(MulScalar, Mul, mul_scalar, "x * c");

impl Scalar {
    const fn name(self) -> &'static str {
        match self {
            Self::Add(_) => "add_scalar",
            Self::Mul(_) => "mul_scalar",
        }
    }

    fn check(self) -> Result<()> {
        let (Self::Add(scalar) | Self::Mul(scalar)) = self;
        if scalar.is_finite() {
            return Ok(());
        }
        Err(Error::parameter(self.name(), format!("scalar {scalar} is not finite")))
    }

    fn lower(self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check()?;
        let name = self.name();
        match lowering.precision {
            Precision::Float => {
                let limits = Activation::limits_of(lowering.activation);
                Ok(executable(name, move |inputs| self.plan_float(inputs, limits)))
            }
            Precision::Static => {
                let relu = is_relu_fused(name, lowering)?;
                let [input] = lowering.input_qparams(name)?;
                // A scale that no kernel takes is an error now.
                self.derive_output(input)?;
                let dtype = input.dtype;
                Ok(executable(name, move |inputs| {
                    let [x] = exactly(name, inputs)?;
                    check_dtype(name, x, Some(dtype))?;
                    with_eight_bit!(name, dtype, T => self.plan_integers::<T>(x, dtype, relu))
                }))
            }
            _ => Err(lowering.unsupported(name)),
        }
    }

    fn plan_float(self, inputs: &[TensorSpec], limits: [f32; 2]) -> Result<Planned> {
        let name = self.name();
        let [x] = exactly(name, inputs)?;
        check_dtype(name, x, None)?;
        // One loop for each operation.
        let kernel = match self {
            Self::Add(scalar) => {
                let scalar = scalar as f32;
                unary::<f32, f32>(name, move |x, y| {
                    qkernels::float::map_into(x, y, |x| limit(x + scalar, limits))
                })
            }
            Self::Mul(scalar) => {
                let scalar = scalar as f32;
                unary::<f32, f32>(name, move |x, y| {
                    qkernels::float::map_into(x, y, |x| limit(x * scalar, limits))
                })
            }
        };
        Ok(Planned::kernel(kernel, x.without_gaps()))
    }

    fn plan_integers<T: EightBit>(self, x: &TensorSpec, dtype: DType, relu: bool) -> Result<Planned> {
        let result = self.result::<T>(x.qparams(self.name())?, relu)?;
        let output = x.with_format(Format::of(Some(&output_qparams(&result, dtype)?)));
        Ok(match result.table {
            Some(table) => Planned::kernel(unary::<T, T>(self.name(), move |x, y| table.apply(x, y)), output),
            None => Planned::View(output),
        })
    }

    fn derive_output(self, input: &QParams) -> Result<QParams> {
        let qparams = per_tensor(self.name(), input)?;
        with_eight_bit!(self.name(), input.dtype, T => {
            output_qparams(&self.result::<T>(qparams, false)?, input.dtype)
        })
    }

    /// The output's parameters and integers.
    fn result<T: EightBit>(self, qparams: qkernels::QParams, relu: bool) -> Result<ScalarResult<T>> {
        let (result, scalar) = match self {
            Self::Add(scalar) => (elementwise::add_scalar(qparams, scalar, relu), scalar),
            Self::Mul(scalar) => (elementwise::mul_scalar(qparams, scalar, relu), scalar),
        };
        result.map_err(|error| Error::parameter(self.name(), format!("{error} (scalar {scalar})")))
    }
}

fn output_qparams<T: EightBit>(result: &ScalarResult<T>, dtype: DType) -> Result<QParams> {
    let qparams = result.qparams();
    QParams::per_tensor(qparams.scale, qparams.zero_point, dtype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{
        assert_values, float, float_with, int8, int8_with, integers, qtensor, refuses, signed, tensor,
        u8_qparams,
    };

    #[test]
    fn the_scale_changes_rather_than_the_integers() {
        let x = qtensor(&[2], &[10, 20], 0.5, 10);
        let y = int8(&add_scalar(-1.0).unwrap(), &[&x]).unwrap();
        assert_eq!((integers(&y), y.qparams().tensor_zero_point()), (vec![10, 20], 12));
        let y = int8(&mul_scalar(-3).unwrap(), &[&x]).unwrap();
        assert_eq!((integers(&y), y.qparams().tensor_zero_point()), (vec![245, 235], 245));
        assert_eq!(y.qparams().tensor_scale(), 1.5);
        let y = int8(&mul_scalar(-3).unwrap(), &[&signed(&x)]).unwrap();
        assert_eq!((integers(&y), y.qparams().tensor_zero_point()), (vec![117, 107], 117));
        let relu = int8_with(&mul_scalar(-3).unwrap(), Some(Activation::ReLU), &[&x]).unwrap();
        assert_eq!(integers(&relu), [245, 245]);
        assert!(int8_with(&mul_scalar(-3).unwrap(), Some(Activation::ReLU6), &[&x]).is_err());
    }

    #[test]
    fn derived_parameters_are_those_of_the_result() {
        let operation = add_scalar(-40.0).unwrap();
        let y = int8(&operation, &[&qtensor(&[1], &[255], 0.5, 250)]).unwrap();
        assert_eq!(y.qparams(), &operation.derive_output(&u8_qparams(0.5, 250)).unwrap());
    }

    #[test]
    fn scalars_are_finite_numbers_of_any_type() {
        let x = tensor(&[2], &[-3.0, 0.5]);
        assert_values(&float(&mul_scalar(2).unwrap(), &[&x]).unwrap(), &[-6.0, 1.0]);
        let y = float_with(&add_scalar(1_i32).unwrap(), Some(Activation::ReLU), &[&x]).unwrap();
        assert_values(&y, &[0.0, 1.5]);
        assert!(add_scalar(f32::NAN).is_err());
        assert!(mul_scalar(f64::INFINITY).is_err());
        assert!(mul_scalar(1e300).unwrap().derive_output(&u8_qparams(1.0, 0)).is_err());
        assert!(refuses::<AddScalar>(serde_json::json!({"scalar": null})));
    }
}
