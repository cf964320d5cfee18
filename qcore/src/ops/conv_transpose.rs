//! `ConvTranspose`: transposed convolutions of any number of dimensions, by the convolutions that make their phases.

mod float;
mod parameters;
mod quantized;

use std::sync::Arc;

use ndarray::{AxisDescription, Slice};
use serde::{Deserialize, Serialize};

use super::conv::Conv;
use super::defaults;
use super::init::{Generator, empty, fitting};
use super::packed_weight::PackedWeightCache;
use super::plain::plain_op;
use super::weights::{WeightInfo, check_bias, float_weights, is_zero};
use super::{BatchNormParameters, Executable, Lowering, Op, Precision, Size};
use crate::model::{Parameters, join};
use crate::program::evaluate_float;
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

use float::FloatConvTranspose;
use parameters::ConvTransposeParameters;
use quantized::QuantizedConvTranspose;

/// A transposed convolution in `D` spatial dimensions: `[N, C, ..]` to `[N, O, ..]`, each extent `n` to
/// `(n - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1`.
///
/// In int8 its weight has one scale, as in PyTorch. Used with channels that the groups do not divide, with a size of 0, or
/// with an output padding that is not less than stride or dilation, it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "ConvTransposeConfig<D>", into = "ConvTransposeConfig<D>")]
pub struct ConvTranspose<const D: usize> {
    /// The convolution that this one transposes, from its outputs to its inputs: they share the weight.
    conv: Conv<D>,
    output_padding: Size<D>,
    bias: Option<Tensor>,
}

/// A transposed convolution of sequences: `[N, C, L]` to `[N, O, OL]`.
pub type ConvTranspose1d = ConvTranspose<1>;
/// A transposed convolution of images: `[N, C, H, W]` to `[N, O, OH, OW]`.
pub type ConvTranspose2d = ConvTranspose<2>;
/// A transposed convolution of videos: `[N, C, D, H, W]` to `[N, O, OD, OH, OW]`.
pub type ConvTranspose3d = ConvTranspose<3>;

/// The parameters of a transposed convolution in a file, besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct ConvTransposeConfig<const D: usize> {
    in_channels: usize,
    out_channels: usize,
    kernel_size: Size<D>,
    #[serde(default = "defaults::ones", skip_serializing_if = "defaults::are_ones")]
    stride: Size<D>,
    #[serde(default = "defaults::zeros", skip_serializing_if = "defaults::are_zeros")]
    padding: Size<D>,
    #[serde(default = "defaults::zeros", skip_serializing_if = "defaults::are_zeros")]
    output_padding: Size<D>,
    #[serde(default = "defaults::ones", skip_serializing_if = "defaults::are_ones")]
    dilation: Size<D>,
    #[serde(default = "defaults::one", skip_serializing_if = "defaults::is_one")]
    groups: usize,
    #[serde(default = "defaults::yes", skip_serializing_if = "defaults::is_yes")]
    bias: bool,
}

impl<const D: usize> From<ConvTransposeConfig<D>> for ConvTranspose<D> {
    fn from(config: ConvTransposeConfig<D>) -> Self {
        let conv = Conv {
            in_channels: config.out_channels,
            out_channels: config.in_channels,
            kernel_size: config.kernel_size,
            stride: config.stride,
            padding: config.padding,
            dilation: config.dilation,
            groups: config.groups,
            weight: empty(),
            bias: None,
            packed_weight: PackedWeightCache::default(),
        };
        Self { conv, output_padding: config.output_padding, bias: config.bias.then(empty) }
    }
}

impl<const D: usize> From<ConvTranspose<D>> for ConvTransposeConfig<D> {
    fn from(ConvTranspose { conv, output_padding, bias }: ConvTranspose<D>) -> Self {
        Self {
            in_channels: conv.out_channels,
            out_channels: conv.in_channels,
            kernel_size: conv.kernel_size,
            stride: conv.stride,
            padding: conv.padding,
            output_padding,
            dilation: conv.dilation,
            groups: conv.groups,
            bias: bias.is_some(),
        }
    }
}

