//! Float kernels for the unquantized model, `[N, C, H, W]` in and out as in PyTorch.
//!
//! Sums are in whatever order is fast, so results agree with PyTorch's to rounding, not to the bit.

mod affine;
mod conv;
mod conv3d;
mod dots;
mod elementwise;
mod epilogue;
pub mod functions;
mod linear;
mod matmul;
mod mean;
mod pool;
mod positions;
mod prelu;
mod strided;
pub(crate) mod sums;
mod tile;

pub use affine::affine_into;
pub use conv::{PackedWeight, Weight, conv2d_into};
pub use conv3d::{gather_depths, place_phases};
pub use elementwise::{map, map_into, zip_into};
pub use epilogue::Epilogue;
pub use linear::linear;
pub use matmul::matmul_into;
pub use mean::mean_into;
pub use pool::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};
pub use prelu::prelu_into;

/// Products of bytes, the unit of the threshold for threads, in the time of a product of floats, about.
const COST: usize = 2;
