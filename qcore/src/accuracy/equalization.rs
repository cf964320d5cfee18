//! `equalize`: moves scale between neighbouring layers until their channels are equally wide (Nagel et al. 2019,
//! section 4.1).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::{Module, Prepared};
use crate::network::{Call, Network, Node, NodeId, NodeMember, ValueId, folded, lower};
use crate::ops::{Activation, Homogeneity, Lowering, Op, ReLU, Weighted};
use crate::{Error, Result, Tensor};

/// Pairs are gone through this many times at most.
const MAX_PASSES: usize = 40;
/// Channels are equal enough when no factor is further from 1.
const TOLERANCE: f32 = 0.01;

/// Settings of [`Prepared::equalize_with`].
///
/// ```
/// use qcore::EqualizationOptions;
///
/// let options = EqualizationOptions { replace_relu6: true };
/// assert_ne!(options, EqualizationOptions::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EqualizationOptions {
    /// Whether a `ReLU6` between two layers becomes a `ReLU`, so that they can be equalized; false if not set. The model
    /// is then another function wherever an activation exceeds 6.
    pub replace_relu6: bool,
}

/// What [`Prepared::equalize`] did. Printing it gives a table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EqualizationReport {
    /// The pairs of layers, in the order in which the first of each runs.
    pub pairs: Vec<EqualizedPair>,
    /// How often all of them were gone through.
    pub passes: usize,
    /// The operations with a `ReLU6` that keeps the layers around it from being a pair.
    pub kept_relu6: Vec<String>,
    /// The operations whose `ReLU6`, between the layers of a pair, became a `ReLU`.
    pub replaced_relu6: Vec<String>,
}

/// Two layers between which scale was moved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EqualizedPair {
    /// The layer whose outputs were scaled.
    pub first: String,
    /// The layer that reads them.
    pub second: String,
    /// How much of the range of its tensor a channel used on average, of the outputs of the first weight times that of
    /// the inputs of the second, before: 1 if all channels are equally wide.
    pub precision_before: f64,
    /// The same afterwards.
    pub precision_after: f64,
    /// The smallest and the largest factor by which a channel between the two was divided.
    pub factors: [f32; 2],
}

impl<M: Module> Prepared<M> {
    /// Makes the channels of neighbouring layers equally wide, so that weights lose less with one scale per tensor.
    ///
    /// Of two layers with nothing between them but operations that hand on positive factors (`relu`, pools, `flatten`),
    /// output channel `i` of the first weight and bias is divided by `s_i = sqrt(r1_i r2_i) / r2_i`, and input channel `i`
    /// of the second weight multiplied by it, where `r1_i` and `r2_i` are the largest magnitudes of the two (Nagel et al.
    /// 2019, equation 11); again for all pairs, until no channel changes by more than 1 %. Batch norms are folded into
    /// the layers before. The float function stays the same up to rounding.
    ///
    /// ```
    /// use qcore::prelude::*;
    ///
    /// #[quantizable]
    /// struct Net { conv1: Conv2d, conv2: Conv2d }
    /// #[quantizable]
    /// impl Net { fn forward(&self, x: Tensor) -> Tensor { self.conv2(relu(self.conv1(x))) } }
    ///
    /// # fn main() -> qcore::Result<()> {
    /// let net = Net { conv1: Conv2d::new(3, 8, 3), conv2: Conv2d::new(8, 4, 1) };
    /// let mut prepared = net.prepare(&QConfigMapping::for_backend(Backend::Qnnpack))?;
    /// let report = prepared.equalize()?;
    /// assert_eq!((report.pairs[0].first.as_str(), report.pairs[0].second.as_str()), ("conv1", "conv2"));
    /// assert!(report.pairs[0].precision_after > report.pairs[0].precision_before);
    /// // Then calibrate, and convert.
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the model was calibrated already, whose ranges would no longer be true, or a weight is not finite.
    pub fn equalize(&mut self) -> Result<EqualizationReport> {
        self.equalize_with(EqualizationOptions::default())
    }

