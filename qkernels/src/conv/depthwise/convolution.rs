//! A convolution under way: rows of pixels, a few panels of channels at a time.

use std::ops::Range;

use super::columns::Columns;
use super::{DepthwiseFilters, FilterLanes, MAX_ROWS};
use crate::epilogue::{Epilogue, Panels};
use crate::geometry::Conv2dGeometry;
use crate::isa::Isa;
use crate::kernels::{DepthwiseKernel, DepthwiseRow, MAX_PANELS, TapLanes, TapRows};
use crate::output_rows::OutputRows;
use crate::panel::{PANEL, Sums};

/// Pixels of a row that are computed together, with those of the rows below: with fewer, on AVX2, more calls cost
/// more than nearer caches save.
const MAX_PIXELS: usize = 56;

/// A lane of bytes has as many taps, one of words half of them.
const MAX_TAPS: usize = 4;

/// Buffers of one thread.
#[derive(Default)]
pub(super) struct Scratch {
    /// Input rows whose channels are repeated, `[taps][columns][channels]`.
    repeated: Vec<u8>,
    /// `[panels][taps of some output rows / taps of a lane][columns]`
    lanes: Vec<TapLanes>,
    sums: BlockSums,
}

/// `[panels][pixels]`, aligned for vectors of any size.
#[repr(C, align(64))]
struct BlockSums([Sums; MAX_PANELS * MAX_ROWS * MAX_PIXELS]);

impl Default for BlockSums {
    fn default() -> Self {
        Self([[0; PANEL]; MAX_PANELS * MAX_ROWS * MAX_PIXELS])
    }
}

/// One convolution of a batch of images.
pub(super) struct Convolution<'a> {
    pub(super) filters: &'a DepthwiseFilters,
    pub(super) kernel: DepthwiseKernel,
    pub(super) weights: &'a FilterLanes,
    /// Lanes of a column that an output row looks at.
    pub(super) groups: usize,
    /// Output rows that share lanes.
    pub(super) rows_of_lanes: usize,
    /// Output channels of an input channel.
    pub(super) repeats: usize,
    pub(super) geometry: &'a Conv2dGeometry,
    pub(super) input: &'a [u8],
    pub(super) zero_point: u8,
    /// A row of the padding, `[W, C]`.
    pub(super) padding: &'a [u8],
}

/// Some pixels of an output row, and maybe of the next ones, and some channels of theirs.
struct Part {
    image: usize,
    /// The output row in the image.
    y: usize,
    rows: usize,
    pixels: Range<usize>,
    channels: Range<usize>,
}

