//! `WeightChannels`: the range of each channel of a weight, and how many steps it uses.

use serde::Serialize;

use crate::Result;
use crate::inspect::numeric_suite::{folded_weight, networks};
use crate::model::{Converted, Module, Prepared};
use crate::observer::extrema::channel_ranges;

/// The channels of a weight that became integers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WeightChannels {
    /// The layer.
    pub path: String,
    /// The axis of the channels in the weight.
    pub axis: usize,
    /// Smallest and largest weight of each channel in float, with the batch norm folded in.
    pub ranges: Vec<(f32, f32)>,
    /// The scale of each channel, or one for all.
    pub scales: Vec<f32>,
}

/// Of every weight that became integers, layer by layer.
pub(super) fn of<M: Module>(prepared: &Prepared<M>, converted: &Converted<M>) -> Result<Vec<WeightChannels>> {
    let (float, integers) = networks(prepared, converted)?;
    let mut weights = Vec::new();
    for (node, of_integers) in float.nodes.iter().zip(&integers.nodes) {
        let quantized = of_integers.call.as_ref().and_then(|call| call.executable.weight());
        let (Some(call), Some(quantized)) = (&node.call, quantized) else { continue };
        let Some(weight) = folded_weight(call)? else { continue };
        let qparams = quantized.qparams();
        let axis = qparams.axis.unwrap_or(0);
        weights.push(WeightChannels {
            path: node.path().to_owned(),
            axis,
            ranges: channel_ranges("a weight", &weight, axis)?
                .map_or(Vec::new(), |(low, high)| low.into_iter().zip(high).collect()),
            scales: qparams.scale.clone(),
        });
    }
    Ok(weights)
}
