//! The kernels for AVX2, and for AVX-VNNI, which adds one instruction.

mod chains;
mod depthwise;
mod dot;
mod dot_rows;
mod float;
mod lookup;
mod maps;
mod multiply;
mod narrow;
mod requantize;
mod saturation;
mod weight_only;
mod winograd;

pub(crate) use chains::CHAINS_TILE;
pub(crate) use depthwise::{make_lanes, sum_depthwise_row};
pub(crate) use dot::{TILE, multiply_tile, multiply_tile_vnni};
pub(crate) use dot_rows::dot_rows;
pub(crate) use float::{
    dot_float_tile, multiply_float_tile, sum_float_strip, transform_float_patches, transform_float_products,
    unzip_float_rows,
};
pub(crate) use lookup::look_up;
pub(crate) use maps::{map_channels, map_pairs};
pub(crate) use multiply::{multiply_pairs, multiply_words, widen_panel, widen_rows};
pub(crate) use narrow::sum_narrow_row;
pub(crate) use requantize::{requantize_rows, requantize_tiles};
pub(crate) use saturation::{add_lost, find_large_quads};
pub(crate) use weight_only::multiply_weight_only;
pub(crate) use winograd::{transform_patches, transform_products};
