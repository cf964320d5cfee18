//! A convolution under way: a few output rows, which share lanes.

use std::ops::Range;

use super::{NarrowFilters, channels_of_group};
use crate::epilogue::Epilogue;
use crate::geometry::Conv2dGeometry;
use crate::isa::{Isa, Pass};
use crate::kernels::{NarrowRow, gather_rows, repeat_lanes};
use crate::panel::{PANEL, QUAD};
use crate::pixels::copy_pixels;

/// Lanes that are made together: they stay in the first-level cache.
const LANES: usize = 8192;

/// The fewest pixels for which lanes are made together.
const MIN_PIXELS: usize = 16;

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Scratch {
    /// Rows of the padded input, the columns of each phase together: `[rows][phases][columns][C]`.
    rows: Vec<u8>,
    /// A quad of each group, `[columns][groups]`.
    quads: Vec<i32>,
    /// `[quads][phases][columns][O]`
    lanes: Vec<i32>,
    /// Remainders of columns divided by the stride that taps have.
    phases: Vec<usize>,
    /// Of each tap of a filter row, which phase it is of, and how many pixels further to the right.
    taps: Vec<[usize; 2]>,
    starts: Vec<usize>,
    sums: Vec<i32>,
}

pub(super) struct Convolution<'a> {
    pub(super) filters: &'a NarrowFilters,
    pub(super) geometry: &'a Conv2dGeometry,
    pub(super) input: &'a [u8],
    pub(super) zero_point: u8,
    pub(super) initial: &'a [i32],
    /// From one output row to the next that looks at the same rows of the input.
    pub(super) row_step: usize,
    /// By how many taps it is shifted.
    pub(super) shift_of_row: usize,
    /// Output rows that share lanes, at most.
    pub(super) rows_of_lanes: usize,
}

/// Some pixels of output rows that share lanes.
struct Part {
    image: usize,
    /// The first output row in the image.
    y: usize,
    rows: usize,
    pixels: Range<usize>,
}

impl Convolution<'_> {
    /// Computes the output rows from `first_row` on, counted over all images, that `output` has room for.
    pub(super) fn finish_rows<E: Epilogue>(
        &self,
        isa: Isa,
        first_row: usize,
        epilogue: &E,
        output: &mut [E::Output],
        pixel_stride: usize,
        scratch: &mut Scratch,
    ) {
        let Self { geometry, row_step, .. } = *self;
        let [height, width] = [geometry.output_height(), geometry.output_width()];
        let channels = geometry.out_channels;
        self.find_taps(scratch);
        let furthest = scratch.taps.iter().map(|&[_, pixels]| pixels).max().unwrap_or(0);
        let lanes_of_column = self.filters.quads * scratch.phases.len() * channels;
        let most_pixels = (LANES / lanes_of_column).saturating_sub(furthest).max(MIN_PIXELS).max(furthest);
        let segments = width.div_ceil(most_pixels);
        let rows = output.len().div_ceil(width * pixel_stride);
        let mut row = 0;
        while row < rows {
            let (image, y) = ((first_row + row) / height, (first_row + row) % height);
            let together = self.rows_of_lanes.saturating_mul(row_step);
            let count = together.min(rows - row).min(height - y);
            for first in 0..row_step.min(count) {
                let rows = (count - first).div_ceil(row_step);
                for segment in 0..segments {
                    let pixels = segment * width / segments..(segment + 1) * width / segments;
                    let part = Part { image, y: y + first, rows, pixels };
                    isa.run_pass(MakeLanes { convolution: self, part: &part, furthest, scratch });
                    for i in 0..rows {
                        self.sum_row(isa, &part, i, scratch);
                        let row = row + first + i * row_step;
                        let pixel = row * width + part.pixels.start;
                        let pixels = part.pixels.len();
                        let sums = &scratch.sums[..pixels * channels];
                        let output = &mut output[pixel * pixel_stride..];
                        let first_row = first_row * width + pixel;
                        if pixel_stride == channels {
                            epilogue.finish_rows(
                                isa,
                                first_row,
                                channels,
                                sums,
                                &mut output[..pixels * channels],
                            );
                            continue;
                        }
                        for (pixel, output) in output.chunks_mut(pixel_stride).take(pixels).enumerate() {
                            let sums = &sums[pixel * channels..][..channels];
                            epilogue.finish_rows(
                                isa,
                                first_row + pixel,
                                channels,
                                sums,
                                &mut output[..channels],
                            );
                        }
                    }
                }
            }
            row += count;
        }
    }

    fn find_taps(&self, Scratch { phases, taps, .. }: &mut Scratch) {
        let ([_, stride], [_, dilation]) = (self.geometry.stride, self.geometry.dilation);
        phases.clear();
        taps.clear();
        for x in 0..self.geometry.kernel[1] {
            let (pixels, phase) = (x * dilation / stride, x * dilation % stride);
            let slot = phases.iter().position(|&other| other == phase).unwrap_or_else(|| {
                phases.push(phase);
                phases.len() - 1
            });
            taps.push([slot, pixels]);
        }
    }

    /// Sums of row `i` of a part, whose lanes are there.
    fn sum_row(&self, isa: Isa, part: &Part, i: usize, scratch: &mut Scratch) {
        let channels = self.geometry.out_channels;
        let len = (part.pixels.len() * channels).next_multiple_of(PANEL);
        scratch.sums.resize(len.max(scratch.sums.len()), 0);
        let row = NarrowRow {
            lanes: &scratch.lanes,
            starts: &scratch.starts,
            weights: self.filters.weights(isa, i * self.shift_of_row.min(self.filters.shifts)),
            channels,
            initial: self.initial,
        };
        row.sum(isa, &mut scratch.sums[..len]);
    }
}

