//! The kernels for AVX-512 with VNNI.

mod depthwise;
mod float;
mod lookup;
mod multiply;
mod requantize;

pub(crate) use depthwise::{make_lanes, sum_depthwise_row};
pub(crate) use float::{
    dot_float_tile, multiply_float_tile, sum_float_strip, transform_float_patches, transform_float_products,
    unzip_float_rows,
};
pub(crate) use lookup::look_up;
pub(crate) use multiply::{TILE, multiply_tile};
pub(crate) use requantize::requantize_tiles;
