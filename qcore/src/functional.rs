//! The operations of a `forward` body as functions on float tensors, for ordinary Rust.
//!
//! Inside a `#[quantizable]` body the same names take PyTorch's optional arguments; here the ones that matter
//! most are always given. All follow PyTorch's semantics, and give an error when a shape or an argument does not
//! fit.
//!
//! ```
//! use qcore::{Tensor, functional as f};
//!
//! let x = Tensor::from_vec(&[1, 1, 2, 2], vec![-1.0, 2.0, 3.0, -4.0])?;
//! let y = f::flatten(&f::max_pool2d(&f::relu(&x)?, 2, 2, 0)?, 1, -1)?;
//! assert_eq!(y.as_slice(), Some(&[3.0][..]));
//! # Ok::<(), qcore::Error>(())
//! ```

use qkernels::memory;

use crate::ops::{self, Extent, Lowering, Op};
use crate::program::evaluate_float;
use crate::{Error, Result, Size, Tensor};

fn run(operation: Result<impl Op>, inputs: &[&Tensor]) -> Result<Tensor> {
    let inputs = inputs.iter().copied().cloned().collect();
    evaluate_float(operation?.lower(&Lowering::float())?.as_ref(), inputs)
}

/// `max(x, 0)`, for any shape.
pub fn relu(x: &Tensor) -> Result<Tensor> {
    run(ops::relu(), &[x])
}

/// `x * relu6(x + 3) / 6`, for any shape.
pub fn hardswish(x: &Tensor) -> Result<Tensor> {
    run(ops::hardswish(), &[x])
}

/// `relu6(x + 3) / 6`, for any shape.
pub fn hardsigmoid(x: &Tensor) -> Result<Tensor> {
    run(ops::hardsigmoid(), &[x])
}

/// `1 / (1 + e^-x)`, for any shape.
pub fn sigmoid(x: &Tensor) -> Result<Tensor> {
    run(ops::sigmoid(), &[x])
}

/// The hyperbolic tangent, for any shape.
pub fn tanh(x: &Tensor) -> Result<Tensor> {
    run(ops::tanh(), &[x])
}

/// `x / (1 + e^-x)`, for any shape.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    run(ops::silu(), &[x])
}

/// `x * tanh(ln(1 + e^x))`, for any shape.
pub fn mish(x: &Tensor) -> Result<Tensor> {
    run(ops::mish(), &[x])
}

/// `x * (1 + erf(x / sqrt(2))) / 2`, for any shape; with `approximate` of `"tanh"` PyTorch's approximation.
///
/// # Errors
/// When `approximate` is neither `"none"` nor `"tanh"`.
pub fn gelu(x: &Tensor, approximate: &str) -> Result<Tensor> {
    run(ops::gelu(Some(approximate)), &[x])
}

/// `|x|`, for any shape.
pub fn abs(x: &Tensor) -> Result<Tensor> {
    run(ops::abs(), &[x])
}

/// `-x`, for any shape.
pub fn neg(x: &Tensor) -> Result<Tensor> {
    run(ops::neg(), &[x])
}

/// `e^x`, for any shape.
pub fn exp(x: &Tensor) -> Result<Tensor> {
    run(ops::exp(), &[x])
}

/// The square root, for any shape; NaN of negative numbers.
pub fn sqrt(x: &Tensor) -> Result<Tensor> {
    run(ops::sqrt(), &[x])
}

/// `x * x`, for any shape.
pub fn square(x: &Tensor) -> Result<Tensor> {
    run(ops::square(), &[x])
}

/// `x` where it is positive, else `x * negative_slope`, for any shape.
///
/// # Errors
/// When the slope is not finite.
pub fn leaky_relu(x: &Tensor, negative_slope: f64) -> Result<Tensor> {
    run(ops::leaky_relu(Some(negative_slope)), &[x])
}

/// `x` where it is not negative, else `alpha * (e^x - 1)`, for any shape.
///
/// # Errors
/// When `alpha` is not finite.
pub fn elu(x: &Tensor, alpha: f64) -> Result<Tensor> {
    run(ops::elu(Some(alpha)), &[x])
}

/// `x` where it is not negative, else `alpha * (e^(x / alpha) - 1)`, for any shape.
///
/// # Errors
/// When `alpha` is 0 or not finite.
pub fn celu(x: &Tensor, alpha: f64) -> Result<Tensor> {
    run(ops::celu(Some(alpha)), &[x])
}

