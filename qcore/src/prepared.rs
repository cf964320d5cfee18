//! `Prepared`: a model with its fusions done and its edges observed.

use std::fmt;
use std::sync::Arc;

use crate::converted::Converted;
use crate::model::{PreparedNetwork, Quantizable};
use crate::observation::{Observation, ObservedEdge};
use crate::plan::{Conversion, Plan};
use crate::values::{IntoInput, Values};
use crate::{Error, Observer, Result, Tensor};

/// A prepared model: float weights with batch norms folded in, and an observer on every edge that an int8
/// operation reads or writes.
///
/// Made by [`Quantizable::prepare`]. A clone has observers of its own, so that calibration can be split:
/// calibrate the clones, then [`Prepared::merge`] them.
pub struct Prepared<M: Quantizable> {
    pub(crate) network: M::Prepared,
    pub(crate) plan: Arc<Plan>,
    pub(crate) edges: Vec<ObservedEdge>,
}

impl<M: Quantizable> Clone for Prepared<M> {
    fn clone(&self) -> Self {
        Self { network: self.network.clone(), plan: Arc::clone(&self.plan), edges: self.edges.clone() }
    }
}

impl<M: Quantizable> fmt::Debug for Prepared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("model", &M::GRAPH.model).field("edges", &self.edges).finish()
    }
}

impl<M: Quantizable> Prepared<M> {
    /// Runs the fused float model; observers do not look.
    ///
    /// # Errors
    /// When the input does not fit a layer.
    pub fn forward(&self, input: impl IntoInput<M::Input>) -> Result<M::Output> {
        self.run(input.into_input()?, &mut Observation::silent())
    }

    /// Runs the model and shows every observed value to its observer; [`Prepared::calibrate`] does this for
    /// each of its batches.
    ///
    /// # Errors
    /// When the input does not fit a layer, or a value is NaN or infinite. Observers that come after the
    /// failing layer have not seen the batch.
    pub fn observe(&mut self, input: impl IntoInput<M::Input>) -> Result<M::Output> {
        let input = input.into_input()?;
        let mut observation = Observation::new(&self.plan, &mut self.edges);
        let values = M::Input::into_vec(input.into_tensors());
        for (node, value) in values.iter().enumerate() {
            observation.record(node, value)?;
        }
        let input = rebuild::<M::Input>(values)?;
        self.network.run(&mut observation, input).map(M::Output::from_tensors)
    }

    fn run(&self, input: M::Input, observation: &mut Observation<'_>) -> Result<M::Output> {
        self.network.run(observation, input.into_tensors()).map(M::Output::from_tensors)
    }

    /// What was decided for each operation of this instance; printing it shows what runs where, and why.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The path of each observer: that of the first edge that it serves.
    pub fn observed_paths(&self) -> impl Iterator<Item = &str> {
        self.edges.iter().map(|edge| edge.path.as_str())
    }

    /// The observer that serves the edge `path`.
    pub fn observer(&self, path: &str) -> Option<&dyn Observer> {
        self.plan.observer_of(path).map(|index| self.edges[index].observer.as_ref())
    }

    /// Puts `observer` in the place of the one that serves the edge `path`, e.g. a
    /// [`FixedQParamsObserver`](crate::observer::FixedQParamsObserver) for a scale known beforehand.
    ///
    /// # Errors
    /// When there is no such edge.
    pub fn set_observer(&mut self, path: &str, observer: impl Observer + 'static) -> Result<()> {
        let Some(index) = self.plan.observer_of(path) else {
            let known = self.plan.observed_paths();
            return Err(Error::UnknownNames {
                names: vec![(path.to_owned(), crate::suggest::nearest(path, known))],
            });
        };
        self.edges[index].observer = Box::new(observer);
        Ok(())
    }

    /// Takes over what another instance of the same prepared model has observed.
    ///
    /// # Errors
    /// When the models differ, or an observer depends on the order of batches and so cannot be merged; then
    /// nothing has changed.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let paths = |edges: &[ObservedEdge]| edges.iter().map(|edge| edge.path.clone()).collect::<Vec<_>>();
        if paths(&self.edges) != paths(&other.edges) {
            return Err(Error::parameter("Prepared::merge", "the two models observe different edges"));
        }
        let mut merged = self.edges.clone();
        for (edge, other) in merged.iter_mut().zip(&other.edges) {
            edge.merge(other).map_err(|error| error.in_layer(&edge.path))?;
        }
        self.edges = merged;
        Ok(())
    }

    /// The integer model.
    ///
    /// # Errors
    /// When an edge never saw data (all are named), a weight is not finite, or the backend refuses a scale.
    pub fn convert(&self) -> Result<Converted<M>> {
        let observers: Vec<&dyn Observer> = self.edges.iter().map(|edge| edge.observer.as_ref()).collect();
        let conversion = Conversion::new(&self.plan, &observers)?;
        let network = self.network.convert(&conversion)?;
        Ok(Converted::new(network, &self.plan, &conversion))
    }
}

fn rebuild<V: Values>(values: Vec<Tensor>) -> Result<V::Of<Tensor>> {
    let mut values = values.into_iter();
    V::build(|_| values.next().ok_or_else(|| Error::Unsupported("fewer inputs than the model takes".into())))
}
