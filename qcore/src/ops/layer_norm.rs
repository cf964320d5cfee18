//! `LayerNorm`: the last axes of each sample normalized to mean 0 and variance 1.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::init::{constant, empty};
use super::inputs::element_count;
use super::normalization::{NormParameters, Rows};
use super::plain::plain_op;
use super::{Executable, Lowering, Op, TensorSpec};
use crate::model::Parameters;
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

/// Normalizes the last axes, of extents `normalized_shape`, to mean 0 and variance 1, then scales and shifts each of
/// their elements: tensors `[.., normalized_shape]`.
///
/// Used without elements to normalize it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "LayerNormConfig", into = "LayerNormConfig")]
pub struct LayerNorm {
    normalized_shape: Vec<usize>,
    parameters: NormParameters,
}

/// The parameters of a layer norm in a file, besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct LayerNormConfig {
    normalized_shape: Vec<usize>,
    eps: f64,
    weight: bool,
    bias: bool,
}

impl From<LayerNormConfig> for LayerNorm {
    fn from(config: LayerNormConfig) -> Self {
        let LayerNormConfig { normalized_shape, eps, weight, bias } = config;
        let parameters = NormParameters { weight: weight.then(empty), bias: bias.then(empty), eps };
        Self { normalized_shape, parameters }
    }
}

impl From<LayerNorm> for LayerNormConfig {
    fn from(layer: LayerNorm) -> Self {
        let LayerNorm { normalized_shape, parameters: NormParameters { weight, bias, eps } } = layer;
        Self { normalized_shape, eps, weight: weight.is_some(), bias: bias.is_some() }
    }
}

impl LayerNorm {
    /// Over the last axes, of these extents; with an `eps` of 1e-5, weights of 1 and biases of 0.
    pub fn new(normalized_shape: impl Into<Vec<usize>>) -> Self {
        let normalized_shape = normalized_shape.into();
        let [weight, bias] = [1.0, 0.0].map(|value| Some(constant(&normalized_shape, value)));
        Self { parameters: NormParameters { weight, bias, eps: 1e-5 }, normalized_shape }
    }

    /// The number that is added to the variance.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        self.parameters.eps = eps;
        self
    }

    /// Whether there are a weight and a bias; true if not set.
    #[must_use]
    pub fn elementwise_affine(mut self, affine: bool) -> Self {
        let Self { normalized_shape, parameters: NormParameters { weight, bias, .. } } = &mut self;
        *weight = affine.then(|| weight.take().unwrap_or_else(|| constant(normalized_shape, 1.0)));
        *bias = affine.then(|| bias.take().unwrap_or_else(|| constant(normalized_shape, 0.0)));
        self
    }

    /// Whether there is a bias where there is a weight; true if not set.
    #[must_use]
    pub fn bias(mut self, has_bias: bool) -> Self {
        let Self { normalized_shape, parameters: NormParameters { weight, bias, .. } } = &mut self;
        let has_bias = has_bias && weight.is_some();
        *bias = has_bias.then(|| bias.take().unwrap_or_else(|| constant(normalized_shape, 0.0)));
        self
    }

    fn rows(normalized_shape: &[usize], x: &TensorSpec) -> Result<Rows> {
        if !x.shape().ends_with(normalized_shape) {
            let expected = normalized_shape.iter().map(|extent| format!(", {extent}")).collect::<String>();
            return Err(Error::shape(NAME, format!("[..{expected}]"), x.shape()));
        }
        let len = element_count(normalized_shape).filter(|&len| len > 0);
        let len = len.ok_or_else(|| Error::shape(NAME, "elements to normalize", x.shape()))?;
        Ok(Rows { len, channels: len, inner: 1 })
    }
}

const NAME: &str = "LayerNorm";

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        self.parameters.backward(|x| Self::rows(&self.normalized_shape, x), pass)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        if self.normalized_shape.is_empty() {
            return Err(Error::parameter(NAME, "normalized_shape has no axes"));
        }
        let shape = self.normalized_shape.clone();
        self.parameters.lower(NAME, &self.normalized_shape, lowering, move |x| Self::rows(&shape, x))
    }
}

impl crate::ObjectType for LayerNorm {
    const NAME: &'static str = NAME;
}

impl Parameters for LayerNorm {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        self.parameters.visit(path, visit);
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        self.parameters.visit_mut(path, visit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{float, tensor};

    #[test]
    fn rows_have_mean_zero_and_variance_one() {
        let x = tensor(&[2, 2, 2], &[1.0, 3.0, -2.0, 2.0, 5.0, 5.0, 0.0, 10.0]);
        let y = float(&LayerNorm::new([2]).eps(0.0).elementwise_affine(false), &[&x]).unwrap();
        let expected = [-1.0, 1.0, -1.0, 1.0, f32::NAN, f32::NAN, -1.0, 1.0];
        for (found, expected) in y.view().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6 || expected.is_nan(), "{y:?}");
        }
        // Mean 5 and variance 12.5.
        let y = float(&LayerNorm::new([2, 2]).eps(0.0), &[&x]).unwrap();
        let last: Vec<f32> = y.view().iter().skip(4).copied().collect();
        let deviation = 12.5_f32.sqrt();
        for (found, expected) in last.iter().zip([0.0, 0.0, -5.0 / deviation, 5.0 / deviation]) {
            assert!((found - expected).abs() < 1e-6, "{last:?}");
        }
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let x = tensor(&[2, 3], &[0.0; 6]);
        assert!(float(&LayerNorm::new([2]), &[&x]).is_err());
        assert!(float(&LayerNorm::new([]), &[&x]).is_err());
        assert!(float(&LayerNorm::new([3]).eps(f64::NAN), &[&x]).is_err());
        assert!(float(&LayerNorm::new([usize::MAX, 2]), &[&x]).is_err());
    }
}
