//! `clamp` and `hardtanh`: values limited to a range; and the kernel that `relu` and `relu6` share with them.

use std::sync::Arc;

use qkernels::{EightBit, elementwise};
use serde::{Deserialize, Serialize};

use super::activation::limit;
use super::inputs::{exactly, float_or_static, kernel_error, unsupported_dtype};
use super::kernel::unary_post;
use super::plain::{no_parameters, plain_op};
use super::{Executable, Lowering, Op, Planned, Post, TensorSpec};
use crate::train::{Backward, Gradients};
use crate::{DType, Error, Result};

/// `min(max(x, min), max)`. On integers the limits are quantized by the input's scale.
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
    check(NAME, [clamp.min, clamp.max])?;
    Ok(clamp)
}

const NAME: &str = "clamp";

no_parameters!(Clamp);

impl Op for Clamp {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn ignores_input(&self) -> bool {
        self.min == self.max
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        lower(NAME, lowering, [self.min, self.max])
    }

    // At the limits it passes, as in PyTorch; that of `hardtanh` does not.
    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        pass.elementwise(|x, _| if x >= self.min && x <= self.max { 1.0 } else { 0.0 })
    }
}

/// `min(max(x, min_val), max_val)` with limits of -1 and 1 if not set, for tensors of any shape. On integers the limits
/// are quantized by the input's scale.
///
/// Used with limits that are not two finite numbers in order it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hardtanh {
    min_val: f32,
    max_val: f32,
}

impl Hardtanh {
    /// Limits values to -1 and 1.
    pub fn new() -> Self {
        Self { min_val: -1.0, max_val: 1.0 }
    }

    /// The smallest result; -1 if not set.
    #[must_use]
    pub fn min_val(self, min_val: impl Into<f64>) -> Self {
        Self { min_val: min_val.into() as f32, ..self }
    }

    /// The largest result; 1 if not set.
    #[must_use]
    pub fn max_val(self, max_val: impl Into<f64>) -> Self {
        Self { max_val: max_val.into() as f32, ..self }
    }
}

impl Default for Hardtanh {
    fn default() -> Self {
        Self::new()
    }
}

/// The operation `hardtanh(x, min_val, max_val)`; the limits are -1 and 1 if not given.
///
/// # Errors
/// When `min_val` is greater than `max_val`, or one of them is not finite as an f32.
pub fn hardtanh(min_val: Option<f64>, max_val: Option<f64>) -> Result<Hardtanh> {
    let operation = Hardtanh::new().min_val(min_val.unwrap_or(-1.0)).max_val(max_val.unwrap_or(1.0));
    check("hardtanh", [operation.min_val, operation.max_val])?;
    Ok(operation)
}

no_parameters!(Hardtanh, "Hardtanh");

impl Op for Hardtanh {
    fn name(&self) -> &'static str {
        "hardtanh"
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        lower("hardtanh", lowering, [self.min_val, self.max_val])
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        pass.elementwise(|x, _| if x > self.min_val && x < self.max_val { 1.0 } else { 0.0 })
    }
}

fn check(operation: &'static str, [min, max]: [f32; 2]) -> Result<()> {
    if min <= max && min.is_finite() && max.is_finite() {
        return Ok(());
    }
    let message = format!("min {min} and max {max} are not two finite numbers in order");
    Err(Error::parameter(operation, message))
}

fn lower(operation: &'static str, lowering: &Lowering<'_>, limits: [f32; 2]) -> Result<Arc<dyn Executable>> {
    check(operation, limits)?;
    float_or_static(operation, lowering, move |inputs| plan(operation, inputs, limits))
}

/// Limits the only input, whatever its elements.
pub(super) fn plan(operation: &'static str, inputs: &[TensorSpec], limits: [f32; 2]) -> Result<Planned> {
    let [x] = exactly(operation, inputs)?;
    let kernel = match x.dtype() {
        None => unary_post::<f32, f32>(operation, Some(Post::ClampFloat(limits)), move |input, output| {
            qkernels::float::map_into(input, output, |x| limit(x, limits))
        }),
        Some(DType::QUInt8) => {
            let limits = quantized_limits(operation, x, limits)?;
            unary_post::<u8, u8>(operation, Some(Post::Clamp(limits)), clamp_integers(limits))
        }
        Some(DType::QInt8) => {
            unary_post::<i8, i8>(operation, None, clamp_integers(quantized_limits(operation, x, limits)?))
        }
        Some(other) => return Err(unsupported_dtype(operation, other)),
    };
    Ok(Planned::kernel(kernel, x.without_gaps()))
}

/// The results for the smallest and the largest integer.
fn quantized_limits<T: EightBit>(
    operation: &'static str,
    x: &TensorSpec,
    [low, high]: [f32; 2],
) -> Result<[T; 2]> {
    let ends = [T::RANGE.start(), T::RANGE.end()].map(|&end| T::from_i32(end));
    let mut limits = ends;
    elementwise::clamp(&ends, x.qparams(operation)?, low, high, &mut limits)
        .map_err(kernel_error(operation))?;
    Ok(limits)
}

fn clamp_integers<T: EightBit>([low, high]: [T; 2]) -> impl Fn(&[T], &mut [T]) -> qkernels::Result<()> {
    let [low, high] = [low, high].map(|limit| limit.to_i32() as f32);
    // In units of one step, the limits are the integers themselves.
    move |input, output| elementwise::clamp(input, qkernels::QParams::new(1.0, 0), low, high, output)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::relu6;
    use crate::ops::tests::{assert_values, float, int8, integers, qtensor, refuses, signed, tensor};

    #[test]
    fn limits_are_quantized_by_the_inputs_scale() {
        let x = qtensor(&[4], &[0, 10, 14, 200], 0.5, 10);
        assert_eq!(integers(&int8(&relu6().unwrap(), &[&x]).unwrap()), [10, 10, 14, 22]);
        let clamp = clamp(-1, 1.0).unwrap();
        assert_eq!(integers(&int8(&clamp, &[&x]).unwrap()), [8, 10, 12, 12]);
        assert_eq!(integers(&int8(&clamp, &[&signed(&x)]).unwrap()), [-120, -118, -116, -116]);
        let y = float(&clamp, &[&tensor(&[3], &[-5.0, 0.5, f32::NAN])]).unwrap();
        assert_values(&y.map(|x| if x.is_nan() { 99.0 } else { x }), &[-1.0, 0.5, 99.0]);
    }

    #[test]
    fn limits_out_of_order_are_refused() {
        assert!(super::clamp(1, 0).is_err());
        assert!(super::clamp(f32::NAN, 0).is_err());
        assert!(super::clamp(0, f64::INFINITY).is_err());
        assert!(refuses::<Clamp>(serde_json::json!({"min": 2.0, "max": 1.0})));
        assert!(!refuses::<Clamp>(serde_json::json!({"min": 1.0, "max": 2.0})));
    }
}