    /// [`Prepared::equalize`] with settings.
    ///
    /// # Errors
    /// As [`Prepared::equalize`].
    pub fn equalize_with(&mut self, options: EqualizationOptions) -> Result<EqualizationReport> {
        if self.observations.edges.iter().any(|edge| edge.statistics.batches() > 0) {
            let message = "equalize before calibrating: the observed ranges would no longer be true";
            return Err(Error::parameter("equalize", message));
        }
        let network = &self.plan.network;
        let found = Pairs::find(network, options)?;
        let mut layers = Layers::of(network, &found.pairs)?;
        let before: Vec<f64> = found.pairs.iter().map(|pair| layers.precision(pair)).collect();
        let mut factors = vec![Vec::new(); found.pairs.len()];
        let mut passes = 0;
        while passes < MAX_PASSES && !found.pairs.is_empty() {
            passes += 1;
            let mut largest_change = 1.0_f32;
            for (pair, total) in found.pairs.iter().zip(&mut factors) {
                let step = layers.equalize(pair);
                largest_change = step.iter().fold(largest_change, |largest, &s| largest.max(s.max(1.0 / s)));
                match total.is_empty() {
                    true => *total = step,
                    false => total.iter_mut().zip(step).for_each(|(total, s)| *total *= s),
                }
            }
            if largest_change <= 1.0 + TOLERANCE {
                break;
            }
        }
        let path = |index: NodeId| network.nodes[index].path().to_owned();
        let pairs =
            found.pairs.iter().zip(before).zip(&factors).map(|((pair, precision_before), factors)| {
                let precision_after = layers.precision(pair);
                let least = factors.iter().copied().fold(f32::INFINITY, f32::min);
                let most = factors.iter().copied().fold(0.0, f32::max);
                let (first, second) = (path(pair.first), path(pair.second));
                EqualizedPair { first, second, precision_before, precision_after, factors: [least, most] }
            });
        let report = EqualizationReport {
            pairs: pairs.collect(),
            passes,
            kept_relu6: found.kept_relu6.iter().map(|&index| path(index)).collect(),
            replaced_relu6: found.replaced_relu6.iter().map(|&index| path(index)).collect(),
        };
        let network = layers.into_network(network, &found.replaced_relu6)?;
        self.plan.network = Arc::new(network);
        Ok(report)
    }
}

/// Two layers between which scale can be moved.
struct Pair {
    first: NodeId,
    second: NodeId,
    /// How many inputs of the second one channel of the first is: more than one behind `flatten`.
    inputs_per_channel: usize,
}

/// All pairs of a network.
#[derive(Default)]
struct Pairs {
    pairs: Vec<Pair>,
    kept_relu6: Vec<NodeId>,
    replaced_relu6: Vec<NodeId>,
}

impl Pairs {
    fn find(network: &Network, options: EqualizationOptions) -> Result<Self> {
        let readers = only_readers(network);
        let mut found = Self::default();
        for first in 0..network.nodes.len() {
            let Some(outputs) = outputs(&network.nodes[first])? else { continue };
            let mut relu6 = Vec::new();
            let second = follow(network, &readers, first, &mut relu6);
            let Some((second, flattened)) = second else { continue };
            let Some(inputs) = inputs(&network.nodes[second])? else { continue };
            if inputs != outputs && !(flattened && inputs % outputs == 0) {
                continue;
            }
            if !relu6.is_empty() && !options.replace_relu6 {
                found.kept_relu6.append(&mut relu6);
                continue;
            }
            found.replaced_relu6.append(&mut relu6);
            found.pairs.push(Pair { first, second, inputs_per_channel: inputs / outputs });
        }
        Ok(found)
    }
}

/// Of each value the node that reads it, if nothing else does.
fn only_readers(network: &Network) -> Vec<Option<NodeId>> {
    let mut readers: Vec<Vec<NodeId>> = vec![Vec::new(); network.values.len()];
    for (index, node) in network.nodes.iter().enumerate() {
        node.inputs.iter().for_each(|&value| readers[value].push(index));
    }
    let is_output = |value: &ValueId| network.outputs.contains(value);
    let only = readers.iter().enumerate().map(|(value, readers)| match readers.as_slice() {
        &[reader] if !is_output(&value) => Some(reader),
        _ => None,
    });
    only.collect()
}

