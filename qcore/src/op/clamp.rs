//! `clamp` and `relu6`: values limited to a range.

use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, take_one, unusable};
use super::kernel::ClampKernel;
use super::layout::{map_in_memory_order, per_tensor, with_integers, with_qparams_of};
use super::plain::plain_record;
use super::{ActivationSpec, Lowering, Op, OutputRule, Planned, QuantizedOp};
use crate::{Error, QTensor, Result, Tensor};

/// `min(max(x, min), max)`, PyTorch's `clamp` and `hardtanh`. On integers the limits are quantized by the
/// input's scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Clamp {
    min: f32,
    max: f32,
}

/// The operation `clamp(x, min, max)`.
///
/// # Errors
/// When `min` is greater than `max`, or one of them is not finite as an f32.
pub fn clamp(min: impl Into<f64>, max: impl Into<f64>) -> Result<Clamp> {
    let clamp = Clamp { min: min.into() as f32, max: max.into() as f32 };
    clamp.check()?;
    Ok(clamp)
}

impl Clamp {
    fn check(&self) -> Result<()> {
        if self.min <= self.max && self.min.is_finite() && self.max.is_finite() {
            return Ok(());
        }
        let message = format!("min {} and max {} are not two finite numbers in order", self.min, self.max);
        Err(Error::parameter("clamp", message))
    }

    fn float(self, operation: &'static str, inputs: &mut [Tensor]) -> Result<Tensor> {
        // Comparisons, not `f32::clamp`, which would let the compiler assume that the limits are in order.
        Ok(take_one(operation, inputs)?.map(|x| {
            let x = if x < self.min { self.min } else { x };
            if x > self.max { self.max } else { x }
        }))
    }

    fn quantized(self, operation: &'static str, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [x] = exactly(operation, inputs)?;
        let qparams = per_tensor(operation, x.qparams())?;
        with_integers!(operation, x, integers => {
            let output = map_in_memory_order(operation, integers, |input, output| {
                qkernels::elementwise::clamp(input, qparams, self.min, self.max, output)
            })?;
            with_qparams_of(x, output)
        })
    }

    fn planned(self, operation: &'static str, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let [x] = exactly_shared(operation, inputs)?;
        let qparams = x.kernel_qparams();
        // What becomes of the smallest and the largest byte.
        let mut limits = [0; 2];
        qkernels::elementwise::clamp(&[u8::MIN, u8::MAX], qparams, self.min, self.max, &mut limits)
            .map_err(unusable(operation))?;
        Ok(Some(Planned::Kernel(Box::new(ClampKernel { limits }), x.clone())))
    }
}

plain_record!(Clamp);

impl Op for Clamp {
    type Quantized = Self;

    fn name(&self) -> &'static str {
        "clamp"
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::SameAsInput
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        self.float("clamp", inputs)
    }

    fn lower(&self, _lowering: &Lowering<'_>) -> Result<Self> {
        Ok(*self)
    }
}

impl QuantizedOp for Clamp {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        self.quantized("clamp", inputs)
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        self.planned("clamp", inputs)
    }
}

/// `min(max(x, 0), 6)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReLU6 {}

/// The operation `relu6(x)`.
///
/// # Errors
/// Never.
pub fn relu6() -> Result<ReLU6> {
    Ok(ReLU6 {})
}

const ZERO_TO_SIX: Clamp = Clamp { min: 0.0, max: 6.0 };

impl ReLU6 {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

plain_record!(ReLU6);

impl Op for ReLU6 {
    type Quantized = Self;

    fn name(&self) -> &'static str {
        "relu6"
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::SameAsInput
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        ZERO_TO_SIX.float("relu6", inputs)
    }

    fn lower(&self, _lowering: &Lowering<'_>) -> Result<Self> {
        Ok(*self)
    }
}

impl QuantizedOp for ReLU6 {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        ZERO_TO_SIX.quantized("relu6", inputs)
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        ZERO_TO_SIX.planned("relu6", inputs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, integers, qtensor, tensor};

    #[test]
    fn limits_are_quantized_by_the_inputs_scale() {
        let x = qtensor(&[4], &[0, 10, 14, 200], 0.5, 10);
        assert_eq!(
            integers(&QuantizedOp::forward(&relu6().unwrap(), &mut [x.clone()]).unwrap()),
            [10, 10, 14, 22]
        );
        let clamp = clamp(-1, 1.0).unwrap();
        assert_eq!(integers(&QuantizedOp::forward(&clamp, &mut [x]).unwrap()), [8, 10, 12, 12]);
        let y = Op::forward(&clamp, &mut [tensor(&[3], &[-5.0, 0.5, f32::NAN])]).unwrap();
        assert_values(&without_nan(y), &[-1.0, 0.5, 99.0]);
    }

    fn without_nan(x: Tensor) -> Tensor {
        x.map(|x| if x.is_nan() { 99.0 } else { x })
    }

    #[test]
    fn limits_out_of_order_are_refused() {
        assert!(super::clamp(1, 0).is_err());
        assert!(super::clamp(f32::NAN, 0).is_err());
        assert!(super::clamp(0, f64::INFINITY).is_err());
    }
}
