//! Max pool on integers.

use crate::error::Result;
use crate::geometry::Pool2dGeometry;
use crate::length;
use crate::qparams::EightBit;
use crate::threads::for_each_chunk;

/// Maximum of each window, `[N, H, W, C]` to `[N, OH, OW, C]`; the padding never wins.
///
/// A window that lies in the padding altogether, which needs dilation, gives the smallest `T`.
/// PyTorch: `max_pool2d` on a quantized tensor.
///
/// # Errors
/// If a length does not match.
pub fn max_pool2d<T: EightBit>(geometry: &Pool2dGeometry, input: &[T], output: &mut [T]) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    length::check("output", output, geometry.output_len())?;
    let channels = geometry.channels;
    let row_len = geometry.output_width() * channels;
    let taps = geometry.kernel[0].saturating_mul(geometry.kernel[1]);
    // A comparison of bytes is about a quarter of a multiply-add.
    let work = output.len().saturating_mul(taps) / 4;
    for_each_chunk(output, row_len, work, |row, output| {
        let y = row % geometry.output_height();
        let first_input_row = row / geometry.output_height() * geometry.height;
        for (x, output) in output.chunks_exact_mut(channels).enumerate() {
            output.fill(T::from_i32(*T::RANGE.start()));
            for tap_y in 0..geometry.kernel[0] {
                let Some(input_y) = geometry.source(0, y, tap_y) else {
                    continue;
                };
                for tap_x in 0..geometry.kernel[1] {
                    let Some(input_x) = geometry.source(1, x, tap_x) else {
                        continue;
                    };
                    let pixel = (first_input_row + input_y) * geometry.width + input_x;
                    let input = &input[pixel * channels..][..channels];
                    for (output, &q) in output.iter_mut().zip(input) {
                        *output = (*output).max(q);
                    }
                }
            }
        }
    });
    Ok(())
}
