//! `BatchNorm1d` and `BatchNorm2d` in evaluation, perhaps with a ReLU fused.

use ndarray::{Array, IxDyn};
use qkernels::elementwise;
use qkernels::quantize::ChannelExtents;
use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, refused, relu_if, take_one};
use super::kernel::bytewise;
use super::layout::{Activation, Integers, from_order, integers_of, per_tensor};
use super::{ActivationSpec, FuseReLU, Lowering, Op, OutputRule, Planned, QuantizedOp};
use crate::archive::{Archive, ArchiveWriter, Record};
use crate::parameters::join;
use crate::{DType, Error, QParams, QTensor, Result, Tensor};

/// Which inputs a batch norm takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Spatial {
    /// `[N, C]` or `[N, C, L]`.
    One,
    /// `[N, C, H, W]`.
    Two,
}

impl Spatial {
    const fn name(self, relu: bool) -> &'static str {
        match (self, relu) {
            (Self::One, false) => "BatchNorm1d",
            (Self::One, true) => "BNReLU1d",
            (Self::Two, false) => "BatchNorm2d",
            (Self::Two, true) => "BNReLU2d",
        }
    }

    /// Checks an input's shape.
    fn check(self, relu: bool, channels: usize, shape: &[usize]) -> Result<()> {
        let (fits, expected) = match self {
            Self::One => (matches!(shape.len(), 2 | 3), format!("[N, {channels}] or [N, {channels}, L]")),
            Self::Two => (shape.len() == 4, format!("[N, {channels}, H, W]")),
        };
        if fits && shape[1] == channels && !shape[2..].contains(&0) {
            return Ok(());
        }
        Err(Error::shape(self.name(relu), expected, shape))
    }
}

/// Statistics and affine parameters of a batch norm, each `[C]`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Statistics {
    pub(crate) weight: Option<Tensor>,
    pub(crate) bias: Option<Tensor>,
    pub(crate) mean: Tensor,
    pub(crate) variance: Tensor,
    pub(crate) eps: f64,
}

impl Statistics {
    /// # Errors
    /// When the shapes differ, there are no channels, or `eps` is negative or not finite.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        let expected = self.mean.shape();
        if expected.len() != 1 || expected == [0] {
            return Err(Error::shape(operation, "a running mean [num_features], not empty", expected));
        }
        let others = [self.weight.as_ref(), self.bias.as_ref(), Some(&self.variance)];
        if let Some(other) = others.into_iter().flatten().find(|other| other.shape() != expected) {
            return Err(Error::shape(
                operation,
                format!("all parameters of shape {expected:?}"),
                other.shape(),
            ));
        }
        if !(self.eps.is_finite() && self.eps >= 0.0) {
            return Err(Error::parameter(operation, format!("eps {} is not a positive number", self.eps)));
        }
        Ok(())
    }

    pub(crate) fn channels(&self) -> usize {
        self.mean.len()
    }

    /// One value for each channel: from mean, `1 / sqrt(variance + eps)`, gamma and beta.
    pub(crate) fn for_each_channel<T>(&self, mut f: impl FnMut(Channel) -> T) -> Vec<T> {
        let values = |tensor: Option<&Tensor>, default: f32| match tensor {
            // At the speed of memory, as convolutions in float ask at every call.
            Some(tensor) => match tensor.as_slice() {
                Some(values) => values.to_vec(),
                None => tensor.view().iter().copied().collect(),
            },
            None => vec![default; self.channels()],
        };
        let statistics = values(Some(&self.mean), 0.0).into_iter().zip(values(Some(&self.variance), 1.0));
        let affine = values(self.weight.as_ref(), 1.0).into_iter().zip(values(self.bias.as_ref(), 0.0));
        let channels = statistics.zip(affine).map(|((mean, variance), (gamma, beta))| {
            f(Channel { mean, inverse_deviation: 1.0 / (variance + self.eps as f32).sqrt(), gamma, beta })
        });
        channels.collect()
    }
}

/// What a batch norm does to one channel.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel {
    pub(crate) mean: f32,
    pub(crate) inverse_deviation: f32,
    pub(crate) gamma: f32,
    pub(crate) beta: f32,
}

/// `(x - mean) / sqrt(variance + eps) * weight + bias` for each channel, with the running statistics.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNorm {
    statistics: Statistics,
    spatial: Spatial,
    relu: bool,
}

