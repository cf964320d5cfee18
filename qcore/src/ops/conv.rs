//! `Conv`: convolutions of any number of dimensions, with the operations fused behind them.

mod backward;
mod float;
mod parameters;
mod quantized;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::defaults;
use super::init::{Generator, empty, fitting};
use super::packed_weight::PackedWeightCache;
use super::plain::plain_op;
use super::weights::{WeightInfo, check_bias, float_weights, is_zero};
use super::{BatchNormParameters, Executable, Lowering, Op, Precision, Size, Weighted};
use crate::model::{Parameters, join};
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

use float::FloatConv;
pub(super) use float::epilogue;
use parameters::ConvParameters;
use quantized::QuantizedConv;

/// A convolution in `D` spatial dimensions: `[N, C, ..]` to `[N, O, ..]`. Padding is with zeros.
///
/// Used with channels that the groups do not divide, or with a size of 0, it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "ConvConfig<D>", into = "ConvConfig<D>")]
pub struct Conv<const D: usize> {
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) kernel_size: Size<D>,
    pub(super) stride: Size<D>,
    pub(super) padding: Size<D>,
    pub(super) dilation: Size<D>,
    pub(super) groups: usize,
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
    /// Of this weight.
    pub(super) packed_weight: PackedWeightCache,
}

/// A convolution of sequences: `[N, C, L]` to `[N, O, OL]`.
pub type Conv1d = Conv<1>;
/// A convolution of images: `[N, C, H, W]` to `[N, O, OH, OW]`.
pub type Conv2d = Conv<2>;
/// A convolution of videos: `[N, C, D, H, W]` to `[N, O, OD, OH, OW]`.
pub type Conv3d = Conv<3>;

/// The parameters of a convolution in a file, besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct ConvConfig<const D: usize> {
    in_channels: usize,
    out_channels: usize,
    kernel_size: Size<D>,
    #[serde(default = "defaults::ones", skip_serializing_if = "defaults::are_ones")]
    stride: Size<D>,
    #[serde(default = "defaults::zeros", skip_serializing_if = "defaults::are_zeros")]
    padding: Size<D>,
    #[serde(default = "defaults::ones", skip_serializing_if = "defaults::are_ones")]
    dilation: Size<D>,
    #[serde(default = "defaults::one", skip_serializing_if = "defaults::is_one")]
    groups: usize,
    #[serde(default = "defaults::yes", skip_serializing_if = "defaults::is_yes")]
    bias: bool,
}

impl<const D: usize> From<ConvConfig<D>> for Conv<D> {
    fn from(config: ConvConfig<D>) -> Self {
        let ConvConfig { in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias } =
            config;
        Self {
            in_channels,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            weight: empty(),
            bias: bias.then(empty),
            packed_weight: PackedWeightCache::default(),
        }
    }
}

impl<const D: usize> From<Conv<D>> for ConvConfig<D> {
    fn from(conv: Conv<D>) -> Self {
        Self {
            in_channels: conv.in_channels,
            out_channels: conv.out_channels,
            kernel_size: conv.kernel_size,
            stride: conv.stride,
            padding: conv.padding,
            dilation: conv.dilation,
            groups: conv.groups,
            bias: conv.bias.is_some(),
        }
    }
}

