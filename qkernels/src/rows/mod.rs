//! Operations on rows: each result depends on all values of its row, `[outer, len]`.
//!
//! Sums of integers are exact, so that the order in which they are taken makes no difference.

mod normalize;
mod softmax;

pub use normalize::{Affine, Normalization, normalize, normalize_float};
pub use softmax::{Softmax, log_softmax_float, softmax_float};
