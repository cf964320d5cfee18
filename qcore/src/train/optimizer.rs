//! Optimizers, by PyTorch's formulas.

use std::collections::BTreeMap;

use crate::{Error, Result, StateDict, StateTensor, Tensor, join};

/// Changes parameters by their gradients; [`Trainable::step`](super::Trainable::step) calls it.
///
/// Its state is by key, so that one optimizer goes with one model.
pub trait Optimizer: std::fmt::Debug {
    /// Begins a step.
    ///
    /// # Errors
    /// When the settings make no sense.
    fn begin_step(&mut self) -> Result<()>;

    /// `Ok` if the optimizer can change a parameter of `len` values: asked of all parameters before one is changed.
    ///
    /// # Errors
    /// When it has another number of values than before.
    fn check(&self, key: &str, len: usize) -> Result<()>;

    /// Changes one parameter.
    ///
    /// # Errors
    /// As [`Optimizer::check`].
    fn update(&mut self, key: &str, values: &mut [f32], gradient: &[f32]) -> Result<()>;

    /// Sets the learning rate, as a [`Schedule`](super::Schedule) gives it.
    fn set_learning_rate(&mut self, learning_rate: f64);

    /// The learning rate.
    fn learning_rate(&self) -> f64;

    /// PyTorch's name of the optimizer: `SGD`.
    fn name(&self) -> &'static str;

    /// What it keeps between steps, by PyTorch's names before the keys of the parameters, `momentum_buffer.fc.weight`;
    /// settings are not among it.
    fn state_dict(&self) -> StateDict;

    /// Loads what [`Optimizer::state_dict`] gave.
    ///
    /// # Errors
    /// When it is the state of another optimizer. This one is then as it was.
    fn load_state_dict(&mut self, state_dict: &StateDict) -> Result<()>;
}

/// Settings of parameters whose keys begin or end with a name; of several the longest counts.
#[derive(Clone, Debug, Default)]
struct Groups(BTreeMap<String, (f64, f64)>);

impl Groups {
    /// The factor of the learning rate and the weight decay of a parameter.
    fn of(&self, key: &str, weight_decay: f64) -> (f64, f64) {
        let fitting =
            self.0.iter().filter(|(name, _)| key.starts_with(name.as_str()) || key.ends_with(name.as_str()));
        fitting.max_by_key(|(name, _)| name.len()).map_or((1.0, weight_decay), |(_, group)| *group)
    }
}

fn check(operation: &'static str, learning_rate: f64, others: &[(&str, f64)]) -> Result<()> {
    let others = [("lr", learning_rate)].into_iter().chain(others.iter().copied());
    match others.into_iter().find(|(_, value)| !(value.is_finite() && *value >= 0.0)) {
        Some((name, value)) => Err(Error::parameter(operation, format!("{name} {value} is not 0 or more"))),
        None => Ok(()),
    }
}

/// PyTorch's names of what optimizers keep.
const MOMENTUM_BUFFER: &str = "momentum_buffer";
const EXP_AVG: &str = "exp_avg";
const EXP_AVG_SQ: &str = "exp_avg_sq";
const STEP: &str = "step";

type States = BTreeMap<String, Vec<f32>>;

fn check_state(states: &States, key: &str, len: usize) -> Result<()> {
    match states.get(key).map(Vec::len) {
        Some(known) if known != len => {
            Err(Error::parameter("an optimizer", format!("`{key}` has {len} values, and had {known}")))
        }
        _ => Ok(()),
    }
}

/// The state of a parameter, zeros at first.
fn state<'s>(states: &'s mut States, key: &str, len: usize) -> Result<&'s mut Vec<f32>> {
    check_state(states, key, len)?;
    Ok(states.entry(key.to_owned()).or_insert_with(|| vec![0.0; len]))
}

/// The states as tensors, by the name before each key.
fn state_dict<'s>(states: impl IntoIterator<Item = (&'static str, &'s States)>) -> StateDict {
    let entries = states.into_iter().flat_map(|(name, states)| {
        states.iter().map(move |(key, values)| {
            let tensor = Tensor::from(ndarray::Array1::from(values.clone()));
            (join(name, key), StateTensor::from(tensor))
        })
    });
    entries.collect()
}

/// The states of these names; any other tensor is another optimizer's.
fn states_of<const N: usize>(
    optimizer: &'static str,
    names: [&str; N],
    state_dict: &StateDict,
) -> Result<[States; N]> {
    let mut found = [const { States::new() }; N];
    for (key, tensor) in state_dict.iter() {
        let place = names
            .iter()
            .zip(0..)
            .find_map(|(name, place)| Some((place, key.strip_prefix(name)?.strip_prefix('.')?)));
        match (place, tensor?) {
            (Some((place, parameter)), StateTensor::Float(tensor)) => {
                found[place].insert(parameter.to_owned(), tensor.view().iter().copied().collect());
            }
            _ => {
                let message = format!("`{key}` is the state of another optimizer");
                return Err(Error::parameter(optimizer, message));
            }
        }
    }
    Ok(found)
}

