//! `FakeQuantize`: an observer that in training also rounds what it sees to the grid of its scale.

mod defaults;
mod grid;
mod pytorch;
mod qconfig;

use std::any::Any;

use serde::{Deserialize, Serialize};

use crate::observer::Observer;
use crate::{DType, Error, FloatQParams, QParams, QScheme, Result, Tensor, choose_qparams};

pub use defaults::{
    default_embedding_fake_quant, default_embedding_fake_quant_4bit, default_fake_quant,
    default_fused_act_fake_quant, default_fused_per_channel_wt_fake_quant, default_fused_wt_fake_quant,
    default_per_channel_weight_fake_quant, default_weight_fake_quant,
    fused_per_channel_wt_fake_quant_range_neg_127_to_127, fused_wt_fake_quant_range_neg_127_to_127,
};
pub use grid::{FakeQuantGrid, FakeQuantMask, LearnedGradients};
pub(crate) use pytorch::{BUFFERS, OBSERVER_BUFFERS};

/// PyTorch's fake-quantize modules: an observer, the scale and zero point that follow from it, and the rounding to them.
///
/// In a [`QConfig`](crate::QConfig) it takes the place of an observer: [`Module::prepare_qat`](crate::Module::prepare_qat)
/// trains with it, and conversion asks it for its scale as it would ask the observer.
///
/// ```
/// use qcore::observer::MovingAverageMinMaxObserver;
/// use qcore::{FakeQuantize, Tensor};
///
/// let mut fake_quant = FakeQuantize::new(MovingAverageMinMaxObserver::new());
/// let (y, _) = fake_quant.forward(Tensor::from_vec(&[2], vec![0.0, 255.0])?)?;
/// assert_eq!(y.as_slice(), Some(&[0.0, 255.0][..]));
/// fake_quant.enable_observer(false);
/// let (y, _) = fake_quant.forward(Tensor::from_vec(&[2], vec![0.4, 300.0])?)?;
/// assert_eq!(y.as_slice(), Some(&[0.0, 255.0][..]));
/// # Ok::<(), qcore::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FakeQuantize {
    kind: Kind,
    observer: Box<dyn Observer>,
    grid: FakeQuantGrid,
    observer_enabled: bool,
    fake_quant_enabled: bool,
    /// Of a learned one, their sums since [`FakeQuantize::zero_grad`].
    gradients: [Vec<f32>; 2],
}

/// Where scale and zero point come from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    /// [`Observer::calculate_qparams`].
    Observed,
    /// [`choose_qparams`] of the observer's ranges.
    Fused,
    /// A first estimate is the observer's; then they are learned.
    Learned { is_learning: bool, use_grad_scaling: bool },
}

/// What [`FakeQuantize::backward`] needs of the forward pass.
#[derive(Clone, Debug)]
pub enum FakeQuantSaved {
    /// Nothing was changed.
    Identity,
    /// The values that were in the range.
    Mask(FakeQuantMask),
    /// The input, for the gradients of scale and zero point.
    Input(Tensor),
}

/// The form in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    kind: Kind,
    observer: String,
    state: String,
    grid: FakeQuantGrid,
    observer_enabled: bool,
    fake_quant_enabled: bool,
}

impl FakeQuantize {
    /// PyTorch's `FakeQuantize`: the scale is the observer's ([`Observer::calculate_qparams`]).
    pub fn new(observer: impl Observer + 'static) -> Self {
        Self::of_kind(Kind::Observed, observer)
    }

    /// PyTorch's `FusedMovingAvgObsFakeQuantize`: the scale follows from the observer's range by [`choose_qparams`], whose
    /// symmetric form uses all of the range (NUMERICS section 12.3); a conversion asks the observer all the same.
    pub fn fused_moving_avg_obs(observer: impl Observer + 'static) -> Self {
        Self::of_kind(Kind::Fused, observer)
    }

    /// PyTorch's `_LearnableFakeQuantize`: until [`FakeQuantize::enable_param_learning`] the scale is the observer's, then
    /// it is trained as a parameter (LSQ).
    pub fn learnable(observer: impl Observer + 'static) -> Self {
        Self::of_kind(Kind::Learned { is_learning: false, use_grad_scaling: false }, observer)
    }

    fn of_kind(kind: Kind, observer: impl Observer + 'static) -> Self {
        Self {
            kind,
            observer: Box::new(observer),
            // Until the observer has seen something; the range is the observer's from then on.
            grid: FakeQuantGrid::per_tensor(1.0, 0.0, 0, 255),
            observer_enabled: true,
            fake_quant_enabled: true,
            gradients: [Vec::new(), Vec::new()],
        }
    }

    /// Whether the gradients of a learned scale and zero point are divided by the root of `values * quant_max`; false if not
    /// set.
    #[must_use]
    pub fn use_grad_scaling(mut self, scales: bool) -> Self {
        if let Kind::Learned { use_grad_scaling, .. } = &mut self.kind {
            *use_grad_scaling = scales;
        }
        self
    }

