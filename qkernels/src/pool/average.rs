//! Average pools on integers, in PyTorch's three ways to break ties.
//!
//! With `n` the divisor and `r = f32(1 / n)`:
//!
//! ```text
//! centered:  y = clamp(rne(f32(sum(q - z) * r)) + z)
//! centered': the same with r = f32(s / f32(s * n))
//! raw:       y = clamp(rne(f32(sum(q) * r)))            # padding contributes z to the sum
//! ```

use std::cell::Cell;

use crate::error::{Error, Result};
use crate::geometry::window::Window;
use crate::geometry::{AdaptivePool2dGeometry, Pool2dGeometry};
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
    length::check("input", input, geometry.input_len())?;
    length::check("output", output, geometry.output_len())?;
    if output.is_empty() {
        return Ok(());
    }
    let [rows, columns] = geometry.average_windows()?;
    let image = Image { height: geometry.height, width: geometry.width, channels: geometry.channels };
    average(&image, &rows, &columns, pool, input, output)
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
    if output.is_empty() {
        return Ok(());
    }
    let [rows, columns] = geometry.average_windows();
    let [height, width] = geometry.input();
    let image = Image { height, width, channels: geometry.channels() };
    let pool = AveragePool2d { qparams, tie_rule, count_include_pad: true };
    average(&image, &rows, &columns, &pool, input, output)
}

struct Image {
    height: usize,
    width: usize,
    channels: usize,
}

thread_local! {
    /// Sums of one output pixel, `[C]`.
    static SUMS: Cell<Vec<i32>> = Cell::default();
}

fn average<T: EightBit>(
    image: &Image,
    rows: &[Window],
    columns: &[Window],
    pool: &AveragePool2d,
    input: &[T],
    output: &mut [T],
) -> Result<()> {
    pool.qparams.check::<T>()?;
    check_window_size(rows, columns)?;
    let channels = image.channels;
    let work = input.len();
    for_each_chunk(output, columns.len() * channels, work, |row, output| {
        let mut sums = SUMS.take();
        sums.resize(channels, 0);
        let window_y = rows[row % rows.len()];
        let first_row = row / rows.len() * image.height;
        for (&window_x, output) in columns.iter().zip(output.chunks_exact_mut(channels)) {
            sums.fill(0);
            for y in window_y.start..window_y.end {
                let row = (first_row + y) * image.width;
                let run = &input[(row + window_x.start) * channels..(row + window_x.end) * channels];
                for pixel in run.chunks_exact(channels) {
                    for (sum, q) in sums.iter_mut().zip(pixel) {
                        *sum = sum.wrapping_add(q.to_i32());
                    }
                }
            }
            pool.divide(window_y, window_x, &sums, output);
        }
        SUMS.set(sums);
    });
    Ok(())
}

impl AveragePool2d {
    fn divide<T: EightBit>(&self, y: Window, x: Window, sums: &[i32], output: &mut [T]) {
        let QParams { scale, zero_point } = self.qparams;
        let (low, high) = T::RANGE.into_inner();
        let inside = (y.len() * x.len()) as i32;
        let divisor = if self.count_include_pad { (y.padded_len * x.padded_len) as i32 } else { inside };
        let (multiplier, offset, added) = match self.tie_rule {
            TieRule::Centered => ((divisor as f32).recip(), -inside * zero_point, zero_point),
            TieRule::CenteredPrime => (scale / (scale * divisor as f32), -inside * zero_point, zero_point),
            TieRule::Raw => ((divisor as f32).recip(), (divisor - inside) * zero_point, 0),
        };
        for (output, &sum) in output.iter_mut().zip(sums) {
            let mean = sum.wrapping_add(offset) as f32 * multiplier;
            *output = T::from_steps(mean, added, low, high);
        }
    }
}

/// Sums of at most 2^23 bytes fit in `i32`.
fn check_window_size(rows: &[Window], columns: &[Window]) -> Result<()> {
    let largest = |windows: &[Window]| windows.iter().map(|w| w.padded_len).max().unwrap_or(0);
    let size = largest(rows).saturating_mul(largest(columns));
    if size <= 1 << 23 {
        Ok(())
    } else {
        Err(Error::geometry(format!("an average of {size} elements is too large, at most 2^23 are summed")))
    }
}