impl<const D: usize> Conv<D> {
    const NAME: &'static str = match D {
        1 => "Conv1d",
        2 => "Conv2d",
        _ => "Conv3d",
    };

    /// A convolution with a bias, stride 1, no padding and one group.
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: impl Into<Size<D>>) -> Self {
        let config = ConvConfig {
            in_channels,
            out_channels,
            kernel_size: kernel_size.into(),
            stride: Size::from(1),
            padding: Size::from(0),
            dilation: Size::from(1),
            groups: 1,
            bias: true,
        };
        Self::from(config).initialized()
    }

    /// The distance between two windows; 1 if not set.
    #[must_use]
    pub fn stride(self, stride: impl Into<Size<D>>) -> Self {
        Self { stride: stride.into(), ..self }
    }

    /// The zeros on each side; 0 if not set.
    #[must_use]
    pub fn padding(self, padding: impl Into<Size<D>>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// The distance between two taps of the filter; 1 if not set.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Size<D>>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// The number of groups into which the channels fall; 1 if not set, `in_channels` for a depthwise convolution.
    /// Starts with new weights, whose shape depends on it.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { groups, ..self }.initialized()
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

    /// The same layer with this weight, `[out_channels, in_channels / groups, ..kernel_size]`.
    ///
    /// # Errors
    /// When its shape is another, or the groups do not divide the channels.
    pub fn with_weight(self, weight: impl Into<Tensor>) -> Result<Self> {
        let weight = fitting(Self::NAME, "weight", weight.into(), &self.weight_shape()?)?;
        Ok(Self { weight, packed_weight: PackedWeightCache::default(), ..self })
    }

    /// The same layer with this bias, `[out_channels]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_bias(self, bias: impl Into<Tensor>) -> Result<Self> {
        let bias = fitting(Self::NAME, "bias", bias.into(), &[self.out_channels])?;
        Ok(Self { bias: Some(bias), ..self })
    }

    /// `[out_channels, in_channels / groups, ..kernel_size]`.
    pub fn weight(&self) -> &Tensor {
        &self.weight
    }

    /// `[out_channels]`, if there is one. ([`Conv::bias`] is the builder.)
    pub fn bias_tensor(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    pub(super) fn weight_shape(&self) -> Result<Vec<usize>> {
        let Self { in_channels, out_channels, groups, .. } = *self;
        if groups == 0 || !in_channels.is_multiple_of(groups) || !out_channels.is_multiple_of(groups) {
            let message = format!(
                "groups {groups} does not divide in_channels {in_channels} and out_channels {out_channels}"
            );
            return Err(Error::parameter(Self::NAME, message));
        }
        Ok([&[out_channels, in_channels / groups], self.kernel_size.0.as_slice()].concat())
    }

    /// New weight and bias. Without a shape they are empty: [`Op::lower`] says why.
    fn initial(&self) -> (Tensor, Tensor) {
        let shape = self.weight_shape().unwrap_or_else(|_| vec![0; D + 2]);
        let fan_in = shape[1..].iter().fold(1_usize, |product, &extent| product.saturating_mul(extent));
        let mut generator = Generator::for_layer(Self::NAME, &shape);
        generator.weight_and_bias(&shape, self.out_channels, fan_in)
    }

    fn initialized(mut self) -> Self {
        let (weight, bias) = self.initial();
        self.weight = weight;
        self.packed_weight = PackedWeightCache::default();
        self.bias = self.bias.map(|_| bias);
        self
    }
}

impl<const D: usize> Op for Conv<D> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let parameters = ConvParameters::new(self)?;
        let geometry = parameters.smallest_geometry()?;
        match lowering.precision {
            Precision::Float => {
                let (weight, bias) = float_weights(&self.weight, self.bias.as_ref(), lowering)?;
                let weight = fitting(Self::NAME, "weight", weight, &self.weight_shape()?)?;
                check_bias(Self::NAME, bias.as_ref(), geometry.out_channels)?;
                let packed_weight = match lowering.stored() {
                    None => self.packed_weight.clone(),
                    Some(_) => PackedWeightCache::default(),
                };
                let epilogue =
                    epilogue::<D>(geometry.out_channels, bias.as_ref(), lowering, |affine| affine)?;
                let weight = weight.contiguous();
                Ok(Arc::new(FloatConv {
                    parameters,
                    weight,
                    bias,
                    packed_weight,
                    epilogue: Arc::new(epilogue),
                }))
            }
            Precision::Static => {
                let shape = self.weight_shape()?;
                let (info, integers) =
                    WeightInfo::quantized(Self::NAME, &self.weight, self.bias.as_ref(), &shape, lowering)?;
                if info.shape != shape {
                    let expected = format!("a weight of shape {shape:?}");
                    return Err(Error::shape(Self::NAME, expected, &info.shape));
                }
                let lowered = QuantizedConv::new(parameters, &geometry, info, integers, lowering)?;
                Ok(Arc::new(lowered))
            }
            _ => Err(lowering.unsupported(Self::NAME)),
        }
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        backward::backward(self, pass)
    }

    fn ignores_input(&self) -> bool {
        is_zero(&self.weight)
    }

    fn fold_batch_norm(&self, batch_norm: &BatchNormParameters) -> Option<Result<Arc<dyn Op>>> {
        let folded = batch_norm.fold_into_conv(Self::NAME, &self.weight, self.bias.as_ref());
        Some(folded.map(|(weight, bias)| {
            let packed_weight = PackedWeightCache::default();
            Arc::new(Self { weight, bias: Some(bias), packed_weight, ..self.clone() }) as Arc<dyn Op>
        }))
    }

    fn as_weighted(&self) -> Option<Weighted<'_>> {
        Some(Weighted { weight: &self.weight, bias: self.bias.as_ref(), groups: self.groups })
    }

    fn with_weights(&self, weight: Tensor, bias: Option<Tensor>) -> Option<Arc<dyn Op>> {
        Some(Arc::new(Self { weight, bias, packed_weight: PackedWeightCache::default(), ..self.clone() }))
    }

    fn takes_batch_norm(&self) -> bool {
        true
    }
}

impl<const D: usize> crate::ObjectType for Conv<D> {
    const NAME: &'static str = Conv::<D>::NAME;
}

impl<const D: usize> Parameters for Conv<D> {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        visit(join(path, "weight"), &self.weight);
        if let Some(bias) = &self.bias {
            visit(join(path, "bias"), bias);
        }
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        self.packed_weight = PackedWeightCache::default();
        visit(join(path, "weight"), &mut self.weight);
        if let Some(bias) = &mut self.bias {
            visit(join(path, "bias"), bias);
        }
    }
}
