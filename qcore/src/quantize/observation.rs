//! One run of a prepared model under its observers.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Plan, plan};
use crate::inspect::Histogram;
use crate::network::{Network, NodeId, ValueId};
use crate::observer::extrema;
use crate::observer::{ChannelRanges, Range, ValueGrid};
use crate::program::{evaluate_floats, evaluate_within, release};
use crate::{Error, Observer, Result, Tensor};

/// All that calibration learns about a model.
#[derive(Clone, Debug)]
pub(crate) struct Observations {
    /// Of each observer of the plan.
    pub(crate) edges: Vec<ObservedEdge>,
    /// The nodes whose batch norm runs apart, because an input had other than two dimensions; see
    /// [`Op::folds_matrices`](crate::ops::Op::folds_matrices).
    pub(crate) apart: BTreeSet<NodeId>,
    /// Of nodes whose weight was trained what has looked at it; of all others the qconfig says it.
    pub(crate) weights: BTreeMap<NodeId, Box<dyn Observer>>,
}

impl Observations {
    /// None yet.
    pub(crate) fn new(plan: &Plan) -> Self {
        let edges = plan.observers.iter().map(|observer| ObservedEdge {
            path: plan.path(observer.values[0]).to_owned(),
            observer: observer.qconfig.activation_observer(),
            statistics: EdgeStatistics::default(),
        });
        Self { edges: edges.collect(), apart: BTreeSet::new(), weights: BTreeMap::new() }
    }

    /// Both together.
    ///
    /// # Errors
    /// When an observer depends on the order of batches.
    pub(crate) fn merged(&self, other: &Self) -> Result<Self> {
        let mut merged = self.clone();
        for (edge, other) in merged.edges.iter_mut().zip(&other.edges) {
            edge.merge(other).map_err(|error| error.in_layer(&edge.path))?;
        }
        merged.apart.extend(&other.apart);
        Ok(merged)
    }
}

/// An observer with the statistics of a calibration report.
#[derive(Clone, Debug)]
pub(crate) struct ObservedEdge {
    /// The first edge that the observer serves.
    pub(crate) path: String,
    pub(crate) observer: Box<dyn Observer>,
    pub(crate) statistics: EdgeStatistics,
}

impl ObservedEdge {
    fn merge(&mut self, other: &Self) -> Result<()> {
        self.observer.merge(other.observer.as_ref())?;
        self.statistics.merge(&other.statistics);
        Ok(())
    }
}

/// Statistics of an edge, whatever its observer keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct EdgeStatistics {
    grid: ValueGrid,
    batches: usize,
    /// The batch that last widened the range, counted from 1.
    last_growth: usize,
    /// Of each value that the observer serves, in their order.
    #[serde(default, deserialize_with = "crate::observer::state::list")]
    ranges: Vec<Option<Range>>,
    /// Of each channel, along axis 1, of the first value.
    #[serde(default)]
    channels: ChannelRanges,
}

/// Tensors with more channels are not looked at channel by channel.
const MOST_CHANNELS: usize = 4096;
/// As many as a picture of a histogram shows.
const HISTOGRAM_INTERVALS: usize = 64;

impl EdgeStatistics {
    /// Records values, the observer's `position`-th of a batch.
    fn record(&mut self, values: &Tensor, position: usize) -> Result<()> {
        let before = self.grid.range();
        match values.as_slice() {
            Some(slice) => self.grid.count(slice)?,
            None => self.grid.count(&values.view().iter().copied().collect::<Vec<_>>())?,
        }
        // An observer may serve several values; the first of them begins the batch.
        self.batches = self.batches.saturating_add(usize::from(position == 0));
        if self.grid.range() != before {
            self.last_growth = self.batches;
        }
        let range = extrema::range(values)?.map(Range::of);
        self.widen(position, range);
        if position == 0 && values.shape().get(1).is_some_and(|&channels| channels <= MOST_CHANNELS) {
            self.channels.widen(values, 1)?;
        }
        Ok(())
    }

    fn widen(&mut self, position: usize, range: Option<Range>) {
        if self.ranges.len() <= position {
            self.ranges.resize(position + 1, None);
        }
        let known = &mut self.ranges[position];
        *known = match (*known, range) {
            (Some(known), Some(range)) => Some(known.joined(range)),
            (known, range) => known.or(range),
        };
    }

    fn merge(&mut self, other: &Self) {
        self.grid.merge(&other.grid);
        self.batches = self.batches.saturating_add(other.batches);
        self.last_growth = self.last_growth.max(other.last_growth);
        for (position, &range) in other.ranges.iter().enumerate() {
            self.widen(position, range);
        }
        self.channels.join(&other.channels);
    }

