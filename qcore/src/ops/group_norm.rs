//! `GroupNorm`: groups of channels of each sample normalized to mean 0 and variance 1; and `InstanceNorm`, where each
//! channel is a group of its own.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::init::{constant, empty};
use super::normalization::{NormParameters, Rows};
use super::plain::plain_op;
use super::{Executable, Lowering, Op, TensorSpec};
use crate::model::Parameters;
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

/// Normalizes each group of channels of a sample to mean 0 and variance 1, then scales and shifts each channel: tensors
/// `[N, num_channels, ..]`.
///
/// Used with groups that do not divide the channels it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "GroupNormConfig", into = "GroupNormConfig")]
pub struct GroupNorm {
    num_groups: usize,
    num_channels: usize,
    parameters: NormParameters,
}

/// The parameters of a group norm in a file, besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct GroupNormConfig {
    num_groups: usize,
    num_channels: usize,
    eps: f64,
    affine: bool,
}

impl From<GroupNormConfig> for GroupNorm {
    fn from(config: GroupNormConfig) -> Self {
        let GroupNormConfig { num_groups, num_channels, eps, affine } = config;
        let parameters = NormParameters { weight: affine.then(empty), bias: affine.then(empty), eps };
        Self { num_groups, num_channels, parameters }
    }
}

impl From<GroupNorm> for GroupNormConfig {
    fn from(layer: GroupNorm) -> Self {
        let GroupNorm { num_groups, num_channels, parameters } = layer;
        Self { num_groups, num_channels, eps: parameters.eps, affine: parameters.weight.is_some() }
    }
}

impl GroupNorm {
    /// With an `eps` of 1e-5, weights of 1 and biases of 0.
    pub fn new(num_groups: usize, num_channels: usize) -> Self {
        let parameters = NormParameters { weight: None, bias: None, eps: 1e-5 };
        Self { num_groups, num_channels, parameters }.affine(true)
    }

    /// The number that is added to the variance.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        self.parameters.eps = eps;
        self
    }

    /// Whether there are a weight and a bias; true if not set.
    #[must_use]
    pub fn affine(mut self, affine: bool) -> Self {
        set_affine(&mut self.parameters, self.num_channels, affine);
        self
    }
}

fn set_affine(parameters: &mut NormParameters, channels: usize, affine: bool) {
    let NormParameters { weight, bias, .. } = parameters;
    *weight = affine.then(|| weight.take().unwrap_or_else(|| constant(&[channels], 1.0)));
    *bias = affine.then(|| bias.take().unwrap_or_else(|| constant(&[channels], 0.0)));
}

/// The rows of `[N, channels, ..]` in groups.
fn rows(operation: &'static str, x: &TensorSpec, channels: usize, groups: usize) -> Result<Rows> {
    let shape = x.shape();
    if shape.len() < 2 || shape[1] != channels || shape[2..].contains(&0) {
        return Err(Error::shape(operation, format!("[N, {channels}, ..] with values"), shape));
    }
    let inner: usize = shape[2..].iter().product();
    Ok(Rows { len: channels / groups * inner, channels, inner })
}

impl Op for GroupNorm {
    fn name(&self) -> &'static str {
        "GroupNorm"
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let (groups, channels) = (self.num_groups, self.num_channels);
        self.parameters.backward(|x| rows("GroupNorm", x, channels, groups), pass)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let (groups, channels) = (self.num_groups, self.num_channels);
        if groups == 0 || channels == 0 || !channels.is_multiple_of(groups) {
            let message = format!("num_groups {groups} does not divide num_channels {channels}");
            return Err(Error::parameter("GroupNorm", message));
        }
        self.parameters
            .lower("GroupNorm", &[channels], lowering, move |x| rows("GroupNorm", x, channels, groups))
    }
}

impl crate::ObjectType for GroupNorm {
    const NAME: &'static str = "GroupNorm";
}

impl Parameters for GroupNorm {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        self.parameters.visit(path, visit);
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        self.parameters.visit_mut(path, visit);
    }
}

/// Normalizes each channel of a sample to mean 0 and variance 1 over `D` spatial dimensions: tensors
/// `[N, num_features, ..]`. Running statistics are not tracked, as is PyTorch's default.
///
/// Used without features it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "InstanceNormConfig", into = "InstanceNormConfig")]
pub struct InstanceNorm<const D: usize> {
    num_features: usize,
    parameters: NormParameters,
}

