//! `Prepared`: a model with its fusions done and its edges observed.

use std::fmt;
use std::marker::PhantomData;

use qkernels::isa::{Isa, with_isa};

use super::{Converted, IntoInput, Module, Values, tensors};
use crate::network::Loaders;
use crate::quantize::{ConvertOptions, Observations, ObservedEdge, Plan, convert, observe};
use crate::{Error, Observer, Result, Tensor};

/// A prepared model: its network in float with batch norms folded in, and an observer on every edge that an int8
/// operation reads or writes.
///
/// Made by [`Module::prepare`]; [`Prepared::calibrate`] runs batches through it, and [`Prepared::convert`] makes the
/// int8 model of it. Inputs and outputs have the shapes of the model's `forward`. A clone has observers of its own,
/// so that calibration can be split: calibrate the clones, then [`Prepared::merge`] them.
pub struct Prepared<M: Module> {
    pub(crate) plan: Plan,
    pub(crate) observations: Observations,
    is_portable: bool,
    model: PhantomData<fn() -> M>,
}

impl<M: Module> Clone for Prepared<M> {
    fn clone(&self) -> Self {
        let (plan, observations) = (self.plan.clone(), self.observations.clone());
        Self { plan, observations, is_portable: self.is_portable, model: PhantomData }
    }
}

impl<M: Module> fmt::Debug for Prepared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prepared").field("model", &M::NAME).field("observations", &self.observations).finish()
    }
}

impl<M: Module> Prepared<M> {
    pub(crate) fn new(plan: Plan, observations: Observations) -> Self {
        Self { plan, observations, is_portable: false, model: PhantomData }
    }

    /// Sets whether calibration runs on the portable float kernels, slower, and gives the same scales on every machine;
    /// false if not set.
    ///
    /// What an int8 layer computes from integers is the same bytes on every instruction set and with any number of
    /// threads. Sums of floats are not: each instruction set adds in an order of its own and with or without fused
    /// multiply-adds, so that float outputs, and the float values that calibration observes, differ in their last bits
    /// from one processor to another, and a scale with them now and then.
    ///
    /// ```
    /// use qcore::prelude::*;
    ///
    /// # #[quantizable]
    /// # struct Net { fc: Linear }
    /// # #[quantizable]
    /// # impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }
    /// # fn main() -> qcore::Result<()> {
    /// # let batches = [Tensor::from_vec(&[2, 4], (0..8).map(|i| i as f32).collect())?];
    /// let mut prepared = Net { fc: Linear::new(4, 3) }.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    /// prepared.set_portable(true);
    /// prepared.calibrate(&batches)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn set_portable(&mut self, is_portable: bool) {
        self.is_portable = is_portable;
    }

    /// Runs the model and shows every observed value to its observer in `observations`.
    pub(crate) fn observe_into(
        &self,
        input: impl IntoInput<M::Input>,
        observations: &mut Observations,
    ) -> Result<Vec<Tensor>> {
        let inputs = tensors(input.into_input()?);
        let mut run = || observe(&self.plan, &inputs, observations);
        if self.is_portable { with_isa(Isa::Scalar, run) } else { run() }
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
        let tensors = self.observe_into(input, &mut observations)?;
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
pub(crate) fn outputs<M: Module>(tensors: Vec<Tensor>) -> Result<M::Output> {
    let mut tensors = tensors.into_iter();
    let missing = || Error::Unsupported("fewer outputs than the model gives".into());
    let outputs = M::Output::build(|_| tensors.next().ok_or_else(missing))?;
    Ok(M::Output::from_tensors(outputs))
}
