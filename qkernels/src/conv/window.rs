//! The window of an output pixel as a row of the matrix product, in the order `[KH, KW, C / groups]`.

use crate::gemm::Rows;
use crate::geometry::Conv2dGeometry;

/// All windows of a batch of images, one for each output pixel.
pub(super) struct WindowRows<'a> {
    pub(super) geometry: &'a Conv2dGeometry,
    pub(super) input: &'a [u8],
    pub(super) zero_point: u8,
}

impl Rows for WindowRows<'_> {
    fn bytes<'a>(&'a self, row: usize, group: usize, buffer: &'a mut [u8]) -> &'a [u8] {
        let geometry = self.geometry;
        let x = row % geometry.output_width();
        let y = row / geometry.output_width() % geometry.output_height();
        let image = row / geometry.output_width() / geometry.output_height();
        let channels = geometry.in_channels / geometry.groups;
        let width = geometry.kernel[1] * channels;
        for (tap, values) in buffer.chunks_exact_mut(width).enumerate() {
            let Some(input_y) = geometry.source(0, y, tap) else {
                values.fill(self.zero_point);
                continue;
            };
            let row_len = geometry.width * geometry.in_channels;
            let first = (image * geometry.height + input_y) * row_len;
            let input_row = &self.input[first..first + row_len];
            if geometry.dilation[1] == 1 && geometry.groups == 1 {
                self.copy_contiguous(input_row, x, values);
            } else {
                self.copy_by_taps(input_row, x, group, values);
            }
        }
        buffer
    }

    fn zero_point(&self) -> u8 {
        self.zero_point
    }
}

impl WindowRows<'_> {
    /// Neighbouring taps of all channels are neighbours in memory: one copy, cut at the borders.
    #[inline(always)]
    fn copy_contiguous(&self, input_row: &[u8], x: usize, values: &mut [u8]) {
        let channels = self.geometry.in_channels;
        let start = x * self.geometry.stride[1];
        let padding = self.geometry.padding[1];
        if start >= padding
            && let Some(input) =
                input_row.get((start - padding) * channels..).and_then(|row| row.get(..values.len()))
        {
            values.copy_from_slice(input);
            return;
        }
        // Taps before the image, and taps before its end.
        let kernel = self.geometry.kernel[1];
        let before = padding.saturating_sub(start).min(kernel);
        let end = (padding + self.geometry.width).saturating_sub(start).clamp(before, kernel);
        values[..before * channels].fill(self.zero_point);
        values[end * channels..].fill(self.zero_point);
        if before < end {
            let first = (start + before - padding) * channels;
            let values = &mut values[before * channels..end * channels];
            values.copy_from_slice(&input_row[first..first + values.len()]);
        }
    }

    fn copy_by_taps(&self, input_row: &[u8], x: usize, group: usize, values: &mut [u8]) {
        let geometry = self.geometry;
        let channels = geometry.in_channels / geometry.groups;
        for (tap, values) in values.chunks_exact_mut(channels).enumerate() {
            match geometry.source(1, x, tap) {
                Some(input_x) => {
                    let first = input_x * geometry.in_channels + group * channels;
                    values.copy_from_slice(&input_row[first..first + channels]);
                }
                None => values.fill(self.zero_point),
            }
        }
    }
}
