//! Every kernel equals its definition, written as plain loops, at odd sizes and extreme values.

mod convolution;
mod deep;
mod elementwise;
mod embedding;
mod empty;
mod errors;
mod file_bytes;
mod float;
mod float_pooling;
mod linear;
mod long_rows;
mod long_sums;
mod matmul;
mod pad;
mod pooling;
mod problem;
mod quantization;
mod rearrange;
mod reference;
mod requantization;
mod residual;
mod resize;
mod rows;
mod tile_borders;
mod volumes;
mod weight_only;
