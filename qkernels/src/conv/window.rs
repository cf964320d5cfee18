//! The window of an output pixel as a row of the matrix product, in the order `[KH, KW, C / groups]`.
//!
//! Neighbouring pixels of an image are neighbours in memory, so that all taps of a filter row can be one run; with
//! dilation or groups every tap is a run of its own.

use std::ops::Range;

use crate::geometry::Conv2dGeometry;
#[cfg(target_arch = "x86_64")]
use crate::operands::Windows;
use crate::operands::{Rows, RunTable};
use crate::panel::{QUAD, Runs};

/// The runs of packed weights: one for each tap, or for each row of taps if those of a single tap would have to be
/// filled up.
pub(super) fn packed_runs(geometry: &Conv2dGeometry) -> Runs {
    let channels = geometry.in_channels / geometry.groups;
    let taps = if channels.is_multiple_of(QUAD) { 1 } else { neighbouring_taps(geometry) };
    runs(geometry, taps)
}

fn runs(geometry: &Conv2dGeometry, taps_of_run: usize) -> Runs {
    let [height, width] = geometry.kernel;
    let channels = geometry.in_channels / geometry.groups;
    Runs { count: height * (width / taps_of_run), len: taps_of_run * channels }
}

/// Taps of a filter row that are neighbours in memory.
fn neighbouring_taps(geometry: &Conv2dGeometry) -> usize {
    if geometry.dilation[1] == 1 && geometry.groups == 1 { geometry.kernel[1] } else { 1 }
}

/// Whether no window has tap `tap` of a filter row in the image.
fn is_always_padding(geometry: &Conv2dGeometry, tap: usize) -> bool {
    (0..geometry.output_width()).all(|x| geometry.source(1, x, tap).is_none())
}

/// All windows of a batch of images, one for each output pixel.
pub(super) struct WindowRows<'a> {
    geometry: &'a Conv2dGeometry,
    input: &'a [u8],
    zero_point: u8,
    taps_of_run: usize,
}

/// Windows of neighbours in one row of output pixels.
struct Neighbours {
    /// Their rows in the table.
    rows: Range<usize>,
    /// The first one's position in the row.
    x: usize,
    group: usize,
}

impl<'a> WindowRows<'a> {
    /// Of an input whose length has been checked.
    pub(super) fn new(geometry: &'a Conv2dGeometry, input: &'a [u8], zero_point: u8) -> Self {
        // Long runs are fewer, but one that is all padding is not multiplied at all: a 3x3 filter on an image of one
        // pixel has a single tap to look at.
        let can_be_single = packed_runs(geometry).count == geometry.kernel[0] * geometry.kernel[1];
        let taps_of_run =
            if can_be_single && (0..geometry.kernel[1]).any(|tap| is_always_padding(geometry, tap)) {
                1
            } else {
                neighbouring_taps(geometry)
            };
        Self { geometry, input, zero_point, taps_of_run }
    }

    /// Position in its row, row and image of an output pixel.
    fn pixel(&self, row: usize) -> [usize; 3] {
        let [height, width] = [self.geometry.output_height(), self.geometry.output_width()];
        [row % width, row / width % height, row / width / height]
    }

