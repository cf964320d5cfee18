//! Average pools on integers, in PyTorch's three ways to break ties.
//!
//! With `n` the divisor and `r = f32(1 / n)`:
//!
//! ```text
//! centered:  y = clamp(rne(f32(sum(q - z) * r)) + z)
//! centered': the same with r = f32(s / f32(s * n))
//! raw:       y = clamp(rne(f32(sum(q) * r)))            # padding contributes z to the sum
//! ```

use crate::blocks::{Block, at, at_mut, for_each_block};
use crate::error::{Error, Result};
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
/// If a length does not match, scale or zero point cannot be used, the geometry is dilated, or a
/// window has more than 2^23 elements.
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
/// If a length does not match, scale or zero point cannot be used, or a window has more than 2^23
/// elements.
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
    check_window_size(images, &window)?;
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
        let mut sums = [0_i32; N];
        for y in self.y.start..self.y.end {
            for x in self.x.start..self.x.end {
                let tap = (y * self.width + x) * self.channels + first;
                for (sum, q) in sums.iter_mut().zip(at::<T, N>(self.image, tap)) {
                    *sum = sum.wrapping_add(q.to_i32());
                }
            }
        }
        for (output, sum) in at_mut::<T, N>(self.output, first).iter_mut().zip(sums) {
            *output = self.division.apply(sum);
        }
    }
}

/// From the sum of a window to its rounded average.
#[derive(Clone, Copy)]
struct Division {
    /// Added to the sum: its distance from zero points, or the padding.
    offset: i32,
    multiplier: f32,
    /// Added to the average.
    zero_point: i32,
    low: i32,
    high: i32,
}

impl Division {
    #[inline(always)]
    fn apply<T: EightBit>(self, sum: i32) -> T {
        let mean = sum.wrapping_add(self.offset) as f32 * self.multiplier;
        T::from_steps(mean, self.zero_point, self.low, self.high)
    }
}

impl AveragePool2d {
    fn division<T: EightBit>(&self, y: Window, x: Window) -> Division {
        let QParams { scale, zero_point } = self.qparams;
        let (low, high) = T::RANGE.into_inner();
        let inside = (y.len() * x.len()) as i32;
        let divisor = if self.count_include_pad { (y.padded_len * x.padded_len) as i32 } else { inside };
        let (multiplier, offset, zero_point) = match self.tie_rule {
            TieRule::Centered => ((divisor as f32).recip(), -inside * zero_point, zero_point),
            TieRule::CenteredPrime => (scale / (scale * divisor as f32), -inside * zero_point, zero_point),
            TieRule::Raw => ((divisor as f32).recip(), (divisor - inside) * zero_point, 0),
        };
        Division { offset, multiplier, zero_point, low, high }
    }
}

/// Sums of at most 2^23 bytes fit in `i32`.
fn check_window_size(images: &Images, window: impl Fn(usize, usize) -> Window) -> Result<()> {
    let largest = |axis: usize| {
        let lengths = (0..images.output[axis]).map(|position| window(axis, position).padded_len);
        lengths.max().unwrap_or(0)
    };
    let size = largest(0).saturating_mul(largest(1));
    if size <= 1 << 23 {
        Ok(())
    } else {
        Err(Error::geometry(format!("an average of {size} elements is too large, at most 2^23 are summed")))
    }
}