/// Stochastic gradient descent with momentum: `v = m v + g`, `p -= lr v`; with Nesterov's momentum `p -= lr (g + m v)`.
/// Weight decay is added to the gradient. PyTorch's `SGD`.
#[derive(Clone, Debug)]
pub struct Sgd {
    learning_rate: f64,
    momentum: f64,
    nesterov: bool,
    weight_decay: f64,
    groups: Groups,
    velocity: States,
}

impl Sgd {
    /// Without momentum and weight decay.
    pub fn new(learning_rate: f64) -> Self {
        let (groups, velocity) = Default::default();
        Self { learning_rate, momentum: 0.0, nesterov: false, weight_decay: 0.0, groups, velocity }
    }

    /// The part of the velocity that stays; 0 if not set.
    #[must_use]
    pub fn momentum(self, momentum: f64) -> Self {
        Self { momentum, ..self }
    }

    /// Whether the momentum is Nesterov's; false if not set.
    #[must_use]
    pub fn nesterov(self, nesterov: bool) -> Self {
        Self { nesterov, ..self }
    }

    /// How much of a parameter is added to its gradient; 0 if not set.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// A group of parameters, those whose keys begin or end with `name`: their learning rate is times `factor`, and they
    /// have a weight decay of their own.
    #[must_use]
    pub fn group(mut self, name: &str, factor: f64, weight_decay: f64) -> Self {
        self.groups.0.insert(name.to_owned(), (factor, weight_decay));
        self
    }
}

impl Optimizer for Sgd {
    fn begin_step(&mut self) -> Result<()> {
        let others = [("momentum", self.momentum), ("weight_decay", self.weight_decay)];
        check("SGD", self.learning_rate, &others)
    }

    fn check(&self, key: &str, len: usize) -> Result<()> {
        check_state(&self.velocity, key, len)
    }

    fn update(&mut self, key: &str, values: &mut [f32], gradient: &[f32]) -> Result<()> {
        let (factor, weight_decay) = self.groups.of(key, self.weight_decay);
        let (rate, decay, momentum) =
            ((self.learning_rate * factor) as f32, weight_decay as f32, self.momentum as f32);
        if self.momentum == 0.0 {
            for (value, gradient) in values.iter_mut().zip(gradient) {
                *value -= rate * (gradient + decay * *value);
            }
            return Ok(());
        }
        // From zeros the first velocity is the gradient, as in PyTorch without dampening.
        let velocity = state(&mut self.velocity, key, values.len())?;
        for ((value, gradient), velocity) in values.iter_mut().zip(gradient).zip(velocity) {
            let gradient = gradient + decay * *value;
            *velocity = momentum * *velocity + gradient;
            *value -= rate * if self.nesterov { gradient + momentum * *velocity } else { *velocity };
        }
        Ok(())
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn name(&self) -> &'static str {
        "SGD"
    }

    fn state_dict(&self) -> StateDict {
        state_dict([(MOMENTUM_BUFFER, &self.velocity)])
    }

    fn load_state_dict(&mut self, state_dict: &StateDict) -> Result<()> {
        [self.velocity] = states_of(self.name(), [MOMENTUM_BUFFER], state_dict)?;
        Ok(())
    }
}

/// PyTorch's `Adam` and `AdamW`: `p -= lr m' / (sqrt(v') + eps)` with bias-corrected means of the gradient and its square.
#[derive(Clone, Debug)]
pub struct Adam {
    learning_rate: f64,
    betas: [f64; 2],
    eps: f64,
    weight_decay: f64,
    is_decoupled: bool,
    groups: Groups,
    step: i32,
    mean: States,
    square: States,
}

impl Adam {
    /// `Adam` with betas 0.9 and 0.999, an eps of 1e-8, without weight decay, which would be added to the gradient.
    pub fn new(learning_rate: f64) -> Self {
        Self {
            learning_rate,
            betas: [0.9, 0.999],
            eps: 1e-8,
            weight_decay: 0.0,
            is_decoupled: false,
            groups: Groups::default(),
            step: 0,
            mean: BTreeMap::new(),
            square: BTreeMap::new(),
        }
    }

    /// `AdamW`, whose weight decay, of 0.01, is taken off the parameter instead.
    pub fn adamw(learning_rate: f64) -> Self {
        Self { weight_decay: 0.01, is_decoupled: true, ..Self::new(learning_rate) }
    }

    /// The parts of the means that stay.
    #[must_use]
    pub fn betas(self, mean: f64, square: f64) -> Self {
        Self { betas: [mean, square], ..self }
    }

    /// Added to the root of the mean square.
    #[must_use]
    pub fn eps(self, eps: f64) -> Self {
        Self { eps, ..self }
    }

