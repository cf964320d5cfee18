//! Float kernels for the unquantized model, `[N, C, H, W]` in and out as in PyTorch.
//!
//! Sums are in whatever order is fast, so results agree with PyTorch's to rounding, not to the bit.

mod batch_norm;
mod conv;
mod elementwise;
mod linear;
mod pool;
mod positions;
mod product;
mod strided;

pub use batch_norm::{BatchNorm, batch_norm};
pub use conv::conv2d;
pub use elementwise::{map, zip};
pub use linear::linear;
pub use pool::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};
