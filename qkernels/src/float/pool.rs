//! Float pools.

use std::cell::Cell;

use super::positions::positions_inside;
use super::strided;
use super::sums::sum;
use crate::error::Result;
use crate::geometry::window::Window;
use crate::geometry::{AdaptivePool2dGeometry, Pool2dGeometry};
use crate::length;
use crate::threads::for_each_chunk;

/// Maximum of each window, `[N, C, H, W]` to `[N, C, OH, OW]`; the padding never wins, NaN does.
///
/// A window that lies in the padding altogether, which needs dilation, gives minus infinity.
/// PyTorch: `max_pool2d`.
///
/// # Errors
/// If a length does not match.
pub fn max_pool2d(geometry: &Pool2dGeometry, input: &[f32], output: &mut [f32]) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    length::check("output", output, geometry.output_len())?;
    let plane_len = geometry.height * geometry.width;
    let pixels = geometry.output_height() * geometry.output_width();
    let taps = geometry.kernel[0].saturating_mul(geometry.kernel[1]);
    let work = output.len().saturating_mul(taps);
    for_each_chunk(
        output,
        pixels,
        work,
        #[inline(always)]
        |plane, output| {
            let plane = &input[plane * plane_len..][..plane_len];
            let mut scratch = SCRATCH.take();
            scratch.column_maxima.resize(geometry.width, 0.0);
            scratch.seen.resize(geometry.output_width(), 0.0);
            for (y, output) in output.chunks_exact_mut(geometry.output_width()).enumerate() {
                scratch.column_maxima.fill(f32::NEG_INFINITY);
                let (first, count) = geometry.taps(0, y);
                for input_y in (0..count).map(|tap| first + tap * geometry.dilation[0]) {
                    let row = &plane[input_y * geometry.width..][..geometry.width];
                    take_larger(&mut scratch.column_maxima, row);
                }
                output.fill(f32::NEG_INFINITY);
                if geometry.kernel[1] > geometry.width {
                    // Most taps see nothing.
                    for (x, output) in output.iter_mut().enumerate() {
                        let (first, count) = geometry.taps(1, x);
                        let seen = scratch.column_maxima[first.min(geometry.width)..].iter();
                        seen.step_by(geometry.dilation[1]).take(count).for_each(|&value| {
                            take_larger(std::slice::from_mut(output), &[value]);
                        });
                    }
                    continue;
                }
                for tap in 0..geometry.kernel[1] {
                    let shift = tap * geometry.dilation[1];
                    let [stride, padding] = [geometry.stride[1], geometry.padding[1]];
                    let inside = positions_inside(output.len(), stride, padding, shift, geometry.width);
                    let Some(first) = geometry.source(1, inside.start, tap) else {
                        continue;
                    };
                    let seen = &mut scratch.seen[..inside.len()];
                    strided::copy(&scratch.column_maxima[first..], stride, seen);
                    take_larger(&mut output[inside], seen);
                }
            }
            SCRATCH.set(scratch);
        },
    );
    Ok(())
}

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Memory of a maximum pool that is used again for the next plane.
#[derive(Default)]
struct Scratch {
    /// Of the rows that one row of the output looks at.
    column_maxima: Vec<f32>,
    /// What one column of the window sees of them.
    seen: Vec<f32>,
}

/// The larger of each pair, in the place of the first; NaN counts as the largest.
#[inline(always)]
fn take_larger(maxima: &mut [f32], values: &[f32]) {
    for (max, &value) in maxima.iter_mut().zip(values) {
        *max = if value > *max || value.is_nan() { value } else { *max };
    }
}

/// Average of each window, `[N, C, H, W]` to `[N, C, OH, OW]`; with `count_include_pad` the padding
/// counts as zeros.
///
/// PyTorch: `avg_pool2d`.
///
/// # Errors
/// If a length does not match or the geometry is dilated.
pub fn avg_pool2d(
    geometry: &Pool2dGeometry,
    count_include_pad: bool,
    input: &[f32],
    output: &mut [f32],
) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    length::check("output", output, geometry.output_len())?;
    geometry.check_average()?;
    let sizes = [[geometry.height, geometry.width], [geometry.output_height(), geometry.output_width()]];
    let window = |axis, position| geometry.average_window(axis, position);
    average(sizes, window, count_include_pad, input, output);
    Ok(())
}

/// Average of each adaptive window, `[N, C, H, W]` to `[N, C, OH, OW]`.
///
/// PyTorch: `adaptive_avg_pool2d`.
///
/// # Errors
/// If a length does not match.
pub fn adaptive_avg_pool2d(
    geometry: &AdaptivePool2dGeometry,
    input: &[f32],
    output: &mut [f32],
) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    length::check("output", output, geometry.output_len())?;
    let sizes = [geometry.input(), geometry.output()];
    average(sizes, |axis, position| geometry.average_window(axis, position), true, input, output);
    Ok(())
}

/// Planes `[H, W]` to `[OH, OW]`; `window` is that of an output position along an axis.
fn average(
    [[height, width], [output_height, output_width]]: [[usize; 2]; 2],
    window: impl Fn(usize, usize) -> Window + Sync,
    count_include_pad: bool,
    input: &[f32],
    output: &mut [f32],
) {
    let plane_len = height * width;
    for_each_chunk(
        output,
        output_height * output_width,
        input.len(),
        #[inline(always)]
        |plane, output| {
            let plane = &input[plane * plane_len..][..plane_len];
            for (y, output) in output.chunks_exact_mut(output_width).enumerate() {
                let y = window(0, y);
                let rows = &plane[y.start * width..y.end * width];
                for (x, output) in output.iter_mut().enumerate() {
                    let x = window(1, x);
                    let sum = match x.len() == width {
                        true => sum(rows),
                        false => rows.chunks_exact(width).map(|row| sum(&row[x.start..x.end])).sum(),
                    };
                    let [rows, columns] = match count_include_pad {
                        true => [y.padded_len, x.padded_len],
                        false => [y.len(), x.len()],
                    };
                    *output = (sum / (rows as f64 * columns as f64)) as f32;
                }
            }
        },
    );
}
