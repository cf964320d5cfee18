//! Integer and float kernels on slices.
//!
//! The crate takes slices and small parameter structs and knows neither models nor arrays. What is
//! written here is the meaning of every operation; a faster kernel is correct when it gives the
//! same bytes.
//!
//! The numeric contract, in words:
//!
//! - A quantized value `q` with scale `s` and zero point `z` stands for the real number
//!   `(q - z) * s`.
//! - Every float operation of an integer kernel is `f32` and rounded on its own; nothing is contracted into a fused
//!   multiply-add, unless the operation says so. Rounding to an integer is round half to even, written `rne` in the
//!   formulas.
//! - Integer sums are exact, however long they are.
//! - Results saturate; they never wrap around.
//! - Neither the number of threads nor the instruction set ([`isa`]) changes the result of an integer kernel.
//!
//! Float kernels ([`float`], [`rows`]) fuse multiply-adds where the instruction set has them and add in an order that
//! suits it, so their results may differ in the last bits from one instruction set to another.
//!
//! Quantized activations are channels-last, `[N, H, W, C]`; float activations are `[N, C, H, W]`,
//! the order of PyTorch. [`quantize_nchw_to_nhwc`](quantize::quantize_nchw_to_nhwc) and
//! [`dequantize_nhwc_to_nchw`](quantize::dequantize_nhwc_to_nchw) cross the border in one pass.

mod aligned;
mod blocks;
mod deep;
mod epilogue;
mod error;
mod few_columns;
mod gemm;
mod kernels;
mod length;
mod operands;
mod output_rows;
mod panel;
mod pixels;
#[cfg(target_arch = "x86_64")]
mod prefetch;
mod quantizer;
mod residual;
mod rounding;

pub mod conv;
pub mod elements;
pub mod elementwise;
pub mod embedding;
pub mod fake_quantize;
pub mod file_bytes;
pub mod float;
pub mod geometry;
pub mod isa;
pub mod linear;
pub mod matmul;
pub mod memory;
pub mod pad;
pub mod peak;
pub mod pool;
pub mod qparams;
pub mod quantize;
pub mod rearrange;
pub mod recurrent;
pub mod requantize;
pub mod resize;
pub mod rows;
pub mod threads;
pub mod weight_only;

pub use error::{Error, Result};
pub use qparams::{EightBit, QParams, QuantizedInteger};
pub use residual::Residual;