/// The next layer with a weight behind `first`, if all in between hands factors of channels on, and whether a channel
/// becomes several features on the way; operations that do so but for their `ReLU6` go to `relu6`.
fn follow(
    network: &Network,
    readers: &[Option<NodeId>],
    first: NodeId,
    relu6: &mut Vec<NodeId>,
) -> Option<(NodeId, bool)> {
    // Axis 1 is that of the channels behind a convolution; the last one behind a linear layer.
    let mut has_channels = !is_linear(&network.nodes[first]);
    let mut flattened = false;
    let mut index = first;
    loop {
        let node = &network.nodes[index];
        let call = node.call.as_ref()?;
        let (op, members) = call.members.split_first()?;
        if members.iter().chain((index != first).then_some(op)).any(is_relu6) {
            relu6.push(index);
        } else if index != first {
            match op.op.homogeneity() {
                Homogeneity::OfElements => {}
                Homogeneity::OfChannels if has_channels => {}
                Homogeneity::Flattening if has_channels => (has_channels, flattened) = (false, true),
                _ => return None,
            }
            if !members.is_empty() {
                return None;
            }
        }
        let &[value] = node.outputs.as_slice() else { return None };
        let reader = readers[value]?;
        let next = &network.nodes[reader];
        if next.inputs.len() != 1 {
            return None;
        }
        if next.call.as_ref()?.members.first()?.op.as_weighted().is_some() {
            return (has_channels != is_linear(next)).then_some((reader, flattened));
        }
        index = reader;
    }
}

fn is_relu6(member: &NodeMember) -> bool {
    member.op.as_activation() == Some(Activation::ReLU6)
}

fn is_linear(node: &Node) -> bool {
    let weight = first_op(node).and_then(|op| op.as_weighted());
    weight.is_some_and(|weighted| weighted.weight.rank() == 2)
}

fn first_op(node: &Node) -> Option<&dyn Op> {
    Some(node.call.as_ref()?.members.first()?.op.as_ref())
}

/// The layer of a node with a weight, if it can be changed: a batch norm behind a linear layer is not always folded.
fn weighted(node: &Node) -> Result<Option<Weighted<'_>>> {
    let Some(weighted) = first_op(node).and_then(|op| op.as_weighted()) else { return Ok(None) };
    if node.call.as_ref().is_some_and(Call::folds_matrices) {
        return Ok(None);
    }
    if let Some((index, value)) = weighted.weight.first_non_finite() {
        return Err(Error::NotFinite { what: "the weight".into(), value, index }.in_layer(node.path()));
    }
    Ok(Some(weighted))
}

/// How many channels a layer makes.
fn outputs(node: &Node) -> Result<Option<usize>> {
    Ok(weighted(node)?.map(|layer| layer.weight.shape()[0]).filter(|&outputs| outputs > 0))
}

/// How many channels a layer reads.
fn inputs(node: &Node) -> Result<Option<usize>> {
    Ok(weighted(node)?.map(|layer| layer.weight.shape()[1] * layer.groups).filter(|&inputs| inputs > 0))
}

/// The weights of all layers that are in a pair, with their batch norms folded in.
struct Layers(Vec<Option<Layer>>);

struct Layer {
    op: Arc<dyn Op>,
    /// `[outputs, inputs / groups, taps]`, row-major.
    weight: Vec<f32>,
    shape: [usize; 3],
    groups: usize,
    bias: Option<Vec<f32>>,
}

impl Layers {
    fn of(network: &Network, pairs: &[Pair]) -> Result<Self> {
        let mut layers: Vec<Option<Layer>> = network.nodes.iter().map(|_| None).collect();
        for index in pairs.iter().flat_map(|pair| [pair.first, pair.second]) {
            let (Some(call), None) = (&network.nodes[index].call, &layers[index]) else { continue };
            let layer = Layer::of(call).map_err(|error| error.in_layer(network.nodes[index].path()))?;
            layers[index] = layer;
        }
        Ok(Self(layers))
    }