    /// Sets whether the observer looks; true at first.
    pub fn enable_observer(&mut self, enabled: bool) {
        self.observer_enabled = enabled;
    }

    /// Sets whether values are rounded; true at first.
    pub fn enable_fake_quant(&mut self, enabled: bool) {
        self.fake_quant_enabled = enabled;
    }

    /// Begins to train scale and zero point, if this is [`FakeQuantize::learnable`]; the observer rests from now on.
    pub fn enable_param_learning(&mut self) {
        if let Kind::Learned { is_learning, .. } = &mut self.kind {
            *is_learning = true;
            (self.observer_enabled, self.fake_quant_enabled) = (false, true);
        }
    }

    /// Whether the observer looks.
    pub fn is_observer_enabled(&self) -> bool {
        self.observer_enabled
    }

    /// Whether values are rounded.
    pub fn is_fake_quant_enabled(&self) -> bool {
        self.fake_quant_enabled
    }

    /// Whether scale and zero point are trained.
    pub fn is_learning(&self) -> bool {
        matches!(self.kind, Kind::Learned { is_learning: true, .. })
    }

    /// Scale and zero point that values were last rounded to; 1 and 0 before there were any.
    pub fn grid(&self) -> &FakeQuantGrid {
        &self.grid
    }

    /// [`FakeQuantize::grid`], to set a learned one.
    pub fn grid_mut(&mut self) -> &mut FakeQuantGrid {
        &mut self.grid
    }

    /// The observer within.
    pub fn observer(&self) -> &dyn Observer {
        self.observer.as_ref()
    }

    /// The gradients of scale and zero point, if they are learned: the sums over all [`FakeQuantize::backward`]s since
    /// [`FakeQuantize::zero_grad`].
    pub fn gradients(&self) -> Option<[&[f32]; 2]> {
        let [scale, zero_point] = &self.gradients;
        (self.is_learning() && !scale.is_empty()).then_some([scale, zero_point])
    }

    /// Forgets the gradients of scale and zero point.
    pub fn zero_grad(&mut self) {
        self.gradients = Default::default();
    }

    /// Multiplies the gradients of scale and zero point.
    pub(crate) fn scale_gradients(&mut self, factor: f32) {
        self.gradients.iter_mut().flatten().for_each(|gradient| *gradient *= factor);
    }

    /// Observes `x` and rounds it, as far as both are enabled.
    ///
    /// # Errors
    /// When a value is NaN or infinite, the shape is not one that the observer takes, or its settings contradict each other.
    pub fn forward(&mut self, x: Tensor) -> Result<(Tensor, FakeQuantSaved)> {
        if self.observer_enabled {
            self.observer.observe(&x)?;
            // The fused kernel leaves its scale alone while it rounds nothing.
            if self.kind != Kind::Fused || self.fake_quant_enabled {
                self.update_grid()?;
            }
        }
        if !self.fake_quant_enabled {
            return Ok((x, FakeQuantSaved::Identity));
        }
        let Kind::Learned { is_learning, .. } = self.kind else {
            let (y, mask) = self.grid.apply(x)?;
            return Ok((y, FakeQuantSaved::Mask(mask)));
        };
        self.grid.scale.iter_mut().for_each(|scale| *scale = scale.max(f32::EPSILON));
        if self.qscheme().is_symmetric() {
            self.grid.zero_point.fill(0.0);
        }
        let input = is_learning.then(|| x.clone());
        let (y, mask) = self.grid.apply_learned(x)?;
        Ok((y, input.map_or(FakeQuantSaved::Mask(mask), FakeQuantSaved::Input)))
    }

    /// The gradient of the input of [`FakeQuantize::forward`] from that of its output.
    ///
    /// # Errors
    /// When the shapes differ.
    pub fn backward(&mut self, saved: &FakeQuantSaved, gradient: Tensor) -> Result<Tensor> {
        match saved {
            FakeQuantSaved::Identity => Ok(gradient),
            FakeQuantSaved::Mask(mask) => mask.backward(gradient),
            FakeQuantSaved::Input(x) => {
                let scales = matches!(self.kind, Kind::Learned { use_grad_scaling: true, .. });
                let values = x.len() as f32 * self.grid.quant_max as f32;
                let factor = if scales { 1.0 / values.sqrt() } else { 1.0 };
                let gradients = self.grid.backward_learned(x, &gradient, factor)?;
                for (sums, gradients) in
                    self.gradients.iter_mut().zip([gradients.scale, gradients.zero_point])
                {
                    match sums.len() == gradients.len() {
                        true => sums.iter_mut().zip(gradients).for_each(|(sum, gradient)| *sum += gradient),
                        false => *sums = gradients,
                    }
                }
                Ok(gradients.input)
            }
        }
    }

