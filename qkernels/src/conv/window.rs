//! The window of an output pixel as a row of the matrix product, in the order `[KH, KW, C / groups]`.

use crate::gemm::Rows;
use crate::geometry::Conv2dGeometry;
use crate::isa::Isa;
use crate::kernels::center;

/// All windows of a batch of images, one for each output pixel.
pub(super) struct WindowRows<'a> {
    pub(super) geometry: &'a Conv2dGeometry,
    pub(super) input: &'a [u8],
    pub(super) zero_point: i16,
}

impl Rows for WindowRows<'_> {
    fn fill(&self, isa: Isa, row: usize, group: usize, values: &mut [i16]) {
        let geometry = self.geometry;
        let x = row % geometry.output_width();
        let y = row / geometry.output_width() % geometry.output_height();
        let image = row / geometry.output_width() / geometry.output_height();
        let channels = geometry.in_channels / geometry.groups;
        let width = geometry.kernel[1] * channels;
        for (tap, values) in values.chunks_exact_mut(width).enumerate() {
            let Some(input_y) = geometry.source(0, y, tap) else {
                // Padding is the zero point, which is 0 once centred.
                values.fill(0);
                continue;
            };
            let row_len = geometry.width * geometry.in_channels;
            let first = (image * geometry.height + input_y) * row_len;
            let input_row = &self.input[first..first + row_len];
            if geometry.dilation[1] == 1 && geometry.groups == 1 {
                self.fill_contiguous(isa, input_row, x, values);
            } else {
                self.fill_by_taps(isa, input_row, x, group, values);
            }
        }
    }
}

impl WindowRows<'_> {
    /// Neighbouring taps of all channels are neighbours in memory: one copy, cut at the borders.
    fn fill_contiguous(&self, isa: Isa, input_row: &[u8], x: usize, values: &mut [i16]) {
        let channels = self.geometry.in_channels;
        let start = x * self.geometry.stride[1];
        let padding = self.geometry.padding[1];
        // Taps before the image, and taps before its end.
        let kernel = self.geometry.kernel[1];
        let before = padding.saturating_sub(start).min(kernel);
        let end = (padding + self.geometry.width).saturating_sub(start).clamp(before, kernel);
        values[..before * channels].fill(0);
        values[end * channels..].fill(0);
        if before < end {
            let first = (start + before - padding) * channels;
            let values = &mut values[before * channels..end * channels];
            let input = &input_row[first..first + values.len()];
            center(isa, input, self.zero_point, values);
        }
    }

    fn fill_by_taps(&self, isa: Isa, input_row: &[u8], x: usize, group: usize, values: &mut [i16]) {
        let geometry = self.geometry;
        let channels = geometry.in_channels / geometry.groups;
        for (tap, values) in values.chunks_exact_mut(channels).enumerate() {
            match geometry.source(1, x, tap) {
                Some(input_x) => {
                    let first = input_x * geometry.in_channels + group * channels;
                    center(isa, &input_row[first..first + channels], self.zero_point, values);
                }
                None => values.fill(0),
            }
        }
    }
}
