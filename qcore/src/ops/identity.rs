//! Operations that change nothing: `dropout` in evaluation, `Identity`, and the user's `quant` and `dequant`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inputs::{exactly, float_or_static};
use super::plain::{no_parameters, plain_op};
use super::{Executable, Homogeneity, Lowering, Op, Planned};
use crate::{Error, Result};

/// The output is the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity;

impl Identity {
    /// The same as `Identity`.
    pub fn new() -> Self {
        Self
    }
}

/// Dropout. Models are in evaluation here, so its output is its input.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    p: f64,
}

impl Default for Dropout {
    fn default() -> Self {
        Self { p: 0.5 }
    }
}

impl Dropout {
    /// Drops values with probability `p` when training.
    pub fn new(p: impl Into<f64>) -> Self {
        Self { p: p.into() }
    }

    /// The probability.
    pub fn p(&self) -> f64 {
        self.p
    }

    fn check(&self) -> Result<()> {
        if (0.0..=1.0).contains(&self.p) {
            return Ok(());
        }
        Err(Error::parameter("dropout", format!("p {} is not in [0, 1]", self.p)))
    }
}

/// The operation `dropout(x, p)`; `p` is 0.5 if not given. Models here are in evaluation, so it does nothing.
///
/// # Errors
/// When `p` is not a probability.
pub fn dropout(p: Option<f64>) -> Result<Dropout> {
    let operation = p.map_or_else(Dropout::default, Dropout::new);
    operation.check()?;
    Ok(operation)
}

/// From float to int8, where the user says so.
///
/// The values stay as they are: the network changes their format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quant;

/// The operation `quant(x)`.
pub fn quant() -> Result<Quant> {
    Ok(Quant)
}

/// To float, where the user says so; the operations after it stay in float until `quant`.
///
/// The values stay as they are: the network changes their format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dequant;

/// The operation `dequant(x)`.
pub fn dequant() -> Result<Dequant> {
    Ok(Dequant)
}

no_parameters!(Identity, "Identity");
no_parameters!(Dropout, "Dropout");
no_parameters!(Quant);
no_parameters!(Dequant);

/// Implements `Op` for an operation whose output is its input; `$check` looks at its parameters.
macro_rules! identity_op {
    ($operation:ident, $name:literal, $check:expr) => {
        impl Op for $operation {
            fn name(&self) -> &'static str {
                $name
            }

            plain_op!();

            fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
                let check: fn(&Self) -> Result<()> = $check;
                check(self)?;
                float_or_static($name, lowering, |inputs| {
                    let [x] = exactly($name, inputs)?;
                    Ok(Planned::View(x.clone()))
                })
            }

            fn homogeneity(&self) -> Homogeneity {
                Homogeneity::OfElements
            }
        }
    };
}

identity_op!(Identity, "Identity", |_| Ok(()));
identity_op!(Dropout, "dropout", Self::check);
identity_op!(Quant, "quant", |_| Ok(()));
identity_op!(Dequant, "dequant", |_| Ok(()));

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{counting, float, int8, qtensor, refuses};

    #[test]
    fn the_output_is_the_input() {
        let (x, q) = (counting(&[2, 3]), qtensor(&[2], &[1, 200], 0.5, 3));
        assert_eq!(float(&Identity::new(), &[&x]).unwrap(), x);
        assert_eq!(float(&Dropout::default(), &[&x]).unwrap(), x);
        assert_eq!(int8(&Dropout::new(1), &[&q]).unwrap(), q);
    }

    #[test]
    fn p_is_a_probability() {
        assert_eq!(dropout(None).unwrap().p(), 0.5);
        assert!(dropout(Some(1.5)).is_err());
        assert!(dropout(Some(f64::NAN)).is_err());
        assert!(refuses::<Dropout>(serde_json::json!({"p": -0.5})));
    }
}
