//! The state of PyTorch's `FakeQuantize` and `FusedMovingAvgObsFakeQuantize`, by the names of their buffers.

use super::{FakeQuantGrid, FakeQuantize};
use crate::observer::Observer;
use crate::{Error, Result, StateDict, StateTensor, Tensor};

/// The buffers that each has.
pub(crate) const BUFFERS: [&str; 4] = ["fake_quant_enabled", "observer_enabled", "scale", "zero_point"];
/// The buffers of its observer, of a range or of a fixed scale. All but the range are settings, which the observer here has
/// from its qconfig.
pub(crate) const OBSERVER_BUFFERS: [&str; 5] = [
    MIN,
    MAX,
    "activation_post_process.eps",
    "activation_post_process.scale",
    "activation_post_process.zero_point",
];
const MIN: &str = "activation_post_process.min_val";
const MAX: &str = "activation_post_process.max_val";

impl FakeQuantize {
    /// Takes the switches, the ranges, and scale and zero point of a state dict with these buffers.
    ///
    /// # Errors
    /// When one is missing or makes no sense; it is then of no use any more.
    pub(crate) fn load_pytorch(&mut self, state: &StateDict) -> Result<()> {
        let [fake_quant, observer, scale, zero_point] = BUFFERS.map(|name| numbers(state, name));
        let is_enabled = |switch: Vec<f32>| switch.first().is_some_and(|&switch| switch != 0.0);
        (self.fake_quant_enabled, self.observer_enabled) = (is_enabled(fake_quant?), is_enabled(observer?));
        if state.tensor(MIN)?.is_some() {
            let (low, high) = (numbers(state, MIN)?, numbers(state, MAX)?);
            self.observer.reset();
            // Those of an observer that has seen nothing are infinite.
            if low.iter().chain(&high).all(|bound| bound.is_finite()) {
                observe_extremes(self.observer.as_mut(), &low, &high)?;
            }
        }
        let grid = FakeQuantGrid { scale: scale?, zero_point: zero_point?, ..self.grid.clone() };
        self.grid = match self.observer.gives_qparams() && self.observer.has_observed() {
            true => {
                let qparams = self.observer.calculate_qparams()?;
                let (quant_min, quant_max) = (qparams.quant_min, qparams.quant_max);
                FakeQuantGrid { axis: qparams.axis, quant_min, quant_max, ..grid }
            }
            false => grid,
        };
        let channels = if self.grid.axis.is_some() { self.observer.ranges().len() } else { 1 };
        if self.grid.scale.len() != channels {
            let message = format!("cannot take {} scales for {channels} ranges", self.grid.scale.len());
            return Err(self.refusal(&message));
        }
        self.grid.check()
    }
}

/// An observer that has seen nothing takes the first batch as it is, and this one has only extremes.
fn observe_extremes(observer: &mut dyn Observer, low: &[f32], high: &[f32]) -> Result<()> {
    if low.len() != high.len() {
        let message = format!("cannot take {} minima and {} maxima", low.len(), high.len());
        return Err(observer.refusal(&message));
    }
    let pairs = low.iter().zip(high).flat_map(|(&low, &high)| [low, high]).collect();
    observer.observe(&Tensor::from_vec(&[low.len(), 2], pairs)?)?;
    if observer.calculate_qparams()?.axis == Some(1) {
        observer.reset();
        observer.observe(&Tensor::from_vec(&[2, low.len()], [low, high].concat())?)?;
    }
    Ok(())
}

/// The numbers of a buffer, floats or integers.
fn numbers(state: &StateDict, name: &str) -> Result<Vec<f32>> {
    match state.tensor(name)? {
        Some(StateTensor::Float(tensor)) => Ok(tensor.view().iter().copied().collect()),
        Some(StateTensor::Integer(array)) => Ok(array.iter().map(|&value| value as f32).collect()),
        None => Err(Error::parameter("FakeQuantize", format!("a state without `{name}`"))),
    }
}
