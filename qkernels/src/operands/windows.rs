//! The left side of the product as windows of images, for kernels that read rows at equal distances.

use std::ops::Range;

use crate::panel::{QUAD, Runs};

/// The windows of a batch of images, one for each output pixel; the axes of pairs are height and width.
///
/// A row consists of the bytes under its window, one row of taps after the other.
#[derive(Clone, Copy)]
pub(crate) struct Windows<'a> {
    pub(crate) input: &'a [u8],
    pub(crate) zero_point: u8,
    /// Pixels of an image.
    pub(crate) size: [usize; 2],
    /// Output pixels of an image.
    pub(crate) output_size: [usize; 2],
    /// Bytes of a pixel.
    pub(crate) pixel_len: usize,
    pub(crate) stride: [usize; 2],
    pub(crate) padding: [usize; 2],
    /// Taps of a filter, as many runs as there are rows of them.
    pub(crate) kernel: [usize; 2],
    pub(crate) dilation_of_rows: usize,
}

/// Windows of some output rows of an image, all of whose pixels lie in memory.
#[derive(Clone, Copy)]
pub(crate) struct PaddedWindows<'a> {
    /// The first window begins here.
    pub(crate) bytes: &'a [u8],
    /// From a window to the next one of its row, and from a row of windows to the next one.
    pub(crate) strides: [usize; 2],
    /// From a run of a window to the next one.
    pub(crate) run_stride: usize,
}

impl<'a> Windows<'a> {
    /// The rows of a matrix of rows of that length.
    pub(crate) fn of_matrix(input: &'a [u8], row_len: usize, zero_point: u8) -> Self {
        let size = [1, input.len() / row_len];
        Self {
            input,
            zero_point,
            size,
            output_size: size,
            pixel_len: row_len,
            stride: [1, 1],
            padding: [0, 0],
            kernel: [1, 1],
            dilation_of_rows: 1,
        }
    }

    pub(crate) fn runs(&self) -> Runs {
        Runs { count: self.kernel[0], len: self.kernel[1] * self.pixel_len }
    }

    /// Whether all windows can be read where they are.
    fn is_padded(&self) -> bool {
        self.padding != [0, 0] || !self.runs().len.is_multiple_of(QUAD)
    }

    /// Pixels that the windows of a row cover.
    fn covered_width(&self) -> usize {
        (self.output_size[1] - 1) * self.stride[1] + self.kernel[1]
    }

    /// Pixels, from top to bottom, that so many rows of windows cover.
    fn covered_height(&self, rows: usize) -> usize {
        (rows - 1) * self.stride[0] + (self.kernel[0] - 1) * self.dilation_of_rows + 1
    }

    /// Bytes that a copy of what so many rows of windows cover would take; `None` if they are better not copied, as
    /// they are mostly padding.
    pub(crate) fn copy_len(&self, rows: usize) -> Option<usize> {
        if !self.is_padded() {
            return Some(0);
        }
        let [height, width] = self.size;
        let [covered_height, covered_width] = [self.covered_height(rows), self.covered_width()];
        let is_image = covered_width <= 2 * width && covered_height <= 2 * height + rows;
        is_image.then(|| covered_height * covered_width * self.pixel_len + QUAD)
    }

    /// The windows of `rows` of the output of an image, in `copy` of [that length](Self::copy_len) if they must be.
    pub(crate) fn pad<'w>(&self, image: usize, rows: Range<usize>, copy: &'w mut [u8]) -> PaddedWindows<'w>
    where
        'a: 'w,
    {
        let [height, width] = self.size;
        let input_row = width * self.pixel_len;
        let input = &self.input[image * height * input_row..][..height * input_row];
        let first = rows.start * self.stride[0];
        let windows = |bytes, row_len| PaddedWindows {
            bytes,
            strides: [self.stride[1] * self.pixel_len, self.stride[0] * row_len],
            run_stride: self.dilation_of_rows * row_len,
        };
        if !self.is_padded() {
            return windows(&input[first * input_row..], input_row);
        }
        let row_len = self.covered_width() * self.pixel_len;
        let before = (self.padding[1] * self.pixel_len).min(row_len);
        let inside = before..row_len.min(before + input_row);
        for (y, copy) in (first..).zip(copy.chunks_exact_mut(row_len)) {
            match y.checked_sub(self.padding[0]).filter(|&y| y < height) {
                None => copy.fill(self.zero_point),
                Some(y) => {
                    copy[..before].fill(self.zero_point);
                    copy[inside.clone()].copy_from_slice(&input[y * input_row..][..inside.len()]);
                    copy[inside.end..].fill(self.zero_point);
                }
            }
        }
        windows(copy, row_len)
    }
}