impl BatchNorm {
    /// # Errors
    /// As [`Statistics::check`].
    pub(crate) fn new(statistics: Statistics, spatial: Spatial) -> Result<Self> {
        statistics.check(spatial.name(false))?;
        Ok(Self { statistics, spatial, relu: false })
    }

    /// The integer form between activations of these parameters.
    ///
    /// # Errors
    /// When a parameter is not finite, or the types of the activations are not 8-bit or differ.
    pub fn quantized(&self, input: &QParams, output: &QParams) -> Result<QuantizedBatchNorm> {
        let name = Op::name(self);
        let (from, to) = (per_tensor(name, input)?, per_tensor(name, output)?);
        let scale = self.statistics.for_each_channel(|channel| {
            let a = channel.inverse_deviation * channel.gamma;
            a * (from.scale / to.scale)
        });
        let offset = self.statistics.for_each_channel(|channel| {
            let a = channel.inverse_deviation * channel.gamma;
            (channel.beta - channel.mean * a) / to.scale
        });
        let form = QuantizedBatchNorm {
            scale,
            offset,
            spatial: self.spatial,
            relu: self.relu,
            input: input.clone(),
            output: output.clone(),
        };
        form.check()?;
        Ok(form)
    }
}

impl FuseReLU for BatchNorm {
    fn fuse_relu(self) -> Self {
        Self { relu: true, ..self }
    }
}

impl Op for BatchNorm {
    type Quantized = QuantizedBatchNorm;

    fn name(&self) -> &'static str {
        self.spatial.name(self.relu)
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::Observed
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        let name = Op::name(self);
        let mut x = take_one(name, inputs)?.contiguous();
        self.spatial.check(self.relu, self.statistics.channels(), x.shape())?;
        let Statistics { weight, bias, mean, variance, eps } = self.statistics.clone();
        let [mean, variance] = [mean, variance].map(Tensor::contiguous);
        let [weight, bias] = [weight, bias].map(|tensor| tensor.map(Tensor::contiguous));
        let parameters = qkernels::float::BatchNorm {
            mean: mean.as_slice().unwrap_or_default(),
            variance: variance.as_slice().unwrap_or_default(),
            weight: weight.as_ref().and_then(Tensor::as_slice),
            bias: bias.as_ref().and_then(Tensor::as_slice),
            eps: eps as f32,
        };
        let inner = x.shape()[2..].iter().product();
        qkernels::float::batch_norm(&parameters, inner, x.as_slice_mut().unwrap_or_default())
            .map_err(|error| Error::parameter(name, error.to_string()))?;
        Ok(relu_if(self.relu, x))
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<QuantizedBatchNorm> {
        let [input] = lowering.inputs else {
            let message = format!("is lowered with the scales of {} inputs, not of 1", lowering.inputs.len());
            return Err(Error::parameter(Op::name(self), message));
        };
        self.quantized(input, lowering.output)
    }
}

#[derive(Serialize, Deserialize)]
struct FloatRecord {
    eps: f64,
    spatial: Spatial,
    relu: bool,
    affine: bool,
}

impl Record for BatchNorm {
    fn save(&self, archive: &mut ArchiveWriter, path: &str) -> Result<()> {
        let Statistics { weight, bias, mean, variance, eps } = &self.statistics;
        let affine = weight.is_some() && bias.is_some();
        archive.put(path, &FloatRecord { eps: *eps, spatial: self.spatial, relu: self.relu, affine })?;
        archive.put_tensor(&join(path, "running_mean"), mean);
        archive.put_tensor(&join(path, "running_var"), variance);
        if let (Some(weight), Some(bias)) = (weight, bias) {
            archive.put_tensor(&join(path, "weight"), weight);
            archive.put_tensor(&join(path, "bias"), bias);
        }
        Ok(())
    }

    fn load(archive: &Archive, path: &str) -> Result<Self> {
        let FloatRecord { eps, spatial, relu, affine } = archive.get(path)?;
        let affine = |name: &str| affine.then(|| archive.tensor(&join(path, name))).transpose();
        let statistics = Statistics {
            weight: affine("weight")?,
            bias: affine("bias")?,
            mean: archive.tensor(&join(path, "running_mean"))?,
            variance: archive.tensor(&join(path, "running_var"))?,
            eps,
        };
        let operation = Self::new(statistics, spatial)
            .map_err(|error| archive.error(format!("record `{path}`: {error}")))?;
        Ok(Self { relu, ..operation })
    }
}

