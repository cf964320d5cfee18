//! Sizes of convolutions and pools: validated once, then trusted by the kernels.

mod conv2d;
mod conv3d;
mod conv_transpose;
mod matmul;
mod pool2d;
mod reach;
pub(crate) mod window;

pub use conv_transpose::{ConvTransposeGeometry, ConvTransposeParameters};
pub use conv2d::{Conv2dGeometry, Conv2dParameters};
pub use conv3d::{Conv3dGeometry, Conv3dParameters};
pub use matmul::MatmulGeometry;
pub use pool2d::{AdaptivePool2dGeometry, Pool2dGeometry, Pool2dParameters};
