//! One run of a prepared model under its observers.

use serde::{Deserialize, Serialize};

use super::{Plan, plan};
use crate::network::{Network, NodeId, ValueId};
use crate::observer::ValueGrid;
use crate::program::{evaluate_float, evaluate_floats};
use crate::{Error, Observer, Result, Tensor};

/// An observer with the statistics of a calibration report.
#[derive(Clone, Debug)]
pub(crate) struct ObservedEdge {
    /// The first edge that the observer serves.
    pub(crate) path: String,
    pub(crate) observer: Box<dyn Observer>,
    pub(crate) statistics: EdgeStatistics,
}

impl ObservedEdge {
    pub(crate) fn merge(&mut self, other: &Self) -> Result<()> {
        self.observer.merge(other.observer.as_ref())?;
        self.statistics.merge(&other.statistics);
        Ok(())
    }
}

/// Statistics of an edge, whatever its observer keeps.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct EdgeStatistics {
    grid: ValueGrid,
    batches: usize,
    /// The batch that last widened the range, counted from 1.
    last_growth: usize,
}

impl EdgeStatistics {
    fn record(&mut self, values: &Tensor, begins_batch: bool) -> Result<()> {
        let before = self.grid.range();
        match values.as_slice() {
            Some(slice) => self.grid.count(slice)?,
            None => self.grid.count(&values.view().iter().copied().collect::<Vec<_>>())?,
        }
        self.batches += usize::from(begins_batch);
        if self.grid.range() != before {
            self.last_growth = self.batches;
        }
        Ok(())
    }

    fn merge(&mut self, other: &Self) {
        self.grid.merge(&other.grid);
        self.batches += other.batches;
        self.last_growth = self.last_growth.max(other.last_growth);
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

    /// Whether the range grew in the last tenth of the batches. One batch alone says nothing.
    pub(crate) fn still_growing(&self) -> bool {
        self.batches > 1 && self.last_growth > self.batches - self.batches.div_ceil(10)
    }
}

/// Runs the network of `plan` in float, node by node, and shows every observed value to its observer; to none, if there
/// are no `edges`.
///
/// # Errors
/// When an input does not fit a layer, or an observed value is NaN or infinite.
pub(crate) fn observe(plan: &Plan, inputs: &[Tensor], edges: &mut [ObservedEdge]) -> Result<Vec<Tensor>> {
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
                let executable = call.executable.as_ref();
                let made = match node.outputs.len() {
                    1 => evaluate_float(executable, tensors).map(|made| vec![made]),
                    _ => evaluate_floats(executable, tensors),
                };
                made.map_err(|error| error.in_layer(&node.path))?
            }
        };
        for (&value, tensor) in node.outputs.iter().zip(made) {
            if let Some(observer) = plan::shown(plan, value) {
                plan::in_node(plan, value, record(plan, value, &tensor, observer, edges))?;
            }
            values[value] = Some(tensor);
        }
    }
    let missing = || Error::Unsupported("an output that no operation makes".into());
    network.outputs.iter().map(|&value| values[value].clone().ok_or_else(missing)).collect()
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
    // An observer may serve several edges; the first of them begins the batch.
    let begins_batch = plan.observers[observer].values.first() == Some(&value);
    edge.statistics.record(tensor, begins_batch)
}
