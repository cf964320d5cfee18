//! Float pools agree with their definition.

use proptest::prelude::*;
use qkernels::float::{adaptive_avg_pool2d, avg_pool2d, max_pool2d};
use qkernels::geometry::{AdaptivePool2dGeometry, Pool2dGeometry, Pool2dParameters};

use crate::float::close;
use crate::problem::{floats, in_every_way, pool2d};

/// The taps of one window, clipped to the image.
fn window(g: &Pool2dGeometry, plane: &[f32], y: usize, x: usize) -> Vec<f32> {
    let mut values = Vec::new();
    for ky in 0..g.kernel[0] {
        for kx in 0..g.kernel[1] {
            let iy = (y * g.stride[0] + ky * g.dilation[0]).wrapping_sub(g.padding[0]);
            let ix = (x * g.stride[1] + kx * g.dilation[1]).wrapping_sub(g.padding[1]);
            if iy < g.height && ix < g.width {
                values.push(plane[iy * g.width + ix]);
            }
        }
    }
    values
}

fn for_each_window(g: &Pool2dGeometry, input: &[f32], mut f: impl FnMut(usize, &[f32], [usize; 2])) {
    let planes = input.chunks_exact(g.height * g.width);
    let mut index = 0;
    for plane in planes {
        for y in 0..g.output_height() {
            for x in 0..g.output_width() {
                f(index, &window(g, plane, y, x), [y, x]);
                index += 1;
            }
        }
    }
}

proptest! {
    #[test]
    fn max_pool_agrees_with_the_definition(
        (geometry, input) in pool2d(3).prop_flat_map(|g| (Just(g), floats(g.input_len()))),
    ) {
        let output = in_every_way(|| {
            let mut output = vec![9.0; geometry.output_len()];
            max_pool2d(&geometry, &input, &mut output).unwrap();
            output
        });
        for_each_window(&geometry, &input, |i, window, _| {
            let max = window.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(output[i], max);
        });
    }

    #[test]
    fn average_pool_agrees_with_the_definition(
        (geometry, input) in pool2d(1).prop_flat_map(|g| (Just(g), floats(g.input_len()))),
        count_include_pad in any::<bool>(),
    ) {
        let output = in_every_way(|| {
            let mut output = vec![9.0; geometry.output_len()];
            avg_pool2d(&geometry, count_include_pad, &input, &mut output).unwrap();
            output
        });
        let g = &geometry;
        for_each_window(g, &input, |i, window, [y, x]| {
            let padded = |axis: usize, position: usize, size: usize| {
                let start = position * g.stride[axis];
                (start + g.kernel[axis]).min(size + 2 * g.padding[axis]) - start
            };
            let divisor = if count_include_pad {
                padded(0, y, g.height) * padded(1, x, g.width)
            } else {
                window.len()
            };
            let expected = window.iter().sum::<f32>() / divisor as f32;
            assert!(close(&[output[i]], &[expected]));
        });
    }
}

#[test]
fn adaptive_pool_to_one_pixel_is_the_mean() {
    let geometry = AdaptivePool2dGeometry::new(1, 2, [2, 3], [1, 1]).unwrap();
    let input: Vec<f32> = (0..12).map(|i| i as f32).collect();
    let mut output = [0.0; 2];
    adaptive_avg_pool2d(&geometry, &input, &mut output).unwrap();
    assert_eq!(output, [2.5, 8.5]);
}

#[test]
fn max_pool_propagates_nan() {
    let geometry = pool_of_two();
    let mut output = [0.0; 1];
    max_pool2d(&geometry, &[1.0, f32::NAN, 3.0, 2.0], &mut output).unwrap();
    assert!(output[0].is_nan());
}

#[test]
fn max_pool_agrees_where_windows_are_larger_than_the_image() {
    let geometry = Pool2dGeometry::new(Pool2dParameters {
        batch: 1,
        channels: 2,
        height: 3,
        width: 5,
        kernel: [1 << 12, 20],
        stride: [2, 3],
        padding: [1 << 11, 10],
        dilation: [1, 1],
        ceil_mode: true,
    })
    .unwrap();
    let input: Vec<f32> = (0..geometry.input_len()).map(|i| (i * 7 % 11) as f32).collect();
    let mut output = vec![f32::NAN; geometry.output_len()];
    max_pool2d(&geometry, &input, &mut output).unwrap();
    for_each_window(&geometry, &input, |i, window, _| {
        assert_eq!(output[i], window.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    });
}

fn pool_of_two() -> Pool2dGeometry {
    Pool2dGeometry::new(Pool2dParameters {
        batch: 1,
        channels: 1,
        height: 2,
        width: 2,
        kernel: [2; 2],
        stride: [2; 2],
        padding: [0; 2],
        dilation: [1; 2],
        ceil_mode: false,
    })
    .unwrap()
}