/// [`BatchNorm`] on integers: `(q - zero_point) * scale + offset` for each channel, in steps of the output.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedBatchNorm {
    scale: Vec<f32>,
    offset: Vec<f32>,
    spatial: Spatial,
    relu: bool,
    input: QParams,
    output: QParams,
}

impl QuantizedBatchNorm {
    fn check(&self) -> Result<()> {
        let name = self.spatial.name(self.relu);
        for qparams in [&self.input, &self.output] {
            qparams.validate()?;
            per_tensor(name, qparams)?;
        }
        if self.input.dtype != self.output.dtype || !matches!(self.output.dtype, DType::QUInt8 | DType::QInt8)
        {
            let (input, output) = (self.input.dtype.name(), self.output.dtype.name());
            return Err(Error::Unsupported(format!("{name} from {input} to {output}")));
        }
        if self.scale.is_empty() || self.scale.len() != self.offset.len() {
            let message = format!("{} factors and {} offsets", self.scale.len(), self.offset.len());
            return Err(Error::parameter(name, message));
        }
        for (what, values) in [("weight", &self.scale), ("bias", &self.offset)] {
            if let Some((index, &value)) = values.iter().enumerate().find(|(_, value)| !value.is_finite()) {
                let what = format!("the {what} of {name}, in steps of the output,");
                return Err(Error::NotFinite { what, value, index });
            }
        }
        Ok(())
    }

    fn constants(&self, from: qkernels::QParams, to: qkernels::QParams) -> elementwise::BatchNorm<'_> {
        elementwise::BatchNorm {
            scale: &self.scale,
            offset: &self.offset,
            input_zero_point: from.zero_point,
            output: to,
            relu: self.relu,
        }
    }

    /// Works on `[N, .., C]`, which is how an image from a convolution lies in memory.
    fn run<T: Activation>(&self, x: &QTensor) -> Result<QTensor> {
        let name = self.spatial.name(self.relu);
        self.spatial.check(self.relu, self.scale.len(), x.shape())?;
        let (from, to) = (per_tensor(name, &self.input)?, per_tensor(name, &self.output)?);
        if per_tensor(name, x.qparams())? != from {
            return Err(Error::parameter(name, "was made for inputs of another scale"));
        }
        let integers = integers_of::<T>(name, x)?;
        let order: Vec<usize> = [0].into_iter().chain(2..integers.ndim()).chain([1]).collect();
        let ordered = integers.view().permuted_axes(IxDyn(&order));
        let ordered = ordered.as_standard_layout();
        let channels = self.scale.len();
        let extents = ChannelExtents { outer: integers.len() / channels, channels, inner: 1 };
        let mut output = vec![T::default(); integers.len()];
        let input = ordered.as_slice().unwrap_or_default();
        elementwise::batch_norm(&self.constants(from, to), extents, input, &mut output)
            .map_err(refused(name, x.shape()))?;
        let output = Array::from_shape_vec(ordered.raw_dim(), output)
            .map_err(|_| Error::shape(name, "whole pixels", x.shape()))?;
        let output: Integers<T> = from_order(output, &order).into_shared();
        QTensor::from_int_repr(T::into_repr(output), self.output.clone())
    }
}

impl QuantizedOp for QuantizedBatchNorm {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [x] = exactly(self.spatial.name(self.relu), inputs)?;
        match self.output.dtype {
            DType::QInt8 => self.run::<i8>(x),
            _ => self.run::<u8>(x),
        }
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let name = self.spatial.name(self.relu);
        let [x] = exactly_shared(name, inputs)?;
        self.spatial.check(self.relu, self.scale.len(), x.shape())?;
        let (from, to) = (per_tensor(name, &self.input)?, per_tensor(name, &self.output)?);
        if x.kernel_qparams() != from {
            return Err(Error::parameter(name, "was made for inputs of another scale"));
        }
        if self.output.dtype != DType::QUInt8 {
            return Ok(None);
        }
        let channels = self.scale.len();
        let inner = if x.image().is_some() { 1 } else { x.shape()[2..].iter().product() };
        let extents = ChannelExtents { outer: x.byte_len() / (channels * inner).max(1), channels, inner };
        let operation = self.clone();
        Ok(Some(bytewise(&x.with_qparams(&self.output), move |input, output| {
            elementwise::batch_norm(&operation.constants(from, to), extents, input, output)
        })))
    }
}

