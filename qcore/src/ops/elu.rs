//! `elu` and `celu`: negative values on an exponential that ends at `-alpha`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plain::{no_parameters, plain_op};
use super::pointwise::Pointwise;
use super::{Executable, Lowering, Op};
use crate::train::{Backward, Gradients};
use crate::{Error, Result};

/// Defines one of the two, as a layer and as a function of `(x, alpha)`.
macro_rules! exponential_linear_unit {
    ($layer:ident, $name:ident, $meaning:literal, $alpha:ident, $is_valid:expr, $requirement:literal, $argument:expr, $slope:expr) => {
        #[doc = concat!("`x` where it is not negative, else `", $meaning, "`, for tensors of any shape.")]
        ///
        /// In int8 a table has the result for each of the 256 integers (NUMERICS section 7).
        #[doc = concat!("Used with an `alpha` that is not ", $requirement, " it gives an error.")]
        #[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
        pub struct $layer {
            alpha: f32,
        }

        impl $layer {
            /// With an `alpha` of 1.
            pub fn new() -> Self {
                Self { alpha: 1.0 }
            }

            /// The negated limit of the results; 1 if not set.
            #[must_use]
            pub fn alpha(self, alpha: impl Into<f64>) -> Self {
                Self { alpha: alpha.into() as f32 }
            }

            fn check(&self) -> Result<()> {
                let $alpha = self.alpha;
                if $is_valid {
                    return Ok(());
                }
                let message = format!(concat!("alpha {} is not ", $requirement), self.alpha);
                Err(Error::parameter(stringify!($name), message))
            }
        }

        impl Default for $layer {
            fn default() -> Self {
                Self::new()
            }
        }

        #[doc = concat!("The operation `", stringify!($name), "(x, alpha)`; `alpha` is 1 if not given.")]
        ///
        /// # Errors
        #[doc = concat!("When `alpha` as an f32 is not ", $requirement, ".")]
        pub fn $name(alpha: Option<f64>) -> Result<$layer> {
            let operation = $layer::new().alpha(alpha.unwrap_or(1.0));
            operation.check()?;
            Ok(operation)
        }

        no_parameters!($layer, stringify!($layer));

        impl Op for $layer {
            fn name(&self) -> &'static str {
                stringify!($name)
            }

            plain_op!();

            fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
                let $alpha = self.alpha;
                let slope = $slope;
                pass.elementwise(|x, y| if x <= 0.0 { slope(y) } else { 1.0 })
            }

            fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
                self.check()?;
                let $alpha = self.alpha;
                let argument = $argument;
                let function = move |x: f32| if x < 0.0 { (exp(argument(x)) - 1.0) * $alpha } else { x };
                Pointwise::new(stringify!($name), function).lower(lowering)
            }
        }
    };
}

exponential_linear_unit!(
    ELU,
    elu,
    "alpha * (e^x - 1)",
    alpha,
    alpha.is_finite(),
    "finite",
    |x: f32| x,
    |y: f32| y + alpha
);
exponential_linear_unit!(
    CELU,
    celu,
    "alpha * (e^(x / alpha) - 1)",
    alpha,
    alpha.is_finite() && alpha != 0.0,
    "finite and other than 0",
    move |x: f32| x * (1.0 / alpha),
    |y: f32| y / alpha + 1.0
);

/// In f64, rounded once: the same on every platform, and PyTorch's table.
fn exp(x: f32) -> f32 {
    libm::exp(f64::from(x)) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, float, refuses, tensor};

    #[test]
    fn negative_values_end_at_minus_alpha() {
        let x = tensor(&[4], &[-100.0, -1.0, 0.0, 2.0]);
        let e = std::f32::consts::E;
        assert_values(&float(&ELU::default(), &[&x]).unwrap(), &[-1.0, 1.0 / e - 1.0, 0.0, 2.0]);
        assert_values(&float(&elu(Some(2.0)).unwrap(), &[&x]).unwrap(), &[-2.0, 2.0 / e - 2.0, 0.0, 2.0]);
        let root = (-0.5_f32).exp();
        assert_values(&float(&CELU::new().alpha(2.0), &[&x]).unwrap(), &[-2.0, 2.0 * root - 2.0, 0.0, 2.0]);
    }

    #[test]
    fn an_alpha_that_makes_no_sense_is_refused() {
        assert!(elu(Some(f64::NAN)).is_err());
        assert!(celu(Some(0.0)).is_err());
        assert!(refuses::<CELU>(serde_json::json!({"alpha": 0.0})));
        assert!(!refuses::<ELU>(serde_json::json!({"alpha": 0.0})));
    }
}