impl<const D: usize> ConvTranspose<D> {
    const NAME: &'static str = match D {
        1 => "ConvTranspose1d",
        2 => "ConvTranspose2d",
        _ => "ConvTranspose3d",
    };

    /// A transposed convolution with a bias, stride 1, no padding and one group.
    pub fn new(in_channels: usize, out_channels: usize, kernel_size: impl Into<Size<D>>) -> Self {
        let conv = Conv::new(out_channels, in_channels, kernel_size).bias(false);
        Self { conv, output_padding: Size::from(0), bias: Some(empty()) }.initialized()
    }

    /// The distance between what two neighbours of the input become; 1 if not set.
    #[must_use]
    pub fn stride(self, stride: impl Into<Size<D>>) -> Self {
        Self { conv: self.conv.stride(stride), ..self }
    }

    /// What is cut off each side of the output; 0 if not set.
    #[must_use]
    pub fn padding(self, padding: impl Into<Size<D>>) -> Self {
        Self { conv: self.conv.padding(padding), ..self }
    }

    /// What the output is longer at its end; 0 if not set.
    #[must_use]
    pub fn output_padding(self, output_padding: impl Into<Size<D>>) -> Self {
        Self { output_padding: output_padding.into(), ..self }
    }

    /// The distance between two taps of the filter; 1 if not set.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Size<D>>) -> Self {
        Self { conv: self.conv.dilation(dilation), ..self }
    }

    /// The number of groups into which the channels fall; 1 if not set. Starts with new weights, whose shape depends on
    /// it.
    #[must_use]
    pub fn groups(self, groups: usize) -> Self {
        Self { conv: self.conv.groups(groups), ..self }.initialized()
    }

    /// Whether there is a bias; true if not set.
    #[must_use]
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias.then(|| self.bias.take().unwrap_or_else(|| self.initial().1));
        self
    }

    /// The same layer with this weight, `[in_channels, out_channels / groups, ..kernel_size]`.
    ///
    /// # Errors
    /// When its shape is another, or the groups do not divide the channels.
    pub fn with_weight(self, weight: impl Into<Tensor>) -> Result<Self> {
        let weight = fitting(Self::NAME, "weight", weight.into(), &self.weight_shape()?)?;
        Ok(Self { conv: self.conv.with_weight(weight)?, ..self })
    }

    /// The same layer with this bias, `[out_channels]`.
    ///
    /// # Errors
    /// When its shape is another.
    pub fn with_bias(self, bias: impl Into<Tensor>) -> Result<Self> {
        let bias = fitting(Self::NAME, "bias", bias.into(), &[self.out_channels()])?;
        Ok(Self { bias: Some(bias), ..self })
    }

    /// `[in_channels, out_channels / groups, ..kernel_size]`.
    pub fn weight(&self) -> &Tensor {
        self.conv.weight()
    }

    /// `[out_channels]`, if there is one. ([`ConvTranspose::bias`] is the builder.)
    pub fn bias_tensor(&self) -> Option<&Tensor> {
        self.bias.as_ref()
    }

    #[expect(
        clippy::misnamed_getters,
        reason = "the convolution that it is the gradient of goes the other way"
    )]
    fn in_channels(&self) -> usize {
        self.conv.out_channels
    }

    #[expect(
        clippy::misnamed_getters,
        reason = "the convolution that it is the gradient of goes the other way"
    )]
    fn out_channels(&self) -> usize {
        self.conv.in_channels
    }

    fn weight_shape(&self) -> Result<Vec<usize>> {
        self.conv.weight_shape().map_err(|_| {
            let (groups, [inputs, outputs]) = (self.conv.groups, [self.in_channels(), self.out_channels()]);
            let message =
                format!("groups {groups} does not divide in_channels {inputs} and out_channels {outputs}");
            Error::parameter(Self::NAME, message)
        })
    }

    /// New weight and bias, both with PyTorch's fan-in, that of the transposed weight's second axis.
    fn initial(&self) -> (Tensor, Tensor) {
        let shape = self.weight_shape().unwrap_or_else(|_| vec![0; D + 2]);
        let fan_in = shape[1..].iter().fold(1_usize, |product, &extent| product.saturating_mul(extent));
        let mut generator = Generator::for_layer(Self::NAME, &shape);
        generator.weight_and_bias(&shape, self.out_channels(), fan_in)
    }

    fn initialized(mut self) -> Self {
        let (weight, bias) = self.initial();
        self.conv.weight = weight;
        self.bias = self.bias.map(|_| bias);
        self
    }
}