/// `x` where it is greater than `threshold`, else `value`, for any shape.
///
/// # Errors
/// When one of the numbers is not finite.
pub fn threshold(x: &Tensor, threshold: impl Into<f64>, value: impl Into<f64>) -> Result<Tensor> {
    run(ops::threshold(threshold, value), &[x])
}

/// `min(max(x, min_val), max_val)`, for any shape.
///
/// # Errors
/// When the limits are not two finite numbers in order.
pub fn hardtanh(x: &Tensor, min_val: f64, max_val: f64) -> Result<Tensor> {
    run(ops::hardtanh(Some(min_val), Some(max_val)), &[x])
}

/// `e^x / sum e^x` along axis `dim`; a negative one counts from the end.
///
/// # Errors
/// When there is no such axis.
pub fn softmax(x: &Tensor, dim: isize) -> Result<Tensor> {
    run(ops::softmax(dim), &[x])
}

/// `x - ln sum e^x` along axis `dim`; a negative one counts from the end.
///
/// # Errors
/// When there is no such axis.
pub fn log_softmax(x: &Tensor, dim: isize) -> Result<Tensor> {
    run(ops::log_softmax(dim), &[x])
}

/// `min(max(x, 0), 6)`, for any shape.
pub fn relu6(x: &Tensor) -> Result<Tensor> {
    run(ops::relu6(), &[x])
}

/// `min(max(x, min), max)`, for any shape.
///
/// # Errors
/// When `min` and `max` are not two finite numbers in order.
pub fn clamp(x: &Tensor, min: impl Into<f64>, max: impl Into<f64>) -> Result<Tensor> {
    run(ops::clamp(min, max), &[x])
}

/// `a + b`, with broadcasting.
///
/// # Errors
/// When the shapes do not broadcast.
pub fn add(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    run(ops::add(), &[a, b])
}

/// `a - b`, with broadcasting.
///
/// # Errors
/// When the shapes do not broadcast.
pub fn sub(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    run(ops::sub(), &[a, b])
}

/// `a * b`, value by value, with broadcasting.
///
/// # Errors
/// When the shapes do not broadcast.
pub fn mul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    run(ops::mul(), &[a, b])
}

/// The larger one of each two values, with broadcasting; NaN if one is.
///
/// # Errors
/// When the shapes do not broadcast.
pub fn maximum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    run(ops::maximum(), &[a, b])
}

/// The smaller one of each two values, with broadcasting; NaN if one is.
///
/// # Errors
/// When the shapes do not broadcast.
pub fn minimum(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    run(ops::minimum(), &[a, b])
}

/// The product of matrices, `[.., M, K]` and `[.., K, N]` to `[.., M, N]`, whose other axes broadcast; a vector is a row
/// on the left and a column on the right.
///
/// # Errors
/// When the shapes do not fit together.
pub fn matmul(a: &Tensor, b: &Tensor) -> Result<Tensor> {
    run(ops::matmul(), &[a, b])
}

/// [`matmul`], as PyTorch also calls it for tensors of three axes.
pub use self::matmul as bmm;

/// `x + scalar`, for any shape.
///
/// # Errors
/// When the scalar is not finite.
pub fn add_scalar(x: &Tensor, scalar: impl Into<f64>) -> Result<Tensor> {
    run(ops::add_scalar(scalar), &[x])
}

/// `x * scalar`, for any shape.
///
/// # Errors
/// When the scalar is not finite.
pub fn mul_scalar(x: &Tensor, scalar: impl Into<f64>) -> Result<Tensor> {
    run(ops::mul_scalar(scalar), &[x])
}

/// The tensors one after the other along axis `dim`; their other extents are equal.
///
/// # Errors
/// When the shapes do not fit together, or there is no tensor.
pub fn cat(tensors: &[&Tensor], dim: isize) -> Result<Tensor> {
    run(ops::cat(Some(dim)), tensors)
}

/// The tensors, all of one shape, one after the other along a new axis `dim`.
///
/// # Errors
/// When a shape differs, or there is no tensor.
pub fn stack(tensors: &[&Tensor], dim: isize) -> Result<Tensor> {
    run(ops::stack(Some(dim)), tensors)
}

/// Images in another size, `[N, C, H, W]` to `[N, C, OH, OW]`: one of `size` and `scale_factor`; `mode` is `"nearest"` or
/// `"bilinear"`, where corners may be aligned.
///
/// # Errors
/// When the arguments do not fit together, or the shape is another.
pub fn interpolate(
    x: &Tensor,
    size: Option<Size<2>>,
    scale_factor: Option<f64>,
    mode: &str,
    align_corners: bool,
) -> Result<Tensor> {
    run(ops::interpolate(size, scale_factor, Some(mode), Some(align_corners)), &[x])
}

