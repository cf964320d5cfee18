//! Training: a prepared model runs forward and in reverse, with fake quantization or without.
//!
//! There is no tape: the recorded network is walked in reverse, and every operation says its gradient
//! ([`Op::backward`](crate::ops::Op::backward)).

mod augmentation;
mod backward;
mod batch_norm;
mod checkpoint;
mod layer;
mod loss;
mod network;
mod optimizer;
mod pytorch;
mod random;
mod schedule;
#[cfg(test)]
mod tests;
mod trainable;
mod trainer;

pub use augmentation::Augmentation;
pub use backward::{Backward, Gradients};
pub use checkpoint::{Checkpoint, Progress};
pub use loss::{Loss, bce_with_logits, cross_entropy, distillation, mse};
pub use optimizer::{Adam, Optimizer, Sgd, clip_grad_norm};
pub use random::Random;
pub use schedule::{CosineAnnealing, MultiStep, OneCycle, Schedule, WarmUp};
pub use trainable::Trainable;
pub use trainer::{BEST, End, Epoch, EpochMetrics, LAST, METRICS, Outcome, Score, Trainer};

pub(crate) use backward::{of_moved_values, reshaped, summed_to};
pub(crate) use batch_norm::of_evaluation as batch_norm_backward;