impl<const D: usize> Op for ConvTranspose<D> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let parameters = ConvTransposeParameters::new(self)?;
        let shape = self.weight_shape()?;
        let geometry = parameters.smallest_geometry()?;
        match lowering.precision {
            Precision::Float => {
                let (weight, bias) = float_weights(self.weight(), self.bias.as_ref(), lowering)?;
                let weight = fitting(Self::NAME, "weight", weight, &shape)?;
                check_bias(Self::NAME, bias.as_ref(), geometry.out_channels)?;
                let lowered = FloatConvTranspose::new::<D>(parameters, &geometry, weight, bias, lowering)?;
                Ok(Arc::new(lowered))
            }
            Precision::Static => {
                let (info, integers) =
                    WeightInfo::quantized(Self::NAME, self.weight(), self.bias.as_ref(), &shape, lowering)?;
                if info.shape != shape {
                    let expected = format!("a weight of shape {shape:?}");
                    return Err(Error::shape(Self::NAME, expected, &info.shape));
                }
                Ok(Arc::new(QuantizedConvTranspose::new(parameters, &geometry, info, integers, lowering)?))
            }
            _ => Err(lowering.unsupported(Self::NAME)),
        }
    }

    /// With input and output in each other's place these are those of the convolution that this one transposes.
    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let x = pass.input(0)?;
        let (_, gradient) = pass.output()?;
        let mut of_input =
            evaluate_float(self.conv.lower(&Lowering::float())?.as_ref(), vec![gradient.clone()])?;
        let mut given = x.clone();
        if of_input.shape() != x.shape() {
            // With an output_padding of the stride or more the convolution has more outputs than there were inputs: those
            // that are beyond count as inputs of 0, whose gradients nobody asks for.
            let inside = |axis: AxisDescription| Slice::from(..x.shape()[axis.axis.index()]);
            let mut whole = Tensor::try_zeros(of_input.shape())?.into_array();
            whole.slice_each_axis_mut(inside).assign(&x.view());
            given = Tensor::from(whole);
            of_input = Tensor::from(of_input.view().slice_each_axis(inside).to_owned());
        }
        let [inputs, outputs] = [[gradient.clone()], [given]];
        let reversed = Backward { inputs: &inputs, outputs: &outputs, gradients: &outputs };
        let mut parameters = self.conv.backward(&reversed)?.parameters;
        if self.bias.is_some() {
            let channels = self.out_channels();
            let mut sums = vec![0.0_f64; channels];
            let values = gradient.shape()[2..].iter().product::<usize>().max(1);
            for (row, values) in gradient.as_slice().unwrap_or_default().chunks_exact(values).enumerate() {
                sums[row % channels] += values.iter().copied().map(f64::from).sum::<f64>();
            }
            let sums = sums.into_iter().map(|sum| sum as f32).collect();
            parameters.push(("bias", Tensor::from_vec(&[channels], sums)?));
        }
        Ok(Gradients { inputs: vec![Some(of_input)], parameters })
    }

    fn ignores_input(&self) -> bool {
        is_zero(self.weight())
    }

    fn fold_batch_norm(&self, batch_norm: &BatchNormParameters) -> Option<Result<Arc<dyn Op>>> {
        let groups = self.conv.groups;
        let folded =
            batch_norm.fold_into_conv_transpose(Self::NAME, self.weight(), self.bias.as_ref(), groups);
        Some(folded.and_then(|(weight, bias)| {
            let conv = self.conv.clone().with_weight(weight)?;
            Ok(Arc::new(Self { conv, bias: Some(bias), ..self.clone() }) as Arc<dyn Op>)
        }))
    }

    fn takes_batch_norm(&self) -> bool {
        true
    }
}

impl<const D: usize> crate::ObjectType for ConvTranspose<D> {
    const NAME: &'static str = ConvTranspose::<D>::NAME;
}

impl<const D: usize> Parameters for ConvTranspose<D> {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        self.conv.parameters(path, visit);
        if let Some(bias) = &self.bias {
            visit(join(path, "bias"), bias);
        }
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        self.conv.parameters_mut(path, visit);
        if let Some(bias) = &mut self.bias {
            visit(join(path, "bias"), bias);
        }
    }
}
