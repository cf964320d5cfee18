//! `gelu`: `x` times the normal distribution's probability of less than `x`.

use std::f64::consts::{FRAC_1_SQRT_2, FRAC_2_SQRT_PI};
use std::sync::Arc;

use qkernels::float::functions;
use serde::{Deserialize, Serialize};

use super::plain::{no_parameters, plain_op};
use super::pointwise::Pointwise;
use super::{Executable, Lowering, Op};
use crate::train::{Backward, Gradients};
use crate::{Error, Result};

/// `x * (1 + erf(x / sqrt(2))) / 2`, for tensors of any shape; or its approximation by `tanh`.
///
/// In int8 a table has the result for each of the 256 integers (NUMERICS section 7).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GELU {
    approximate: Approximate,
}

/// PyTorch's argument `approximate`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Approximate {
    #[default]
    None,
    Tanh,
}

impl GELU {
    /// The exact function.
    pub fn new() -> Self {
        Self::default()
    }

    /// `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3))) / 2` in place of the exact function, as PyTorch's
    /// `approximate="tanh"`.
    #[must_use]
    pub fn approximate_tanh(self) -> Self {
        Self { approximate: Approximate::Tanh }
    }
}

/// The operation `gelu(x, approximate)`, where `approximate` is `"none"` (also if not given) or `"tanh"`.
///
/// # Errors
/// When it is another word.
pub fn gelu(approximate: Option<&str>) -> Result<GELU> {
    match approximate {
        None | Some("none") => Ok(GELU::new()),
        Some("tanh") => Ok(GELU::new().approximate_tanh()),
        Some(other) => {
            Err(Error::parameter(NAME, format!("approximate is \"none\" or \"tanh\", not \"{other}\"")))
        }
    }
}

const NAME: &str = "gelu";

no_parameters!(GELU, "GELU");

impl Op for GELU {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        pass.elementwise(match self.approximate {
            Approximate::None => |x, _| exact_slope(x),
            Approximate::Tanh => |x, _| approximate_slope(x),
        })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        match self.approximate {
            Approximate::None => Pointwise::new(NAME, exact).in_float(functions::gelu).lower(lowering),
            Approximate::Tanh => {
                Pointwise::new(NAME, approximate_tanh).in_float(functions::gelu_tanh).lower(lowering)
            }
        }
    }
}

fn exact(x: f32) -> f32 {
    let x = f64::from(x);
    (x * 0.5 * (1.0 + libm::erf(x * FRAC_1_SQRT_2))) as f32
}

/// Of a normal distribution its probability of less than `x`, plus `x` times its density there.
fn exact_slope(x: f32) -> f32 {
    let x = f64::from(x);
    let density = 0.5 * FRAC_1_SQRT_2 * FRAC_2_SQRT_PI * (-0.5 * x * x).exp();
    (0.5 * (1.0 + libm::erf(x * FRAC_1_SQRT_2)) + x * density) as f32
}

fn approximate_slope(x: f32) -> f32 {
    let x = f64::from(x);
    let factor = FRAC_1_SQRT_2 * FRAC_2_SQRT_PI;
    let tanh = libm::tanh(factor * (x + 0.044_715 * x * x * x));
    let of_argument = factor * (1.0 + 3.0 * 0.044_715 * x * x);
    (0.5 * (1.0 + tanh) + 0.5 * x * (1.0 - tanh * tanh) * of_argument) as f32
}

fn approximate_tanh(x: f32) -> f32 {
    let x = f64::from(x);
    let argument = FRAC_1_SQRT_2 * FRAC_2_SQRT_PI * (x + 0.044_715 * x * x * x);
    (x * 0.5 * (1.0 + libm::tanh(argument))) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{float, refuses, tensor};

    /// The formulas in f64.
    #[test]
    fn both_forms_follow_their_formulas() {
        let x = tensor(&[4], &[-2.0, -0.5, 0.0, 1.0]);
        let exact = [-0.045_500_264, -0.154_268_77, 0.0, 0.841_344_8];
        let approximate = [-0.045_402_307, -0.154_286, 0.0, 0.841_192];
        for (op, expected) in [(GELU::new(), exact), (gelu(Some("tanh")).unwrap(), approximate)] {
            for (found, expected) in float(&op, &[&x]).unwrap().view().iter().zip(expected) {
                assert!((found - expected).abs() <= 3e-7 * expected.abs(), "{found} in place of {expected}");
            }
        }
    }

    #[test]
    fn another_word_is_refused() {
        assert!(gelu(Some("erf")).is_err());
        assert!(refuses::<GELU>(serde_json::json!({"approximate": "erf"})));
    }
}