    fn get(&self, index: NodeId) -> Option<&Layer> {
        self.0.get(index).and_then(Option::as_ref)
    }

    /// The ranges of the channels between the two: of the first's outputs and of the second's inputs.
    fn ranges(&self, pair: &Pair) -> [Vec<f32>; 2] {
        let (Some(first), Some(second)) = (self.get(pair.first), self.get(pair.second)) else {
            return [Vec::new(), Vec::new()];
        };
        let by_input = second.input_ranges();
        let by_channel = by_input.chunks(pair.inputs_per_channel).map(largest);
        [first.output_ranges(), by_channel.collect()]
    }

    /// Nagel et al.'s measure: the mean share of a tensor's range that a channel of it uses, of both.
    fn precision(&self, pair: &Pair) -> f64 {
        let share = |ranges: &Vec<f32>| {
            let widest = f64::from(largest(ranges)).max(f64::MIN_POSITIVE);
            ranges.iter().map(|&range| f64::from(range) / widest).sum::<f64>() / ranges.len().max(1) as f64
        };
        self.ranges(pair).iter().map(share).product()
    }

    /// Moves scale once, and gives the factors.
    fn equalize(&mut self, pair: &Pair) -> Vec<f32> {
        let [of_outputs, of_inputs] = self.ranges(pair);
        let factor = |(&r1, &r2): (&f32, &f32)| {
            let factor = (f64::from(r1) / f64::from(r2)).sqrt() as f32;
            // A channel of zeros has no range to be moved.
            if r1 > 0.0 && r2 > 0.0 && factor.is_normal() && factor.recip().is_normal() {
                factor
            } else {
                1.0
            }
        };
        let factors: Vec<f32> = of_outputs.iter().zip(&of_inputs).map(factor).collect();
        if let Some(first) = self.0[pair.first].as_mut() {
            first.divide_outputs(&factors);
        }
        if let Some(second) = self.0[pair.second].as_mut() {
            second.multiply_inputs(&factors, pair.inputs_per_channel);
        }
        factors
    }

    /// The network with these layers, where the operations of `replaced_relu6` have a `ReLU` in its place.
    fn into_network(self, network: &Network, replaced_relu6: &[NodeId]) -> Result<Network> {
        let nodes = network.nodes.iter().zip(self.0).enumerate().map(|(index, (node, layer))| {
            let is_replaced = replaced_relu6.contains(&index);
            let Some(call) = node.call.as_ref().filter(|_| layer.is_some() || is_replaced) else {
                return Ok(node.clone());
            };
            let mut members = call.members.clone();
            if let Some(layer) = layer {
                members.retain(|member| member.op.as_batch_norm().is_none());
                if let Some(first) = members.first_mut() {
                    first.op = layer.into_op()?;
                }
            }
            if is_replaced {
                members
                    .iter_mut()
                    .filter(|member| is_relu6(member))
                    .for_each(|member| member.op = Arc::new(ReLU));
            }
            let executable =
                lower(&members, Lowering::float()).map_err(|error| error.in_layer(node.path()))?;
            Ok(Node { call: Some(Call { members, precision: call.precision, executable }), ..node.clone() })
        });
        let nodes = nodes.collect::<Result<_>>()?;
        Ok(network.with(nodes, network.values.clone()))
    }
}

impl Layer {
    fn of(call: &Call) -> Result<Option<Self>> {
        let (op, _) = folded(&call.members)?;
        let Some(Weighted { weight, bias, groups }) = op.as_weighted() else { return Ok(None) };
        let &[outputs, inputs, ref taps @ ..] = weight.shape() else { return Ok(None) };
        let shape = [outputs, inputs, taps.iter().product()];
        let values = |tensor: &Tensor| tensor.view().iter().copied().collect::<Vec<f32>>();
        let (weight, bias) = (values(weight), bias.map(values));
        Ok(Some(Self { weight, shape, groups, bias, op: Arc::clone(&op) }))
    }

