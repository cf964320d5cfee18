//! Convolutions to images of a few pixels: dot products of the weights, which are read once, and each pixel's window.

use std::cell::Cell;

use crate::float::Epilogue;
use crate::float::dots::for_each_dot;
use crate::float::tiled::Tiled;
use crate::geometry::Conv2dGeometry;
use crate::isa::isa;
use crate::kernels::float::FloatTile;

thread_local! {
    static WINDOWS: Cell<Vec<f32>> = Cell::default();
}

/// Whether the pixels do not fill a vector.
pub(super) fn are_few(geometry: &Conv2dGeometry) -> bool {
    geometry.output_height() * geometry.output_width() < FloatTile::of(isa()).lanes
}

pub(super) fn convolve(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let pixels = geometry.output_height() * geometry.output_width();
    let out_channels = geometry.out_channels / geometry.groups;
    let depth = geometry.depth();
    let output = Tiled::new(output, pixels);
    let mut windows = WINDOWS.take();
    for group in 0..geometry.groups {
        gather(geometry, input, group, &mut windows);
        let channels = group * out_channels..(group + 1) * out_channels;
        let weight = &weight[channels.start * depth..channels.end * depth];
        let finish = epilogue.of(channels.clone());
        for_each_dot(weight, &windows, depth, |row, column, sum| {
            let (image, pixel) = (column / pixels, column % pixels);
            let plane = image * geometry.out_channels + channels.start + row;
            // SAFETY: each dot product is computed once.
            let mut output = unsafe { output.tile(plane..plane + 1, pixel..pixel + 1) };
            output.row(0)[0] = finish.apply(row, sum);
        });
    }
    WINDOWS.set(windows);
}

/// `[N * OH * OW, C / groups * KH * KW]`: what the filter of a group sees at each pixel.
fn gather(geometry: &Conv2dGeometry, input: &[f32], group: usize, windows: &mut Vec<f32>) {
    let channels = geometry.in_channels / geometry.groups;
    let [kernel_height, kernel_width] = geometry.kernel;
    let plane_len = geometry.height * geometry.width;
    windows.clear();
    for planes in input.chunks_exact(geometry.in_channels * plane_len) {
        for y in 0..geometry.output_height() {
            for x in 0..geometry.output_width() {
                for plane in planes.chunks_exact(plane_len).skip(group * channels).take(channels) {
                    for tap_y in 0..kernel_height {
                        let row = geometry.source(0, y, tap_y);
                        windows.extend((0..kernel_width).map(|tap_x| {
                            match (row, geometry.source(1, x, tap_x)) {
                                (Some(y), Some(x)) => plane[y * geometry.width + x],
                                _ => 0.0,
                            }
                        }));
                    }
                }
            }
        }
    }
}
