//! `add_scalar` and `mul_scalar`: a tensor and a number, with the output's scale computed from the input's.

use qkernels::elementwise::{self, ScalarResult};
use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, relu, take_one};
use super::kernel::bytewise;
use super::layout::{Activation, Integers};
use super::layout::{map_in_memory_order, per_tensor, with_integers};
use super::plain::plain_record;
use super::{ActivationSpec, FuseReLU, Lowering, Op, OutputRule, Planned, QuantizedOp};
use crate::{DType, Error, QParams, QTensor, Result, Tensor};

type Rule<T> = fn(qkernels::QParams, f64, bool) -> qkernels::Result<ScalarResult<T>>;

/// The output's parameters and integers by the kernel's `rule`.
fn run<T: Activation>(
    name: &'static str,
    x: &QTensor,
    integers: &Integers<T>,
    result: &ScalarResult<T>,
) -> Result<QTensor> {
    let output = match &result.table {
        Some(table) => map_in_memory_order(name, integers, |input, output| table.apply(input, output))?,
        None => integers.clone(),
    };
    let qparams = result.qparams();
    let qparams = QParams::per_tensor(qparams.scale, qparams.zero_point, x.dtype())?;
    QTensor::from_int_repr(T::into_repr(output), qparams)
}

fn result<T: Activation>(
    name: &'static str,
    rule: Rule<T>,
    qparams: &QParams,
    scalar: f64,
    fused: bool,
) -> Result<ScalarResult<T>> {
    rule(per_tensor(name, qparams)?, scalar, fused)
        .map_err(|error| Error::parameter(name, format!("{error} (scalar {scalar})")))
}

fn check_scalar(name: &'static str, scalar: f64) -> Result<()> {
    if scalar.is_finite() {
        return Ok(());
    }
    Err(Error::parameter(name, format!("scalar {scalar} is not finite")))
}

/// Defines one of the two operations; `$kernel` is the rule of the same name in `qkernels`.
macro_rules! scalar_operation {
    ($operation:ident, $kernel:ident, $meaning:literal, $name:literal, $relu_name:literal, $float:expr) => {
        #[doc = concat!("`", $meaning, "` with a number `c`, perhaps followed by a ReLU.")]
        ///
        /// In int8 the scale and zero point change rather than the integers (NUMERICS section 6).
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $operation {
            scalar: f64,
            relu: bool,
        }

        #[doc = concat!("The operation `", $meaning, "`.")]
        ///
        /// # Errors
        /// When `scalar` is not finite.
        pub fn $kernel(scalar: impl Into<f64>) -> Result<$operation> {
            let operation = $operation { scalar: scalar.into(), relu: false };
            operation.check()?;
            Ok(operation)
        }

        plain_record!($operation);

        impl $operation {
            fn check(&self) -> Result<()> {
                check_scalar($name, self.scalar)
            }

            fn result<T: Activation>(&self, qparams: &QParams) -> Result<ScalarResult<T>> {
                result(Op::name(self), elementwise::$kernel::<T>, qparams, self.scalar, self.relu)
            }
        }

        impl FuseReLU for $operation {
            fn fuse_relu(self) -> Self {
                Self { relu: true, ..self }
            }
        }

        impl Op for $operation {
            type Quantized = Self;

            fn name(&self) -> &'static str {
                if self.relu { $relu_name } else { $name }
            }

            fn output_rule(&self) -> OutputRule {
                OutputRule::Derived
            }

            fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
                let x = take_one(Op::name(self), inputs)?;
                let (scalar, operation) = (self.scalar as f32, $float);
                Ok(match self.relu {
                    false => x.map(|x| operation(x, scalar)),
                    true => x.map(|x| relu(operation(x, scalar))),
                })
            }

            fn lower(&self, lowering: &Lowering<'_>) -> Result<Self> {
                // What cannot be computed for these inputs is refused now.
                lowering.inputs.iter().try_for_each(|input| self.derive_output(input).map(drop))?;
                Ok(*self)
            }

            fn derive_output(&self, input: &QParams) -> Result<QParams> {
                let qparams = match input.dtype {
                    DType::QInt8 => self.result::<i8>(input)?.qparams(),
                    _ => self.result::<u8>(input)?.qparams(),
                };
                QParams::per_tensor(qparams.scale, qparams.zero_point, input.dtype)
            }
        }

        impl QuantizedOp for $operation {
            fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
                let name = Op::name(self);
                let [x] = exactly(name, inputs)?;
                with_integers!(name, x, integers => run(name, x, integers, &self.result(x.qparams())?))
            }

            fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
                let [x] = exactly_shared(Op::name(self), inputs)?;
                let result = self.result::<u8>(x.qparams())?;
                let (qparams, table) = (result.qparams(), result.table);
                let output = QParams::per_tensor(qparams.scale, qparams.zero_point, DType::QUInt8)?;
                let output = x.with_qparams(&output);
                Ok(Some(match table {
                    Some(table) => bytewise(&output, move |input, output| table.apply(input, output)),
                    None => Planned::View(output),
                }))
            }
        }
    };
}

scalar_operation!(AddScalar, add_scalar, "x + c", "add_scalar", "add_scalar_relu", |x: f32, c: f32| x + c);
scalar_operation!(MulScalar, mul_scalar, "x * c", "mul_scalar", "mul_scalar_relu", |x: f32, c: f32| x * c);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, integers, qtensor, tensor, u8_qparams};

    #[test]
    fn the_scale_changes_rather_than_the_integers() {
        let x = qtensor(&[2], &[10, 20], 0.5, 10);
        let y = QuantizedOp::forward(&add_scalar(-1.0).unwrap(), &mut [x.clone()]).unwrap();
        assert_eq!((integers(&y), y.qparams().tensor_zero_point()), (vec![10, 20], 12));
        let y = QuantizedOp::forward(&mul_scalar(-3).unwrap(), &mut [x.clone()]).unwrap();
        assert_eq!((integers(&y), y.qparams().tensor_zero_point()), (vec![245, 235], 245));
        assert_eq!(y.qparams().tensor_scale(), 1.5);
        let y = QuantizedOp::forward(&mul_scalar(-3).unwrap().fuse_relu(), &mut [x]).unwrap();
        assert_eq!(integers(&y), [245, 245]);
    }

    #[test]
    fn derived_parameters_are_those_of_the_result() {
        let input = u8_qparams(0.5, 250);
        let operation = add_scalar(-40.0).unwrap();
        let y = QuantizedOp::forward(&operation, &mut [qtensor(&[1], &[255], 0.5, 250)]).unwrap();
        assert_eq!(y.qparams(), &operation.derive_output(&input).unwrap());
    }

    #[test]
    fn scalars_are_finite_numbers_of_any_type() {
        let y =
            Op::forward(&add_scalar(1_i32).unwrap().fuse_relu(), &mut [tensor(&[2], &[-3.0, 0.5])]).unwrap();
        assert_values(&y, &[0.0, 1.5]);
        assert!(add_scalar(f32::NAN).is_err());
        assert!(mul_scalar(f64::INFINITY).is_err());
        assert!(mul_scalar(1e300).unwrap().derive_output(&u8_qparams(1.0, 0)).is_err());
    }
}
