//! Planes with their padding, in the order in which a strided filter walks over them.

use crate::float::strided;
use crate::geometry::Conv2dGeometry;
use crate::isa::Isa;
use crate::kernels::float::{Rows, Unzipped, unzip_rows};

/// Planes are padded and, for stride `s`, dealt out to phases, every `s`-th row and column each.
///
/// Then what a filter tap sees at neighbouring output pixels are neighbours in memory: the window at row `y` and
/// column `x` of the output begins at `y * row_len + x`, and there a tap is its offset away, whatever stride,
/// dilation and padding are. The memory is used again for the next geometry.
#[derive(Debug, Default)]
pub(super) struct Phases {
    /// The phases that taps see, along each axis.
    axes: [Vec<Phase>; 2],
    /// Rows of a phase.
    rows: usize,
    pub(super) row_len: usize,
    /// Of each row and column of the filter's taps.
    pub(super) offsets: [Vec<usize>; 2],
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
    /// Sets the phases for windows in up to `output_rows` neighbouring rows of the output, and says whether it did:
    /// not if padding or dilation are so large that the phases would mostly be empty.
    pub(super) fn set(&mut self, geometry: &Conv2dGeometry, output_rows: usize) -> bool {
        let Self { axes, offsets, .. } = self;
        let sizes = [geometry.height, geometry.width];
        let outputs = [output_rows, geometry.output_width()];
        let shift = |axis: usize, tap: usize| tap * geometry.dilation[axis];
        let [rows, row_len] =
            [0, 1].map(|axis| outputs[axis] + shift(axis, geometry.kernel[axis] - 1) / geometry.stride[axis]);
        for (axis, phases) in axes.iter_mut().enumerate() {
            let stride = geometry.stride[axis];
            phases.clear();
            phases.extend((0..geometry.kernel[axis]).map(|tap| {
                let first = shift(axis, tap) % stride;
                let before = geometry.padding[axis].saturating_sub(first).div_ceil(stride);
                let input = before.saturating_mul(stride).saturating_add(first) - geometry.padding[axis];
                Phase { first, before, input, len: sizes[axis].saturating_sub(input).div_ceil(stride) }
            }));
            phases.sort_unstable_by_key(|phase| phase.first);
            phases.dedup_by_key(|phase| phase.first);
        }
        let len = [rows, row_len, axes[0].len(), axes[1].len()].into_iter().fold(1, usize::saturating_mul);
        let plane = geometry.height * geometry.width + geometry.output_height() * geometry.output_width();
        if len > plane.saturating_mul(16).saturating_add(1 << 16) {
            return false;
        }
        let place = |axis: usize, tap: usize| {
            let first = shift(axis, tap) % geometry.stride[axis];
            axes[axis].iter().position(|phase| phase.first == first).unwrap_or_default()
        };
        // From one phase, and from one of its coordinates, to the next.
        let steps = [[axes[1].len() * rows * row_len, row_len], [rows * row_len, 1]];
        for (axis, offsets) in offsets.iter_mut().enumerate() {
            let offset = |tap| {
                place(axis, tap) * steps[axis][0] + shift(axis, tap) / geometry.stride[axis] * steps[axis][1]
            };
            offsets.clear();
            offsets.extend((0..geometry.kernel[axis]).map(offset));
        }
        (self.rows, self.row_len) = (rows, row_len);
        true
    }

    /// Where each filter tap lies, seen from its window.
    pub(super) fn tap_offsets(&self) -> impl Iterator<Item = usize> {
        let [rows, columns] = &self.offsets;
        rows.iter().flat_map(move |row| columns.iter().map(move |column| row + column))
    }

    /// Values of all phases.
    pub(super) fn len(&self) -> usize {
        self.axes[0].len() * self.axes[1].len() * self.rows * self.row_len
    }

    /// Deals `plane` `[H, W]` out, for the windows from row `first_row` of the output on. What belongs to the padding
    /// stays as it is.
    #[inline(always)]
    pub(super) fn deal(
        &self,
        isa: Isa,
        geometry: &Conv2dGeometry,
        plane: &[f32],
        first_row: usize,
        phases: &mut [f32],
    ) {
        let [stride_y, stride_x] = geometry.stride;
        let len = self.rows * self.row_len;
        for (y, phases) in self.axes[0].iter().zip(phases.chunks_exact_mut(self.axes[1].len() * len)) {
            let inside = y.before.max(first_row)..(y.before + y.len).min(first_row + self.rows);
            if inside.is_empty() {
                continue;
            }
            let row = (y.input + (inside.start - y.before) * stride_y) * geometry.width;
            let rows = Rows { values: &plane[row..], stride: stride_y.saturating_mul(geometry.width) };
            // The part of a phase that is in the image, and how many values each of its rows has.
            let first = (inside.start - first_row) * self.row_len;
            let part_of = |x: &Phase| {
                let before = x.before.min(self.row_len);
                let width = x.len.min(self.row_len - before);
                let len = if width == 0 { 0 } else { (inside.len() - 1) * self.row_len + width };
                (first + before..first + before + len, width)
            };
            match (stride_x, &*self.axes[1]) {
                // Both in one pass.
                (2, [x, other]) if [x, other].iter().all(|x| part_of(x).1 > 0) => {
                    let (phase, phases) = phases.split_at_mut(len);
                    let ((part, width), (other_part, other_width)) = (part_of(x), part_of(other));
                    let (phase, other_phase) = (&mut phase[part], &mut phases[other_part]);
                    let (values, lens) = if x.input < other.input {
                        ([phase, other_phase], [width, other_width])
                    } else {
                        ([other_phase, phase], [other_width, width])
                    };
                    unzip_rows(isa, rows, Unzipped { values, lens, stride: self.row_len });
                }
                (_, axis) => {
                    for (x, phase) in axis.iter().zip(phases.chunks_exact_mut(len)) {
                        let (part, width) = part_of(x);
                        if width > 0 {
                            let rows = Rows { values: &rows.values[x.input..], ..rows };
                            strided::copy_rows(rows, stride_x, &mut phase[part], self.row_len, width);
                        }
                    }
                }
            }
        }
    }
}
