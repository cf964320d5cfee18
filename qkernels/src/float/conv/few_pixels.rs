//! Convolutions to images of a few pixels: dot products of the weights, which are read once, and each pixel's window.

use std::cell::Cell;

use crate::float::Epilogue;
use crate::float::dots::for_each_dot;
use crate::geometry::Conv2dGeometry;
use crate::output_rows::OutputRows;

/// Floats of the windows that are gathered at a time, unless one image has more.
const MAX_WINDOWS: usize = 1 << 22;

thread_local! {
    static WINDOWS: Cell<Vec<f32>> = Cell::default();
}

/// Whether the pixels would leave most of a vector empty.
pub(super) fn are_few(geometry: &Conv2dGeometry) -> bool {
    geometry.output_height() * geometry.output_width() < 8
}

/// `weight` is `[O, C / groups, taps]`, of these taps or of all.
pub(super) fn convolve(
    geometry: &Conv2dGeometry,
    input: &[f32],
    taps: Option<&[usize]>,
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let pixels = geometry.output_height() * geometry.output_width();
    let depth = geometry.in_channels / geometry.groups * tap_count(geometry, taps);
    // Windows of filters that are larger than the images take far more room than these.
    let images = (MAX_WINDOWS / (pixels * depth)).clamp(1, geometry.batch);
    let (image, output_image) = (input.len() / geometry.batch, output.len() / geometry.batch);
    let mut windows = WINDOWS.take();
    for (input, output) in input.chunks(images * image).zip(output.chunks_mut(images * output_image)) {
        convolve_images(geometry, taps, weight, epilogue, input, output, &mut windows);
    }
    WINDOWS.set(windows);
}

/// Some of the images.
fn convolve_images(
    geometry: &Conv2dGeometry,
    taps: Option<&[usize]>,
    weight: &[f32],
    epilogue: &Epilogue,
    input: &[f32],
    output: &mut [f32],
    windows: &mut Vec<f32>,
) {
    let pixels = geometry.output_height() * geometry.output_width();
    let out_channels = geometry.out_channels / geometry.groups;
    let depth = geometry.in_channels / geometry.groups * tap_count(geometry, taps);
    let output = OutputRows::new(output, pixels, pixels);
    for group in 0..geometry.groups {
        gather(geometry, taps, input, group, windows);
        let channels = group * out_channels..(group + 1) * out_channels;
        let weight = &weight[channels.start * depth..channels.end * depth];
        let finish = epilogue.of(channels.clone());
        for_each_dot(weight, windows, depth, |row, column, sum| {
            let (image, pixel) = (column / pixels, column % pixels);
            let plane = image * geometry.out_channels + channels.start + row;
            // SAFETY: each dot product is computed once.
            let mut output = unsafe { output.disjoint_part(plane..plane + 1, pixel..pixel + 1) };
            output.row_mut(0)[0] = finish.apply(row, sum);
        });
    }
}

fn tap_count(geometry: &Conv2dGeometry, taps: Option<&[usize]>) -> usize {
    taps.map_or(geometry.kernel[0] * geometry.kernel[1], <[usize]>::len)
}

/// `[N * OH * OW, C / groups * taps]`: what these taps of a group's filter see at each pixel.
fn gather(
    geometry: &Conv2dGeometry,
    taps: Option<&[usize]>,
    input: &[f32],
    group: usize,
    windows: &mut Vec<f32>,
) {
    let channels = geometry.in_channels / geometry.groups;
    let plane_len = geometry.height * geometry.width;
    let pixels = geometry.output_height() * geometry.output_width();
    let taps_per_channel = tap_count(geometry, taps);
    let window_len = channels * taps_per_channel;
    windows.clear();
    let images = input.chunks_exact(geometry.in_channels * plane_len);
    windows.resize(images.len() * pixels * window_len, 0.0);
    for (planes, windows) in images.zip(windows.chunks_exact_mut(pixels * window_len)) {
        let planes = &planes[group * channels * plane_len..][..channels * plane_len];
        for (pixel, window) in windows.chunks_exact_mut(window_len).enumerate() {
            for place in 0..taps_per_channel {
                let tap = taps.map_or(place, |taps| taps[place]);
                if let Some(source) = source(geometry, pixel, tap) {
                    let values = planes[source..].iter().step_by(plane_len);
                    for (to, &value) in window[place..].iter_mut().step_by(taps_per_channel).zip(values) {
                        *to = value;
                    }
                }
            }
        }
    }
}

/// What a tap sees at an output pixel, as an index into a plane, unless it is padding.
pub(super) fn source(geometry: &Conv2dGeometry, pixel: usize, tap: usize) -> Option<usize> {
    let width = geometry.output_width();
    let y = geometry.source(0, pixel / width, tap / geometry.kernel[1])?;
    let x = geometry.source(1, pixel % width, tap % geometry.kernel[1])?;
    Some(y * geometry.width + x)
}
