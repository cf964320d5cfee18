//! A padded plane in the order in which a strided filter walks over it.

use crate::float::strided;
use crate::geometry::Conv2dGeometry;

/// Planes are padded and, for stride `s`, dealt out to `s * s` phases, every `s`-th row and column each.
///
/// Then what a filter tap sees at neighbouring output pixels are neighbours in memory, across the ends of rows
/// too: the window at row `y` and column `x` of the output begins at `y * row_len + x`, and there a tap is its
/// offset away, whatever stride, dilation and padding are.
#[derive(Debug)]
pub(super) struct Phases {
    starts: [Vec<Start>; 2],
    rows: usize,
    pub(super) row_len: usize,
    /// Of each filter tap.
    pub(super) offsets: Vec<usize>,
}

/// Where the image begins in a phase, along one axis.
#[derive(Clone, Copy, Debug)]
struct Start {
    /// The first coordinate of the image that belongs to the phase.
    input: usize,
    /// Its place in the phase, behind the padding.
    phase: usize,
    /// How many coordinates of the image belong to the phase.
    len: usize,
}

impl Phases {
    /// For a depthwise convolution, unless padding or stride are so large that the phases would mostly be empty.
    pub(super) fn for_depthwise(geometry: &Conv2dGeometry) -> Option<Self> {
        let sizes = [geometry.height, geometry.width];
        // Does not overflow: the padded size was computed when the geometry was checked.
        let padded = [0, 1].map(|axis| sizes[axis] + 2 * geometry.padding[axis]);
        let [rows, row_len] = [0, 1].map(|axis| (padded[axis] - 1) / geometry.stride[axis] + 1);
        let plane = geometry.height * geometry.width;
        let bearable = plane.saturating_mul(16).saturating_add(1 << 16);
        let [stride_y, stride_x] = geometry.stride;
        let len = [rows, row_len, stride_y, stride_x].into_iter().fold(1, usize::saturating_mul);
        if !geometry.is_depthwise() || len > bearable {
            return None;
        }
        let starts = [0, 1].map(|axis| {
            let (stride, padding) = (geometry.stride[axis], geometry.padding[axis]);
            let start = |phase| {
                let input = (phase + stride - padding % stride) % stride;
                let len = sizes[axis].saturating_sub(input).div_ceil(stride);
                Start { input, phase: (input + padding) / stride, len }
            };
            (0..stride).map(start).collect()
        });
        let offset = |tap: usize| {
            let place = [tap / geometry.kernel[1], tap % geometry.kernel[1]];
            let [y, x] = [0, 1].map(|axis| place[axis] * geometry.dilation[axis]);
            let phase = y % stride_y * stride_x + x % stride_x;
            (phase * rows + y / stride_y) * row_len + x / stride_x
        };
        let offsets = (0..geometry.kernel[0] * geometry.kernel[1]).map(offset).collect();
        Some(Self { starts, rows, row_len, offsets })
    }

    /// Values of all phases.
    pub(super) fn len(&self) -> usize {
        self.starts[0].len() * self.starts[1].len() * self.rows * self.row_len
    }

    /// Deals `plane` `[H, W]` out. What belongs to the padding stays as it is.
    #[inline(always)]
    pub(super) fn deal(&self, geometry: &Conv2dGeometry, plane: &[f32], phases: &mut [f32]) {
        let [stride_y, stride_x] = geometry.stride;
        let mut first_row = 0;
        for start_y in &self.starts[0] {
            let rows = plane.chunks_exact(geometry.width).skip(start_y.input).step_by(stride_y);
            for (row, values) in rows.enumerate() {
                let mut at = (first_row + start_y.phase + row) * self.row_len;
                for start_x in &self.starts[1] {
                    let values = values.get(start_x.input..).unwrap_or_default();
                    strided::copy(values, stride_x, &mut phases[at + start_x.phase..][..start_x.len]);
                    at += self.rows * self.row_len;
                }
            }
            first_row += self.starts[1].len() * self.rows;
        }
    }
}
