//! Float pools.

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
    let width = geometry.output_width();
    let taps = geometry.kernel[0].saturating_mul(geometry.kernel[1]);
    let work = output.len().saturating_mul(taps);
    for_each_chunk(output, geometry.output_height() * width, work, |plane, output| {
        let plane = &input[plane * plane_len..][..plane_len];
        for (position, output) in output.iter_mut().enumerate() {
            *output = window_max(geometry, plane, position / width, position % width);
        }
    });
    Ok(())
}

fn window_max(geometry: &Pool2dGeometry, plane: &[f32], y: usize, x: usize) -> f32 {
    let mut max = f32::NEG_INFINITY;
    for tap_y in 0..geometry.kernel[0] {
        let Some(input_y) = geometry.source(0, y, tap_y) else {
            continue;
        };
        let row = &plane[input_y * geometry.width..][..geometry.width];
        for tap_x in 0..geometry.kernel[1] {
            if let Some(input_x) = geometry.source(1, x, tap_x) {
                let value = row[input_x];
                if value > max || value.is_nan() {
                    max = value;
                }
            }
        }
    }
    max
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
    if output.is_empty() {
        return Ok(());
    }
    let [rows, columns] = geometry.average_windows()?;
    let plane = [geometry.height, geometry.width];
    average(plane, &rows, &columns, count_include_pad, input, output);
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
    if output.is_empty() {
        return Ok(());
    }
    let [rows, columns] = geometry.average_windows();
    average(geometry.input(), &rows, &columns, true, input, output);
    Ok(())
}

fn average(
    [height, width]: [usize; 2],
    rows: &[Window],
    columns: &[Window],
    count_include_pad: bool,
    input: &[f32],
    output: &mut [f32],
) {
    let plane_len = height * width;
    for_each_chunk(output, rows.len() * columns.len(), input.len(), |plane, output| {
        let plane = &input[plane * plane_len..][..plane_len];
        let positions = rows.iter().flat_map(|&y| columns.iter().map(move |&x| (y, x)));
        for (output, (y, x)) in output.iter_mut().zip(positions) {
            let sum: f32 = plane[y.start * width..y.end * width]
                .chunks_exact(width)
                .flat_map(|row| &row[x.start..x.end])
                .sum();
            let divisor = if count_include_pad { y.padded_len * x.padded_len } else { y.len() * x.len() };
            *output = sum / divisor as f32;
        }
    });
}