    fn filter_len(&self) -> usize {
        let [_, inputs, taps] = self.shape;
        (inputs * taps).max(1)
    }

    /// The largest magnitude of each output's weights.
    fn output_ranges(&self) -> Vec<f32> {
        self.weight.chunks(self.filter_len()).map(largest).collect()
    }

    /// The largest magnitude of each input's weights.
    fn input_ranges(&self) -> Vec<f32> {
        let [outputs, inputs, taps] = self.shape;
        let mut ranges = vec![0.0_f32; inputs * self.groups];
        for (output, filter) in self.weight.chunks(self.filter_len()).enumerate() {
            let group = output / (outputs / self.groups).max(1);
            for (range, taps) in ranges[group * inputs..].iter_mut().zip(filter.chunks(taps.max(1))) {
                *range = range.max(largest(taps));
            }
        }
        ranges
    }

    fn divide_outputs(&mut self, factors: &[f32]) {
        let len = self.filter_len();
        for (filter, factor) in self.weight.chunks_mut(len).zip(factors) {
            filter.iter_mut().for_each(|weight| *weight /= factor);
        }
        for (bias, factor) in self.bias.iter_mut().flatten().zip(factors) {
            *bias /= factor;
        }
    }

    fn multiply_inputs(&mut self, factors: &[f32], inputs_per_channel: usize) {
        let [outputs, inputs, taps] = self.shape;
        let (len, groups) = (self.filter_len(), self.groups);
        for (output, filter) in self.weight.chunks_mut(len).enumerate() {
            let group = output / (outputs / groups).max(1);
            for (input, taps) in filter.chunks_mut(taps.max(1)).enumerate() {
                let factor = factors[(group * inputs + input) / inputs_per_channel];
                taps.iter_mut().for_each(|weight| *weight *= factor);
            }
        }
    }

    fn into_op(self) -> Result<Arc<dyn Op>> {
        let shape = self.op.as_weighted().map(|weighted| weighted.weight.shape().to_vec());
        let weight = Tensor::from_vec(&shape.unwrap_or_default(), self.weight)?;
        let bias = self.bias.map(|bias| Tensor::from_vec(&[bias.len()], bias)).transpose()?;
        for (what, tensor) in
            std::iter::once(("weight", &weight)).chain(bias.as_ref().map(|bias| ("bias", bias)))
        {
            if let Some((index, value)) = tensor.first_non_finite() {
                return Err(Error::NotFinite { what: format!("the equalized {what}"), value, index });
            }
        }
        Ok(self.op.with_weights(weight, bias).unwrap_or(self.op))
    }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |largest, value| largest.max(value.abs()))
}

impl fmt::Display for EqualizationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = |of: fn(&EqualizedPair) -> &str| {
            self.pairs.iter().map(|pair| of(pair).chars().count()).max().unwrap_or(0).max(6)
        };
        let (first, second) = (longest(|pair| &pair.first), longest(|pair| &pair.second));
        writeln!(
            f,
            "{:first$}  {:second$}  {:>9}  {:>9}  {:>19}",
            "first", "second", "precision", "after", "factors"
        )?;
        for pair in &self.pairs {
            let [least, most] = pair.factors;
            writeln!(
                f,
                "{:first$}  {:second$}  {:>9.4}  {:>9.4}  {least:>8.2e} .. {most:<8.2e}",
                pair.first, pair.second, pair.precision_before, pair.precision_after
            )?;
        }
        write!(f, "{} pairs equalized in {} passes", self.pairs.len(), self.passes)?;
        if !self.kept_relu6.is_empty() {
            let count = self.kept_relu6.len();
            write!(
                f,
                "; ReLU6 keeps {count} layers from it (`EqualizationOptions {{ replace_relu6: true }}`)"
            )?;
        }
        if !self.replaced_relu6.is_empty() {
            write!(f, "; {} ReLU6 became ReLU", self.replaced_relu6.len())?;
        }
        Ok(())
    }
}
