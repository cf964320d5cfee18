//! Quantized pools and means.

use proptest::prelude::*;
use qkernels::QParams;
use qkernels::geometry::{AdaptivePool2dGeometry, Pool2dGeometry, Pool2dParameters};
use qkernels::pool::{
    AveragePool2d, MeanExtents, MeanRule, TieRule, adaptive_avg_pool2d, avg_pool2d, avg_pool2d_into,
    max_pool2d, max_pool2d_into, mean,
};

use crate::problem::{bytes, in_every_way, pool2d, zero_point};
use crate::reference;

fn tie_rule() -> impl Strategy<Value = TieRule> {
    prop_oneof![Just(TieRule::Centered), Just(TieRule::Raw), Just(TieRule::CenteredPrime)]
}

/// `pixels` of `channels` bytes, `pixel_stride` bytes apart, with `gap` between them.
fn with_gaps(pixels: &[u8], channels: usize, pixel_stride: usize, gap: u8) -> Vec<u8> {
    let mut strided = vec![gap; (pixels.len() / channels - 1) * pixel_stride + channels];
    for (row, pixel) in strided.chunks_mut(pixel_stride).zip(pixels.chunks(channels)) {
        row[..channels].copy_from_slice(pixel);
    }
    strided
}

proptest! {
    #[test]
    fn pools_leave_what_is_between_the_pixels_of_their_output(
        (geometry, input) in pool2d(1).prop_flat_map(|g| (Just(g), bytes(g.input_len()))),
        extra in 0..=5_usize,
        zero_point in zero_point(),
    ) {
        let pixel_stride = geometry.channels + extra;
        let mut output = vec![0; geometry.output_len()];
        max_pool2d(&geometry, &input, &mut output).unwrap();
        let expected = with_gaps(&output, geometry.channels, pixel_stride, 7);
        let actual = in_every_way(|| {
            let mut output = vec![7; expected.len()];
            max_pool2d_into(&geometry, &input, &mut output, pixel_stride).unwrap();
            output
        });
        prop_assert_eq!(actual, expected);

        let qparams = QParams::new(0.1, zero_point);
        let pool = AveragePool2d { qparams, tie_rule: TieRule::Centered, count_include_pad: true };
        avg_pool2d(&geometry, &pool, &input, &mut output).unwrap();
        let expected = with_gaps(&output, geometry.channels, pixel_stride, 7);
        let actual = in_every_way(|| {
            let mut output = vec![7; expected.len()];
            avg_pool2d_into(&geometry, &pool, &input, &mut output, pixel_stride).unwrap();
            output
        });
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn max_pool_equals_the_definition(
        (geometry, input) in pool2d(3).prop_flat_map(|g| (Just(g), bytes(g.input_len()))),
    ) {
        let actual = in_every_way(|| {
            let mut output = vec![7; geometry.output_len()];
            max_pool2d(&geometry, &input, &mut output).unwrap();
            output
        });
        prop_assert_eq!(&actual, &reference::max_pool2d(&geometry, &input));

        let signed: Vec<i8> = input.iter().map(|&q| (q ^ 128) as i8).collect();
        let mut output = vec![0; geometry.output_len()];
        max_pool2d(&geometry, &signed, &mut output).unwrap();
        prop_assert!(actual.iter().zip(&output).all(|(&u, &s)| (u ^ 128) as i8 == s));
    }

    #[test]
    fn average_pool_equals_the_definition(
        (geometry, input) in pool2d(1).prop_flat_map(|g| (Just(g), bytes(g.input_len()))),
        zero_point in zero_point(),
        scale in 0.001_f32..2.0,
        tie_rule in tie_rule(),
        count_include_pad in any::<bool>(),
    ) {
        let pool = AveragePool2d {
            qparams: QParams::new(scale, zero_point),
            tie_rule,
            count_include_pad,
        };
        let actual = in_every_way(|| {
            let mut output = vec![7; geometry.output_len()];
            avg_pool2d(&geometry, &pool, &input, &mut output).unwrap();
            output
        });
        let expected = reference::avg_pool2d(
            &geometry, &input, (scale, zero_point), tie_rule, count_include_pad,
        );
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn adaptive_average_equals_the_definition(
        (batch, channels, height, width, input) in
            (1..=2_usize, prop_oneof![1..=9_usize, 60..=130_usize], 1..=11_usize, 1..=11_usize)
            .prop_flat_map(|(n, c, h, w)| (Just(n), Just(c), Just(h), Just(w), bytes(n * c * h * w))),
        output_size in prop::array::uniform2(1..=13_usize),
        zero_point in zero_point(),
        tie_rule in tie_rule(),
    ) {
        let geometry =
            AdaptivePool2dGeometry::new(batch, channels, [height, width], output_size).unwrap();
        let qparams = QParams::new(0.043, zero_point);
        let actual = in_every_way(|| {
            let mut output = vec![7; geometry.output_len()];
            adaptive_avg_pool2d(&geometry, qparams, tie_rule, &input, &mut output).unwrap();
            output
        });
        let range = |i: usize, size: usize, count: usize| i * size / count..((i + 1) * size).div_ceil(count);
        let mut expected = Vec::new();
        for n in 0..batch {
            for oy in 0..output_size[0] {
                for ox in 0..output_size[1] {
                    for c in 0..channels {
                        let mut window = Vec::new();
                        for y in range(oy, height, output_size[0]) {
                            for x in range(ox, width, output_size[1]) {
                                window.push(Some(input[((n * height + y) * width + x) * channels + c]));
                            }
                        }
                        expected.push(reference::average(&window, (0.043, zero_point), tie_rule, true));
                    }
                }
            }
        }
        prop_assert_eq!(actual, expected);
    }

    #[test]
    fn means_equal_their_formulas(
        (outer, reduced, inner, input) in (1..=3_usize, 1..=50_usize, prop_oneof![1..=20_usize, 60..=130_usize])
            .prop_flat_map(|(o, r, i)| (Just(o), Just(r), Just(i), bytes(o * r * i))),
        zero_point in zero_point(),
    ) {
        let scale = 0.037_f32;
        let extents = MeanExtents { outer, reduced, inner };
        let run = |rule| in_every_way(|| {
            let mut output = vec![0_u8; outer * inner];
            mean(extents, QParams::new(scale, zero_point), rule, &input, &mut output).unwrap();
            output
        });
        let (raw, prime, float) =
            (run(MeanRule::Raw), run(MeanRule::CenteredPrime), run(MeanRule::Dequantized));
        let n = reduced as f32;
        for o in 0..outer {
            for i in 0..inner {
                let values: Vec<i32> = (0..reduced)
                    .map(|r| i32::from(input[(o * reduced + r) * inner + i]))
                    .collect();
                let sum: i32 = values.iter().sum();
                let centered: i32 = values.iter().map(|q| q - zero_point).sum();
                let real: f32 = values.iter().map(|&q| reference::dequantize(q, scale, zero_point)).sum();
                let at = o * inner + i;
                let finish = |v, z| reference::quantize_steps(v, z, 0, 255);
                prop_assert_eq!(i32::from(raw[at]), finish(sum as f32 / n, 0));
                let multiplier = scale / (scale * n);
                prop_assert_eq!(i32::from(prime[at]), finish(centered as f32 * multiplier, zero_point));
                prop_assert_eq!(i32::from(float[at]), finish(real / n * (1.0 / scale), zero_point));
            }
        }
    }
}

fn geometry(size: usize, kernel: usize, stride: usize, padding: usize) -> Pool2dGeometry {
    Pool2dGeometry::new(Pool2dParameters {
        batch: 1,
        channels: 1,
        height: size,
        width: size,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [1; 2],
        ceil_mode: true,
    })
    .unwrap()
}

#[test]
fn ceil_mode_drops_a_window_that_starts_in_the_right_padding() {
    // Windows start at -1, 1, 3 and (dropped) 5 = size of the input.
    assert_eq!(geometry(5, 2, 2, 1).output_width(), 3);
    assert_eq!(geometry(6, 2, 2, 1).output_width(), 4);
    assert_eq!(geometry(5, 3, 2, 0).output_width(), 2);
    assert_eq!(geometry(6, 3, 2, 0).output_width(), 3);
}

#[test]
fn a_window_larger_than_the_image_is_allowed_in_ceil_mode_only() {
    assert_eq!(geometry(2, 3, 2, 0).output_width(), 1);
}