/// [`InstanceNorm`] of `[N, C, L]`.
pub type InstanceNorm1d = InstanceNorm<1>;
/// [`InstanceNorm`] of `[N, C, H, W]`.
pub type InstanceNorm2d = InstanceNorm<2>;
/// [`InstanceNorm`] of `[N, C, D, H, W]`.
pub type InstanceNorm3d = InstanceNorm<3>;

/// The parameters of an instance norm in a file, besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct InstanceNormConfig {
    num_features: usize,
    eps: f64,
    affine: bool,
}

impl<const D: usize> From<InstanceNormConfig> for InstanceNorm<D> {
    fn from(config: InstanceNormConfig) -> Self {
        let InstanceNormConfig { num_features, eps, affine } = config;
        let parameters = NormParameters { weight: affine.then(empty), bias: affine.then(empty), eps };
        Self { num_features, parameters }
    }
}

impl<const D: usize> From<InstanceNorm<D>> for InstanceNormConfig {
    fn from(layer: InstanceNorm<D>) -> Self {
        let InstanceNorm { num_features, parameters } = layer;
        Self { num_features, eps: parameters.eps, affine: parameters.weight.is_some() }
    }
}

impl<const D: usize> InstanceNorm<D> {
    const NAME: &'static str = match D {
        1 => "InstanceNorm1d",
        2 => "InstanceNorm2d",
        _ => "InstanceNorm3d",
    };

    /// With an `eps` of 1e-5, without weight and bias.
    pub fn new(num_features: usize) -> Self {
        Self { num_features, parameters: NormParameters { weight: None, bias: None, eps: 1e-5 } }
    }

    /// The number that is added to the variance.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        self.parameters.eps = eps;
        self
    }

    /// Whether there are a weight and a bias; false if not set.
    #[must_use]
    pub fn affine(mut self, affine: bool) -> Self {
        set_affine(&mut self.parameters, self.num_features, affine);
        self
    }
}

impl<const D: usize> Op for InstanceNorm<D> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let channels = self.num_features;
        self.parameters.backward(|x| rows(Self::NAME, x, channels, channels), pass)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let channels = self.num_features;
        if channels == 0 {
            return Err(Error::parameter(Self::NAME, "num_features is 0"));
        }
        self.parameters.lower(Self::NAME, &[channels], lowering, move |x| {
            if x.shape().len() != D + 2 {
                let expected = format!("[N, {channels}] and {D} further axes");
                return Err(Error::shape(Self::NAME, expected, x.shape()));
            }
            rows(Self::NAME, x, channels, channels)
        })
    }
}

impl<const D: usize> crate::ObjectType for InstanceNorm<D> {
    const NAME: &'static str = InstanceNorm::<D>::NAME;
}

impl<const D: usize> Parameters for InstanceNorm<D> {
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
    use crate::ops::tests::{assert_values, float, tensor};

    #[test]
    fn groups_are_normalized_by_themselves() {
        let x = tensor(&[1, 4, 2], &[1.0, 1.0, 3.0, 3.0, 0.0, 8.0, 0.0, 8.0]);
        let y = float(&GroupNorm::new(2, 4).eps(0.0), &[&x]).unwrap();
        assert_values(&y, &[-1.0, -1.0, 1.0, 1.0, -1.0, 1.0, -1.0, 1.0]);
        let x = tensor(&[1, 2, 2], &[1.0, 3.0, 0.0, 8.0]);
        let y = float(&InstanceNorm1d::new(2).eps(0.0), &[&x]).unwrap();
        assert_values(&y, &[-1.0, 1.0, -1.0, 1.0]);
    }

    #[test]
    fn what_does_not_fit_is_an_error() {
        let x = tensor(&[1, 4, 1, 1], &[0.0; 4]);
        assert!(float(&GroupNorm::new(3, 4), &[&x]).is_err());
        assert!(float(&GroupNorm::new(0, 4), &[&x]).is_err());
        assert!(float(&GroupNorm::new(1, 5), &[&x]).is_err());
        assert!(float(&InstanceNorm1d::new(4), &[&x]).is_err());
        assert!(float(&InstanceNorm2d::new(3), &[&x]).is_err());
        assert!(float(&InstanceNorm2d::new(0), &[&x]).is_err());
    }
}
