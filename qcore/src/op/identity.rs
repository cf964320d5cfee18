//! Operations that change nothing: `dropout` in evaluation, `Identity`, and the user's `quant` and `dequant`.

use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, take_one};
use super::plain::plain_record;
use super::{ActivationSpec, Lowering, Op, OutputRule, Planned, QuantizedOp};
use crate::{Error, QTensor, Result, Tensor};

/// Implements an operation whose output is its input.
macro_rules! identity_operation {
    ($operation:ident, $name:literal, $rule:ident) => {
        plain_record!($operation);

        impl Op for $operation {
            type Quantized = Self;

            fn name(&self) -> &'static str {
                $name
            }

            fn output_rule(&self) -> OutputRule {
                OutputRule::$rule
            }

            fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
                take_one($name, inputs)
            }

            fn lower(&self, _lowering: &Lowering<'_>) -> Result<Self> {
                Ok(*self)
            }
        }

        impl QuantizedOp for $operation {
            fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
                let [x] = exactly($name, inputs)?;
                Ok(x.clone())
            }

            fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
                let [x] = exactly_shared($name, inputs)?;
                Ok(Some(Planned::View(x.clone())))
            }
        }
    };
}

/// The input as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {}

identity_operation!(Identity, "Identity", SameAsInput);

impl Identity {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// Dropout in evaluation: the input as it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    p: f64,
}

identity_operation!(Dropout, "dropout", SameAsInput);

/// The operation `dropout(x, p)`; `p` is 0.5 if not given. Models here are in evaluation, so it does nothing.
///
/// # Errors
/// When `p` is not a probability.
pub fn dropout(p: Option<f64>) -> Result<Dropout> {
    let operation = Dropout { p: p.unwrap_or(0.5) };
    operation.check()?;
    Ok(operation)
}

impl Dropout {
    fn check(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.p) {
            return Ok(());
        }
        Err(Error::parameter("dropout", format!("p {} is not in [0, 1]", self.p)))
    }
}

/// From float to int8, where the user says so.
///
/// The values stay as they are: the plan of the model changes their domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quant {}

identity_operation!(Quant, "quant", Quantize);

/// The operation `quant(x)`.
///
/// # Errors
/// Never.
pub fn quant() -> Result<Quant> {
    Ok(Quant {})
}

impl Quant {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

/// To float, where the user says so; what follows stays there until `quant`.
///
/// The values stay as they are: the plan of the model changes their domain.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dequant {}

identity_operation!(Dequant, "dequant", Dequantize);

/// The operation `dequant(x)`.
///
/// # Errors
/// Never.
pub fn dequant() -> Result<Dequant> {
    Ok(Dequant {})
}

impl Dequant {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}
