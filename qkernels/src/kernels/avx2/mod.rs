//! The kernels for AVX2.

mod center;
mod depthwise;
mod multiply;
mod requantize;

pub(crate) use center::center;
pub(crate) use depthwise::sum_block;
pub(crate) use multiply::multiply_panel;
pub(crate) use requantize::requantize_panel;
