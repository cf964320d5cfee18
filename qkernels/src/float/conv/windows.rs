//! What the filter sees at each pixel of a tile, gathered into panels.

use std::ops::Range;

use super::phases::Phases;
use crate::geometry::Conv2dGeometry;
use crate::kernels::float::Rows;

/// Neighbouring pixels of a panel whose windows are neighbours in a phase.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// The first of them, counted in the panel.
    column: usize,
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
    /// Values of a panel.
    panel: usize,
    runs: Vec<Run>,
}

impl Windows {
    /// Gathers for `channels` of `planes` `[C, H, W]` what is seen at `pixels`, which count through one image.
    #[inline(always)]
    pub(super) fn gather<const N: usize>(
        &mut self,
        geometry: &Conv2dGeometry,
        phases: &Phases,
        planes: &[f32],
        channels: Range<usize>,
        pixels: Range<usize>,
    ) {
        let plane_len = geometry.height * geometry.width;
        let first_row = pixels.start / geometry.output_width();
        let planes = &planes[channels.start * plane_len..channels.end * plane_len];
        let pointwise = geometry.is_pointwise();
        let (source, stride) = if pointwise {
            (planes, plane_len)
        } else {
            let len = phases.len();
            // Runs are copied in whole vectors, which may begin at the last value; so below.
            grow(&mut self.phases, channels.len() * len + N);
            self.phases[..channels.len() * len].fill(0.0);
            for (plane, dealt) in planes.chunks_exact(plane_len).zip(self.phases.chunks_exact_mut(len)) {
                phases.deal(geometry, plane, first_row, dealt);
            }
            (self.phases.as_slice(), len)
        };
        self.panel = channels.len() * phases.offsets.len() * N;
        grow(&mut self.panels, pixels.len().div_ceil(N) * self.panel + N);
        for (index, start) in pixels.clone().step_by(N).enumerate() {
            let panel = start..(start + N).min(pixels.end);
            self.runs.clear();
            if pointwise {
                self.runs.push(Run { column: 0, source: start });
            } else {
                self.runs.extend(runs(panel, geometry.output_width(), first_row, phases.row_len));
            }
            let mut at = index * self.panel;
            for channel in 0..channels.len() {
                for offset in &phases.offsets {
                    for run in &self.runs {
                        let from = &source[channel * stride + offset + run.source..];
                        let to = &mut self.panels[at + run.column..][..N];
                        match from.first_chunk::<N>() {
                            Some(from) => to.copy_from_slice(from),
                            None => to[..from.len()].copy_from_slice(from),
                        }
                    }
                    at += N;
                }
            }
        }
    }

    /// The panel `index`.
    #[inline(always)]
    pub(super) fn panel<const N: usize>(&self, index: usize) -> Rows<'_> {
        Rows { values: &self.panels[index * self.panel..][..self.panel], stride: N }
    }
}

/// The runs of neighbouring `pixels` in an image of this width.
#[inline(always)]
fn runs(pixels: Range<usize>, width: usize, first_row: usize, row_len: usize) -> impl Iterator<Item = Run> {
    (pixels.start / width..pixels.end.div_ceil(width)).map(move |row| {
        let start = (row * width).max(pixels.start);
        Run { column: start - pixels.start, source: (row - first_row) * row_len + start - row * width }
    })
}

fn grow(values: &mut Vec<f32>, len: usize) {
    if values.len() < len {
        values.resize(len, 0.0);
    }
}
