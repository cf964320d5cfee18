//! Quantize and dequantize.

use proptest::prelude::*;
use qkernels::quantize::{
    ChannelExtents, ImageShape, dequantize_nhwc_to_nchw, dequantize_per_channel,
    dequantize_per_channel_float_qparams, dequantize_per_tensor, nchw_to_nhwc, nhwc_to_nchw,
    quantize_nchw_to_nhwc, quantize_per_channel, quantize_per_channel_float_qparams, quantize_per_tensor,
    range,
};
use qkernels::{QParams, QuantizedInteger};

use crate::problem::{bytes, floats, in_every_way};
use crate::reference::{dequantize, quantize_steps};

fn quantized<T: QuantizedInteger>(input: &[f32], scale: f32, zero_point: i32) -> Vec<i32> {
    in_every_way(|| {
        let mut output = vec![T::from_i32(0); input.len()];
        quantize_per_tensor(input, QParams::new(scale, zero_point), T::RANGE, &mut output).unwrap();
        output.into_iter().map(T::to_i32).collect()
    })
}

proptest! {
    #[test]
    fn range_is_that_of_a_plain_loop(
        mut values in prop_oneof![1..200_usize, 4000..9000_usize].prop_flat_map(floats),
        nan in prop::option::of(any::<prop::sample::Index>()),
        large in prop::sample::select(&[0.0, f32::INFINITY, f32::NEG_INFINITY]),
        place in any::<prop::sample::Index>(),
    ) {
        *place.get_mut(&mut values) += large;
        let found = in_every_way(|| range(&values).unwrap());
        prop_assert_eq!(found.0, values.iter().copied().fold(f32::INFINITY, f32::min));
        prop_assert_eq!(found.1, values.iter().copied().fold(f32::NEG_INFINITY, f32::max));
        if let Some(place) = nan {
            *place.get_mut(&mut values) = f32::NAN;
            let found = in_every_way(|| range(&values).map(|(low, high)| [low.is_nan(), high.is_nan()]));
            prop_assert_eq!(found, Some([true; 2]));
        }
    }

    #[test]
    fn quantize_equals_the_formula(
        input in floats(100),
        scale in 0.001_f32..1.0,
        zero_point in 0..=127_i32,
    ) {
        let expected = |low, high| -> Vec<i32> {
            input
                .iter()
                .map(|&x| quantize_steps(x * (1.0 / scale), zero_point, low, high))
                .collect()
        };
        prop_assert_eq!(quantized::<u8>(&input, scale, zero_point), expected(0, 255));
        prop_assert_eq!(quantized::<i8>(&input, scale, zero_point), expected(-128, 127));
        prop_assert_eq!(
            quantized::<i32>(&input, scale, zero_point),
            expected(i32::MIN, i32::MAX)
        );
    }

    #[test]
    fn per_channel_is_per_tensor_of_each_channel(input in floats(2 * 3 * 5)) {
        let extents = ChannelExtents { outer: 2, channels: 3, inner: 5 };
        let (scales, zero_points) = ([0.1, 0.02, 0.5], [0, -7, 11]);
        let mut output = vec![0_i8; input.len()];
        quantize_per_channel(&input, extents, &scales, &zero_points, i8::RANGE, &mut output).unwrap();
        let mut back = vec![0.0; input.len()];
        dequantize_per_channel(&output, extents, &scales, &zero_points, &mut back).unwrap();
        for (i, &q) in output.iter().enumerate() {
            let c = i / 5 % 3;
            let expected = quantize_steps(input[i] * (1.0 / scales[c]), zero_points[c], -128, 127);
            prop_assert_eq!(i32::from(q), expected);
            prop_assert_eq!(back[i], dequantize(expected, scales[c], zero_points[c]));
        }
    }

    #[test]
    fn float_zero_point_is_added_before_rounding(input in floats(40), zero_point in -3.0_f32..200.0) {
        let extents = ChannelExtents { outer: 1, channels: 1, inner: 40 };
        let mut output = vec![0_u8; 40];
        quantize_per_channel_float_qparams(&input, extents, &[0.05], &[zero_point], 0..=255, &mut output)
            .unwrap();
        let mut back = vec![0.0; 40];
        dequantize_per_channel_float_qparams(&output, extents, &[0.05], &[zero_point], &mut back).unwrap();
        for ((&x, &q), &back) in input.iter().zip(&output).zip(&back) {
            let expected = quantize_steps(zero_point + x * (1.0 / 0.05), 0, 0, 255);
            prop_assert_eq!(i32::from(q), expected);
            prop_assert_eq!(back, (expected as f32 - zero_point) * 0.05);
        }
    }

    #[test]
    fn layout_changes_agree_with_indexing(
        (shape, input) in
            (1..=3_usize, prop_oneof![1..=7_usize, 8..=130_usize], 1..=20_usize, 1..=20_usize)
            .prop_flat_map(|(batch, channels, height, width)| (
                Just(ImageShape { batch, channels, height, width }),
                floats(batch * channels * height * width),
            )),
    ) {
        let qparams = QParams::new(0.03, 120);
        let pixels = shape.height * shape.width;
        let quantized = in_every_way(|| {
            let mut output = vec![0_u8; input.len()];
            quantize_nchw_to_nhwc(&input, shape, qparams, u8::RANGE, &mut output).unwrap();
            output
        });
        let floats = in_every_way(|| {
            let mut output = vec![0.0; input.len()];
            dequantize_nhwc_to_nchw(&quantized, shape, qparams, &mut output).unwrap();
            output
        });
        for n in 0..shape.batch {
            for c in 0..shape.channels {
                for p in 0..pixels {
                    let first = (n * shape.channels + c) * pixels + p;
                    let last = (n * pixels + p) * shape.channels + c;
                    let expected = quantize_steps(input[first] * (1.0 / 0.03), 120, 0, 255);
                    prop_assert_eq!(i32::from(quantized[last]), expected);
                    prop_assert_eq!(floats[first], dequantize(expected, 0.03, 120));
                }
            }
        }
        let (mut there, mut back) = (vec![0.0; input.len()], vec![0.0; input.len()]);
        nchw_to_nhwc(&input, shape, &mut there).unwrap();
        nhwc_to_nchw(&there, shape, &mut back).unwrap();
        prop_assert_eq!(&input, &back);

        let planes = in_every_way(|| {
            let mut output = vec![0_u8; input.len()];
            nhwc_to_nchw(&quantized, shape, &mut output).unwrap();
            output
        });
        let mut expected = vec![0_u8; input.len()];
        quantize_per_tensor(&input, qparams, u8::RANGE, &mut expected).unwrap();
        prop_assert_eq!(&planes, &expected);
        let signed: Vec<i8> = planes.iter().map(|&q| q as i8).collect();
        let pixels = in_every_way(|| {
            let mut output = vec![0_i8; input.len()];
            nchw_to_nhwc(&signed, shape, &mut output).unwrap();
            output
        });
        prop_assert!(pixels.iter().zip(&quantized).all(|(&signed, &q)| signed as u8 == q));
    }

    #[test]
    fn dequantize_equals_the_formula(input in bytes(70), zero_point in 0..=255_i32) {
        let output = in_every_way(|| {
            let mut output = vec![0.0; 70];
            dequantize_per_tensor(&input, QParams::new(0.3, zero_point), &mut output).unwrap();
            output
        });
        for (&q, &x) in input.iter().zip(&output) {
            prop_assert_eq!(x, dequantize(i32::from(q), 0.3, zero_point));
        }
    }
}

