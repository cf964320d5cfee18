//! Training: a prepared model runs forward and in reverse, with fake quantization or without.
//!
//! There is no tape: the recorded network is walked in reverse, and every operation says its gradient
//! ([`Op::backward`](crate::ops::Op::backward)).

mod backward;
mod batch_norm;
mod layer;
mod loss;
mod network;
mod optimizer;
mod schedule;
#[cfg(test)]
mod tests;
mod trainable;

pub use backward::{Backward, Gradients};
pub use loss::{Loss, bce_with_logits, cross_entropy, distillation, mse};
pub use optimizer::{Adam, Optimizer, Sgd, clip_grad_norm};
pub use schedule::{CosineAnnealing, MultiStep, OneCycle, Schedule, WarmUp};
pub use trainable::Trainable;

pub(crate) use backward::{of_moved_values, reshaped, summed_to};
pub(crate) use batch_norm::of_evaluation as batch_norm_backward;
