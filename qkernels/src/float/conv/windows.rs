//! What the filter sees at each pixel of a tile, gathered into a matrix.

use std::ops::Range;

use crate::float::positions::positions_inside;
use crate::float::strided;
use crate::geometry::Conv2dGeometry;

/// Neighbouring output pixels of one row for which a filter tap lies inside the image.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The first of them, counted in the tile.
    first: usize,
    len: usize,
    /// What the tap sees there, as an index into the plane of a channel.
    source: usize,
}

/// What one filter tap sees of the tile.
#[derive(Debug, Default)]
struct Tap {
    runs: Vec<Run>,
    /// Whether it sees padding too.
    is_padded: bool,
}

/// The windows of a tile of output pixels. The memory is used again for the next tile.
#[derive(Debug, Default)]
pub(super) struct Windows {
    pixels: usize,
    taps: Vec<Tap>,
    values: Vec<f32>,
}

impl Windows {
    /// Turns to the tile of `pixels`, which count through one image.
    pub(super) fn locate(&mut self, geometry: &Conv2dGeometry, pixels: Range<usize>) {
        self.pixels = pixels.len();
        let [kernel_height, kernel_width] = geometry.kernel;
        let width = geometry.output_width();
        self.taps.resize_with(kernel_height * kernel_width, Tap::default);
        for (index, tap) in self.taps.iter_mut().enumerate() {
            tap.runs.clear();
            let (tap_y, tap_x) = (index / kernel_width, index % kernel_width);
            let shift = tap_x * geometry.dilation[1];
            let [stride, padding] = [geometry.stride[1], geometry.padding[1]];
            let inside = positions_inside(width, stride, padding, shift, geometry.width);
            for y in pixels.start / width..pixels.end.div_ceil(width) {
                let row = y * width;
                let start = (row + inside.start).max(pixels.start);
                let end = (row + inside.end).min(pixels.end);
                if start >= end {
                    continue;
                }
                let sources = (geometry.source(0, y, tap_y), geometry.source(1, start - row, tap_x));
                if let (Some(input_y), Some(input_x)) = sources {
                    let source = input_y * geometry.width + input_x;
                    tap.runs.push(Run { first: start - pixels.start, len: end - start, source });
                }
            }
            tap.is_padded = tap.runs.iter().map(|run| run.len).sum::<usize>() < self.pixels;
        }
    }

    /// Rows `rows` of the matrix `[C * KH * KW, pixels]`: row `[c, ky, kx]` holds what that tap sees of `planes`
    /// `[C, H, W]` at each pixel of the tile.
    #[inline(always)]
    pub(super) fn gather(&mut self, geometry: &Conv2dGeometry, planes: &[f32], rows: Range<usize>) -> &[f32] {
        let plane_len = geometry.height * geometry.width;
        let len = rows.len() * self.pixels;
        if self.values.len() < len {
            self.values.resize(len, 0.0);
        }
        let values = &mut self.values[..len];
        let first_tap = rows.start % self.taps.len();
        let planes = planes.chunks_exact(plane_len).skip(rows.start / self.taps.len());
        let places = planes.flat_map(|plane| self.taps.iter().map(move |tap| (plane, tap))).skip(first_tap);
        for (window, (plane, tap)) in values.chunks_exact_mut(self.pixels).zip(places) {
            if tap.is_padded {
                window.fill(0.0);
            }
            for run in &tap.runs {
                let window = &mut window[run.first..][..run.len];
                strided::copy(&plane[run.source..], geometry.stride[1], window);
            }
        }
        values
    }
}
