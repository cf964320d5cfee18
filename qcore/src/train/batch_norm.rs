//! Batch norm in training: statistics of the batch, the running ones, and the gradients.

use super::{Backward, Gradients};
use crate::ops::BatchNormParameters;
use crate::{Error, Result, Tensor};

const NAME: &str = "batch norm";

/// What the backward pass needs.
#[derive(Clone, Debug)]
pub(super) struct Normalized {
    input: Tensor,
    mean: Vec<f32>,
    inverse_deviation: Vec<f32>,
    /// Whether mean and variance are those of the batch, through which gradients go too.
    is_of_batch: bool,
}

impl Normalized {
    pub(super) fn input(&self) -> &Tensor {
        &self.input
    }
}

/// Gradients of a batch norm.
pub(super) struct BatchNormGradients {
    pub(super) input: Tensor,
    pub(super) weight: Vec<f32>,
    pub(super) bias: Vec<f32>,
}

/// New running statistics.
pub(super) struct Statistics {
    pub(super) mean: Vec<f32>,
    pub(super) variance: Vec<f32>,
}

/// The channels of `[N, C, ..]`, each with its runs of values.
fn extents(shape: &[usize], channels: usize) -> Result<(usize, usize)> {
    match shape {
        [batch, found, inner @ ..] if *found == channels => Ok((*batch, inner.iter().product())),
        _ => Err(Error::shape(NAME, format!("[N, {channels}, ..]"), shape)),
    }
}

pub(super) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.view().iter().copied().collect()
}

/// Normalizes `x`; with `momentum` by the statistics of the batch, and gives the new running ones (unbiased variance).
pub(super) fn forward(
    parameters: &BatchNormParameters,
    x: Tensor,
    momentum: Option<f64>,
) -> Result<(Tensor, Normalized, Option<Statistics>)> {
    let x = x.contiguous();
    let channels = parameters.running_mean.len();
    let (batch, inner) = extents(x.shape(), channels)?;
    let count = batch * inner;
    let eps = parameters.eps as f32;
    let (running_mean, running_var) = (values(&parameters.running_mean), values(&parameters.running_var));
    let data = x.as_slice().unwrap_or_default();
    let (mean, variance, statistics) = match momentum {
        None => (running_mean, running_var, None),
        Some(_) if count < 2 => {
            return Err(Error::shape(NAME, "more than 1 value per channel when training", x.shape()));
        }
        Some(momentum) => {
            let sums = |of: &dyn Fn(usize, f32) -> f64| {
                let mut sums = vec![0.0_f64; channels];
                for (row, values) in data.chunks_exact(inner).enumerate() {
                    let channel = row % channels;
                    sums[channel] += values.iter().map(|&value| of(channel, value)).sum::<f64>();
                }
                sums
            };
            let mean: Vec<f64> =
                sums(&|_, value| f64::from(value)).iter().map(|sum| sum / count as f64).collect();
            let squares = sums(&|channel, value| (f64::from(value) - mean[channel]).powi(2));
            let kept = |old: &[f32], new: &[f64]| {
                let new = old.iter().zip(new);
                new.map(|(&old, new)| ((1.0 - momentum) * f64::from(old) + momentum * new) as f32).collect()
            };
            let unbiased: Vec<f64> = squares.iter().map(|sum| sum / (count - 1) as f64).collect();
            let statistics =
                Statistics { mean: kept(&running_mean, &mean), variance: kept(&running_var, &unbiased) };
            let variance = squares.iter().map(|sum| (sum / count as f64) as f32).collect();
            (mean.iter().map(|&mean| mean as f32).collect(), variance, Some(statistics))
        }
    };
    let inverse_deviation: Vec<f32> = variance.iter().map(|variance| 1.0 / (variance + eps).sqrt()).collect();
    let gamma = parameters.weight.as_ref().map_or_else(|| vec![1.0; channels], values);
    let beta = parameters.bias.as_ref().map_or_else(|| vec![0.0; channels], values);
    let affine: Vec<[f32; 2]> = (0..channels)
        .map(|channel| {
            let factor = gamma[channel] * inverse_deviation[channel];
            [factor, beta[channel] - mean[channel] * factor]
        })
        .collect();
    let mut y = Tensor::try_zeros(x.shape())?;
    if !x.is_empty() {
        let output = y.as_slice_mut().unwrap_or_default();
        let limits = [f32::NEG_INFINITY, f32::INFINITY];
        qkernels::float::affine_into(&affine, inner, limits, data, output)
            .map_err(|error| Error::kernel(NAME, error))?;
    }
    let is_of_batch = statistics.is_some();
    Ok((y, Normalized { input: x, mean, inverse_deviation, is_of_batch }, statistics))
}

/// The gradients for that of the output.
pub(super) fn backward(
    parameters: &BatchNormParameters,
    saved: &Normalized,
    gradient: Tensor,
) -> Result<BatchNormGradients> {
    let channels = parameters.running_mean.len();
    let (batch, inner) = extents(saved.input.shape(), channels)?;
    let count = (batch * inner) as f64;
    let x = saved.input.as_slice().unwrap_or_default();
    let mut gradient = gradient.contiguous();
    let mut sums = vec![[0.0_f64; 2]; channels];
    let dy = gradient.as_slice_mut().unwrap_or_default();
    let inner = inner.max(1);
    for (row, (dy, x)) in dy.chunks_exact(inner).zip(x.chunks_exact(inner)).enumerate() {
        let channel = row % channels;
        let (mean, inverse) = (saved.mean[channel], saved.inverse_deviation[channel]);
        let (mut of_bias, mut of_weight) = (0.0_f64, 0.0_f64);
        for (&dy, &x) in dy.iter().zip(x) {
            of_bias += f64::from(dy);
            of_weight += f64::from(dy) * f64::from((x - mean) * inverse);
        }
        sums[channel][0] += of_bias;
        sums[channel][1] += of_weight;
    }
    let gamma = parameters.weight.as_ref().map_or_else(|| vec![1.0; channels], values);
    for (row, (dy, x)) in dy.chunks_exact_mut(inner).zip(x.chunks_exact(inner)).enumerate() {
        let channel = row % channels;
        let (mean, inverse) = (saved.mean[channel], saved.inverse_deviation[channel]);
        let factor = gamma[channel] * inverse;
        let [of_bias, of_weight] = match saved.is_of_batch {
            true => sums[channel].map(|sum| (sum / count) as f32),
            false => [0.0; 2],
        };
        for (dy, &x) in dy.iter_mut().zip(x) {
            *dy = factor * (*dy - of_bias - (x - mean) * inverse * of_weight);
        }
    }
    let part = |index: usize| sums.iter().map(|sums| sums[index] as f32).collect();
    Ok(BatchNormGradients { input: gradient, weight: part(1), bias: part(0) })
}

/// The gradients of a batch norm with its running statistics, as in evaluation.
pub(crate) fn of_evaluation(parameters: &BatchNormParameters, pass: &Backward<'_>) -> Result<Gradients> {
    let (_, saved, _) = forward(parameters, pass.input(0)?.clone(), None)?;
    let (_, gradient) = pass.output()?;
    let found = backward(parameters, &saved, gradient)?;
    let affine = [
        ("weight", parameters.weight.is_some(), found.weight),
        ("bias", parameters.bias.is_some(), found.bias),
    ];
    let affine = affine.into_iter().filter(|(_, is_there, _)| *is_there);
    let parameters = affine.map(|(name, _, values)| Ok((name, Tensor::from_vec(&[values.len()], values)?)));
    Ok(Gradients { inputs: vec![Some(found.input)], parameters: parameters.collect::<Result<_>>()? })
}