    /// The weight decay.
    #[must_use]
    pub fn weight_decay(self, weight_decay: f64) -> Self {
        Self { weight_decay, ..self }
    }

    /// A group of parameters; see [`Sgd::group`].
    #[must_use]
    pub fn group(mut self, name: &str, factor: f64, weight_decay: f64) -> Self {
        self.groups.0.insert(name.to_owned(), (factor, weight_decay));
        self
    }
}

impl Optimizer for Adam {
    fn begin_step(&mut self) -> Result<()> {
        if !self.betas.iter().all(|beta| (0.0..1.0).contains(beta)) {
            return Err(Error::parameter("Adam", format!("betas {:?} are not in [0, 1)", self.betas)));
        }
        check("Adam", self.learning_rate, &[("eps", self.eps), ("weight_decay", self.weight_decay)])?;
        self.step = self.step.saturating_add(1);
        Ok(())
    }

    fn check(&self, key: &str, len: usize) -> Result<()> {
        check_state(&self.mean, key, len)
    }

    fn update(&mut self, key: &str, values: &mut [f32], gradient: &[f32]) -> Result<()> {
        let (factor, weight_decay) = self.groups.of(key, self.weight_decay);
        let rate = self.learning_rate * factor;
        let [first, second] = self.betas;
        let corrections = self.betas.map(|beta| 1.0 - beta.powi(self.step));
        let step_size = (rate / corrections[0]) as f32;
        let root = corrections[1].sqrt() as f32;
        let (keep, decay) = ((1.0 - rate * weight_decay) as f32, weight_decay as f32);
        let mean = state(&mut self.mean, key, values.len())?;
        let square = state(&mut self.square, key, values.len())?;
        let states = mean.iter_mut().zip(square);
        for ((value, &gradient), (mean, square)) in values.iter_mut().zip(gradient).zip(states) {
            let gradient = match self.is_decoupled {
                true => {
                    *value *= keep;
                    gradient
                }
                false => gradient + decay * *value,
            };
            *mean += (1.0 - first) as f32 * (gradient - *mean);
            *square = second as f32 * *square + (1.0 - second) as f32 * gradient * gradient;
            *value -= step_size * *mean / (square.sqrt() / root + self.eps as f32);
        }
        Ok(())
    }

    fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    fn learning_rate(&self) -> f64 {
        self.learning_rate
    }

    fn name(&self) -> &'static str {
        if self.is_decoupled { "AdamW" } else { "Adam" }
    }

    fn state_dict(&self) -> StateDict {
        let mut state = state_dict([(EXP_AVG, &self.mean), (EXP_AVG_SQ, &self.square)]);
        state.insert(STEP, i64::from(self.step));
        state
    }

    fn load_state_dict(&mut self, state_dict: &StateDict) -> Result<()> {
        let name = self.name();
        let step = match state_dict.tensor(STEP)? {
            Some(StateTensor::Integer(step)) if step.ndim() == 0 => step.sum(),
            _ => return Err(Error::parameter(name, "the state has no `step`, a single integer")),
        };
        let step = i32::try_from(step).ok().filter(|step| *step >= 0);
        let step = step.ok_or_else(|| Error::parameter(name, "the state's `step` counts no steps"))?;
        let mut means = state_dict.clone();
        means.remove(STEP);
        let [mean, square] = states_of(name, [EXP_AVG, EXP_AVG_SQ], &means)?;
        let lens = |states: &States| states.iter().map(|(key, values)| (key.clone(), values.len())).collect();
        let [means, squares]: [BTreeMap<String, usize>; 2] = [lens(&mean), lens(&square)];
        if means != squares {
            let message = format!("the state has `{EXP_AVG}` and `{EXP_AVG_SQ}` of different parameters");
            return Err(Error::parameter(name, message));
        }
        (self.step, self.mean, self.square) = (step, mean, square);
        Ok(())
    }
}

/// PyTorch's `clip_grad_norm_`: gradients times `max_norm / (norm + 1e-6)`, if that is less than 1. Gives the norm.
///
/// # Errors
/// When the norm is NaN or infinite.
pub fn clip_grad_norm(gradients: &mut BTreeMap<String, Tensor>, max_norm: f32) -> Result<f32> {
    let squares =
        gradients.values().flat_map(|gradient| gradient.view().into_iter().copied().collect::<Vec<_>>());
    let norm = squares.map(|value| f64::from(value).powi(2)).sum::<f64>().sqrt() as f32;
    if !norm.is_finite() {
        return Err(Error::NotFinite { what: "the norm of the gradients".into(), value: norm, index: 0 });
    }
    let factor = max_norm / (norm + 1e-6);
    if factor < 1.0 {
        for gradient in gradients.values_mut() {
            *gradient = std::mem::replace(gradient, Tensor::zeros(&[0])).map(|value| value * factor);
        }
    }
    Ok(norm)
}
