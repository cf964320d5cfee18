//! `Conv2d` as a layer.

use super::init::Generator;
use super::{fitting, layer};
use crate::op::{self, Conv2dOptions, FittedWeightCache};
use crate::parameters::{Parameters, join};
use crate::{Error, Pair, Result, Tensor};

/// A 2-d convolution: `[N, C, H, W]` to `[N, O, OH, OW]`. Padding is with zeros.
///
/// Used with channels that the groups do not divide, or with a size of 0, it gives an error.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv2d {
    in_channels: usize,
    out_channels: usize,
    kernel_size: Pair,
    options: Conv2dOptions,
    weight: Tensor,
    bias: Option<Tensor>,
    /// Of this weight.
    fitted_weight: FittedWeightCache,
}

impl Conv2d {
    /// A convolution with a bias, stride 1, no padding and one group.
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: impl Into<Pair>) -> Self {
        let layer = Self {
            in_channels,
            out_channels,
            kernel_size: kernel_size.into(),
            options: Conv2dOptions::default(),
            weight: Tensor::zeros(&[0]),
            bias: Some(Tensor::zeros(&[0])),
            fitted_weight: FittedWeightCache::default(),
        };
        layer.initialized()
    }

    /// The distance between two windows; 1 if not set.
    #[must_use]
    pub fn stride(mut self, stride: impl Into<Pair>) -> Self {
        self.options.stride = stride.into();
        self
    }

    /// The zeros on each side; 0 if not set.
    #[must_use]
    pub fn padding(mut self, padding: impl Into<Pair>) -> Self {
        self.options.padding = padding.into();
        self
    }

    /// The distance between two taps of the filter; 1 if not set.
    #[must_use]
    pub fn dilation(mut self, dilation: impl Into<Pair>) -> Self {
        self.options.dilation = dilation.into();
        self
    }

    /// Into how many groups the channels fall; 1 if not set, `in_channels` for a depthwise convolution. Starts
    /// with new weights, whose shape depends on it.
    #[must_use]
    pub fn groups(mut self, groups: usize) -> Self {
        self.options.groups = groups;
        self.initialized()
    }

    /// Whether there is a bias; true if not set.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        match (bias, &self.bias) {
            (false, _) => self.bias = None,
            (true, Some(_)) => {}
            (true, None) => self.bias = Some(self.initial().1),
        }
        self
    }

    /// The same layer with this weight, `[out_channels, in_channels / groups, height, width]`.
    ///
    /// # Errors
    /// When its shape is another, or the groups do not divide the channels.
    pub fn with_weight(self, weight: impl Into<Tensor>) -> Result<Self> {
        let weight = fitting("Conv2d", "weight", weight.into(), &self.weight_shape()?)?;
        Ok(Self { weight, fitted_weight: FittedWeightCache::default(), ..self })
    }

    /// The same layer with this bias, `[out_channels]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_bias(self, bias: impl Into<Tensor>) -> Result<Self> {
        let bias = fitting("Conv2d", "bias", bias.into(), &[self.out_channels])?;
        Ok(Self { bias: Some(bias), ..self })
    }

    /// `[out_channels, in_channels / groups, height, width]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[out_channels]`, if there is one. ([`Conv2d::bias`] is the builder.)
    pub fn bias_tensor(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    fn weight_shape(&self) -> Result<[usize; 4]> {
        let Self { in_channels, out_channels, kernel_size, .. } = *self;
        let groups = self.options.groups;
        if groups == 0 || !in_channels.is_multiple_of(groups) || !out_channels.is_multiple_of(groups) {
            let message = format!(
                "groups {groups} does not divide in_channels {in_channels} and out_channels {out_channels}"
            );
            return Err(Error::parameter("Conv2d", message));
        }
        Ok([out_channels, in_channels / groups, kernel_size.height, kernel_size.width])
    }

    /// New weight and bias. Without a shape they are empty: `op` says why.
    fn initial(&self) -> (Tensor, Tensor) {
        let shape = self.weight_shape().unwrap_or([0; 4]);
        let fan_in = shape[1..].iter().fold(1_usize, |product, &extent| product.saturating_mul(extent));
        let mut generator = Generator::for_layer("Conv2d", &shape);
        (generator.uniform(&shape, fan_in), generator.uniform(&[self.out_channels], fan_in))
    }

    fn initialized(mut self) -> Self {
        let (weight, bias) = self.initial();
        self.weight = weight;
        self.fitted_weight = FittedWeightCache::default();
        self.bias = self.bias.map(|_| bias);
        self
    }

    fn operation(&self) -> Result<op::Conv2d> {
        let weight = fitting("Conv2d", "weight", self.weight.clone(), &self.weight_shape()?)?;
        Ok(op::Conv2d::new(weight, self.bias.clone(), self.options)?
            .with_fitted_weight(self.fitted_weight.clone()))
    }
}

impl Parameters for Conv2d {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        visit(join(path, "weight"), &self.weight);
        if let Some(bias) = &self.bias {
            visit(join(path, "bias"), bias);
        }
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        self.fitted_weight = FittedWeightCache::default();
        visit(join(path, "weight"), &mut self.weight);
        if let Some(bias) = &mut self.bias {
            visit(join(path, "bias"), bias);
        }
    }
}

layer!(Conv2d, "Conv2d", op::Conv2d);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Layer as _;

    #[test]
    fn a_changed_weight_is_seen_by_small_images_too() {
        let mut conv = Conv2d::new(1, 1, 3).padding(1).bias(false);
        let x = Tensor::from_vec(&[1, 1, 1, 1], vec![2.0]).unwrap();
        let middle = |conv: &Conv2d| conv.weight().view()[[0, 0, 1, 1].as_slice()];
        let y = |conv: &Conv2d| conv.forward(x.clone()).unwrap().as_slice().map(<[f32]>::to_vec);
        assert_eq!(y(&conv), Some(vec![2.0 * middle(&conv)]));
        let before = conv.clone();
        conv.parameters_mut("", &mut |_, tensor| *tensor = tensor.clone().map(|x| x + 1.0));
        assert_eq!(y(&conv), Some(vec![2.0 * middle(&conv)]));
        assert_ne!(y(&conv), y(&before));
        let conv = conv.with_weight(Tensor::zeros(&[1, 1, 3, 3])).unwrap();
        assert_eq!(y(&conv), Some(vec![0.0]));
    }
}
