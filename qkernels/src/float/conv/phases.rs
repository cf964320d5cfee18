//! Planes with their padding, in the order in which a strided filter walks over them.

use crate::float::strided;
use crate::geometry::Conv2dGeometry;

/// Planes are padded and, for stride `s`, dealt out to phases, every `s`-th row and column each.
///
/// Then what a filter tap sees at neighbouring output pixels are neighbours in memory: the window at row `y` and
/// column `x` of the output begins at `y * row_len + x`, and there a tap is its offset away, whatever stride, dilation
/// and padding are.
#[derive(Debug)]
pub(super) struct Phases {
    /// The phases that taps see, along each axis.
    axes: [Vec<Phase>; 2],
    /// Rows of a phase.
    rows: usize,
    pub(super) row_len: usize,
    /// Of each filter tap.
    pub(super) offsets: Vec<usize>,
}

/// Every `stride`-th coordinate along one axis.
#[derive(Clone, Copy, Debug)]
struct Phase {
    /// Its first coordinate in the padded image.
    first: usize,
    /// Its coordinates before the image.
    before: usize,
    /// Its first coordinate in the image.
    input: usize,
    /// How many of its coordinates lie in the image.
    len: usize,
}

impl Phases {
    /// For windows in up to `output_rows` neighbouring rows of the output, unless padding or dilation are so large that
    /// the phases would mostly be empty.
    pub(super) fn new(geometry: &Conv2dGeometry, output_rows: usize) -> Option<Self> {
        let sizes = [geometry.height, geometry.width];
        let outputs = [output_rows, geometry.output_width()];
        let shift = |axis: usize, tap: usize| tap * geometry.dilation[axis];
        let [rows, row_len] =
            [0, 1].map(|axis| outputs[axis] + shift(axis, geometry.kernel[axis] - 1) / geometry.stride[axis]);
        let axes = [0, 1].map(|axis| {
            let stride = geometry.stride[axis];
            let mut firsts: Vec<usize> =
                (0..geometry.kernel[axis]).map(|tap| shift(axis, tap) % stride).collect();
            firsts.sort_unstable();
            firsts.dedup();
            let phase = |first| {
                let before = geometry.padding[axis].saturating_sub(first).div_ceil(stride);
                let input = before.saturating_mul(stride).saturating_add(first) - geometry.padding[axis];
                Phase { first, before, input, len: sizes[axis].saturating_sub(input).div_ceil(stride) }
            };
            firsts.into_iter().map(phase).collect::<Vec<_>>()
        });
        let len = [rows, row_len, axes[0].len(), axes[1].len()].into_iter().fold(1, usize::saturating_mul);
        let plane = geometry.height * geometry.width + geometry.output_height() * geometry.output_width();
        if len > plane.saturating_mul(16).saturating_add(1 << 16) {
            return None;
        }
        let place = |axis: usize, tap: usize| {
            let first = shift(axis, tap) % geometry.stride[axis];
            axes[axis].iter().position(|phase| phase.first == first).unwrap_or_default()
        };
        let offset = |tap: usize| {
            let [y, x] = [tap / geometry.kernel[1], tap % geometry.kernel[1]];
            let phase = place(0, y) * axes[1].len() + place(1, x);
            let [row, column] = [(0, y), (1, x)].map(|(axis, tap)| shift(axis, tap) / geometry.stride[axis]);
            (phase * rows + row) * row_len + column
        };
        let offsets = (0..geometry.kernel[0] * geometry.kernel[1]).map(offset).collect();
        Some(Self { axes, rows, row_len, offsets })
    }

    /// Values of all phases.
    pub(super) fn len(&self) -> usize {
        self.axes[0].len() * self.axes[1].len() * self.rows * self.row_len
    }

    /// Deals `plane` `[H, W]` out, for the windows from row `first_row` of the output on. What belongs to the padding stays
    /// as it is.
    #[inline(always)]
    pub(super) fn deal(
        &self,
        geometry: &Conv2dGeometry,
        plane: &[f32],
        first_row: usize,
        phases: &mut [f32],
    ) {
        let [stride_y, stride_x] = geometry.stride;
        let mut first = 0;
        for y in &self.axes[0] {
            let inside = y.before.max(first_row)..(y.before + y.len).min(first_row + self.rows);
            for x in &self.axes[1] {
                let before = x.before.min(self.row_len);
                let len = x.len.min(self.row_len - before);
                for row in inside.clone() {
                    let input = (y.input + (row - y.before) * stride_y) * geometry.width;
                    let input = plane[input..][..geometry.width].get(x.input..).unwrap_or_default();
                    let at = first + (row - first_row) * self.row_len + before;
                    strided::copy(input, stride_x, &mut phases[at..][..len]);
                }
                first += self.rows * self.row_len;
            }
        }
    }
}
