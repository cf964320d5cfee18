//! Planes with their padding, in the order in which a strided filter walks over them.

use crate::float::strided;
use crate::geometry::Conv2dGeometry;
use crate::isa::Isa;
use crate::kernels::float::{Rows, Unzipped, unzip_rows};

/// Planes are padded and, for stride `s`, dealt out to phases, every `s`-th row and column each. Where taps are so far
/// apart that most of a phase would be seen by none, each tap has a phase of its own, of what it sees.
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

/// A part of a phase that lies in the image, along one axis.
#[derive(Clone, Copy, Debug)]
struct Part {
    /// Where it begins in the phase.
    place: usize,
    /// Where it begins in the image.
    input: usize,
    len: usize,
}

impl Phase {
    /// What is in the image of `len` coordinates from the `first`-th on.
    fn part(&self, first: usize, len: usize, stride: usize) -> Part {
        let start = self.before.max(first);
        let end = (self.before + self.len).min(first + len);
        let input = self.input + (start - self.before) * stride;
        Part { place: start - first, input, len: end.saturating_sub(start) }
    }
}

/// How the taps along one axis share phases.
#[derive(Clone, Copy, Debug)]
struct Sharing {
    stride: usize,
    dilation: usize,
    /// Whether each tap has its own phase.
    is_apart: bool,
    /// Coordinates of a phase.
    len: usize,
}

impl Sharing {
    /// The way that takes fewer values, for `outputs` neighbouring windows.
    fn new(geometry: &Conv2dGeometry, axis: usize, outputs: usize) -> Self {
        let (stride, dilation) = (geometry.stride[axis], geometry.dilation[axis]);
        let taps = geometry.kernel[axis];
        let shared = outputs + (taps - 1) * dilation / stride;
        let phases = taps.min(stride / greatest_common_divisor(stride, dilation));
        let is_apart = taps.saturating_mul(outputs) < phases.saturating_mul(shared);
        Self { stride, dilation, is_apart, len: if is_apart { outputs } else { shared } }
    }

