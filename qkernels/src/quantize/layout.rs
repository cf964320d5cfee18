//! Between `[N, C, H, W]` and `[N, H, W, C]`, with or without quantizing on the way.

use std::ops::RangeInclusive;

use super::Quantizer;
use crate::error::Result;
use crate::length;
use crate::qparams::{QParams, QuantizedInteger};
use crate::threads::for_each_chunk;

/// The sizes of a batch of images, whatever their order in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Images, N.
    pub batch: usize,
    /// Channels, C.
    pub channels: usize,
    /// Rows, H.
    pub height: usize,
    /// Columns, W.
    pub width: usize,
}

impl ImageShape {
    fn check<I, O>(self, input: &[I], output: &[O]) -> Result<()> {
        let len = length::product("image", &[self.batch, self.channels, self.height, self.width])?;
        length::check("input", input, len)?;
        length::check("output", output, len)
    }
}

/// Pixels transposed at once: input and output of a block stay in cache.
const PIXELS: usize = 256;

/// Quantizes `[N, C, H, W]` floats into `[N, H, W, C]`.
///
/// # Errors
/// If a length does not match, or scale, zero point or range cannot be used.
pub fn quantize_nchw_to_nhwc<T: QuantizedInteger>(
    input: &[f32],
    shape: ImageShape,
    qparams: QParams,
    range: RangeInclusive<i32>,
    output: &mut [T],
) -> Result<()> {
    let quantizer = Quantizer::new::<T>(qparams, range)?;
    to_channels_last(input, shape, output, |x| quantizer.quantize(x))
}

/// Dequantizes `[N, H, W, C]` into `[N, C, H, W]` floats.
///
/// # Errors
/// If a length does not match, or scale or zero point cannot be used.
pub fn dequantize_nhwc_to_nchw<T: QuantizedInteger>(
    input: &[T],
    shape: ImageShape,
    qparams: QParams,
    output: &mut [f32],
) -> Result<()> {
    qparams.check::<T>()?;
    to_channels_first(input, shape, output, |q| qparams.dequantize(q.to_i32()))
}

/// Copies `[N, C, H, W]` into `[N, H, W, C]`.
///
/// # Errors
/// If a length does not match.
pub fn nchw_to_nhwc<T: Copy + Send + Sync>(input: &[T], shape: ImageShape, output: &mut [T]) -> Result<()> {
    to_channels_last(input, shape, output, |value| value)
}

/// Copies `[N, H, W, C]` into `[N, C, H, W]`.
///
/// # Errors
/// If a length does not match.
pub fn nhwc_to_nchw<T: Copy + Send + Sync>(input: &[T], shape: ImageShape, output: &mut [T]) -> Result<()> {
    to_channels_first(input, shape, output, |value| value)
}

fn to_channels_last<I: Copy + Sync, O: Send>(
    input: &[I],
    shape: ImageShape,
    output: &mut [O],
    convert: impl Fn(I) -> O + Sync,
) -> Result<()> {
    shape.check(input, output)?;
    if output.is_empty() {
        return Ok(());
    }
    let channels = shape.channels;
    let pixels = shape.height * shape.width;
    for (input, output) in
        input.chunks_exact(channels * pixels).zip(output.chunks_exact_mut(channels * pixels))
    {
        let work = output.len();
        for_each_chunk(output, PIXELS * channels, work, |index, output| {
            for (channel, plane) in input.chunks_exact(pixels).enumerate() {
                let plane = &plane[index * PIXELS..];
                for (pixel, &value) in output.chunks_exact_mut(channels).zip(plane) {
                    pixel[channel] = convert(value);
                }
            }
        });
    }
    Ok(())
}

fn to_channels_first<I: Copy + Sync, O: Send>(
    input: &[I],
    shape: ImageShape,
    output: &mut [O],
    convert: impl Fn(I) -> O + Sync,
) -> Result<()> {
    shape.check(input, output)?;
    if output.is_empty() {
        return Ok(());
    }
    let channels = shape.channels;
    let pixels = shape.height * shape.width;
    let work = output.len();
    for_each_chunk(output, pixels, work, |index, plane| {
        let image = index / channels * channels * pixels;
        let image = &input[image..image + channels * pixels];
        for (value, pixel) in plane.iter_mut().zip(image.chunks_exact(channels)) {
            *value = convert(pixel[index % channels]);
        }
    });
    Ok(())
}
