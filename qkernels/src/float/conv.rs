//! Float 2-d convolution: windows gathered into a matrix for each group, then one product.

use std::cell::Cell;

use super::linear::{Layout, add_product};
use crate::error::Result;
use crate::geometry::Conv2dGeometry;
use crate::length;
use crate::threads::{for_each_chunk, threads_for};

thread_local! {
    /// The gathered windows, `[C / groups * KH * KW][OH * OW]`.
    static WINDOWS: Cell<Vec<f32>> = Cell::default();
}

/// `input` `[N, C, H, W]`, `weight` `[O, C / groups, KH, KW]`, `bias` `[O]`, to `output`
/// `[N, O, OH, OW]`.
///
/// PyTorch: `torch.nn.functional.conv2d`.
///
/// # Errors
/// If a length does not match.
pub fn conv2d(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    length::check("weight", weight, geometry.weight_len())?;
    length::check("output", output, geometry.output_len())?;
    if let Some(bias) = bias {
        length::check("bias", bias, geometry.out_channels)?;
    }
    if output.is_empty() {
        return Ok(());
    }
    fill_with_bias(geometry, bias, output);
    if geometry.is_depthwise() {
        depthwise(geometry, input, weight, output);
        return Ok(());
    }
    let pixels = geometry.output_height() * geometry.output_width();
    let channels = geometry.in_channels / geometry.groups;
    let out_channels = geometry.out_channels / geometry.groups;
    let depth = geometry.depth();
    let planes = input.chunks_exact(channels * geometry.height * geometry.width);
    let outputs = output.chunks_exact_mut(out_channels * pixels);
    for (index, (planes, output)) in planes.zip(outputs).enumerate() {
        let group = index % geometry.groups;
        let weight = &weight[group * out_channels * depth..][..out_channels * depth];
        let left = (weight, Layout::row_major(out_channels, depth));
        let right = Layout::row_major(depth, pixels);
        let threads = threads_for(output.len().saturating_mul(depth));
        if geometry.is_pointwise() {
            add_product(left, (planes, right), output, threads);
            continue;
        }
        let mut windows = WINDOWS.take();
        windows.resize(depth * pixels, 0.0);
        gather_windows(geometry, planes, &mut windows);
        add_product(left, (&windows, right), output, threads);
        WINDOWS.set(windows);
    }
    Ok(())
}

fn fill_with_bias(geometry: &Conv2dGeometry, bias: Option<&[f32]>, output: &mut [f32]) {
    let Some(bias) = bias else {
        output.fill(0.0);
        return;
    };
    let pixels = geometry.output_height() * geometry.output_width();
    for (plane, &bias) in output.chunks_exact_mut(pixels).zip(bias.iter().cycle()) {
        plane.fill(bias);
    }
}

/// Row `[c, ky, kx]` of `windows` holds what that filter tap sees at each output pixel.
fn gather_windows(geometry: &Conv2dGeometry, planes: &[f32], windows: &mut [f32]) {
    let [kernel_height, kernel_width] = geometry.kernel;
    let pixels = geometry.output_height() * geometry.output_width();
    let plane_len = geometry.height * geometry.width;
    // Copying is about a fourth of the work of a multiply-add in a good matrix product.
    let work = windows.len().saturating_mul(4);
    for_each_chunk(windows, pixels, work, |row, window| {
        let tap_x = row % kernel_width;
        let tap_y = row / kernel_width % kernel_height;
        let channel = row / kernel_width / kernel_height;
        let plane = &planes[channel * plane_len..][..plane_len];
        let rows = window.chunks_exact_mut(geometry.output_width());
        for (y, values) in rows.enumerate() {
            match geometry.source(0, y, tap_y) {
                None => values.fill(0.0),
                Some(input_y) => {
                    let input = &plane[input_y * geometry.width..][..geometry.width];
                    gather_row(geometry, tap_x, input, values);
                }
            }
        }
    });
}

fn gather_row(geometry: &Conv2dGeometry, tap: usize, input: &[f32], values: &mut [f32]) {
    let inside = positions_inside(geometry, tap, values.len());
    values[..inside.start].fill(0.0);
    values[inside.end..].fill(0.0);
    let Some(first) = geometry.source(1, inside.start, tap) else {
        return;
    };
    let values = &mut values[inside];
    match geometry.stride[1] {
        1 => values.copy_from_slice(&input[first..first + values.len()]),
        stride => {
            for (value, &x) in values.iter_mut().zip(input[first..].iter().step_by(stride)) {
                *value = x;
            }
        }
    }
}

/// Output columns at which `tap` lies inside the image; they are neighbours.
fn positions_inside(geometry: &Conv2dGeometry, tap: usize, width: usize) -> std::ops::Range<usize> {
    let (stride, padding) = (geometry.stride[1], geometry.padding[1]);
    let shift = tap * geometry.dilation[1];
    // position * stride + shift >= padding, and < padding + width of the image.
    let start = padding.saturating_sub(shift).div_ceil(stride).min(width);
    let end = (padding + geometry.width).saturating_sub(shift).div_ceil(stride).clamp(start, width);
    start..end
}

/// Every output channel looks at one input channel: direct loops, a plane at a time.
fn depthwise(geometry: &Conv2dGeometry, input: &[f32], weight: &[f32], output: &mut [f32]) {
    let multiplier = geometry.out_channels / geometry.in_channels;
    let plane_len = geometry.height * geometry.width;
    let pixels = geometry.output_height() * geometry.output_width();
    let taps = geometry.kernel[0] * geometry.kernel[1];
    for_each_chunk(output, pixels, geometry.work(), |index, output| {
        let out_channel = index % geometry.out_channels;
        let plane = index / geometry.out_channels * geometry.in_channels + out_channel / multiplier;
        let plane = &input[plane * plane_len..][..plane_len];
        let filter = &weight[out_channel * taps..][..taps];
        for (y, output) in output.chunks_exact_mut(geometry.output_width()).enumerate() {
            for (tap, &weight) in filter.iter().enumerate() {
                let (tap_y, tap_x) = (tap / geometry.kernel[1], tap % geometry.kernel[1]);
                if let Some(input_y) = geometry.source(0, y, tap_y) {
                    let input = &plane[input_y * geometry.width..][..geometry.width];
                    add_tap(geometry, tap_x, weight, input, output);
                }
            }
        }
    });
}

fn add_tap(geometry: &Conv2dGeometry, tap: usize, weight: f32, input: &[f32], output: &mut [f32]) {
    let inside = positions_inside(geometry, tap, output.len());
    let Some(first) = geometry.source(1, inside.start, tap) else {
        return;
    };
    let output = &mut output[inside];
    match geometry.stride[1] {
        1 => {
            for (output, &x) in output.iter_mut().zip(&input[first..]) {
                *output += x * weight;
            }
        }
        stride => {
            for (output, &x) in output.iter_mut().zip(input[first..].iter().step_by(stride)) {
                *output += x * weight;
            }
        }
    }
}
