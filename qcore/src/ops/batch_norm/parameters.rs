//! `BatchNormParameters`: the affine function of each channel, and folding it into the weights before it.

use crate::model::{check_finite, join};
use crate::ops::weights::check_bias;
use crate::{Error, Result, Tensor};

/// Statistics and affine parameters of a batch norm, each `[C]`.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchNormParameters {
    /// Gamma; 1 if absent.
    pub weight: Option<Tensor>,
    /// Beta; 0 if absent.
    pub bias: Option<Tensor>,
    /// The mean of the data that was seen in training.
    pub running_mean: Tensor,
    /// Its variance.
    pub running_var: Tensor,
    /// Added to the variance.
    pub eps: f64,
}

/// The statistics and affine parameters of one channel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Channel {
    pub(super) mean: f32,
    pub(super) inverse_deviation: f32,
    pub(super) gamma: f32,
    pub(super) beta: f32,
}

impl BatchNormParameters {
    /// The tensors by PyTorch's names, `weight` and `bias` only where there are some.
    pub(in crate::ops) fn tensors(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        let Self { weight, bias, running_mean, running_var, .. } = self;
        let affine = [("weight", weight), ("bias", bias)].into_iter();
        let affine = affine.filter_map(|(name, tensor)| Some((name, tensor.as_ref()?)));
        affine.chain([("running_mean", running_mean), ("running_var", running_var)])
    }

