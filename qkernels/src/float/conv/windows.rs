//! What the filter sees at each pixel of a tile, gathered into panels.

use std::ops::Range;

use super::phases::Phases;
use crate::geometry::Conv2dGeometry;
use crate::isa::Isa;
use crate::kernels::float::Rows;

/// Neighbouring pixels of a panel whose windows are neighbours in a phase.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// Where the first row of the panels has them.
    place: usize,
    /// Where its window begins.
    source: usize,
}

/// The windows of a tile of output pixels. The memory is used again for the next tile.
///
/// In panels of `N` pixels, rows `[c, ky, kx]` with what that tap sees at each pixel.
#[derive(Debug, Default)]
pub(super) struct Windows {
    phases: Vec<f32>,
    panels: Vec<f32>,
    /// From one panel to the next.
    panel: usize,
    runs: Vec<Run>,
    /// The window of a single pixel.
    single: Vec<f32>,
}

impl Windows {
    /// Gathers for `channels` of `planes` `[C, H, W]` what is seen at `pixels`, which count through one image.
    #[inline(always)]
    pub(super) fn gather<const N: usize>(
        &mut self,
        isa: Isa,
        geometry: &Conv2dGeometry,
        phases: &Phases,
        planes: &[f32],
        channels: Range<usize>,
        pixels: Range<usize>,
    ) {
        let plane_len = geometry.height * geometry.width;
        let width = geometry.output_width();
        let first_row = pixels.start / width;
        // Of the only row, or of several.
        let first_column = if pixels.end <= (first_row + 1) * width { pixels.start % width } else { 0 };
        let planes = &planes[channels.start * plane_len..channels.end * plane_len];
        let pointwise = geometry.is_pointwise();
        let (source, stride) = if pointwise {
            (planes, plane_len)
        } else {
            let len = phases.len();
            // Behind the last value, for a vector that begins there.
            grow(&mut self.phases, channels.len() * len + N);
            self.phases[..channels.len() * len].fill(0.0);
            for (plane, dealt) in planes.chunks_exact(plane_len).zip(self.phases.chunks_exact_mut(len)) {
                phases.deal(isa, geometry, plane, [first_row, first_column], dealt);
            }
            (self.phases.as_slice(), len)
        };
        // Runs are copied in whole vectors, the last one of a panel beyond its end.
        self.panel = (channels.len() * geometry.kernel[0] * geometry.kernel[1] + 1) * N;
        grow(&mut self.panels, pixels.len().div_ceil(N) * self.panel);
        self.runs.clear();
        for (index, start) in pixels.clone().step_by(N).enumerate() {
            let (place, end) = (index * self.panel, (start + N).min(pixels.end));
            if pointwise {
                self.runs.push(Run { place, source: start });
            } else {
                let first = first_row * width + first_column;
                self.runs.extend(runs(place, start..end, width, first, phases.row_len));
            }
        }
        let mut row = 0;
        for channel in 0..channels.len() {
            for offset in phases.tap_offsets() {
                for run in &self.runs {
                    let from = &source[channel * stride + offset + run.source..];
                    let to = &mut self.panels[row + run.place..][..N];
                    match from.first_chunk::<N>() {
                        Some(from) => to.copy_from_slice(from),
                        None => copy_rest(from, to),
                    }
                }
                row += N;
            }
        }
    }

    /// Takes the window of the first pixel of the panel `index` for [`single`](Self::single).
    #[inline(always)]
    pub(super) fn take_single<const N: usize>(&mut self, index: usize) {
        let panel = &self.panels[index * self.panel..][..self.panel - N];
        self.single.clear();
        self.single.extend(panel.as_chunks::<N>().0.iter().map(|row| row[0]));
    }

    /// The values of one window, side by side.
    #[inline(always)]
    pub(super) fn single(&self) -> &[f32] {
        &self.single
    }

    /// The panel `index` and those behind it, [`panel_len`](Self::panel_len) apart.
    #[inline(always)]
    pub(super) fn panels_from<const N: usize>(&self, index: usize) -> Rows<'_> {
        Rows { values: &self.panels[index * self.panel..], stride: N }
    }

    #[inline(always)]
    pub(super) fn panel_len(&self) -> usize {
        self.panel
    }
}

/// The runs of a panel's `pixels` in an image of this width, whose phases begin with the window of pixel `first`.
#[inline(always)]
fn runs(
    place: usize,
    pixels: Range<usize>,
    width: usize,
    first: usize,
    row_len: usize,
) -> impl Iterator<Item = Run> {
    (pixels.start / width..pixels.end.div_ceil(width)).map(move |row| {
        let start = (row * width).max(pixels.start);
        let (below, column) = (row - first / width, start - row * width - first % width);
        Run { place: place + start - pixels.start, source: below * row_len + column }
    })
}

/// What is left of the input. On its own, as one copy of either length would be slower than that of a whole vector.
#[cold]
#[inline(never)]
fn copy_rest(from: &[f32], to: &mut [f32]) {
    to[..from.len()].copy_from_slice(from);
}

fn grow(values: &mut Vec<f32>, len: usize) {
    if values.len() < len {
        values.resize(len, 0.0);
    }
}
