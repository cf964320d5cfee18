//! Schedules of the learning rate, by PyTorch's formulas, as functions of the step (or epoch) that comes.

use std::f64::consts::PI;

/// The learning rate of each step, counted from 0.
pub trait Schedule: std::fmt::Debug {
    /// Of this step.
    fn learning_rate(&self, step: usize) -> f64;
}

/// PyTorch's `MultiStepLR`: times `gamma` at each milestone.
#[derive(Clone, Debug)]
pub struct MultiStep {
    /// At first.
    pub learning_rate: f64,
    /// The steps at which it changes.
    pub milestones: Vec<usize>,
    /// By what factor.
    pub gamma: f64,
}

impl Schedule for MultiStep {
    fn learning_rate(&self, step: usize) -> f64 {
        let passed = self.milestones.iter().filter(|milestone| **milestone <= step).count();
        self.learning_rate * self.gamma.powi(passed as i32)
    }
}

/// PyTorch's `CosineAnnealingLR`: `min + (lr - min) (1 + cos(pi step / steps)) / 2`.
#[derive(Clone, Debug)]
pub struct CosineAnnealing {
    /// At first.
    pub learning_rate: f64,
    /// At the end.
    pub minimum: f64,
    /// The step of the end, `T_max`.
    pub steps: usize,
}

impl Schedule for CosineAnnealing {
    fn learning_rate(&self, step: usize) -> f64 {
        let part = step as f64 / self.steps.max(1) as f64;
        self.minimum + (self.learning_rate - self.minimum) * (1.0 + (PI * part).cos()) / 2.0
    }
}

/// PyTorch's `OneCycleLR` with cosines: up to `max_learning_rate` in 0.3 of the steps, then down.
#[derive(Clone, Debug)]
pub struct OneCycle {
    /// The largest.
    pub max_learning_rate: f64,
    /// How many steps there are.
    pub steps: usize,
    /// The part of them in which it rises; PyTorch's default is 0.3.
    pub pct_start: f64,
    /// The first one is the largest by this; 25 in PyTorch.
    pub div_factor: f64,
    /// The last one is the first by this; 10000 in PyTorch.
    pub final_div_factor: f64,
}

impl OneCycle {
    /// With PyTorch's defaults.
    pub fn new(max_learning_rate: f64, steps: usize) -> Self {
        Self { max_learning_rate, steps, pct_start: 0.3, div_factor: 25.0, final_div_factor: 1e4 }
    }
}

impl Schedule for OneCycle {
    fn learning_rate(&self, step: usize) -> f64 {
        let first = self.max_learning_rate / self.div_factor;
        let last = first / self.final_div_factor;
        let top = self.pct_start * self.steps as f64 - 1.0;
        let end = self.steps as f64 - 1.0;
        let step = step as f64;
        let between = |from: f64, to: f64, part: f64| to + (from - to) / 2.0 * (1.0 + (PI * part).cos());
        if top > 0.0 && step <= top {
            between(first, self.max_learning_rate, step / top)
        } else {
            // Of a single step the quotient is 0 / 0, and the minimum 1.
            between(self.max_learning_rate, last, ((step - top) / (end - top)).min(1.0))
        }
    }
}

/// Another schedule after a linear rise from `start_factor` of its first rate, as PyTorch's `LinearLR`.
#[derive(Clone, Debug)]
pub struct WarmUp<S> {
    /// What comes after, which counts its own steps.
    pub after: S,
    /// How many steps it takes.
    pub steps: usize,
    /// The factor of the first step.
    pub start_factor: f64,
}

impl<S: Schedule> Schedule for WarmUp<S> {
    fn learning_rate(&self, step: usize) -> f64 {
        match step.checked_sub(self.steps) {
            Some(step) => self.after.learning_rate(step),
            None => {
                let part = step as f64 / self.steps as f64;
                self.after.learning_rate(0) * (self.start_factor + (1.0 - self.start_factor) * part)
            }
        }
    }
}
