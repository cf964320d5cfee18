//! Depthwise convolution: every output channel looks at one input channel.

use std::cell::Cell;

use crate::error::Result;
use crate::gemm::{Epilogue, check_sum, weight_zero_point};
use crate::geometry::Conv2dGeometry;
use crate::threads::for_each_chunk;

/// Centred weights in the order `[KH, KW, O]`, so that a tap is one vector over the channels.
#[derive(Clone, Debug)]
pub(super) struct DepthwiseFilters {
    out_channels: usize,
    weights: Vec<i16>,
}

thread_local! {
    /// Sums of one output pixel, `[O]`.
    static SUMS: Cell<Vec<i32>> = Cell::default();
}

impl DepthwiseFilters {
    /// Packs `weight` `[O, 1, KH, KW]`, whose length has been checked.
    pub(super) fn new(weight: &[i8], zero_points: &[i32], geometry: &Conv2dGeometry) -> Result<Self> {
        let out_channels = geometry.out_channels;
        let taps = geometry.depth();
        let mut weights = vec![0; weight.len()];
        for (channel, filter) in weight.chunks_exact(taps).enumerate() {
            let zero_point = weight_zero_point(zero_points, channel)?;
            check_sum(filter.iter().copied(), zero_point)?;
            for (tap, &w) in filter.iter().enumerate() {
                weights[tap * out_channels + channel] = i16::from(w).wrapping_sub(zero_point);
            }
        }
        Ok(Self { out_channels, weights })
    }

    pub(super) fn byte_len(&self) -> usize {
        size_of_val(self.weights.as_slice())
    }

    /// Convolves; lengths have been checked.
    pub(super) fn convolve<E: Epilogue>(
        &self,
        geometry: &Conv2dGeometry,
        input: &[u8],
        zero_point: i16,
        epilogue: &E,
        output: &mut [E::Output],
    ) {
        let out_channels = self.out_channels;
        let width = geometry.output_width();
        // A product of a single channel is not worth a whole `pmaddwd`: count it four times.
        let work = geometry.work().saturating_mul(4);
        let rows_per_chunk = (geometry.pixels() / width).div_ceil(64).max(1);
        let chunk_len = rows_per_chunk * width * out_channels;
        for_each_chunk(output, chunk_len, work, |index, output| {
            let mut sums = SUMS.take();
            sums.resize(out_channels, 0);
            let first_pixel = index * rows_per_chunk * width;
            for (i, output) in output.chunks_exact_mut(out_channels).enumerate() {
                let pixel = first_pixel + i;
                self.sum_window(geometry, input, zero_point, pixel, &mut sums);
                epilogue.finish(pixel, 0, &sums, output);
            }
            SUMS.set(sums);
        });
    }

    fn sum_window(
        &self,
        geometry: &Conv2dGeometry,
        input: &[u8],
        zero_point: i16,
        pixel: usize,
        sums: &mut [i32],
    ) {
        let channels = geometry.in_channels;
        let x = pixel % geometry.output_width();
        let y = pixel / geometry.output_width() % geometry.output_height();
        let image = pixel / geometry.output_width() / geometry.output_height();
        sums.fill(0);
        for tap_y in 0..geometry.kernel[0] {
            let Some(input_y) = geometry.source(0, y, tap_y) else {
                continue;
            };
            for tap_x in 0..geometry.kernel[1] {
                let Some(input_x) = geometry.source(1, x, tap_x) else {
                    continue;
                };
                let tap = tap_y * geometry.kernel[1] + tap_x;
                let weights = &self.weights[tap * self.out_channels..][..self.out_channels];
                let pixel = (image * geometry.height + input_y) * geometry.width + input_x;
                let input = &input[pixel * channels..][..channels];
                add_products(input, zero_point, weights, sums);
            }
        }
    }
}

/// `sums[o] += (xq[o / multiplier] - zx) * w[o]`, where `multiplier` outputs share an input channel.
fn add_products(input: &[u8], zero_point: i16, weights: &[i16], sums: &mut [i32]) {
    if input.len() == sums.len() {
        for ((sum, &q), &w) in sums.iter_mut().zip(input).zip(weights) {
            let product = i32::from(i16::from(q).wrapping_sub(zero_point)) * i32::from(w);
            *sum = sum.wrapping_add(product);
        }
        return;
    }
    let multiplier = sums.len() / input.len();
    let weights = weights.chunks_exact(multiplier);
    for ((sums, &q), weights) in sums.chunks_exact_mut(multiplier).zip(input).zip(weights) {
        let centred = i32::from(i16::from(q).wrapping_sub(zero_point));
        for (sum, &w) in sums.iter_mut().zip(weights) {
            *sum = sum.wrapping_add(centred * i32::from(w));
        }
    }
}