    /// [`BatchNormParameters::tensors`], to change them.
    pub(super) fn tensors_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Tensor)> {
        let Self { weight, bias, running_mean, running_var, .. } = self;
        let affine = [("weight", weight), ("bias", bias)].into_iter();
        let affine = affine.filter_map(|(name, tensor)| Some((name, tensor.as_mut()?)));
        affine.chain([("running_mean", running_mean), ("running_var", running_var)])
    }

    /// # Errors
    /// When the shapes differ, there are no channels, a value is not finite, `eps` is negative or not finite, or a variance
    /// is negative or has no root that one can divide by.
    pub(crate) fn check(&self, operation: &'static str) -> Result<()> {
        let expected = self.running_mean.shape();
        if expected.len() != 1 || expected == [0] {
            return Err(Error::shape(operation, "a running mean [num_features], not empty", expected));
        }
        if let Some((_, other)) = self.tensors().find(|(_, tensor)| tensor.shape() != expected) {
            return Err(Error::shape(
                operation,
                format!("all parameters of shape {expected:?}"),
                other.shape(),
            ));
        }
        if !(self.eps.is_finite() && self.eps >= 0.0) {
            return Err(Error::parameter(operation, format!("eps {} is not a positive number", self.eps)));
        }
        self.check_values(operation, "")
    }

    /// # Errors
    /// When a value is not finite, or a variance is negative or has no root that one can divide by; the error has the
    /// tensor's key below `path`.
    pub(super) fn check_values(&self, operation: &'static str, path: &str) -> Result<()> {
        self.tensors().try_for_each(|(name, tensor)| match tensor.first_non_finite() {
            Some(_) => check_finite(&join(path, name), tensor),
            None => Ok(()),
        })?;
        // The root of every positive number has an inverse, as small as it may be. Of an eps that is none, `check` says
        // so, with the layer's path.
        let eps = if self.eps.is_finite() && self.eps >= 0.0 { self.eps as f32 } else { f32::MAX };
        let is_variance = |variance: f32| (variance >= 0.0) & (variance + eps > 0.0);
        let are_variances = |values: &[f32]| values.iter().fold(true, |all, &value| all & is_variance(value));
        if self.running_var.as_slice().is_some_and(are_variances) {
            return Ok(());
        }
        match self.running_var.view().iter().enumerate().find(|(_, variance)| !is_variance(**variance)) {
            Some((index, variance)) => {
                let message = format!(
                    "`{}` is {variance} at index {index}, of which with eps {} there is no inverse root",
                    join(path, "running_var"),
                    self.eps
                );
                Err(Error::parameter(operation, message))
            }
            None => Ok(()),
        }
    }

    fn channels(&self) -> usize {
        self.running_mean.len()
    }

    /// One value for each channel.
    pub(super) fn for_each_channel<T>(&self, f: impl FnMut(Channel) -> T) -> Vec<T> {
        let values = |tensor: Option<&Tensor>, default: f32| match tensor {
            // At the speed of memory, as convolutions in float ask at every call.
            Some(tensor) => match tensor.as_slice() {
                Some(values) => values.to_vec(),
                None => tensor.view().iter().copied().collect(),
            },
            None => vec![default; self.channels()],
        };
        let variance = values(Some(&self.running_var), 1.0);
        let statistics = values(Some(&self.running_mean), 0.0).into_iter().zip(variance);
        let affine = values(self.weight.as_ref(), 1.0).into_iter().zip(values(self.bias.as_ref(), 0.0));
        let channels = statistics.zip(affine).map(|((mean, variance), (gamma, beta))| Channel {
            mean,
            inverse_deviation: 1.0 / (variance + self.eps as f32).sqrt(),
            gamma,
            beta,
        });
        channels.map(f).collect()
    }

    /// PyTorch's formula for each channel, `x * a + b` with `a = weight / sqrt(variance + eps)` and
    /// `b = bias - mean * a`.
    pub(in crate::ops) fn affine(&self) -> Vec<[f32; 2]> {
        let eps = self.eps as f32;
        let channels = self.for_each_channel(|channel| channel);
        let affine = channels.iter().zip(self.running_var.view()).map(|(channel, variance)| {
            let a = channel.gamma / (variance + eps).sqrt();
            [a, channel.beta - channel.mean * a]
        });
        affine.collect()
    }

    /// Applies the batch norm to the scale and offset of each channel of the layer before it.
    ///
    /// # Errors
    /// When the channel counts differ.
    pub(in crate::ops) fn apply_to(
        &self,
        operation: &'static str,
        scale_and_offset: &mut [[f32; 2]],
    ) -> Result<()> {
        self.check(operation)?;
        let (expected, found) = (self.channels(), scale_and_offset.len());
        if expected != found {
            let message = format!("takes {expected} channels, the convolution before it gives {found}");
            return Err(Error::parameter(operation, message));
        }
        for ([scale, offset], channel) in
            scale_and_offset.iter_mut().zip(self.for_each_channel(|channel| channel))
        {
            let factor = channel.gamma * channel.inverse_deviation;
            *scale *= factor;
            *offset = (*offset - channel.mean) * factor + channel.beta;
        }
        Ok(())
    }

    /// Weight and bias of the convolution that does both (NUMERICS section 13): with `r = 1 / sqrt(variance + eps)`,
    /// `W' = W * (gamma * r)` and `b' = ((b - mean) * r) * gamma + beta`.
    ///
    /// # Errors
    /// When the channel counts differ.
    pub(in crate::ops) fn fold_into_conv(
        &self,
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        self.fold(operation, weight, bias, 0, folded_conv_bias)
    }

    /// As [`BatchNormParameters::fold_into_conv`], for the weight `[C, O / groups, ..]` of a transposed convolution.
    ///
    /// # Errors
    /// When the channel counts differ.
    pub(in crate::ops) fn fold_into_conv_transpose(
        &self,
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        groups: usize,
    ) -> Result<(Tensor, Tensor)> {
        self.fold(operation, weight, bias, groups, folded_conv_bias)
    }

    /// As [`BatchNormParameters::fold_into_conv`], with PyTorch's other order of products for linear layers:
    /// `b' = (b - mean) * (gamma * r) + beta`.
    ///
    /// # Errors
    /// When the channel counts differ.
    pub(in crate::ops) fn fold_into_linear(
        &self,
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
    ) -> Result<(Tensor, Tensor)> {
        self.fold(operation, weight, bias, 0, |bias, channel| {
            (bias - channel.mean) * (channel.gamma * channel.inverse_deviation) + channel.beta
        })
    }

    /// The weight's first axis is that of the outputs, or with `transposed_groups` the second one, within a group.
    fn fold(
        &self,
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        transposed_groups: usize,
        folded_bias: impl Fn(f32, Channel) -> f32,
    ) -> Result<(Tensor, Tensor)> {
        self.check(operation)?;
        let channels = self.channels();
        let (filters, fits) = match (transposed_groups, weight.shape()) {
            (0, &[outputs, ..]) => (outputs, outputs == channels),
            (groups, &[inputs, outputs, ..]) if groups > 0 => {
                (inputs * outputs, outputs * groups == channels && inputs.is_multiple_of(groups))
            }
            _ => (0, false),
        };
        if !fits {
            let message = format!(
                "a batch norm of {channels} channels behind {operation} with a weight of shape {:?}",
                weight.shape()
            );
            return Err(Error::parameter(operation, message));
        }
        check_bias(operation, bias, channels)?;
        let mut values =
            bias.map_or_else(|| vec![0.0; channels], |bias| bias.view().iter().copied().collect());
        let parameters = self.for_each_channel(|channel| channel);
        let mut weight = weight.clone().contiguous();
        let len = (weight.len() / filters.max(1)).max(1);
        for (index, filter) in weight.as_slice_mut().unwrap_or_default().chunks_exact_mut(len).enumerate() {
            let channel = match transposed_groups {
                0 => index,
                groups => {
                    let outputs = channels / groups;
                    index / (filters / groups) * outputs + index % outputs
                }
            };
            let factor = parameters[channel].gamma * parameters[channel].inverse_deviation;
            filter.iter_mut().for_each(|weight| *weight *= factor);
        }
        for (value, channel) in values.iter_mut().zip(parameters) {
            *value = folded_bias(*value, channel);
        }
        let bias = Tensor::from_vec(&[values.len()], values)?;
        for (name, tensor) in [("weight", &weight), ("bias", &bias)] {
            if let Some((index, value)) = tensor.first_non_finite() {
                let what = format!("the {name} of {operation} with its batch norm folded in");
                return Err(Error::NotFinite { what, value, index });
            }
        }
        Ok((weight, bias))
    }
}

/// The bias of a convolution with its batch norm folded in.
fn folded_conv_bias(bias: f32, channel: Channel) -> f32 {
    (bias - channel.mean) * channel.inverse_deviation * channel.gamma + channel.beta
}
