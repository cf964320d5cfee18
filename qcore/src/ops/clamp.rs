//! `clamp`: values limited to a range; and the kernel that `relu` and `relu6` share with it.

use std::sync::Arc;

use qkernels::{EightBit, elementwise};
use serde::{Deserialize, Serialize};

use super::activation::limit;
use super::inputs::{exactly, float_or_static, kernel_error, unsupported_dtype};
use super::kernel::unary_post;
use super::plain::{no_parameters, plain_op};
use super::{Executable, Lowering, Op, Planned, Post, TensorSpec};
use crate::{DType, Error, Result};

/// `min(max(x, min), max)`, PyTorch's `clamp` and `hardtanh`. On integers the limits are quantized by the input's
/// scale.
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

const NAME: &str = "clamp";

impl Clamp {
    fn check(&self) -> Result<()> {
        if self.min <= self.max && self.min.is_finite() && self.max.is_finite() {
            return Ok(());
        }
        let message = format!("min {} and max {} are not two finite numbers in order", self.min, self.max);
        Err(Error::parameter(NAME, message))
    }
}

no_parameters!(Clamp);

impl Op for Clamp {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check()?;
        let limits = [self.min, self.max];
        float_or_static(NAME, lowering, move |inputs| plan(NAME, inputs, limits))
    }
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
