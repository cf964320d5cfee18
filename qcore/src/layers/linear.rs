//! `Linear` as a layer.

use super::init::Generator;
use super::{fitting, layer};
use crate::parameters::{Parameters, join};
use crate::{Result, Tensor, op};

/// `x` times the transposed weight, plus the bias: `[.., in_features]` to `[.., out_features]`.
///
/// Used without features it gives an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    in_features: usize,
    out_features: usize,
    weight: Tensor,
    bias: Option<Tensor>,
}

impl Linear {
    /// A linear layer with a bias.
    pub fn new(in_features: usize, out_features: usize) -> Self {
        let mut generator = Generator::for_layer("Linear", &[in_features, out_features]);
        let weight = generator.uniform(&[out_features, in_features], in_features);
        let bias = generator.uniform(&[out_features], in_features);
        Self { in_features, out_features, weight, bias: Some(bias) }
    }

    /// Whether there is a bias; true if not set.
    #[must_use]
    pub fn bias(self, bias: bool) -> Self {
        let bias = match (bias, self.bias) {
            (false, _) => None,
            (true, Some(bias)) => Some(bias),
            (true, None) => Self::new(self.in_features, self.out_features).bias,
        };
        Self { bias, ..self }
    }

    /// The same layer with this weight, `[out_features, in_features]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_weight(self, weight: impl Into<Tensor>) -> Result<Self> {
        let weight = fitting("Linear", "weight", weight.into(), &[self.out_features, self.in_features])?;
        Ok(Self { weight, ..self })
    }

    /// The same layer with this bias, `[out_features]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_bias(self, bias: impl Into<Tensor>) -> Result<Self> {
        let bias = fitting("Linear", "bias", bias.into(), &[self.out_features])?;
        Ok(Self { bias: Some(bias), ..self })
    }

    /// `[out_features, in_features]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[out_features]`, if there is one. ([`Linear::bias`] is the builder.)
    pub fn bias_tensor(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    fn operation(&self) -> Result<op::Linear> {
        let shape = [self.out_features, self.in_features];
        let weight = fitting("Linear", "weight", self.weight.clone(), &shape)?;
        op::Linear::new(weight, self.bias.clone())
    }
}

impl Parameters for Linear {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        visit(join(path, "weight"), &self.weight);
        if let Some(bias) = &self.bias {
            visit(join(path, "bias"), bias);
        }
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        visit(join(path, "weight"), &mut self.weight);
        if let Some(bias) = &mut self.bias {
            visit(join(path, "bias"), bias);
        }
    }
}

layer!(Linear, "Linear", op::Linear);
