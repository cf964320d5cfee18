//! Average pools on integers, in PyTorch's three ways to break ties.
//!
//! With `n` the divisor and `r = f32(1 / n)`:
//!
//! ```text
//! centered:  y = clamp(rne(f32(sum(q - z) * r)) + z)
//! centered': the same with r = f32(s / f32(s * n))
//! raw:       y = clamp(rne(f32(sum(q) * r)))            # padding contributes z to the sum
//! ```

use std::ops::Range;

use crate::blocks::{Block, at, at_mut, for_each_block};
use crate::error::Result;
use crate::geometry::window::Window;
use crate::geometry::{AdaptivePool2dGeometry, Pool2dGeometry};
use crate::isa::{Pass, isa};
use crate::length;
use crate::qparams::{EightBit, QParams};
use crate::threads::for_each_chunk;

/// How an average that lies between two integers is rounded; the rules differ only there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TieRule {
    /// Half to even of the distance from the zero point. PyTorch fbgemm, x86, onednn on
    /// channels-last tensors, which is what their convolutions return.
    Centered,
    /// Half to even of the integer itself. PyTorch fbgemm, x86, onednn on contiguous tensors.
    Raw,
    /// Like `Centered` with the multiplier `f32(s / f32(s * n))`, which may be one ulp below `1 / n`
    /// and then turns ties toward the zero point. PyTorch qnnpack.
    CenteredPrime,
}

/// The parameters of an average pool beside its geometry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AveragePool2d {
    /// Of input and output.
    pub qparams: QParams,
    /// How ties are rounded.
    pub tie_rule: TieRule,
    /// Whether padding counts as zeros in the average.
    pub count_include_pad: bool,
}

/// Average of each window, `[N, H, W, C]` to `[N, OH, OW, C]`.
///
/// PyTorch: `avg_pool2d` on a quantized tensor.
///
/// # Errors
/// If a length does not match, scale or zero point cannot be used, or the geometry is dilated.
pub fn avg_pool2d<T: EightBit>(
    geometry: &Pool2dGeometry,
    pool: &AveragePool2d,
    input: &[T],
    output: &mut [T],
) -> Result<()> {
    length::check("output", output, geometry.output_len())?;
    avg_pool2d_into(geometry, pool, input, output, geometry.channels)
}

/// [`avg_pool2d`] into a part of a larger output.
///
/// `output` begins at the first pixel's C integers, and those of the next pixel are `pixel_stride` integers
/// further; integers between them stay as they are.
///
/// # Errors
/// As for `avg_pool2d`, if `output` has less than `(N * OH * OW - 1) * pixel_stride + C` elements, and if
/// `pixel_stride` is less than C.
pub fn avg_pool2d_into<T: EightBit>(
    geometry: &Pool2dGeometry,
    pool: &AveragePool2d,
    input: &[T],
    output: &mut [T],
    pixel_stride: usize,
) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    geometry.check_average()?;
    let images = Images {
        batch: geometry.batch,
        input: [geometry.height, geometry.width],
        output: [geometry.output_height(), geometry.output_width()],
        channels: geometry.channels,
    };
    average(
        &images,
        |axis, position| geometry.average_window(axis, position),
        pool,
        input,
        output,
        pixel_stride,
    )
}

/// Average of each adaptive window, `[N, H, W, C]` to `[N, OH, OW, C]`.
///
/// PyTorch: `adaptive_avg_pool2d` on a quantized tensor. qnnpack uses
/// [`TieRule::CenteredPrime`] only where [`AdaptivePool2dGeometry::divides`], and the rule of the
/// memory layout otherwise.
///
/// # Errors
/// If a length does not match, or scale or zero point cannot be used.
pub fn adaptive_avg_pool2d<T: EightBit>(
    geometry: &AdaptivePool2dGeometry,
    qparams: QParams,
    tie_rule: TieRule,
    input: &[T],
    output: &mut [T],
) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    length::check("output", output, geometry.output_len())?;
    let images = Images {
        batch: geometry.batch(),
        input: geometry.input(),
        output: geometry.output(),
        channels: geometry.channels(),
    };
    let pool = AveragePool2d { qparams, tie_rule, count_include_pad: true };
    let window = |axis, position| geometry.average_window(axis, position);
    average(&images, window, &pool, input, output, images.channels)
}

/// The sizes of input and output; pairs are `[height, width]`.
#[derive(Clone, Copy)]
struct Images {
    batch: usize,
    input: [usize; 2],
    output: [usize; 2],
    channels: usize,
}