#[test]
fn values_far_out_of_range_saturate_and_nan_becomes_the_zero_point() {
    let input = [f32::INFINITY, f32::NEG_INFINITY, f32::MAX, f32::MIN, 3e9, -3e9, f32::NAN, -f32::NAN];
    assert_eq!(quantized::<u8>(&input, 1.0, 200), [255, 0, 255, 0, 255, 0, 200, 200]);
    assert_eq!(quantized::<i8>(&input, 1e-3, -128), [127, -128, 127, -128, 127, -128, -128, -128]);
    let (low, high) = (i32::MIN, i32::MAX);
    assert_eq!(quantized::<i32>(&input, 1.0, 5), [high, low, high, low, high, low, 5, 5]);
    // In vectors as well as in what is left over.
    let many = input.repeat(9);
    assert_eq!(quantized::<u8>(&many, 1.0, 200), [255, 0, 255, 0, 255, 0, 200, 200].repeat(9));
}

#[test]
fn a_customized_range_limits_the_integers() {
    let mut output = [0_u8; 3];
    quantize_per_tensor(&[-9.0, 1.0, 99.0], QParams::new(1.0, 10), 5..=20, &mut output).unwrap();
    assert_eq!(output, [5, 11, 20]);
}

#[test]
fn ties_round_before_the_zero_point_is_added() {
    assert_eq!(quantized::<u8>(&[0.5, 1.5, 2.5, -0.5], 1.0, 1), [1, 3, 3, 1]);
}

#[test]
fn empty_tensors_are_fine() {
    assert!(quantized::<u8>(&[], 1.0, 0).is_empty());
    let shape = ImageShape { batch: 0, channels: 3, height: 2, width: 2 };
    nchw_to_nhwc::<u8>(&[], shape, &mut []).unwrap();
}

#[test]
fn range_of_nothing_is_none_and_its_zero_is_positive() {
    assert_eq!(range(&[]), None);
    let (low, high) = range(&[-0.0; 3]).unwrap();
    assert_eq!([low.to_bits(), high.to_bits()], [0; 2]);
}