/// A border around the last axes: `pad` has how many values come before and behind the last axis, the last but one, ...;
/// `mode` is `"constant"`, `"reflect"`, `"replicate"` or `"circular"`, and `value` what a constant border consists of.
///
/// # Errors
/// When the arguments do not fit together, or the tensor has too few axes or values.
pub fn pad(x: &Tensor, pad: &[isize], mode: &str, value: impl Into<f64>) -> Result<Tensor> {
    run(ops::pad(pad, Some(mode), Some(value.into())), &[x])
}

/// `[N, C * r * r, H, W]` to `[N, C, H * r, W * r]`.
///
/// # Errors
/// When the shape is another, or the factor is 0.
pub fn pixel_shuffle(x: &Tensor, upscale_factor: usize) -> Result<Tensor> {
    run(ops::pixel_shuffle(upscale_factor), &[x])
}

/// `[N, C, H * r, W * r]` to `[N, C * r * r, H, W]`.
///
/// # Errors
/// When the shape is another, or the factor is 0.
pub fn pixel_unshuffle(x: &Tensor, downscale_factor: usize) -> Result<Tensor> {
    run(ops::pixel_unshuffle(downscale_factor), &[x])
}

/// Axis `dim` goes away if its extent is 1; `None` are all such axes.
///
/// # Errors
/// When the tensor does not have the axis.
pub fn squeeze(x: &Tensor, dim: Option<isize>) -> Result<Tensor> {
    run(ops::squeeze(dim), &[x])
}

/// An axis of extent 1 comes before axis `dim`; -1 is behind the last one.
///
/// # Errors
/// When the tensor does not have the place.
pub fn unsqueeze(x: &Tensor, dim: isize) -> Result<Tensor> {
    run(ops::unsqueeze(dim), &[x])
}

/// `length` indices of axis `dim` from `start` on; negative counts from the end.
///
/// # Errors
/// When the tensor does not have them.
pub fn narrow(x: &Tensor, dim: isize, start: isize, length: usize) -> Result<Tensor> {
    run(ops::narrow(dim, start, length), &[x])
}

/// One index of axis `dim`, which goes away; negative counts from the end.
///
/// # Errors
/// When the tensor does not have it.
pub fn select(x: &Tensor, dim: isize, index: isize) -> Result<Tensor> {
    run(ops::select(dim, index), &[x])
}

/// The tensor repeated along axes of extent 1 and new ones in front; an axis of size -1 stays as it is.
///
/// # Errors
/// When the tensor does not fit.
pub fn expand(x: &Tensor, sizes: &[isize]) -> Result<Tensor> {
    run(ops::expand(sizes), &[x])
}

/// The largest value of each window: `[N, C, L]` to `[N, C, OL]`.
///
/// # Errors
/// When the shape is another, a size is 0, or the padding is more than half of the window.
pub fn max_pool1d(x: &Tensor, kernel_size: usize, stride: usize, padding: usize) -> Result<Tensor> {
    run(ops::max_pool1d(kernel_size, Some(stride), Some(padding), None, None), &[x])
}

/// The mean of each window, padding counted as zeros: `[N, C, L]` to `[N, C, OL]`.
///
/// # Errors
/// When the shape is another, a size is 0, or the padding is more than half of the window.
pub fn avg_pool1d(x: &Tensor, kernel_size: usize, stride: usize, padding: usize) -> Result<Tensor> {
    run(ops::avg_pool1d(kernel_size, Some(stride), Some(padding), None, None), &[x])
}

/// Means over windows that follow from the output size: `[N, C, L]` to `[N, C, output_size]`.
///
/// # Errors
/// When the shape is another, or the output size is 0.
pub fn adaptive_avg_pool1d(x: &Tensor, output_size: usize) -> Result<Tensor> {
    run(ops::adaptive_avg_pool1d(output_size), &[x])
}

/// The largest value of each window: `[N, C, H, W]` to `[N, C, OH, OW]`.
///
/// # Errors
/// When the shape is another, a size is 0, or the padding is more than half of the window.
pub fn max_pool2d(
    x: &Tensor,
    kernel_size: impl Into<Size<2>>,
    stride: impl Into<Size<2>>,
    padding: impl Into<Size<2>>,
) -> Result<Tensor> {
    run(ops::max_pool2d(kernel_size, Some(stride.into()), Some(padding.into()), None, None), &[x])
}

