//! `leaky_relu`: negative values times a slope.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plain::{no_parameters, plain_op};
use super::pointwise::Pointwise;
use super::{Executable, Homogeneity, Lowering, Op};
use crate::train::{Backward, Gradients};
use crate::{Error, Result};

/// `x` where it is positive, else `x * negative_slope`, for tensors of any shape.
///
/// In int8 a table has the result for each of the 256 integers (NUMERICS section 7). Used with a slope that is not
/// finite it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct LeakyReLU {
    negative_slope: f32,
}

impl LeakyReLU {
    /// With a slope of 0.01.
    pub fn new() -> Self {
        Self { negative_slope: 0.01 }
    }

    /// The factor of negative values; 0.01 if not set.
    #[must_use]
    pub fn negative_slope(self, negative_slope: impl Into<f64>) -> Self {
        Self { negative_slope: negative_slope.into() as f32 }
    }

    fn check(&self) -> Result<()> {
        let slope = self.negative_slope;
        if slope.is_finite() {
            return Ok(());
        }
        Err(Error::parameter(NAME, format!("the negative slope {slope} is not finite")))
    }
}

impl Default for LeakyReLU {
    fn default() -> Self {
        Self::new()
    }
}

/// The operation `leaky_relu(x, negative_slope)`; the slope is 0.01 if not given.
///
/// # Errors
/// When the slope is not finite as an f32.
pub fn leaky_relu(negative_slope: Option<f64>) -> Result<LeakyReLU> {
    let operation = LeakyReLU::new().negative_slope(negative_slope.unwrap_or(0.01));
    operation.check()?;
    Ok(operation)
}

const NAME: &str = "leaky_relu";

no_parameters!(LeakyReLU, "LeakyReLU");

impl Op for LeakyReLU {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::OfElements
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        pass.elementwise(|x, _| if x > 0.0 { 1.0 } else { self.negative_slope })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check()?;
        let slope = self.negative_slope;
        Pointwise::new(NAME, move |x| if x > 0.0 { x } else { x * slope }).lower(lowering)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, float, refuses, tensor};

    #[test]
    fn negative_values_are_multiplied() {
        let x = tensor(&[3], &[-4.0, 0.0, 2.0]);
        assert_values(&float(&LeakyReLU::default(), &[&x]).unwrap(), &[-0.04, 0.0, 2.0]);
        assert_values(&float(&leaky_relu(Some(0.5)).unwrap(), &[&x]).unwrap(), &[-2.0, 0.0, 2.0]);
        let nan = float(&LeakyReLU::new(), &[&tensor(&[1], &[f32::NAN])]).unwrap();
        assert!(nan.view()[[0].as_slice()].is_nan());
    }

    #[test]
    fn a_slope_that_is_not_finite_is_refused() {
        assert!(leaky_relu(Some(f64::NAN)).is_err());
        assert!(float(&LeakyReLU::new().negative_slope(f64::INFINITY), &[&tensor(&[1], &[1.0])]).is_err());
        assert!(refuses::<LeakyReLU>(serde_json::json!({"negative_slope": 1e300})));
    }
}
