//! `BatchNorm`: batch normalization with its running statistics, folded into the layer before it or alone.

mod parameters;

use std::sync::Arc;

use qkernels::elementwise;
use qkernels::quantize::ChannelExtents;
use serde::{Deserialize, Serialize};

use super::defaults;
use super::init::{empty, fitting};
use super::inputs::{check_qparams, exactly, is_relu_fused, missing_batch, with_eight_bit};
use super::plain::plain_op;
use super::weights::is_zero;
use super::{
    Activation, Executable, Format, Lowering, Op, Planned, PlannedKernel, Precision, TensorSpec, per_tensor,
    unary,
};
use crate::model::{Parameters, join};
use crate::network::TensorWriter;
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{DType, Error, QParams, Result, Tensor};

pub use parameters::BatchNormParameters;

/// Batch normalization over `D` spatial dimensions with its running statistics, as in evaluation: `[N, C, ..]`, and
/// for `BatchNorm1d` `[N, C]` too.
///
/// Used without features it gives an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "BatchNormConfig", into = "BatchNormConfig")]
pub struct BatchNorm<const D: usize> {
    num_features: usize,
    momentum: f64,
    parameters: BatchNormParameters,
}

/// Batch normalization of `[N, C]` or `[N, C, L]`.
pub type BatchNorm1d = BatchNorm<1>;
/// Batch normalization of `[N, C, H, W]`.
pub type BatchNorm2d = BatchNorm<2>;
/// Batch normalization of `[N, C, D, H, W]`.
pub type BatchNorm3d = BatchNorm<3>;

/// The parameters of a batch norm in a file, besides its tensors.
#[derive(Clone, Serialize, Deserialize)]
struct BatchNormConfig {
    num_features: usize,
    #[serde(default = "default_eps", skip_serializing_if = "is_default_eps")]
    eps: f64,
    #[serde(default = "default_momentum", skip_serializing_if = "is_default_momentum")]
    momentum: f64,
    #[serde(default = "defaults::yes", skip_serializing_if = "defaults::is_yes")]
    affine: bool,
}

fn default_eps() -> f64 {
    1e-5
}

fn is_default_eps(eps: &f64) -> bool {
    *eps == default_eps()
}

fn default_momentum() -> f64 {
    0.1
}

fn is_default_momentum(momentum: &f64) -> bool {
    *momentum == default_momentum()
}

impl<const D: usize> From<BatchNormConfig> for BatchNorm<D> {
    fn from(config: BatchNormConfig) -> Self {
        let BatchNormConfig { num_features, eps, momentum, affine } = config;
        let tensor = || affine.then(empty);
        let (running_mean, running_var) = (empty(), empty());
        let parameters =
            BatchNormParameters { weight: tensor(), bias: tensor(), running_mean, running_var, eps };
        Self { num_features, momentum, parameters }
    }
}

impl<const D: usize> From<BatchNorm<D>> for BatchNormConfig {
    fn from(layer: BatchNorm<D>) -> Self {
        let BatchNorm { num_features, momentum, parameters } = layer;
        Self { num_features, eps: parameters.eps, momentum, affine: parameters.weight.is_some() }
    }
}

/// Zeros and ones; empty for more features than there is memory for, and [`Op::lower`] then gives an error.
fn constants(num_features: usize) -> (Tensor, Tensor) {
    let zeros = || Tensor::try_zeros(&[num_features]).unwrap_or_else(|_| empty());
    (zeros(), zeros().map(|_| 1.0))
}