/// The mean of each window, padding counted as zeros: `[N, C, H, W]` to `[N, C, OH, OW]`.
///
/// # Errors
/// When the shape is another, a size is 0, or the padding is more than half of the window.
pub fn avg_pool2d(
    x: &Tensor,
    kernel_size: impl Into<Size<2>>,
    stride: impl Into<Size<2>>,
    padding: impl Into<Size<2>>,
) -> Result<Tensor> {
    run(ops::avg_pool2d(kernel_size, Some(stride.into()), Some(padding.into()), None, None), &[x])
}

/// Means over windows that follow from the output size: `[N, C, H, W]` to `[N, C, OH, OW]`.
///
/// # Errors
/// When the shape is another, or a size is 0.
pub fn adaptive_avg_pool2d(x: &Tensor, output_size: impl Into<Size<2>>) -> Result<Tensor> {
    run(ops::adaptive_avg_pool2d(output_size), &[x])
}

/// The axes from `start_dim` to `end_dim` become one; negative counts from the end.
///
/// # Errors
/// When the tensor does not have the axes.
pub fn flatten(x: &Tensor, start_dim: isize, end_dim: isize) -> Result<Tensor> {
    run(ops::flatten(Some(start_dim), Some(end_dim)), &[x])
}

/// The same values in row-major order, in another shape; one extent may be -1.
///
/// # Errors
/// When the number of values differs.
pub fn reshape(x: &Tensor, shape: &[isize]) -> Result<Tensor> {
    run(ops::reshape(shape.iter().copied().map(Extent::from).collect()), &[x])
}

/// Axis `i` of the result is axis `dims[i]` of `x`.
///
/// # Errors
/// When `dims` does not name each axis once.
pub fn permute(x: &Tensor, dims: &[isize]) -> Result<Tensor> {
    run(ops::permute(dims), &[x])
}

/// Two axes change places.
///
/// # Errors
/// When the tensor does not have the axes.
pub fn transpose(x: &Tensor, dim0: isize, dim1: isize) -> Result<Tensor> {
    run(ops::transpose(dim0, dim1), &[x])
}

/// At most `chunks` chunks of equal length along axis `dim`; the last may be shorter.
///
/// # Errors
/// When `chunks` is 0, or the tensor does not have the axis.
pub fn chunk(x: &Tensor, chunks: usize, dim: isize) -> Result<Vec<Tensor>> {
    let size = x.size(dim)?.div_ceil(chunks.max(1)).max(1);
    pieces(x, x.size(dim)?.div_ceil(size).max(1), |index| ops::chunk(chunks, Some(dim), index))
}

/// Pieces of length `split_size` along axis `dim`; the last may be shorter.
///
/// # Errors
/// When `split_size` is 0, or the tensor does not have the axis.
pub fn split(x: &Tensor, split_size: usize, dim: isize) -> Result<Vec<Tensor>> {
    let count = x.size(dim)?.div_ceil(split_size.max(1)).max(1);
    pieces(x, count, |index| ops::split(split_size, Some(dim), index))
}

/// All pieces of `x`: those of an empty tensor may be more than there is memory for.
fn pieces<O: Op>(x: &Tensor, count: usize, piece: impl Fn(usize) -> Result<O>) -> Result<Vec<Tensor>> {
    let mut pieces = Vec::new();
    memory::reserve(format_args!("{count} pieces of a tensor"), &mut pieces, count)
        .map_err(|error| Error::kernel("pieces", error))?;
    for index in 0..count {
        pieces.push(run(piece(index), &[x])?);
    }
    Ok(pieces)
}

/// The mean over `dims`, which stay with extent 1 if `keepdim`; no axes mean all.
///
/// # Errors
/// When the tensor does not have the axes, or there is nothing to average.
pub fn mean(x: &Tensor, dims: &[isize], keepdim: bool) -> Result<Tensor> {
    run(ops::mean(dims, Some(keepdim)), &[x])
}

/// [`reshape`], as PyTorch also calls it.
pub use self::reshape as view;

/// Where int8 begins in a `forward` body with `stubs = "manual"`; on floats the tensor itself.
///
/// # Errors
/// Never.
pub fn quant(x: &Tensor) -> Result<Tensor> {
    run(ops::quant(), &[x])
}

/// Where int8 ends in a `forward` body with `stubs = "manual"`; on floats the tensor itself.
///
/// # Errors
/// Never.
pub fn dequant(x: &Tensor) -> Result<Tensor> {
    run(ops::dequant(), &[x])
}

/// The tensor itself: nothing is dropped at inference.
///
/// # Errors
/// When `p` is not a probability.
pub fn dropout(x: &Tensor, p: f64) -> Result<Tensor> {
    run(ops::dropout(Some(p)), &[x])
}
