//! The kernels for AVX2.

mod multiply;
mod requantize;

pub(crate) use multiply::multiply_panel;
pub(crate) use requantize::requantize_panel;
