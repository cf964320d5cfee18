//! Float kernels for the unquantized model, `[N, C, H, W]` in and out as in PyTorch.
//!
//! Sums are in whatever order is fast, so results agree with PyTorch's to rounding, not to the bit.

mod batch_norm;
mod conv;
mod dots;
mod elementwise;
mod epilogue;
mod linear;
mod pool;
mod positions;
mod strided;
mod unwritten;

pub use batch_norm::{BatchNorm, batch_norm};
pub use conv::{FittedWeight, Weight, conv2d};
pub use elementwise::{map, zip};
pub use epilogue::Epilogue;
pub use linear::linear;
pub use pool::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};

/// A product of floats takes about as long as so many of bytes, which the threshold for threads is in.
const COST: usize = 2;
