//! Between `[N, C, H, W]` and `[N, H, W, C]`, with or without quantizing on the way.

use std::ops::RangeInclusive;
use std::sync::atomic::AtomicUsize;

use super::{Dequantize, Quantize, count, dequantize_per_tensor, quantize_per_tensor};
use crate::elements::Element;
use crate::error::Result;
use crate::isa::isa;
use crate::kernels::{Matrix, TILE, transpose};
use crate::length;
use crate::qparams::{QParams, QuantizedInteger};
use crate::quantizer::Quantizer;
use crate::threads::{elementwise_chunk, for_each_chunk};

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

    fn pixels(self) -> usize {
        self.height * self.width
    }

    /// Whether `[N, C, H, W]` and `[N, H, W, C]` are the same order, or there is nothing to order.
    fn is_in_both_orders(self) -> bool {
        self.batch == 0 || self.channels <= 1 || self.height == 0 || self.width == 0 || self.pixels() == 1
    }

    /// The images one by one; not to be asked where [`is_in_both_orders`](Self::is_in_both_orders).
    fn images<'a, I, O>(
        self,
        input: &'a [I],
        output: &'a mut [O],
    ) -> impl Iterator<Item = (&'a [I], &'a mut [O])> {
        let len = self.channels * self.pixels();
        input.chunks_exact(len).zip(output.chunks_exact_mut(len))
    }
}

/// Pixels of a block: what is between the two orders stays in the first level of cache.
const PIXELS: usize = 256;

/// Channels that are transposed together: a tile at least, if there are that many, and less than two.
fn channel_group(channels: usize) -> usize {
    channels.div_ceil((channels / TILE).max(1))
}

/// Quantizes `[N, C, H, W]` floats into `[N, H, W, C]`; NaN becomes the zero point. Gives the number of values that are NaN
/// or infinite, counted in the same pass.
///
/// # Errors
/// If a length does not match, or scale, zero point or range cannot be used.
pub fn quantize_nchw_to_nhwc<T: QuantizedInteger>(
    input: &[f32],
    shape: ImageShape,
    qparams: QParams,
    range: RangeInclusive<i32>,
    output: &mut [T],
) -> Result<usize> {
    shape.check(input, output)?;
    if shape.is_in_both_orders() {
        return quantize_per_tensor(input, qparams, range, output);
    }
    let quantizer = Quantizer::new::<T>(qparams, range)?;
    let (channels, pixels) = (shape.channels, shape.pixels());
    let not_finite = AtomicUsize::new(0);
    let isa = isa();
    for (image, output) in shape.images(input, output) {
        let chunk_len = elementwise_chunk(output.len(), PIXELS * channels);
        for_each_chunk(output, chunk_len, image.len(), |chunk, output| {
            let mut buffer = [T::default(); 2 * TILE * PIXELS];
            for (block, output) in output.chunks_mut(PIXELS * channels).enumerate() {
                let first_pixel = chunk * (chunk_len / channels) + block * PIXELS;
                let columns = output.len() / channels;
                for first in (0..channels).step_by(channel_group(channels)) {
                    let rows = channel_group(channels).min(channels - first);
                    let planes = image.chunks_exact(pixels).skip(first).take(rows);
                    for (plane, output) in planes.zip(buffer.chunks_exact_mut(PIXELS)) {
                        let input = &plane[first_pixel..][..columns];
                        let output = &mut output[..columns];
                        count(&not_finite, isa.run_pass(Quantize { quantizer, input, output }));
                    }
                    let quantized = Matrix { values: &buffer[..], row_stride: PIXELS };
                    let output = Matrix { values: &mut output[first..], row_stride: channels };
                    transpose(isa, [rows, columns], quantized, output);
                }
            }
        });
    }
    Ok(not_finite.into_inner())
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
    shape.check(input, output)?;
    if shape.is_in_both_orders() {
        return dequantize_per_tensor(input, qparams, output);
    }
    qparams.check::<T>()?;
    let (channels, pixels) = (shape.channels, shape.pixels());
    let group = channel_group(channels);
    let isa = isa();
    for (image, output) in shape.images(input, output) {
        for_each_chunk(output, group * pixels, image.len(), |index, output| {
            let mut buffer = [T::default(); 2 * TILE * PIXELS];
            let columns = output.len() / pixels;
            for (block, image) in image.chunks(PIXELS * channels).enumerate() {
                let rows = image.len() / channels;
                let pixels_of_group = Matrix { values: &image[index * group..], row_stride: channels };
                let planes = Matrix { values: &mut buffer[..], row_stride: PIXELS };
                transpose(isa, [rows, columns], pixels_of_group, planes);
                for (input, plane) in buffer.chunks_exact(PIXELS).zip(output.chunks_exact_mut(pixels)) {
                    let output = &mut plane[block * PIXELS..][..rows];
                    isa.run_pass(Dequantize { qparams, input: &input[..rows], output });
                }
            }
        });
    }
    Ok(())
}

/// Copies `[N, C, H, W]` into `[N, H, W, C]`.
///
/// # Errors
/// If a length does not match.
pub fn nchw_to_nhwc<T: Element>(input: &[T], shape: ImageShape, output: &mut [T]) -> Result<()> {
    shape.check(input, output)?;
    if shape.is_in_both_orders() {
        output.copy_from_slice(input);
        return Ok(());
    }
    let (channels, pixels) = (shape.channels, shape.pixels());
    let isa = isa();
    for (image, output) in shape.images(input, output) {
        let chunk_len = elementwise_chunk(output.len(), PIXELS * channels);
        for_each_chunk(output, chunk_len, image.len(), |chunk, output| {
            let planes = Matrix { values: &image[chunk * (chunk_len / channels)..], row_stride: pixels };
            let columns = output.len() / channels;
            transpose(isa, [channels, columns], planes, Matrix { values: output, row_stride: channels });
        });
    }
    Ok(())
}

/// Copies `[N, H, W, C]` into `[N, C, H, W]`.
///
/// # Errors
/// If a length does not match.
pub fn nhwc_to_nchw<T: Element>(input: &[T], shape: ImageShape, output: &mut [T]) -> Result<()> {
    shape.check(input, output)?;
    if shape.is_in_both_orders() {
        output.copy_from_slice(input);
        return Ok(());
    }
    let (channels, pixels) = (shape.channels, shape.pixels());
    let group = channel_group(channels);
    let isa = isa();
    for (image, output) in shape.images(input, output) {
        for_each_chunk(output, group * pixels, image.len(), |index, output| {
            let pixels_of_group = Matrix { values: &image[index * group..], row_stride: channels };
            let columns = output.len() / pixels;
            transpose(isa, [pixels, columns], pixels_of_group, Matrix { values: output, row_stride: pixels });
        });
    }
    Ok(())
}
