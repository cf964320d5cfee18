//! Convolutions whose sums may leave `i32`: each window is gathered, and multiplied as [`DeepMatrix`] does.

use std::cell::Cell;

use super::columns_of_group;
use crate::deep::DeepMatrix;
use crate::epilogue::Epilogue;
use crate::error::Result;
use crate::geometry::Conv2dGeometry;
use crate::output_rows::OutputRows;

thread_local! {
    /// A window, kept between calls, so that a steady state allocates nothing.
    static WINDOW: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// One matrix for each group, the depth in the order `[KH, KW, C / groups]`; `weight` is in PyTorch's.
pub(super) fn deep_groups(
    weight: &[i8],
    zero_points: &[i32],
    geometry: &Conv2dGeometry,
) -> Result<Vec<DeepMatrix>> {
    let channels = geometry.in_channels / geometry.groups;
    let taps = geometry.kernel[0] * geometry.kernel[1];
    let (depth, columns) = (geometry.depth(), columns_of_group(geometry));
    weight
        .chunks_exact(columns * depth)
        .enumerate()
        .map(|(group, weight)| {
            let in_order = |column: &[i8]| {
                (0..depth).map(|k| column[k % channels * taps + k / channels]).collect::<Vec<_>>()
            };
            let weights = weight.chunks_exact(depth).flat_map(in_order).collect();
            DeepMatrix::new(weights, depth, super::zero_points_of_group(zero_points, group, columns))
        })
        .collect()
}

pub(super) fn convolve<E: Epilogue>(
    groups: &[DeepMatrix],
    geometry: &Conv2dGeometry,
    input: &[u8],
    zero_point: u8,
    epilogue: &E,
    mut output: OutputRows<'_, E::Output>,
) {
    let [height, width] = [geometry.output_height(), geometry.output_width()];
    let mut window = WINDOW.take();
    for pixel in 0..geometry.pixels() {
        let (image, y, x) = (pixel / (height * width), pixel / width % height, pixel % width);
        let mut columns = 0;
        for (group, matrix) in groups.iter().enumerate() {
            gather(geometry, input, zero_point, [image, y, x, group], &mut window);
            let output = &mut output.row_mut(pixel)[columns..][..matrix.columns()];
            matrix.multiply(pixel, &window, zero_point, columns, epilogue, output);
            columns += matrix.columns();
        }
    }
    WINDOW.set(window);
}

/// The channels of a group under all taps of an output pixel; the padding is the zero point.
fn gather(
    geometry: &Conv2dGeometry,
    input: &[u8],
    zero_point: u8,
    [image, y, x, group]: [usize; 4],
    window: &mut Vec<u8>,
) {
    let channels = geometry.in_channels / geometry.groups;
    window.clear();
    for tap_y in 0..geometry.kernel[0] {
        let source_y = geometry.source(0, y, tap_y);
        for tap_x in 0..geometry.kernel[1] {
            match (source_y, geometry.source(1, x, tap_x)) {
                (Some(y), Some(x)) => {
                    let pixel = (image * geometry.height + y) * geometry.width + x;
                    let first = pixel * geometry.in_channels + group * channels;
                    window.extend_from_slice(&input[first..][..channels]);
                }
                _ => window.resize(window.len() + channels, zero_point),
            }
        }
    }
}
