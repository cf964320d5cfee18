//! Max pool on integers.

use std::cell::Cell;

use crate::blocks::{Block, at, at_mut, for_each_block, zip_blocks};
use crate::elements::eight_bits_mut;
use crate::error::Result;
use crate::geometry::Pool2dGeometry;
use crate::isa::{Pass, isa};
use crate::length;
use crate::pixels::copy_pixels;
use crate::qparams::EightBit;
use crate::threads::{elementwise_chunk, for_each_chunk};

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
    let row_len = geometry.output_width() * pixel_stride;
    let chunk_len = elementwise_chunk(output.len(), row_len);
    let padded_width = padded_width(geometry);
    let isa = isa();
    for_each_chunk(output, chunk_len, work, |index, output| {
        let mut scratch = SCRATCH.take();
        for (row, output) in (index * (chunk_len / row_len)..).zip(output.chunks_mut(row_len)) {
            let image = &input[row / geometry.output_height() * image_len..][..image_len];
            let row = MaxRow { geometry, y: row % geometry.output_height(), image, output, pixel_stride };
            match padded_width {
                None => isa.run_pass(Direct(row)),
                Some(width) => {
                    let [column_maxima, others] = scratch.each_mut().map(|bytes| {
                        bytes.resize(width * geometry.channels, 0);
                        eight_bits_mut(bytes)
                    });
                    isa.run_pass(Separate { row, column_maxima, others });
                }
            }
        }
        SCRATCH.set(scratch);
    });
    Ok(())
}

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static SCRATCH: Cell<[Vec<u8>; 2]> = Cell::default();
}

/// The columns of the padded input that a row of windows covers, if maxima of columns and then of rows take fewer
/// steps than those of whole windows.
fn padded_width(geometry: &Pool2dGeometry) -> Option<usize> {
    let [height, width] = geometry.kernel;
    let columns = (geometry.output_width() - 1) * geometry.stride[1] + (width - 1) * geometry.dilation[1] + 1;
    let direct = height.saturating_mul(width);
    let separate = (height + 1).saturating_mul(geometry.stride[1]).saturating_add(width);
    // Far more padding than image is no use.
    let is_small = columns / 8 <= geometry.width.saturating_add(64);
    (is_small && (geometry.channels < 64 || separate < direct)).then_some(columns)
}

/// One row of the output.
struct MaxRow<'a, T> {
    geometry: &'a Pool2dGeometry,
    y: usize,
    image: &'a [T],
    output: &'a mut [T],
    pixel_stride: usize,
}

/// The maximum of each window, tap by tap.
struct Direct<'a, T>(MaxRow<'a, T>);

impl<T: EightBit> Pass for Direct<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let MaxRow { geometry, y, image, output, pixel_stride } = self.0;
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

/// The maxima of the columns, then those of neighbouring columns.
struct Separate<'a, T> {
    row: MaxRow<'a, T>,
    /// Of the columns of the padded input, `[columns][C]`.
    column_maxima: &'a mut [T],
    /// Of the same length.
    others: &'a mut [T],
}

impl<T: EightBit> Pass for Separate<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { row: MaxRow { geometry, y, image, output, pixel_stride }, column_maxima, others } = self;
        let channels = geometry.channels;
        let [stride, dilation] = [geometry.stride[1], geometry.dilation[1]];
        let padding = (geometry.padding[1] * channels).min(column_maxima.len());
        let (left, inside) = column_maxima.split_at_mut(padding);
        let row_len = geometry.width * channels;
        let (inside, right) = inside.split_at_mut(row_len.min(inside.len()));
        left.fill(T::from_i32(*T::RANGE.start()));
        right.fill(T::from_i32(*T::RANGE.start()));
        let (first_y, rows) = geometry.taps(0, y);
        let (first, row_step) = (first_y * row_len, geometry.dilation[0] * row_len);
        let len = inside.len();
        let (columns, column_step) = (1, 0);
        let mut columns_of_row =
            MaxWindow { image, first, rows, columns, row_step, column_step, output: inside };
        for_each_block(len, &mut columns_of_row);
        if stride > 1 && channels >= 16 {
            for (x, output) in output.chunks_mut(pixel_stride).enumerate() {
                let mut window = MaxWindow {
                    image: column_maxima,
                    first: x * stride * channels,
                    rows: 1,
                    columns: geometry.kernel[1],
                    row_step: 0,
                    column_step: dilation * channels,
                    output,
                };
                for_each_block(channels, &mut window);
            }
            return;
        }
        // Maxima of twice as many columns, and again, for all columns at once.
        let (mut maxima, mut others) = (column_maxima, others);
        let mut taps = 1;
        while taps < geometry.kernel[1] {
            let more = taps.min(geometry.kernel[1] - taps);
            let shift = more * dilation * channels;
            let len = maxima.len() - shift;
            let (from, to) = (&maxima[..], &mut others[..len]);
            zip_blocks(&from[..len], &from[shift..], to, T::max);
            (maxima, others) = (&mut others[..len], maxima);
            taps += more;
        }
        copy_pixels(channels, maxima, output, [stride * channels, pixel_stride]);
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
