//! `Observation`: one run of a prepared model, and what its observers see.

use serde::{Deserialize, Serialize};

use crate::observer::ValueGrid;
use crate::plan::{NodeId, Plan};
use crate::{Error, Observer, Result, Tensor};

/// An observer with what a calibration report needs besides.
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

/// What an edge has seen, whatever its observer keeps.
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

/// One run of a prepared model.
#[derive(Debug)]
pub struct Observation<'a> {
    target: Option<(&'a Plan, &'a mut [ObservedEdge])>,
}

impl<'a> Observation<'a> {
    /// A run at which nobody looks.
    pub(crate) fn silent() -> Self {
        Self { target: None }
    }

    pub(crate) fn new(plan: &'a Plan, edges: &'a mut [ObservedEdge]) -> Self {
        Self { target: Some((plan, edges)) }
    }

    /// Shows the value that `node` made to its observer, if it has one.
    pub(crate) fn record(&mut self, node: NodeId, value: &Tensor) -> Result<()> {
        let Some((plan, edges)) = &mut self.target else { return Ok(()) };
        let planned = &plan.nodes[node];
        let (Some(observer), true) = (planned.observer, planned.observes) else { return Ok(()) };
        let in_layer = |error: Error| error.in_layer(&planned.site.path);
        let edge = &mut edges[observer];
        edge.observer.observe(value).map_err(in_layer)?;
        // An observer may serve several edges; the first of them begins the batch.
        let begins_batch = plan.observers[observer].nodes.first() == Some(&node);
        edge.statistics.record(value, begins_batch).map_err(in_layer)
    }
}
