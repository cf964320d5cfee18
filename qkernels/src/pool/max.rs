//! Max pool on integers.

use crate::blocks::{Block, at, at_mut, for_each_block};
use crate::error::Result;
use crate::geometry::Pool2dGeometry;
use crate::isa::{Pass, isa};
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
    length::check("output", output, geometry.output_len())?;
    max_pool2d_into(geometry, input, output, geometry.channels)
}

/// [`max_pool2d`] into a part of a larger output.
///
/// `output` begins at the first pixel's C integers, and those of the next pixel are `pixel_stride` integers
/// further; integers between them stay as they are.
///
/// # Errors
/// If the input's length does not match, `output` has less than `(N * OH * OW - 1) * pixel_stride + C`
/// elements, or `pixel_stride` is less than C.
pub fn max_pool2d_into<T: EightBit>(
    geometry: &Pool2dGeometry,
    input: &[T],
    output: &mut [T],
    pixel_stride: usize,
) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    let pixels = geometry.output_len() / geometry.channels;
    let output = length::strided("output", output, pixels, geometry.channels, pixel_stride)?;
    let image_len = geometry.height * geometry.width * geometry.channels;
    let taps = geometry.kernel[0].saturating_mul(geometry.kernel[1]);
    // A comparison of bytes is about a quarter of a multiply-add.
    let work = geometry.output_len().saturating_mul(taps) / 4;
    let isa = isa();
    for_each_chunk(output, geometry.output_width() * pixel_stride, work, |row, output| {
        let image = &input[row / geometry.output_height() * image_len..][..image_len];
        isa.run_pass(MaxRow { geometry, y: row % geometry.output_height(), image, output, pixel_stride });
    });
    Ok(())
}

/// One row of the output.
struct MaxRow<'a, T> {
    geometry: &'a Pool2dGeometry,
    y: usize,
    image: &'a [T],
    output: &'a mut [T],
    pixel_stride: usize,
}

impl<T: EightBit> Pass for MaxRow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { geometry, y, image, output, pixel_stride } = self;
        let channels = geometry.channels;
        let (first_y, rows) = geometry.taps(0, y);
        let row_step = geometry.dilation[0] * geometry.width * channels;
        let column_step = geometry.dilation[1] * channels;
        for (x, output) in output.chunks_mut(pixel_stride).enumerate() {
            let (first_x, columns) = geometry.taps(1, x);
            let first = (first_y * geometry.width + first_x) * channels;
            let mut window = MaxWindow { image, first, rows, columns, row_step, column_step, output };
            for_each_block(channels, &mut window);
        }
    }
}

/// The taps of one output pixel: `rows` times `columns` pixels of the image.
struct MaxWindow<'a, T> {
    image: &'a [T],
    /// Index of the first tap.
    first: usize,
    rows: usize,
    columns: usize,
    /// Elements from a tap to the one below it.
    row_step: usize,
    /// Elements from a tap to the one on its right.
    column_step: usize,
    output: &'a mut [T],
}

impl<T: EightBit> Block for MaxWindow<'_, T> {
    #[inline(always)]
    fn compute<const N: usize>(&mut self, first: usize) {
        let mut max = [T::from_i32(*T::RANGE.start()); N];
        for row in 0..self.rows {
            for column in 0..self.columns {
                let tap = self.first + row * self.row_step + column * self.column_step;
                for (max, &q) in max.iter_mut().zip(at::<T, N>(self.image, tap + first)) {
                    *max = q.max(*max);
                }
            }
        }
        *at_mut(self.output, first) = max;
    }
}
