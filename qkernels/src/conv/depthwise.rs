//! Depthwise convolution: every output channel looks at one input channel.
//!
//! ```text
//! acc[y][x][o] = sum over taps of (xq - zx) * (wq - zw[o])
//!              = sum over taps of xq * (wq - zw[o])  -  zx * sum over taps of (wq - zw[o])
//! ```
//!
//! with `zx` for `xq` in the padding. The sums start from the second term.

use std::cell::Cell;
use std::ops::Range;

use crate::error::Result;
use crate::gemm::{Epilogue, FinishedPanel, OutputRows, PANEL, check_sum, weight_zero_point};
use crate::geometry::Conv2dGeometry;
use crate::isa::{Isa, isa};
use crate::kernels::{DepthwiseKernel, DepthwiseRow, PANELS, Sums, TapLanes, TapRows};
use crate::threads::for_each_chunk;

/// Output pixels that are finished together, at least: what is done once for each panel costs little then.
const FEWEST_PIXELS: usize = 16;

/// A lane of bytes has as many taps, one of words half of them.
const MOST_TAPS: usize = 4;

/// Weights without their zero points, for panels of [`PANEL`] channels, filled up with zeros.
#[derive(Clone, Debug)]
pub(super) struct DepthwiseFilters {
    out_channels: usize,
    /// The sum of each channel's weights.
    sums: Vec<Sums>,
    /// `[O / PANEL][KW][KH / 2]`
    pairs: Vec<TapLanes>,
    /// `[O / PANEL][KW][KH / 4]`, if all weights are bytes.
    quads: Option<Vec<TapLanes>>,
}

/// What all rows of an image have in common.
#[derive(Default)]
struct Columns {
    /// The column of the input under each tap of each output pixel, `[OW][KW]`; the one after the last is the padding.
    under_taps: Vec<usize>,
    /// A row of the padding, `[W, O]`.
    padding: Vec<u8>,
}

/// Buffers of one thread.
#[derive(Default)]
struct Scratch {
    /// Input rows whose channels are repeated, `[rows][KH][W, O]`.
    repeated: Vec<u8>,
    /// `[PANELS][W + 1][KH / taps of a lane]`
    lanes: Vec<TapLanes>,
    /// `[PANELS][pixels]`
    sums: Vec<Sums>,
}

thread_local! {
    static COLUMNS: Cell<Columns> = Cell::default();
    static SCRATCH: Cell<Scratch> = Cell::default();
}

impl DepthwiseFilters {
    /// Packs `weight` `[O, 1, KH, KW]`, whose length has been checked.
    pub(super) fn new(weight: &[i8], zero_points: &[i32], geometry: &Conv2dGeometry) -> Result<Self> {
        let out_channels = geometry.out_channels;
        let [height, width] = geometry.kernel;
        let mut centred = Vec::with_capacity(weight.len());
        let mut sums = vec![[0; PANEL]; out_channels.div_ceil(PANEL)];
        for (channel, filter) in weight.chunks_exact(height * width).enumerate() {
            let zero_point = weight_zero_point(zero_points, channel)?;
            check_sum(filter.iter().copied(), zero_point)?;
            centred.extend(filter.iter().map(|&w| i16::from(w) - zero_point));
            sums.as_flattened_mut()[channel] =
                filter.iter().map(|&w| i32::from(w) - i32::from(zero_point)).sum();
        }
        let at = |channel: usize, y: usize, x: usize| match channel < out_channels && y < height {
            true => centred[(channel * height + y) * width + x],
            false => 0,
        };
        let lanes = |taps: usize, lanes: &dyn Fn(usize, usize, usize) -> TapLanes| {
            let groups = height.div_ceil(taps);
            (0..sums.len() * width * groups)
                .map(|i| lanes(i / (width * groups) * PANEL, i % groups * taps, i / groups % width))
                .collect()
        };
        let pairs = lanes(2, &|channel, y, x| {
            TapLanes::from_pairs(|c| std::array::from_fn(|tap| at(channel + c, y + tap, x)))
        });
        let are_bytes = centred.iter().all(|&w| i8::try_from(w).is_ok());
        let quads = are_bytes.then(|| {
            lanes(4, &|channel, y, x| {
                TapLanes::from_quads(|c| std::array::from_fn(|tap| at(channel + c, y + tap, x) as u8))
            })
        });
        Ok(Self { out_channels, sums, pairs, quads })
    }