#[derive(Serialize, Deserialize)]
struct QuantizedRecord {
    spatial: Spatial,
    relu: bool,
    input: QParams,
    output: QParams,
}

impl Record for QuantizedBatchNorm {
    fn save(&self, archive: &mut ArchiveWriter, path: &str) -> Result<()> {
        let Self { scale, offset, spatial, relu, input, output } = self.clone();
        archive.put_tensor(&join(path, "scale"), &Tensor::from_vec(&[scale.len()], scale)?);
        archive.put_tensor(&join(path, "offset"), &Tensor::from_vec(&[offset.len()], offset)?);
        archive.put(path, &QuantizedRecord { spatial, relu, input, output })
    }

    fn load(archive: &Archive, path: &str) -> Result<Self> {
        let QuantizedRecord { spatial, relu, input, output } = archive.get(path)?;
        let values = |name: &str| {
            archive.tensor(&join(path, name)).map(|tensor| tensor.view().iter().copied().collect::<Vec<_>>())
        };
        let form = Self { scale: values("scale")?, offset: values("offset")?, spatial, relu, input, output };
        form.check().map_err(|error| archive.error(format!("record `{path}`: {error}")))?;
        Ok(form)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, channels_last, integers, qtensor, reloaded, tensor, u8_qparams};

    fn doubling_second_channel(spatial: Spatial) -> BatchNorm {
        let statistics = Statistics {
            weight: Some(tensor(&[2], &[1.0, 2.0])),
            bias: Some(tensor(&[2], &[0.0, 1.0])),
            mean: tensor(&[2], &[1.0, 0.0]),
            variance: tensor(&[2], &[4.0, 1.0]),
            eps: 0.0,
        };
        BatchNorm::new(statistics, spatial).unwrap()
    }

    #[test]
    fn statistics_and_affine_parameters_apply_by_channel() {
        let y =
            Op::forward(&doubling_second_channel(Spatial::One), &mut [tensor(&[1, 2], &[5.0, 5.0])]).unwrap();
        assert_values(&y, &[2.0, 11.0]);
        let batch_norm = doubling_second_channel(Spatial::Two).fuse_relu();
        assert_eq!(Op::name(&batch_norm), "BNReLU2d");
        let x = tensor(&[1, 2, 1, 2], &[1.0, -3.0, 0.0, -5.0]);
        assert_values(&Op::forward(&batch_norm, &mut [x]).unwrap(), &[0.0, 0.0, 1.0, 0.0]);
        assert!(Op::forward(&batch_norm, &mut [tensor(&[1, 2], &[0.0; 2])]).is_err());
        assert!(Op::forward(&batch_norm, &mut [tensor(&[1, 3, 1, 1], &[0.0; 3])]).is_err());
    }

    #[test]
    fn integers_follow_by_hand_in_either_memory_order() {
        let (input, output) = (u8_qparams(1.0, 10), u8_qparams(0.5, 20));
        let batch_norm = doubling_second_channel(Spatial::Two);
        let quantized = batch_norm.quantized(&input, &output).unwrap();
        let x = qtensor(&[1, 2, 1, 2], &[15, 11, 10, 0], 1.0, 10);
        let y = quantized.forward(&mut [x.clone()]).unwrap();
        assert_eq!(integers(&y), [24, 20, 22, 0]);
        assert_eq!(reloaded(&quantized).forward(&mut [channels_last(&x)]).unwrap(), y);
        assert_eq!(reloaded(&batch_norm), batch_norm);
    }

    #[test]
    fn parameters_that_do_not_fit_are_refused() {
        let good = doubling_second_channel(Spatial::Two).statistics;
        let check = |statistics: Statistics| BatchNorm::new(statistics, Spatial::Two);
        assert!(check(Statistics { mean: tensor(&[3], &[0.0; 3]), ..good.clone() }).is_err());
        assert!(check(Statistics { eps: -1.0, ..good.clone() }).is_err());
        let negative = check(Statistics { variance: tensor(&[2], &[-1.0, 1.0]), ..good }).unwrap();
        assert!(negative.quantized(&u8_qparams(1.0, 0), &u8_qparams(1.0, 0)).is_err());
    }
}
