//! `Layer`: an operation that is trained, with the fake quantization of its weight.

use std::sync::Arc;

use super::batch_norm::values;
use crate::ops::{BatchNormParameters, Op};
use crate::{Error, FakeQuantSaved, Observer, Result, Tensor};

/// An operation of the network; calls of the same layer share one.
#[derive(Debug)]
pub(super) struct Layer {
    /// Its state-dict path; a function has none.
    pub(super) path: Option<String>,
    /// Nobody else holds it.
    pub(super) op: Arc<dyn Op>,
    /// What looks at its weight, and rounds it if it is a fake quantization.
    pub(super) weight_observer: Option<Box<dyn Observer>>,
    /// Whether its batch norm keeps its statistics.
    pub(super) has_frozen_statistics: bool,
}

/// What the backward pass of a rounded weight needs.
#[derive(Debug)]
pub(super) struct RoundedWeight {
    /// The layer with this weight and, before a batch norm, a bias of zeros.
    pub(super) op: Arc<dyn Op>,
    pub(super) saved: FakeQuantSaved,
    /// `gamma / sqrt(running_var + eps)` of the batch norm behind it.
    pub(super) scale: Option<Vec<f32>>,
    /// The divisor in that.
    pub(super) deviation: Vec<f32>,
}

impl Layer {
    pub(super) fn new(path: Option<String>, op: &Arc<dyn Op>) -> Self {
        Self { path, op: op.shared(), weight_observer: None, has_frozen_statistics: false }
    }

    pub(super) fn parameter(&self, name: &str) -> Option<Tensor> {
        let mut found = None;
        self.op.parameters("", &mut |key, tensor| {
            if key == name {
                found = Some(tensor.clone());
            }
        });
        found
    }

    /// Rounds the weight (NUMERICS section 13), times the factor of the batch norm that follows.
    pub(super) fn round_weight(&mut self, batch_norm: Option<&BatchNormParameters>) -> Result<RoundedWeight> {
        let name = self.op.name();
        let weight = self.parameter("weight").ok_or_else(|| Error::parameter(name, "has no weight"))?;
        let deviation = batch_norm.map(deviation).unwrap_or_default();
        let scale = batch_norm.map(|batch_norm| bn_scale(batch_norm, &deviation)).transpose()?;
        let scaled = match &scale {
            Some(scale) => times_rows(weight, scale)?,
            None => weight,
        };
        let (weight, saved) = match self.weight_observer.as_deref_mut() {
            None => (scaled, FakeQuantSaved::Identity),
            Some(observer) => match observer.as_fake_quantize_mut() {
                Some(fake_quant) => fake_quant.forward(scaled)?,
                None => {
                    observer.observe(&scaled)?;
                    (scaled, FakeQuantSaved::Identity)
                }
            },
        };
        let mut op = self.op.shared();
        set(&mut op, &mut |key, tensor| match key {
            "weight" => *tensor = weight.clone(),
            "bias" if scale.is_some() => *tensor = tensor.clone().map(|_| 0.0),
            _ => {}
        })?;
        Ok(RoundedWeight { op, saved, scale, deviation })
    }

    /// The gradient of the weight, and of the batch norm's weight through the factor, from that of the rounded one.
    pub(super) fn weight_gradient(
        &mut self,
        rounded: &RoundedWeight,
        gradient: Tensor,
    ) -> Result<(Tensor, Option<Vec<f32>>)> {
        let gradient = match self.weight_observer.as_deref_mut().and_then(|o| o.as_fake_quantize_mut()) {
            Some(fake_quant) => fake_quant.backward(&rounded.saved, gradient)?,
            None => gradient,
        };
        let Some(scale) = &rounded.scale else { return Ok((gradient, None)) };
        let weight = self.parameter("weight").unwrap_or_else(|| gradient.clone());
        let of_scale = values(&weight)
            .chunks(weight.len() / scale.len().max(1))
            .zip(values(&gradient).chunks(weight.len() / scale.len().max(1)))
            .map(|(weight, gradient)| {
                let products = weight.iter().zip(gradient).map(|(&w, &g)| f64::from(w) * f64::from(g));
                products.sum::<f64>() as f32
            })
            .collect();
        Ok((times_rows(gradient, scale)?, Some(of_scale)))
    }
}

/// Changes the tensors of an operation that nobody shares.
pub(super) fn set(op: &mut Arc<dyn Op>, change: &mut dyn FnMut(&str, &mut Tensor)) -> Result<()> {
    let name = op.name();
    let shared = || Error::Unsupported(format!("a change of `{name}`, which others hold too"));
    let op = Arc::get_mut(op).ok_or_else(shared)?;
    op.parameters_mut("", &mut |key, tensor| change(&key, tensor));
    Ok(())
}

/// `sqrt(running_var + eps)` of each channel.
fn deviation(parameters: &BatchNormParameters) -> Vec<f32> {
    let eps = parameters.eps as f32;
    parameters.running_var.view().iter().map(|variance| (variance + eps).sqrt()).collect()
}

/// `gamma / sqrt(running_var + eps)` of each channel.
fn bn_scale(parameters: &BatchNormParameters, deviation: &[f32]) -> Result<Vec<f32>> {
    let gamma = parameters.weight.as_ref().map_or_else(|| vec![1.0; deviation.len()], values);
    let scale: Vec<f32> = gamma.iter().zip(deviation).map(|(gamma, deviation)| gamma / deviation).collect();
    match scale.iter().position(|scale| !scale.is_finite() || *scale == 0.0) {
        Some(index) => {
            let what = format!("the factor of the batch norm, {}, in channel {index}", scale[index]);
            Err(Error::parameter("batch norm", format!("{what}: one cannot divide by it")))
        }
        None => Ok(scale),
    }
}

/// Each row, along the first axis, times its factor.
fn times_rows(tensor: Tensor, factors: &[f32]) -> Result<Tensor> {
    if tensor.shape().first() != Some(&factors.len()) {
        return Err(Error::shape(
            "batch norm",
            format!("a weight of {} rows", factors.len()),
            tensor.shape(),
        ));
    }
    let mut tensor = tensor.contiguous();
    let row = tensor.len() / factors.len().max(1);
    let rows = tensor.as_slice_mut().unwrap_or_default().chunks_mut(row.max(1));
    for (values, factor) in rows.zip(factors) {
        values.iter_mut().for_each(|value| *value *= factor);
    }
    Ok(tensor)
}