    pub(super) fn byte_len(&self) -> usize {
        let lanes = size_of_val(self.pairs.as_slice()) + self.quads.as_deref().map_or(0, size_of_val);
        lanes + size_of_val(self.sums.as_slice())
    }

    /// The instruction set and the width of the integers it multiplies, for reports.
    pub(super) fn kernel_name(&self, isa: Isa) -> String {
        match self.kernel(isa).0.taps_of_lane() {
            4 => isa.to_string(),
            _ => format!("{isa}, 16 bits"),
        }
    }

    /// What [`convolve`](Self::convolve) uses now, and the weights in its order.
    fn kernel(&self, isa: Isa) -> (DepthwiseKernel, &[TapLanes]) {
        let kernel = DepthwiseKernel::new(isa, self.quads.is_some());
        match &self.quads {
            Some(quads) if kernel.taps_of_lane() == 4 => (kernel, quads),
            _ => (kernel, &self.pairs),
        }
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
        let isa = isa();
        let mut columns = COLUMNS.take();
        columns.describe(geometry, zero_point);
        let (kernel, weights) = self.kernel(isa);
        let convolution =
            Convolution { filters: self, kernel, weights, geometry, input, zero_point, columns: &columns };
        let rows = FEWEST_PIXELS.div_ceil(geometry.output_width());
        let chunk = rows * geometry.output_width() * pitch;
        // A product of a single channel is not worth as much as one of a matrix: count it four times.
        let work = geometry.work().saturating_mul(4);
        for_each_chunk(output, chunk, work, |index, output| {
            let mut scratch = SCRATCH.take();
            convolution.finish_rows(isa, index * rows, epilogue, output, pitch, &mut scratch);
            SCRATCH.set(scratch);
        });
        COLUMNS.set(columns);
    }
}

/// One convolution of a batch of images.
struct Convolution<'a> {
    filters: &'a DepthwiseFilters,
    kernel: DepthwiseKernel,
    weights: &'a [TapLanes],
    geometry: &'a Conv2dGeometry,
    input: &'a [u8],
    zero_point: u8,
    columns: &'a Columns,
}

