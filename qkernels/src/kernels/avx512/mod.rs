//! The kernels for AVX-512 with VNNI.

mod lookup;
mod multiply;
mod requantize;

pub(crate) use lookup::look_up;
pub(crate) use multiply::{TILE, multiply_tile};
pub(crate) use requantize::requantize_panel;
