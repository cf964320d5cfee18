//! `Prepared`: a model with its fusions done and its edges observed.

use std::fmt;
use std::marker::PhantomData;

use super::{Converted, IntoInput, Module, Values, tensors};
use crate::network::Loaders;
use crate::quantize::{ConvertOptions, Observations, ObservedEdge, Plan, convert, observe};
use crate::{Error, Observer, Result};

/// A prepared model: its network in float with batch norms folded in, and an observer on every edge that an int8
/// operation reads or writes.
///
/// Made by [`Module::prepare`]; [`Prepared::calibrate`] runs batches through it, and [`Prepared::convert`] makes the
/// int8 model of it. Inputs and outputs have the shapes of the model's `forward`. A clone has observers of its own,
/// so that calibration can be split: calibrate the clones, then [`Prepared::merge`] them.
pub struct Prepared<M: Module> {
    pub(crate) plan: Plan,
    pub(crate) observations: Observations,
    model: PhantomData<fn() -> M>,
}

impl<M: Module> Clone for Prepared<M> {
    fn clone(&self) -> Self {
        Self::new(self.plan.clone(), self.observations.clone())
    }
}

impl<M: Module> fmt::Debug for Prepared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("model", &M::NAME).field("observations", &self.observations).finish()
    }
}

impl<M: Module> Prepared<M> {
    pub(crate) fn new(plan: Plan, observations: Observations) -> Self {
        Self { plan, observations, model: PhantomData }
    }

    /// Runs the fused float model; observers do not look.
    ///
    /// # Errors
    /// When the input does not fit a layer.
    pub fn forward(&self, input: impl IntoInput<M::Input>) -> Result<M::Output> {
        outputs::<M>(self.plan.network.forward(&tensors(input.into_input()?))?)
    }

    /// Runs the model and shows every observed value to its observer; [`Prepared::calibrate`] does this for
    /// each of its batches.
    ///
    /// # Errors
    /// When the input does not fit a layer, or a value is NaN or infinite. All observers are then as they were.
    pub fn observe(&mut self, input: impl IntoInput<M::Input>) -> Result<M::Output> {
        // A copy, so that a panic too leaves no half of a batch.
        let mut observations = self.observations.clone();
        let tensors = observe(&self.plan, &tensors(input.into_input()?), &mut observations)?;
        self.observations = observations;
        outputs::<M>(tensors)
    }

    /// The decision for each operation of this instance; printing it shows the precision of each, and why.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The path of each observer: that of the first edge that it serves.
    pub fn observed_paths(&self) -> impl Iterator<Item = &str> {
        self.observations.edges.iter().map(|edge| edge.path.as_str())
    }

    /// The observer that serves the edge `path`.
    pub fn observer(&self, path: &str) -> Option<&dyn Observer> {
        self.plan.observer_of(path).map(|index| self.observations.edges[index].observer.as_ref())
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
        self.observations.edges[index].observer = Box::new(observer);
        Ok(())
    }

    /// Merges the observations of another instance of the same prepared model.
    ///
    /// # Errors
    /// When the models differ, or an observer depends on the order of batches and so cannot be merged; then
    /// nothing has changed.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        let paths = |edges: &[ObservedEdge]| edges.iter().map(|edge| edge.path.clone()).collect::<Vec<_>>();
        if paths(&self.observations.edges) != paths(&other.observations.edges) {
            return Err(Error::parameter("Prepared::merge", "the two models observe different edges"));
        }
        self.observations = self.observations.merged(&other.observations)?;
        Ok(())
    }

    /// The integer model.
    ///
    /// # Errors
    /// When an edge never saw data, or a single value alone (all are named), a weight is not finite, or the backend
    /// refuses a scale.
    pub fn convert(&self) -> Result<Converted<M>> {
        self.convert_with(ConvertOptions::default())
    }

    /// [`Prepared::convert`] with settings.
    ///
    /// # Errors
    /// As [`Prepared::convert`].
    pub fn convert_with(&self, options: ConvertOptions) -> Result<Converted<M>> {
        let mut loaders = Loaders::new();
        M::loaders(&mut loaders);
        convert(&self.plan, &self.observations, options, &loaders).map(Converted::new)
    }
}

/// The outputs of a network as the model gives them.
pub(super) fn outputs<M: Module>(tensors: Vec<crate::Tensor>) -> Result<M::Output> {
    let mut tensors = tensors.into_iter();
    let missing = || Error::Unsupported("fewer outputs than the model gives".into());
    let outputs = M::Output::build(|_| tensors.next().ok_or_else(missing))?;
    Ok(M::Output::from_tensors(outputs))
}