    /// The range of the observer's value at `position`; `None` if it was not seen.
    pub(crate) fn range_of(&self, position: usize) -> Option<Range> {
        self.ranges.get(position).copied().flatten()
    }

    /// How many channels have had one value alone, and how many there are; none, if each was seen once.
    pub(crate) fn constant_channels(&self) -> (usize, usize) {
        let channels = self.channels.len();
        match self.values() > channels as u64 {
            true => (self.channels.constant(), channels),
            false => (0, channels),
        }
    }

    pub(crate) fn values(&self) -> u64 {
        self.grid.total()
    }

    pub(crate) fn range(&self) -> Option<(f32, f32)> {
        self.grid.range()
    }

    pub(crate) fn batches(&self) -> usize {
        self.batches
    }

    pub(crate) fn fraction_outside(&self, low: f32, high: f32) -> f64 {
        self.grid.fraction_outside(low, high)
    }

    /// How often which values were seen.
    pub(crate) fn histogram(&self) -> Histogram {
        self.grid.histogram(HISTOGRAM_INTERVALS)
    }

    /// Whether the range grew in the last tenth of the batches. One batch alone says nothing.
    pub(crate) fn still_growing(&self) -> bool {
        self.batches > 1 && self.last_growth > self.batches - self.batches.div_ceil(10)
    }
}

/// Runs the network of `plan` in float, node by node, and shows every observed value to its observer.
///
/// # Errors
/// When an input does not fit a layer, or an observed value is NaN or infinite. `observations` are then of a part of the
/// network.
pub(crate) fn observe(
    plan: &Plan,
    inputs: &[Tensor],
    observations: &mut Observations,
) -> Result<Vec<Tensor>> {
    let network = &plan.network;
    network.check_inputs(inputs.len())?;
    let last_readers = last_readers(network);
    let mut values: Vec<Option<Tensor>> = vec![None; network.values.len()];
    let mut inputs = inputs.iter();
    for (index, node) in network.nodes.iter().enumerate() {
        let made = match &node.call {
            None => inputs.next().cloned().into_iter().collect(),
            Some(call) => {
                let mut read = |&value: &ValueId| match last_readers[value] == Some(index) {
                    true if node.inputs.iter().filter(|&&input| input == value).count() == 1 => {
                        values[value].take()
                    }
                    _ => values[value].clone(),
                };
                let missing = || Error::Unsupported("a value that is read before it is made".into());
                let tensors = node.inputs.iter().map(|value| read(value).ok_or_else(missing));
                let tensors = tensors.collect::<Result<Vec<_>>>()?;
                if call.folds_matrices() && tensors.first().is_some_and(|tensor| tensor.rank() != 2) {
                    observations.apart.insert(index);
                }
                let executable = call.executable.as_ref();
                let made = match node.outputs.len() {
                    1 => evaluate_within(executable, tensors).map(|made| vec![made]),
                    _ => evaluate_floats(executable, tensors),
                };
                made.map_err(|error| error.in_layer(&node.path))?
            }
        };
        for (&value, tensor) in node.outputs.iter().zip(made) {
            if let Some(observer) = plan::shown(plan, value) {
                let recorded = record(plan, value, &tensor, observer, &mut observations.edges);
                plan::in_node(plan, value, recorded)?;
            }
            values[value] = Some(tensor);
        }
    }
    let missing = || Error::Unsupported("an output that no operation makes".into());
    network.outputs.iter().map(|&value| values[value].clone().map(release).ok_or_else(missing)).collect()
}

/// Of each value the last node that reads it; `None` for the outputs of the network.
fn last_readers(network: &Network) -> Vec<Option<NodeId>> {
    let mut readers = vec![None; network.values.len()];
    for (index, node) in network.nodes.iter().enumerate() {
        for &value in &node.inputs {
            readers[value] = Some(index);
        }
    }
    for &output in &network.outputs {
        readers[output] = None;
    }
    readers
}

fn record(
    plan: &Plan,
    value: ValueId,
    tensor: &Tensor,
    observer: usize,
    edges: &mut [ObservedEdge],
) -> Result<()> {
    let Some(edge) = edges.get_mut(observer) else { return Ok(()) };
    edge.observer.observe(tensor)?;
    let position = plan.observers[observer].values.iter().position(|&served| served == value);
    edge.statistics.record(tensor, position.unwrap_or_default())
}
