//! Which columns of the padded input an output row looks at.

use std::ops::Range;

use crate::geometry::Conv2dGeometry;

/// Which columns of the padded input have lanes, for some pixels of an output row.
pub(super) struct Columns {
    pixels: Range<usize>,
    pub(super) count: usize,
    /// Lanes from one pixel's first column to that of the next.
    pub(super) stride: usize,
    /// Lanes from one column of a pixel to the next.
    pub(super) dilation: usize,
}

impl Columns {
    pub(super) fn new(geometry: &Conv2dGeometry, pixels: &Range<usize>) -> Self {
        let [_, width] = geometry.kernel;
        let ([_, stride], [_, dilation]) = (geometry.stride, geometry.dilation);
        let pixels = pixels.clone();
        // Neighbouring pixels share columns, unless these are so far apart that most of them are under no tap.
        let shared = (pixels.len() - 1) * stride + (width - 1) * dilation + 1;
        let own = pixels.len() * width;
        if shared <= own {
            Self { pixels, count: shared, stride, dilation }
        } else {
            Self { pixels, count: own, stride: width, dilation: 1 }
        }
    }

    /// Calls `run` with some lanes and the first of the neighbouring columns they belong to.
    pub(super) fn for_each_run(&self, geometry: &Conv2dGeometry, mut run: impl FnMut(Range<usize>, usize)) {
        let ([_, stride], [_, dilation]) = (geometry.stride, geometry.dilation);
        if (self.stride, self.dilation) == (stride, dilation) {
            return run(0..self.count, self.pixels.start * stride);
        }
        for lane in 0..self.count {
            let (pixel, tap) = (self.pixels.start + lane / self.stride, lane % self.stride);
            run(lane..lane + 1, pixel * stride + tap * dilation);
        }
    }
}