    /// The first coordinate of the phase that a tap sees, and where the tap lies in it.
    fn place(&self, tap: usize) -> (usize, usize) {
        let shift = tap * self.dilation;
        if self.is_apart { (shift, 0) } else { (shift % self.stride, shift / self.stride) }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

impl Phases {
    /// Sets the phases for that many neighbouring windows, `[rows, columns]`, and says whether it did: not if padding
    /// or dilation are so large that the phases would mostly be empty.
    ///
    /// They have no more values than the filter has taps in these windows.
    pub(super) fn set(&mut self, geometry: &Conv2dGeometry, windows: [usize; 2]) -> bool {
        let Self { axes, offsets, .. } = self;
        let sizes = [geometry.height, geometry.width];
        let sharing = [0, 1].map(|axis| Sharing::new(geometry, axis, windows[axis]));
        let [rows, row_len] = sharing.map(|sharing| sharing.len);
        for (axis, phases) in axes.iter_mut().enumerate() {
            let stride = geometry.stride[axis];
            phases.clear();
            phases.extend((0..geometry.kernel[axis]).map(|tap| {
                let (first, _) = sharing[axis].place(tap);
                let before = geometry.padding[axis].saturating_sub(first).div_ceil(stride);
                let input = before * stride + first - geometry.padding[axis];
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
        // From one phase, and from one of its coordinates, to the next.
        let steps = [[axes[1].len() * rows * row_len, row_len], [rows * row_len, 1]];
        for (axis, offsets) in offsets.iter_mut().enumerate() {
            let phases = &axes[axis];
            let offset = |tap| {
                let (first, place) = sharing[axis].place(tap);
                let phase = phases.partition_point(|phase| phase.first < first);
                phase * steps[axis][0] + place * steps[axis][1]
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

    /// Deals `plane` `[H, W]` out, for the windows from row and column `first` of the output on. What belongs to the
    /// padding stays as it is.
    #[inline(always)]
    pub(super) fn deal(
        &self,
        isa: Isa,
        geometry: &Conv2dGeometry,
        plane: &[f32],
        first: [usize; 2],
        phases: &mut [f32],
    ) {
        let [stride_y, stride_x] = geometry.stride;
        let len = self.rows * self.row_len;
        for (y, phases) in self.axes[0].iter().zip(phases.chunks_exact_mut(self.axes[1].len() * len)) {
            let y = y.part(first[0], self.rows, stride_y);
            if y.len == 0 {
                continue;
            }
            let rows = Rows { values: &plane[y.input * geometry.width..], stride: stride_y * geometry.width };
            let part_of = |x: &Phase| x.part(first[1], self.row_len, stride_x);
            // From the first value of the phase in the image to the last one.
            let range = |x: Part| {
                let start = y.place * self.row_len + x.place;
                start..start + (y.len - 1) * self.row_len + x.len
            };
            match (stride_x, &*self.axes[1]) {
                // Both in one pass.
                (2, [a, b]) if are_zipped([part_of(a), part_of(b)]) => {
                    let (phase, phases) = phases.split_at_mut(len);
                    let (a, b) = (part_of(a), part_of(b));
                    let (phase, other_phase) = (&mut phase[range(a)], &mut phases[range(b)]);
                    let (values, lens) = if a.input < b.input {
                        ([phase, other_phase], [a.len, b.len])
                    } else {
                        ([other_phase, phase], [b.len, a.len])
                    };
                    let rows = Rows { values: &rows.values[a.input.min(b.input)..], ..rows };
                    unzip_rows(isa, rows, Unzipped { values, lens, stride: self.row_len });
                }
                (_, axis) => {
                    for (x, phase) in axis.iter().map(part_of).zip(phases.chunks_exact_mut(len)) {
                        if x.len > 0 {
                            let rows = Rows { values: &rows.values[x.input..], ..rows };
                            strided::copy_rows(rows, stride_x, &mut phase[range(x)], self.row_len, x.len);
                        }
                    }
                }
            }
        }
    }
}

/// Whether two parts take turns in the image, in which they begin side by side.
fn are_zipped([a, b]: [Part; 2]) -> bool {
    a.len > 0 && b.len > 0 && a.input.abs_diff(b.input) == 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::float::conv::dense;
    use crate::geometry::Conv2dParameters;

    /// The time to fill them is then bounded by the products: a row of a million pixels is no reason to read it for each
    /// of its tiles.
    #[test]
    fn phases_of_a_tile_are_no_larger_than_what_its_filter_sees() {
        let sizes = [[1, 1_000_000], [1_000_000, 1], [7, 300_000], [56, 56], [3, 600]];
        let kernels = [[1, 3], [3, 1], [3, 3], [1, 101], [101, 1]];
        for ([height, width], kernel) in
            sizes.into_iter().flat_map(|size| kernels.map(|kernel| (size, kernel)))
        {
            for (stride, dilation) in [(1, 1), (2, 1), (1, 1000), (3, 1000), (1000, 3), (1000, 1000)] {
                let extent = kernel.map(|taps| (taps - 1) * dilation);
                let geometry = Conv2dGeometry::new(Conv2dParameters {
                    batch: 1,
                    in_channels: 4,
                    height,
                    width,
                    out_channels: 4,
                    kernel,
                    stride: [stride; 2],
                    padding: extent,
                    dilation: [dilation; 2],
                    groups: 1,
                })
                .unwrap();
                let windows = dense::tile_extents(&geometry);
                // A few tiles of 256 pixels, in rows of fewer than 512.
                assert!(windows[0] * windows[1] <= 256 + 2 * 512, "{windows:?} of {geometry:?}");
                let mut phases = Phases::default();
                assert!(phases.set(&geometry, windows));
                assert!(phases.len() <= windows[0] * windows[1] * kernel[0] * kernel[1], "{geometry:?}");
            }
        }
    }
}
