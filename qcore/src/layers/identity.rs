//! `Dropout` and `Identity`: layers that do nothing when a model is evaluated.

use super::layer_without_parameters;
use crate::{Result, op};

/// Dropout. Models are in evaluation here, so its output is its input.
#[derive(Clone, Copy, Debug, PartialEq)]
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

    fn operation(self) -> Result<op::Dropout> {
        op::dropout(Some(self.p))
    }
}

layer_without_parameters!(Dropout, "Dropout", op::Dropout);

/// The output is the input.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Identity;

impl Identity {
    /// The same as `Identity`.
    pub fn new() -> Self {
        Self
    }

    fn operation(self) -> Result<op::Identity> {
        Ok(op::Identity::default())
    }
}

layer_without_parameters!(Identity, "Identity", op::Identity);
