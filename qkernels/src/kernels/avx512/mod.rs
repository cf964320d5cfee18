//! The kernels for AVX-512 with VNNI.

mod depthwise;
mod dot_rows;
mod float;
mod lookup;
mod maps;
mod multiply;
mod narrow;
mod requantize;
mod weight_only;

pub(crate) use depthwise::{make_lanes, sum_depthwise_row};
pub(crate) use dot_rows::dot_rows;
pub(crate) use float::{
    dot_float_tile, multiply_float_tile, sum_float_strip, transform_float_patches, transform_float_products,
    unzip_float_rows,
};
pub(crate) use lookup::look_up;
pub(crate) use maps::{map_channels, map_pairs};
pub(crate) use multiply::{TILE, multiply_tile};
pub(crate) use narrow::sum_narrow_row;
pub(crate) use requantize::{requantize_rows, requantize_tiles};
pub(crate) use weight_only::multiply_weight_only;