/// Where the lanes of some neighbouring columns are.
struct Slots {
    columns: Range<usize>,
    columns_of_group: usize,
    lanes_of_panel: usize,
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
        let [height, width] = [self.geometry.output_height(), self.geometry.output_width()];
        let out_channels = self.filters.out_channels;
        let mut output = OutputRows::new(output, out_channels, pixel_stride);
        let rows = output.rows() / width;
        let segments = width.div_ceil(MAX_PIXELS);
        let most_channels = self.kernel.panels_of_lanes() * PANEL;
        for first_channel in (0..out_channels).step_by(most_channels) {
            let channels = first_channel..out_channels.min(first_channel + most_channels);
            for segment in 0..segments {
                let pixels = segment * width / segments..(segment + 1) * width / segments;
                let pixels_of_panel = rows * pixels.len();
                let (mut image, mut y) = (first_row / height, first_row % height);
                let mut row = 0;
                while row < rows {
                    let rows = self.rows_of_lanes.min(rows - row).min(height - y);
                    let part = Part { image, y, rows, pixels: pixels.clone(), channels: channels.clone() };
                    self.sum_part(&part, scratch, row * pixels.len(), pixels_of_panel);
                    row += rows;
                    y += rows;
                    if y == height {
                        (image, y) = (image + 1, 0);
                    }
                }
                // Rows that are whole are one row of pixels.
                let (runs, neighbours) =
                    if segments == 1 { (1, pixels_of_panel) } else { (rows, pixels.len()) };
                for (panel, first_column) in channels.clone().step_by(PANEL).enumerate() {
                    let columns = first_column..channels.end.min(first_column + PANEL);
                    for run in 0..runs {
                        let first = run * width + pixels.start;
                        let sums =
                            &scratch.sums.0[panel * pixels_of_panel + run * neighbours..][..neighbours];
                        let panels = Panels { count: 1, first_row: first_row * width + first, first_column };
                        let output = output.part(first..first + neighbours, columns.clone());
                        epilogue.finish_tiles(isa, &panels, &mut Some(sums), output);
                    }
                }
            }
        }
    }

    /// Computes the sums of `part`, which begin at `first_sum` of the `pixels` of each panel.
    fn sum_part(&self, part: &Part, scratch: &mut Scratch, first_sum: usize, pixels: usize) {
        let Scratch { repeated, lanes, sums: BlockSums(sums) } = scratch;
        let taps_of_lane = self.kernel.taps_of_lane();
        let columns = Columns::new(self.geometry, &part.pixels);
        let lanes_of_panel = self.taps(part).div_ceil(taps_of_lane) * columns.count;
        let panels = part.channels.len().div_ceil(PANEL);
        lanes.resize(self.kernel.panels_of_lanes() * lanes_of_panel, TapLanes::default());
        columns.for_each_run(self.geometry, |slots, column| {
            let slots = Slots { columns: slots, columns_of_group: columns.count, lanes_of_panel };
            self.make_lanes(part, &slots, column, repeated, lanes);
        });
        let zero_point = i32::from(self.zero_point);
        let kernel_width = self.geometry.kernel[1];
        let weights_len = kernel_width * self.groups;
        let pixels_of_row = part.pixels.len();
        for (panel, lanes) in lanes.chunks_exact(lanes_of_panel).take(panels).enumerate() {
            let index = part.channels.start / PANEL + panel;
            let initial = self.filters.sums[index].map(|sum| sum.wrapping_mul(-zero_point));
            for row in 0..part.rows {
                let first_tap = row * self.geometry.stride[0];
                let (first_group, shift) = (first_tap / taps_of_lane, first_tap % taps_of_lane);
                let first_weight = (index * self.weights.shifts + shift) * weights_len;
                let row_of_panel = DepthwiseRow {
                    lanes: &lanes[first_group * columns.count..],
                    columns: columns.count,
                    weights: &self.weights.lanes[first_weight..][..weights_len],
                    kernel_width,
                    groups: self.groups,
                    stride: columns.stride,
                    dilation: columns.dilation,
                    initial: &initial,
                };
                let first = panel * pixels + first_sum + row * pixels_of_row;
                self.kernel.sum_row(&row_of_panel, &mut sums[first..][..pixels_of_row]);
            }
        }
    }

    /// The taps of a column that the rows of a part look at.
    fn taps(&self, part: &Part) -> usize {
        self.geometry.kernel[0] + (part.rows - 1) * self.geometry.stride[0]
    }

    /// The input row under a row of taps; in the padding it consists of zero points.
    fn source(&self, part: &Part, tap: usize) -> &[u8] {
        // The taps of further rows are the next ones of the first: if there are any, the dilation is 1.
        match self.geometry.source(0, part.y, tap) {
            None => self.padding,
            Some(y) => {
                let row_len = self.padding.len();
                &self.input[(part.image * self.geometry.height + y) * row_len..][..row_len]
            }
        }
    }

    /// Makes the lanes of neighbouring columns, the first of which is `column` of the padded input.
    fn make_lanes(
        &self,
        part: &Part,
        slots: &Slots,
        column: usize,
        repeated: &mut Vec<u8>,
        lanes: &mut [TapLanes],
    ) {
        let Self { geometry, repeats, .. } = *self;
        let Slots { columns: ref slots, columns_of_group, lanes_of_panel } = *slots;
        let taps_of_lane = self.kernel.taps_of_lane();
        let taps = self.taps(part);
        // The columns that are in the image.
        let padding = geometry.padding[1];
        let before = padding.saturating_sub(column).min(slots.len());
        let end = (padding + geometry.width).saturating_sub(column).clamp(before, slots.len());
        let padding_lane = TapLanes::from_quads(|_| match taps_of_lane {
            2 => [self.zero_point, 0, self.zero_point, 0],
            _ => [self.zero_point; MAX_TAPS],
        });
        for lanes in lanes.chunks_exact_mut(columns_of_group) {
            let lanes = &mut lanes[slots.clone()];
            lanes[..before].fill(padding_lane);
            lanes[end..].fill(padding_lane);
        }
        if before == end {
            return;
        }
        let columns = column + before - padding..column + end - padding;
        let channels = part.channels.len();
        if repeats > 1 {
            repeated.clear();
            for tap in 0..taps {
                let source = self.source(part, tap);
                for pixel in source.chunks_exact(geometry.in_channels).take(columns.end).skip(columns.start) {
                    repeated.extend(part.channels.clone().map(|channel| pixel[channel / repeats]));
                }
            }
        }
        for (group, first) in (0..taps).step_by(taps_of_lane).enumerate() {
            let present = taps_of_lane.min(taps - first);
            let mut rows: [&[u8]; MAX_TAPS] = [&[]; MAX_TAPS];
            for (tap, row) in (first..first + present).zip(&mut rows) {
                *row = if repeats > 1 {
                    &repeated[tap * columns.len() * channels..]
                } else {
                    &self.source(part, tap)[columns.start * geometry.in_channels + part.channels.start..]
                };
            }
            let rows = TapRows {
                rows: &rows[..present],
                pixel_stride: if repeats > 1 { channels } else { geometry.in_channels },
                channels,
                columns: columns.len(),
                lanes_of_panel,
                first_lane: group * columns_of_group + slots.start + before,
            };
            self.kernel.make_lanes(&rows, lanes);
        }
    }
}