/// Makes the lanes of a part.
struct MakeLanes<'a> {
    convolution: &'a Convolution<'a>,
    part: &'a Part,
    /// Columns of a phase behind those of the pixels.
    furthest: usize,
    scratch: &'a mut Scratch,
}

impl Pass for MakeLanes<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { convolution: &Convolution { filters, geometry, .. }, part, furthest, scratch } = self;
        let (channels, repeats) = channels_of_group(geometry);
        let columns = part.pixels.len() + furthest;
        let taps = geometry.kernel[0] + (part.rows - 1) * self.convolution.shift_of_row.min(filters.shifts);
        let row_len = columns * geometry.in_channels;
        scratch.rows.resize(taps * scratch.phases.len() * row_len, 0);
        for tap in 0..taps {
            for (slot, &phase) in scratch.phases.iter().enumerate() {
                let row = &mut scratch.rows[(tap * scratch.phases.len() + slot) * row_len..][..row_len];
                self.convolution.copy_row(part, tap, phase, row);
            }
        }
        let groups = columns * geometry.groups;
        let lanes_len = columns * geometry.out_channels + PANEL;
        scratch.quads.resize(groups, 0);
        scratch.lanes.resize(filters.quads * scratch.phases.len() * lanes_len, 0);
        let mut lanes = scratch.lanes.chunks_exact_mut(lanes_len);
        for quad in 0..filters.quads {
            let first = quad * QUAD;
            for (slot, lanes) in (0..scratch.phases.len()).zip(&mut lanes) {
                // Bytes of rows that do not exist have no weights.
                let rows: [&[u8]; QUAD] = std::array::from_fn(|i| {
                    let tap = (first / channels + i).min(taps - 1);
                    &scratch.rows[(tap * scratch.phases.len() + slot) * row_len..][..row_len]
                });
                if repeats == 1 {
                    gather_rows(channels, first % channels, &rows, &mut lanes[..groups]);
                } else {
                    gather_rows(channels, first % channels, &rows, &mut scratch.quads);
                    repeat_lanes(repeats, &scratch.quads, lanes);
                }
            }
        }
        scratch.starts.clear();
        for &[slot, pixels] in &scratch.taps {
            let start =
                |quad| (quad * scratch.phases.len() + slot) * lanes_len + pixels * geometry.out_channels;
            scratch.starts.extend((0..filters.quads).map(start));
        }
    }
}

impl Convolution<'_> {
    /// The columns of a phase in the row under a tap of a part; in the padding they consist of zero points.
    #[inline(always)]
    fn copy_row(&self, part: &Part, tap: usize, phase: usize, row: &mut [u8]) {
        let geometry = self.geometry;
        let (channels, stride) = (geometry.in_channels, geometry.stride[1]);
        let Some(y) = geometry.source(0, part.y, tap) else { return row.fill(self.zero_point) };
        let columns = row.len() / channels;
        // Of the padded input.
        let first = part.pixels.start * stride + phase;
        let padding = geometry.padding[1];
        let before = padding.saturating_sub(first).div_ceil(stride).min(columns);
        let end = (padding + geometry.width).saturating_sub(first).div_ceil(stride).clamp(before, columns);
        row[..before * channels].fill(self.zero_point);
        row[end * channels..].fill(self.zero_point);
        if before < end {
            let column = first + before * stride - padding;
            let source = (part.image * geometry.height + y) * geometry.width;
            let from = &self.input[(source + column) * channels..(source + geometry.width) * channels];
            copy_pixels(
                channels,
                from,
                &mut row[before * channels..end * channels],
                [stride * channels, channels],
            );
        }
    }
}
