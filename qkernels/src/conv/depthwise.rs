//! Depthwise convolution: every output channel looks at one input channel.

use std::cell::Cell;

use crate::error::Result;
use crate::gemm::{Epilogue, FinishedPanel, OutputRows, PANEL, check_sum, weight_zero_point};
use crate::geometry::Conv2dGeometry;
use crate::isa::{Isa, isa};
use crate::kernels::{DepthwiseBlock, PADDING, Sums, TapPair, sum_block};
use crate::threads::for_each_chunk;

/// Centred weights in the order `[O / PANEL][KH * KW / 2][PANEL][2]`, filled up with zeros.
#[derive(Clone, Debug)]
pub(super) struct DepthwiseFilters {
    out_channels: usize,
    /// Pairs of taps, the last one maybe half empty.
    pairs: usize,
    weights: Vec<TapPair>,
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    /// Where the taps of a row of output pixels lie in the input, `[OW][KH * KW / 2]`.
    taps: Vec<[usize; 2]>,
    sums: Vec<Sums>,
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

impl DepthwiseFilters {
    /// Packs `weight` `[O, 1, KH, KW]`, whose length has been checked.
    pub(super) fn new(weight: &[i8], zero_points: &[i32], geometry: &Conv2dGeometry) -> Result<Self> {
        let out_channels = geometry.out_channels;
        let taps = geometry.depth();
        let pairs = taps.div_ceil(2);
        let mut weights = vec![[[0; 2]; PANEL]; out_channels.div_ceil(PANEL) * pairs];
        for (channel, filter) in weight.chunks_exact(taps).enumerate() {
            let zero_point = weight_zero_point(zero_points, channel)?;
            check_sum(filter.iter().copied(), zero_point)?;
            let block = &mut weights[channel / PANEL * pairs..][..pairs];
            for (tap, &w) in filter.iter().enumerate() {
                block[tap / 2][channel % PANEL][tap % 2] = i16::from(w).wrapping_sub(zero_point);
            }
        }
        Ok(Self { out_channels, pairs, weights })
    }

    pub(super) fn byte_len(&self) -> usize {
        size_of_val(self.weights.as_slice())
    }

    /// Convolves; lengths have been checked. `pitch` is the distance between two pixels of the output.
    pub(super) fn convolve<E: Epilogue>(
        &self,
        geometry: &Conv2dGeometry,
        input: &[u8],
        zero_point: u8,
        epilogue: &E,
        output: &mut [E::Output],
        pitch: usize,
    ) {
        let width = geometry.output_width();
        // A product of a single channel is not worth a whole `pmaddwd`: count it four times.
        let work = geometry.work().saturating_mul(4);
        let row_len = width * pitch;
        let rows_per_chunk = (geometry.pixels() / width).div_ceil(64).max(1);
        let isa = isa();
        for_each_chunk(output, rows_per_chunk * row_len, work, |index, output| {
            let mut scratch = SCRATCH.take();
            for (i, output) in output.chunks_mut(row_len).enumerate() {
                let row = index * rows_per_chunk + i;
                scratch.find_taps(geometry, row, self.pairs);
                self.convolve_row(
                    isa,
                    geometry,
                    (input, zero_point),
                    row,
                    &mut scratch,
                    epilogue,
                    output,
                    pitch,
                );
            }
            SCRATCH.set(scratch);
        });
    }

    #[expect(clippy::too_many_arguments)]
    fn convolve_row<E: Epilogue>(
        &self,
        isa: Isa,
        geometry: &Conv2dGeometry,
        (input, zero_point): (&[u8], u8),
        row: usize,
        Scratch { taps, sums }: &mut Scratch,
        epilogue: &E,
        output: &mut [E::Output],
        pitch: usize,
    ) {
        let width = geometry.output_width();
        sums.resize(width, [0; PANEL]);
        for (block, weights) in self.weights.chunks_exact(self.pairs).enumerate() {
            let channel = block * PANEL;
            let multiplier = self.out_channels / geometry.in_channels;
            let block = DepthwiseBlock { input, zero_point, taps, weights, channel, multiplier };
            sum_block(isa, &block, sums);
            let finished = FinishedPanel { sums, first_row: row * width, first_column: channel };
            let columns = PANEL.min(self.out_channels - channel);
            epilogue.finish_panel(isa, &finished, OutputRows::new(&mut output[channel..], columns, pitch));
        }
    }
}

impl Scratch {
    /// The taps of the output pixels of `row`, counted over all images.
    fn find_taps(&mut self, geometry: &Conv2dGeometry, row: usize, pairs: usize) {
        let (image, y) = (row / geometry.output_height(), row % geometry.output_height());
        self.taps.clear();
        self.taps.resize(geometry.output_width() * pairs, [PADDING; 2]);
        for (x, taps) in self.taps.chunks_exact_mut(pairs).enumerate() {
            let taps = taps.as_flattened_mut();
            for (tap_y, taps) in taps.chunks_mut(geometry.kernel[1]).take(geometry.kernel[0]).enumerate() {
                let Some(input_y) = geometry.source(0, y, tap_y) else {
                    continue;
                };
                let first_pixel = (image * geometry.height + input_y) * geometry.width;
                for (tap_x, tap) in taps.iter_mut().enumerate() {
                    if let Some(input_x) = geometry.source(1, x, tap_x) {
                        *tap = (first_pixel + input_x) * geometry.in_channels;
                    }
                }
            }
        }
    }
}
