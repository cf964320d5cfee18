//! The kernels for AVX2.

mod depthwise;
mod multiply;
mod requantize;

pub(crate) use depthwise::sum_block;
pub(crate) use multiply::multiply_panel;
pub(crate) use requantize::requantize_panel;
