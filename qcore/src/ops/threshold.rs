//! `threshold`: another value for all that does not exceed a limit.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plain::{no_parameters, plain_op};
use super::pointwise::Pointwise;
use super::{Executable, Lowering, Op};
use crate::train::{Backward, Gradients};
use crate::{Error, Result};

/// `x` where it is greater than `threshold`, else `value`, for tensors of any shape.
///
/// In int8 a table has the result for each of the 256 integers; the output has the input's scale (NUMERICS section 7).
/// Used with numbers that are not finite it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Threshold {
    threshold: f32,
    value: f32,
}

impl Threshold {
    /// Puts `value` in place of what is not greater than `threshold`.
    pub fn new(threshold: impl Into<f64>, value: impl Into<f64>) -> Self {
        Self { threshold: threshold.into() as f32, value: value.into() as f32 }
    }

    fn check(&self) -> Result<()> {
        if self.threshold.is_finite() && self.value.is_finite() {
            return Ok(());
        }
        let message = format!("threshold {} and value {} are not finite", self.threshold, self.value);
        Err(Error::parameter(NAME, message))
    }
}

/// The operation `threshold(x, threshold, value)`.
///
/// # Errors
/// When one of the numbers is not finite as an f32.
pub fn threshold(threshold: impl Into<f64>, value: impl Into<f64>) -> Result<Threshold> {
    let operation = Threshold::new(threshold, value);
    operation.check()?;
    Ok(operation)
}

const NAME: &str = "threshold";

no_parameters!(Threshold, "Threshold");

impl Op for Threshold {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        pass.elementwise(|x, _| if x <= self.threshold { 0.0 } else { 1.0 })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check()?;
        let Self { threshold, value } = *self;
        // So written that NaN goes through, as in PyTorch.
        Pointwise::new(NAME, move |x| if x <= threshold { value } else { x }).lower(lowering)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, float, refuses, tensor};

    #[test]
    fn the_limit_itself_is_replaced() {
        let x = tensor(&[3], &[-4.0, 1.0, 1.5]);
        assert_values(&float(&Threshold::new(1.0, 20.0), &[&x]).unwrap(), &[20.0, 20.0, 1.5]);
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        assert!(threshold(f64::NAN, 0).is_err());
        assert!(threshold(0, f64::INFINITY).is_err());
        assert!(refuses::<Threshold>(serde_json::json!({"threshold": 0.0, "value": 1e300})));
    }
}