impl Convolution<'_> {
    /// Computes the output rows from `first_row` on, counted over all images, that `output` has room for.
    fn finish_rows<E: Epilogue>(
        &self,
        isa: Isa,
        first_row: usize,
        epilogue: &E,
        output: &mut [E::Output],
        pitch: usize,
        scratch: &mut Scratch,
    ) {
        let width = self.geometry.output_width();
        let out_channels = self.filters.out_channels;
        let pixels = output.len().div_ceil(pitch);
        let groups = self.geometry.kernel[0].div_ceil(self.kernel.taps_of_lane());
        let columns = self.geometry.width + 1;
        let Scratch { repeated, lanes, sums } = scratch;
        let padding = TapLanes::from_quads(|_| match self.kernel.taps_of_lane() {
            2 => [self.zero_point, 0, self.zero_point, 0],
            _ => [self.zero_point; 4],
        });
        lanes.resize(PANELS * columns * groups, TapLanes::default());
        for lanes in lanes.chunks_exact_mut(columns * groups) {
            lanes[(columns - 1) * groups..].fill(padding);
        }
        sums.resize(PANELS * pixels, [0; PANEL]);
        let rows = pixels / width;
        let repeats = out_channels / self.geometry.in_channels;
        repeated.clear();
        if repeats > 1 {
            self.repeat_channels(first_row..first_row + rows, repeats, repeated);
        }
        for first_channel in (0..out_channels).step_by(PANELS * PANEL) {
            let panels = (out_channels - first_channel).div_ceil(PANEL).min(PANELS);
            let lanes = &mut lanes[..panels * columns * groups];
            for row in 0..rows {
                let repeated = &repeated[repeated.len() / rows * row..][..repeated.len() / rows];
                self.make_lanes(first_row + row, first_channel, repeated, lanes);
                for panel in 0..panels {
                    let index = first_channel / PANEL + panel;
                    let weights_len = self.geometry.kernel[1] * groups;
                    let zero_point = i32::from(self.zero_point);
                    let row_of_panel = DepthwiseRow {
                        lanes: &lanes[panel * columns * groups..][..columns * groups],
                        columns: &self.columns.under_taps,
                        weights: &self.weights[index * weights_len..][..weights_len],
                        kernel_width: self.geometry.kernel[1],
                        initial: &self.filters.sums[index].map(|sum| sum.wrapping_mul(-zero_point)),
                    };
                    let sums = &mut sums[panel * pixels + row * width..][..width];
                    self.kernel.sum_row(&row_of_panel, sums);
                }
            }
            for panel in 0..panels {
                let first_column = first_channel + panel * PANEL;
                let sums = &sums[panel * pixels..][..pixels];
                let finished = FinishedPanel { sums, first_row: first_row * width, first_column };
                let columns = PANEL.min(out_channels - first_column);
                let output = OutputRows::new(&mut output[first_column..], columns, pitch);
                epilogue.finish_panel(isa, &finished, output);
            }
        }
    }

    /// The input row under a row of taps, or `None` in the padding.
    fn source(&self, row: usize, tap: usize) -> Option<&[u8]> {
        let geometry = self.geometry;
        let (image, y) = (row / geometry.output_height(), row % geometry.output_height());
        let input_y = geometry.source(0, y, tap)?;
        let row_len = geometry.width * geometry.in_channels;
        Some(&self.input[(image * geometry.height + input_y) * row_len..][..row_len])
    }

    /// Where output channels share an input channel: the sources of some rows with each channel repeated.
    fn repeat_channels(&self, rows: Range<usize>, repeats: usize, repeated: &mut Vec<u8>) {
        let [height, _] = self.geometry.kernel;
        let row_len = self.columns.padding.len();
        repeated.resize(rows.len() * height * row_len, 0);
        let taps = rows.flat_map(|row| (0..height).map(move |tap| (row, tap)));
        for ((row, tap), repeated) in taps.zip(repeated.chunks_exact_mut(row_len)) {
            let source = self.source(row, tap).unwrap_or_default();
            for (repeated, &q) in repeated.chunks_exact_mut(repeats).zip(source) {
                repeated.fill(q);
            }
        }
    }

    /// The lanes of the input rows under an output row; `repeated` are these rows, if channels are repeated.
    fn make_lanes(&self, row: usize, first_channel: usize, repeated: &[u8], lanes: &mut [TapLanes]) {
        let [height, _] = self.geometry.kernel;
        let padding = self.columns.padding.as_slice();
        let taps = self.kernel.taps_of_lane();
        let groups = height.div_ceil(taps);
        for group in 0..groups {
            let mut rows: [&[u8]; MOST_TAPS] = [&[]; MOST_TAPS];
            let first = group * taps;
            let present = taps.min(height - first);
            for (tap, row_of_tap) in (first..first + present).zip(&mut rows) {
                *row_of_tap = match self.source(row, tap) {
                    None => padding,
                    Some(source) if repeated.is_empty() => source,
                    Some(_) => &repeated[tap * padding.len()..][..padding.len()],
                };
            }
            let rows = TapRows {
                rows: &rows[..present],
                channels: self.filters.out_channels,
                first_channel,
                columns: self.geometry.width + 1,
                group,
                groups,
            };
            self.kernel.make_lanes(&rows, lanes);
        }
    }
}

impl Columns {
    fn describe(&mut self, geometry: &Conv2dGeometry, zero_point: u8) {
        let Self { under_taps, padding } = self;
        under_taps.clear();
        for x in 0..geometry.output_width() {
            let column = |tap| geometry.source(1, x, tap).unwrap_or(geometry.width);
            under_taps.extend((0..geometry.kernel[1]).map(column));
        }
        padding.clear();
        padding.resize(geometry.width * geometry.out_channels, zero_point);
    }
}