    /// Locates a run of the windows of `neighbours` in the input row that begins at pixel `first_pixel`; `tap` is the
    /// first tap of the run.
    fn locate_run(
        &self,
        run: usize,
        tap: usize,
        first_pixel: usize,
        neighbours: &Neighbours,
        table: &mut RunTable<'_>,
    ) {
        let geometry = self.geometry;
        let (stride, padding) = (geometry.stride[1], geometry.padding[1]);
        let channels = geometry.in_channels / geometry.groups;
        let offset = tap * geometry.dilation[1];
        let Neighbours { ref rows, x, group } = *neighbours;
        // Windows from `inside.start` on begin in the image, those before `inside.end` end in it.
        let inside = {
            let first = padding.saturating_sub(offset).div_ceil(stride);
            let end = (padding + geometry.width)
                .checked_sub(offset + self.taps_of_run)
                .map_or(0, |last| last / stride + 1);
            let first = first.clamp(x, x + rows.len());
            first..end.clamp(first, x + rows.len())
        };
        let row = |x_of_row: usize| rows.start + (x_of_row - x);
        if !inside.is_empty() {
            let pixel = first_pixel + (inside.start * stride + offset - padding);
            let first = pixel * geometry.in_channels + group * channels;
            table.point(
                run,
                row(inside.start)..row(inside.end),
                first,
                stride.saturating_mul(geometry.in_channels),
            );
        }
        for x in (x..inside.start).chain(inside.end..x + rows.len()) {
            // The taps that are in the image.
            let start = x * stride + offset;
            let before = padding.saturating_sub(start).min(self.taps_of_run);
            let end = (padding + geometry.width).saturating_sub(start).clamp(before, self.taps_of_run);
            if before == end {
                table.pad(run, row(x)..row(x) + 1);
            } else {
                let first =
                    (first_pixel + (start + before - padding)) * geometry.in_channels + group * channels;
                table.copy(run, row(x), before * channels, first..first + (end - before) * channels);
            }
        }
    }
}

impl Rows for WindowRows<'_> {
    fn runs(&self) -> Runs {
        runs(self.geometry, self.taps_of_run)
    }

    fn locate(&self, rows: Range<usize>, group: usize, table: &mut RunTable<'_>) {
        let geometry = self.geometry;
        let [kernel_height, kernel_width] = geometry.kernel;
        let runs_of_tap_row = kernel_width / self.taps_of_run;
        let mut row = rows.start;
        while row < rows.end {
            let [x, y, image] = self.pixel(row);
            let first = row - rows.start;
            let count = (geometry.output_width() - x).min(rows.end - row);
            let neighbours = Neighbours { rows: first..first + count, x, group };
            for tap_y in 0..kernel_height {
                let input_y = geometry.source(0, y, tap_y);
                for i in 0..runs_of_tap_row {
                    let run = tap_y * runs_of_tap_row + i;
                    match input_y {
                        None => table.pad(run, neighbours.rows.clone()),
                        Some(input_y) => {
                            let first_pixel = (image * geometry.height + input_y) * geometry.width;
                            self.locate_run(run, i, first_pixel, &neighbours, table);
                        }
                    }
                }
            }
            row += count;
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn windows(&self) -> Option<Windows<'_>> {
        let geometry = self.geometry;
        let has_rows_of_taps = geometry.groups == 1 && self.taps_of_run == geometry.kernel[1];
        has_rows_of_taps.then(|| Windows {
            input: self.input,
            zero_point: self.zero_point,
            size: [geometry.height, geometry.width],
            output_size: [geometry.output_height(), geometry.output_width()],
            pixel_len: geometry.in_channels,
            stride: geometry.stride,
            padding: geometry.padding,
            kernel: geometry.kernel,
            dilation_of_rows: geometry.dilation[0],
        })
    }

    fn neighbours(&self) -> usize {
        self.geometry.output_width()
    }

    fn input(&self) -> &[u8] {
        self.input
    }

    fn span(&self, rows: Range<usize>) -> &[u8] {
        let geometry = self.geometry;
        let row_len = geometry.width * geometry.in_channels;
        let [_, first_y, first_image] = self.pixel(rows.start);
        let [_, last_y, last_image] = self.pixel(rows.end - 1);
        let (stride, padding) = (geometry.stride[0], geometry.padding[0]);
        let extent = (geometry.kernel[0] - 1) * geometry.dilation[0] + 1;
        let first = (first_y * stride).saturating_sub(padding).min(geometry.height);
        let end = (last_y * stride + extent).saturating_sub(padding).min(geometry.height);
        let first = first_image * geometry.height + first;
        let end = last_image * geometry.height + end;
        &self.input[first * row_len..end.max(first) * row_len]
    }

    fn zero_point(&self) -> u8 {
        self.zero_point
    }
}