/// `window(axis, position)` is the window of an output position along an axis.
fn average<T: EightBit>(
    images: &Images,
    window: impl Fn(usize, usize) -> Window + Sync,
    pool: &AveragePool2d,
    input: &[T],
    output: &mut [T],
    pixel_stride: usize,
) -> Result<()> {
    let Images { batch, input: [height, width], output: [rows, columns], channels } = *images;
    pool.qparams.check::<T>()?;
    if batch == 0 {
        return Ok(());
    }
    let output = length::strided("output", output, batch * rows * columns, channels, pixel_stride)?;
    let isa = isa();
    for_each_chunk(output, columns * pixel_stride, input.len(), |row, output| {
        let image_len = height * width * channels;
        let image = &input[row / rows * image_len..][..image_len];
        let y = window(0, row % rows);
        for (x, output) in output.chunks_mut(pixel_stride).enumerate() {
            let x = window(1, x);
            let division = pool.division::<T>(y, x);
            isa.run_pass(AverageWindow { width, channels, y, x, division, image, output });
        }
    });
    Ok(())
}

/// One output pixel.
struct AverageWindow<'a, T> {
    width: usize,
    channels: usize,
    y: Window,
    x: Window,
    division: Division,
    image: &'a [T],
    output: &'a mut [T],
}

impl<T: EightBit> Pass for AverageWindow<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        for_each_block(self.channels, &mut self);
    }
}

impl<T: EightBit> Block for AverageWindow<'_, T> {
    #[inline(always)]
    fn compute<const N: usize>(&mut self, first: usize) {
        let Self { y, x, division, .. } = *self;
        let means: [T; N] = if y.padded_len.saturating_mul(x.padded_len) <= SUMMED {
            let sums = self.sums::<N>(y.start..y.end, x.start..x.end, first);
            sums.map(|sum| division.apply(sum.wrapping_add(division.offset as i32) as f32))
        } else {
            let mut sums = [0_i64; N];
            for x_start in (x.start..x.end).step_by(SUMMED) {
                let columns = x_start..(x_start + SUMMED).min(x.end);
                for y_start in (y.start..y.end).step_by(SUMMED / columns.len()) {
                    let rows = y_start..(y_start + SUMMED / columns.len()).min(y.end);
                    let part = self.sums::<N>(rows, columns.clone(), first);
                    sums.iter_mut().zip(part).for_each(|(sum, part)| *sum += i64::from(part));
                }
            }
            sums.map(|sum| division.apply((i128::from(sum) + division.offset) as f32))
        };
        *at_mut(self.output, first) = means;
    }
}

/// The most bytes whose sum, or distance from as many zero points, is sure to fit in `i32`.
const SUMMED: usize = 1 << 23;

impl<T: EightBit> AverageWindow<'_, T> {
    /// The sums of up to [`SUMMED`] bytes of the channels from `first` on.
    #[inline(always)]
    fn sums<const N: usize>(&self, rows: Range<usize>, columns: Range<usize>, first: usize) -> [i32; N] {
        let mut sums = [0_i32; N];
        for y in rows {
            for x in columns.clone() {
                let tap = (y * self.width + x) * self.channels + first;
                for (sum, q) in sums.iter_mut().zip(at::<T, N>(self.image, tap)) {
                    *sum = sum.wrapping_add(q.to_i32());
                }
            }
        }
        sums
    }
}

/// From the sum of a window to its rounded average.
#[derive(Clone, Copy)]
struct Division {
    /// Added to the sum: its distance from zero points, or the padding.
    offset: i128,
    multiplier: f32,
    /// Added to the average.
    zero_point: i32,
    low: i32,
    high: i32,
}

impl Division {
    /// The average of a sum to which the offset has been added.
    #[inline(always)]
    fn apply<T: EightBit>(self, sum: f32) -> T {
        T::from_steps(sum * self.multiplier, self.zero_point, self.low, self.high)
    }
}

impl AveragePool2d {
    fn division<T: EightBit>(&self, y: Window, x: Window) -> Division {
        let QParams { scale, zero_point } = self.qparams;
        let (low, high) = T::RANGE.into_inner();
        let inside = (y.len() * x.len()) as i128;
        let divisor = match self.count_include_pad {
            // Windows may be far larger than the image.
            true => y.padded_len as i128 * x.padded_len as i128,
            false => inside,
        };
        let zero_points = |count: i128| count * i128::from(zero_point);
        let (multiplier, offset, zero_point) = match self.tie_rule {
            TieRule::Centered => ((divisor as f32).recip(), -zero_points(inside), zero_point),
            TieRule::CenteredPrime => (scale / (scale * divisor as f32), -zero_points(inside), zero_point),
            TieRule::Raw => ((divisor as f32).recip(), zero_points(divisor - inside), 0),
        };
        Division { offset, multiplier, zero_point, low, high }
    }
}