impl<const D: usize> BatchNorm<D> {
    const NAME: &'static str = match D {
        1 => "BatchNorm1d",
        2 => "BatchNorm2d",
        _ => "BatchNorm3d",
    };

    /// Mean 0, variance 1, weight 1, bias 0, `eps` 1e-5 and momentum 0.1.
    pub fn new(num_features: usize) -> Self {
        let (zeros, ones) = constants(num_features);
        let parameters = BatchNormParameters {
            weight: Some(ones.clone()),
            bias: Some(zeros.clone()),
            running_mean: zeros,
            running_var: ones,
            eps: default_eps(),
        };
        Self { num_features, momentum: default_momentum(), parameters }
    }

    /// The number that is added to the variance.
    #[must_use]
    pub fn eps(mut self, eps: f64) -> Self {
        self.parameters.eps = eps;
        self
    }

    /// The weight of a batch in the running statistics, when training.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Whether there are a weight and a bias; true if not set.
    #[must_use]
    pub fn affine(mut self, affine: bool) -> Self {
        let (zeros, ones) = constants(self.num_features);
        let BatchNormParameters { weight, bias, .. } = &mut self.parameters;
        *weight = affine.then(|| weight.take().unwrap_or(ones));
        *bias = affine.then(|| bias.take().unwrap_or(zeros));
        self
    }

    /// The same layer with this weight and bias, both `[num_features]`.
    ///
    /// # Errors
    /// When a shape is another.
    pub fn with_affine(mut self, weight: impl Into<Tensor>, bias: impl Into<Tensor>) -> Result<Self> {
        let shape = [self.num_features];
        let weight = fitting(Self::NAME, "weight", weight.into(), &shape)?;
        let bias = fitting(Self::NAME, "bias", bias.into(), &shape)?;
        (self.parameters.weight, self.parameters.bias) = (Some(weight), Some(bias));
        Ok(self)
    }

    /// The same layer with these running statistics, both `[num_features]`.
    ///
    /// # Errors
    /// When a shape is another.
    pub fn with_statistics(mut self, mean: impl Into<Tensor>, variance: impl Into<Tensor>) -> Result<Self> {
        let shape = [self.num_features];
        self.parameters.running_mean = fitting(Self::NAME, "running mean", mean.into(), &shape)?;
        self.parameters.running_var = fitting(Self::NAME, "running variance", variance.into(), &shape)?;
        Ok(self)
    }

    /// `[num_features]`, if the layer is affine.
    pub fn weight(&self) -> Option<&Tensor> {
        self.parameters.weight.as_ref()
    }

    /// `[num_features]`, if the layer is affine.
    pub fn bias(&self) -> Option<&Tensor> {
        self.parameters.bias.as_ref()
    }

    /// `[num_features]`.
    pub fn running_mean(&self) -> &Tensor {
        &self.parameters.running_mean
    }

    /// `[num_features]`.
    pub fn running_var(&self) -> &Tensor {
        &self.parameters.running_var
    }

    /// Its own parameters, or those of a file.
    fn float_parameters(&self, lowering: &Lowering<'_>) -> Result<BatchNormParameters> {
        let parameters = match lowering.stored() {
            None => self.parameters.clone(),
            Some(stored) => {
                let is_affine = self.parameters.weight.is_some();
                BatchNormParameters {
                    weight: stored.get_if(is_affine, "weight")?,
                    bias: stored.get_if(is_affine, "bias")?,
                    running_mean: stored.get("running_mean")?,
                    running_var: stored.get("running_var")?,
                    eps: self.parameters.eps,
                }
            }
        };
        fitting(Self::NAME, "running mean", parameters.running_mean.clone(), &[self.num_features])?;
        parameters.check(Self::NAME)?;
        Ok(parameters)
    }
}

/// The outer and inner extents around the channels of an input, in the memory format of its buffer.
pub(super) fn extents(
    name: &'static str,
    dimensions: usize,
    channels: usize,
    x: &TensorSpec,
) -> Result<ChannelExtents> {
    let shape = x.shape();
    let fits = shape.len() == dimensions + 2 || (dimensions == 1 && shape.len() == 2);
    if !fits || shape[1] != channels || shape[2..].contains(&0) {
        let spatial = match dimensions {
            1 => format!("[N, {channels}] or [N, {channels}, L]"),
            2 => format!("[N, {channels}, H, W]"),
            _ => format!("[N, {channels}, D, H, W]"),
        };
        let hint = missing_batch(dimensions > 1 && shape.len() == dimensions + 1 && shape[0] == channels);
        return Err(Error::shape(name, spatial + hint, shape));
    }
    let inner: usize = match x.buffer() {
        MemoryFormat::ChannelsLast if shape.len() > 2 => 1,
        _ => shape[2..].iter().product(),
    };
    Ok(ChannelExtents { outer: x.len() / (channels * inner).max(1), channels, inner })
}

impl<const D: usize> Op for BatchNorm<D> {
    fn name(&self) -> &'static str {
        Self::NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        match lowering.precision {
            Precision::Float => {
                let parameters = self.float_parameters(lowering)?;
                let affine = parameters.affine().into();
                let limits = Activation::limits_of(lowering.activation);
                Ok(Arc::new(FloatBatchNorm { name: Self::NAME, dimensions: D, parameters, affine, limits }))
            }
            Precision::Static => self.quantized(lowering),
            _ => Err(lowering.unsupported(Self::NAME)),
        }
    }

    fn ignores_input(&self) -> bool {
        self.parameters.weight.as_ref().is_some_and(is_zero)
    }

    fn momentum(&self) -> f64 {
        self.momentum
    }

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        crate::train::batch_norm_backward(&self.parameters, pass)
    }

    fn as_batch_norm(&self) -> Option<&BatchNormParameters> {
        Some(&self.parameters)
    }
}