    /// Takes scale and zero point from the observer.
    fn update_grid(&mut self) -> Result<()> {
        if !self.observer.gives_qparams() || !self.observer.has_observed() {
            return Ok(());
        }
        if self.qscheme() == QScheme::PerChannelAffineFloatQParams {
            let FloatQParams { scale, zero_point, axis, dtype } = self.observer.calculate_float_qparams()?;
            let (quant_min, quant_max) = dtype.range().unwrap_or((0, 255));
            let axis = Some(axis);
            self.grid =
                FakeQuantGrid { scale, zero_point, axis, quant_min, quant_max, is_float_zero_point: true };
            return Ok(());
        }
        let QParams { scale, zero_point, axis, quant_min, quant_max, .. } =
            self.observer.calculate_qparams()?;
        let zero_point = zero_point.into_iter().map(|zero_point| zero_point as f32).collect();
        self.grid =
            FakeQuantGrid { scale, zero_point, axis, quant_min, quant_max, is_float_zero_point: false };
        let ranges = self.observer.ranges();
        if self.kind == Kind::Fused && ranges.len() == self.grid.scale.len() {
            for (channel, (min, max)) in ranges.into_iter().enumerate() {
                let is_symmetric = self.qscheme().is_symmetric();
                let (scale, zero_point) = choose_qparams(min, max, (quant_min, quant_max), is_symmetric);
                (self.grid.scale[channel], self.grid.zero_point[channel]) = (scale, zero_point as f32);
            }
        }
        Ok(())
    }
}

impl Observer for FakeQuantize {
    fn name(&self) -> &'static str {
        match self.kind {
            Kind::Observed => "FakeQuantize",
            Kind::Fused => "FusedMovingAvgObsFakeQuantize",
            Kind::Learned { .. } => "LearnableFakeQuantize",
        }
    }

    fn observe(&mut self, x: &Tensor) -> Result<()> {
        if self.observer_enabled { self.observer.observe(x) } else { Ok(()) }
    }

    fn calculate_qparams(&self) -> Result<QParams> {
        let observed = match self.is_learning() {
            // The observer knows the dtype and what its range allows.
            true => self.observer.calculate_qparams()?,
            false => return self.observer.calculate_qparams(),
        };
        let FakeQuantGrid { scale, zero_point, axis, quant_min, quant_max, .. } = &self.grid;
        let whole = |zero_point: &f32| (zero_point.round_ties_even() as i32).clamp(*quant_min, *quant_max);
        let zero_point = zero_point.iter().map(whole).collect();
        Ok(QParams { scale: scale.clone(), zero_point, axis: *axis, ..observed })
    }

    fn calculate_float_qparams(&self) -> Result<FloatQParams> {
        self.observer.calculate_float_qparams()
    }

    fn gives_qparams(&self) -> bool {
        self.observer.gives_qparams()
    }

    fn has_observed(&self) -> bool {
        self.observer.has_observed()
    }

    fn range(&self) -> Option<(f32, f32)> {
        self.observer.range()
    }

    fn ranges(&self) -> Vec<(f32, f32)> {
        self.observer.ranges()
    }

    fn reset(&mut self) {
        self.observer.reset();
        self.grid = FakeQuantGrid::per_tensor(1.0, 0.0, 0, 255);
    }

    fn dtype(&self) -> DType {
        self.observer.dtype()
    }

    fn qscheme(&self) -> QScheme {
        self.observer.qscheme()
    }

    fn is_dynamic(&self) -> bool {
        self.observer.is_dynamic()
    }

    fn state(&self) -> Result<String> {
        let state = State {
            kind: self.kind,
            observer: self.observer.name().to_owned(),
            state: self.observer.state()?,
            grid: self.grid.clone(),
            observer_enabled: self.observer_enabled,
            fake_quant_enabled: self.fake_quant_enabled,
        };
        serde_json::to_string(&state).map_err(|error| self.refusal(&format!("cannot be saved: {error}")))
    }

    fn load_state(&mut self, state: &str) -> Result<()> {
        let state: State = serde_json::from_str(state)
            .map_err(|error| self.refusal(&format!("cannot load this state: {error}")))?;
        let is_same_kind = std::mem::discriminant(&self.kind) == std::mem::discriminant(&state.kind);
        if state.observer != self.observer.name() || !is_same_kind {
            return Err(self.refusal("cannot load a state of other settings than its own"));
        }
        state.grid.check()?;
        self.observer.load_state(&state.state)?;
        self.kind = state.kind;
        self.grid = state.grid;
        (self.observer_enabled, self.fake_quant_enabled) = (state.observer_enabled, state.fake_quant_enabled);
        Ok(())
    }

    fn boxed_clone(&self) -> Box<dyn Observer> {
        Box::new(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn as_fake_quantize_mut(&mut self) -> Option<&mut FakeQuantize> {
        Some(self)
    }

    fn refusal(&self, message: &str) -> Error {
        Error::Observer { observer: self.name(), message: message.to_owned() }
    }
}