impl<const D: usize> BatchNorm<D> {
    fn quantized(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let [input] = lowering.input_qparams(Self::NAME)?;
        let output = lowering.output_qparams(Self::NAME)?;
        if input.dtype != output.dtype || !matches!(output.dtype, DType::QUInt8 | DType::QInt8) {
            let (input, output) = (input.dtype.name(), output.dtype.name());
            return Err(Error::Unsupported(format!("{} from {input} to {output}", Self::NAME)));
        }
        let (from, to) = (per_tensor(Self::NAME, input)?, per_tensor(Self::NAME, output)?);
        let (scale, offset) = match lowering.stored() {
            Some(stored) => {
                let values = |name: &str| -> Result<Vec<f32>> {
                    let tensor = fitting(Self::NAME, name, stored.get(name)?, &[self.num_features])?;
                    Ok(tensor.view().iter().copied().collect())
                };
                (values("scale")?, values("offset")?)
            }
            None => {
                let parameters = self.float_parameters(lowering)?;
                let scale = parameters.for_each_channel(|channel| {
                    let a = channel.inverse_deviation * channel.gamma;
                    a * (from.scale / to.scale)
                });
                let offset = parameters.for_each_channel(|channel| {
                    let a = channel.inverse_deviation * channel.gamma;
                    (channel.beta - channel.mean * a) / to.scale
                });
                (scale, offset)
            }
        };
        for (what, values) in [("weight", &scale), ("bias", &offset)] {
            if let Some((index, &value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
                let what = format!("the {what} of {}, in steps of the output,", Self::NAME);
                return Err(Error::NotFinite { what, value, index });
            }
        }
        let relu = is_relu_fused(Self::NAME, lowering)?;
        let (input, output) = (input.clone(), Format::of(Some(output)));
        Ok(Arc::new(QuantizedBatchNorm {
            name: Self::NAME,
            dimensions: D,
            constants: Arc::new(Constants { scale, offset }),
            relu,
            input,
            output,
        }))
    }
}

impl<const D: usize> crate::ObjectType for BatchNorm<D> {
    const NAME: &'static str = BatchNorm::<D>::NAME;
}

impl<const D: usize> Parameters for BatchNorm<D> {
    fn parameters(&self, path: &str, visit: &mut dyn FnMut(String, &Tensor)) {
        self.parameters.tensors().for_each(|(name, tensor)| visit(join(path, name), tensor));
    }

    fn parameters_mut(&mut self, path: &str, visit: &mut dyn FnMut(String, &mut Tensor)) {
        self.parameters.tensors_mut().for_each(|(name, tensor)| visit(join(path, name), tensor));
    }

    fn check(&self, path: &str) -> Result<()> {
        self.parameters.check_values(Self::NAME, path)
    }
}

/// A batch norm in float that is not folded.
#[derive(Debug)]
struct FloatBatchNorm {
    name: &'static str,
    dimensions: usize,
    parameters: BatchNormParameters,
    affine: Arc<[[f32; 2]]>,
    limits: [f32; 2],
}

impl Executable for FloatBatchNorm {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(self.name, inputs)?;
        let ChannelExtents { inner, .. } = extents(self.name, self.dimensions, self.affine.len(), x)?;
        let (affine, limits) = (Arc::clone(&self.affine), self.limits);
        let kernel = unary::<f32, f32>(self.name, move |input, output| {
            qkernels::float::affine_into(&affine, inner, limits, input, output)
        });
        let output = x.with_format(Format::F32).in_buffer(x.buffer());
        Ok(Planned::Kernel(PlannedKernel::new(kernel, vec![output])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        self.parameters.tensors().for_each(|(name, tensor)| tensors.put(name, tensor));
        Ok(())
    }
}

/// A batch norm on integers: `(q - zero_point) * scale + offset` for each channel, in steps of the output.
#[derive(Debug)]
struct QuantizedBatchNorm {
    name: &'static str,
    dimensions: usize,
    constants: Arc<Constants>,
    relu: bool,
    input: QParams,
    output: Format,
}

#[derive(Debug)]
struct Constants {
    scale: Vec<f32>,
    offset: Vec<f32>,
}

impl Executable for QuantizedBatchNorm {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let [x] = exactly(self.name, inputs)?;
        check_qparams(self.name, &self.input, x)?;
        let extents = extents(self.name, self.dimensions, self.constants.scale.len(), x)?;
        let output = x.with_format(self.output.clone()).in_buffer(x.buffer());
        let (zero_point, to) = (self.input.tensor_zero_point(), output.qparams(self.name)?);
        let (constants, relu) = (Arc::clone(&self.constants), self.relu);
        let kernel = with_eight_bit!(self.name, self.input.dtype, T => {
            Ok(unary::<T, T>(self.name, move |input, output| {
                let constants = elementwise::BatchNorm {
                    scale: &constants.scale,
                    offset: &constants.offset,
                    input_zero_point: zero_point,
                    output: to,
                    relu,
                };
                elementwise::batch_norm(&constants, extents, input, output)
            }))
        })?;
        Ok(Planned::Kernel(PlannedKernel::new(kernel, vec![output])))
    }

    fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        let Constants { scale, offset } = &*self.constants;
        tensors.put("scale", &Tensor::from_vec(&[scale.len()], scale.clone())?);
        tensors.put("offset", &Tensor::from_vec(&[offset.len()], offset.clone())?);
        Ok(())
    }
}
