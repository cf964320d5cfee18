//! Float kernels agree with sums in double.

use proptest::prelude::*;
use qkernels::float::{
    Epilogue, PackedWeight, Weight, affine_into, conv2d_into, linear, map, map_into, mean_into, zip_into,
};
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::isa::{Isa, set_isa};
use qkernels::pool::MeanExtents;
use qkernels::threads::{set_num_threads, set_work_threshold};

use crate::problem::{self, floats, in_every_way};
use crate::reference;

pub fn close(actual: &[f32], expected: &[f32]) -> bool {
    actual.len() == expected.len()
        && actual.iter().zip(expected).all(|(a, e)| (a - e).abs() <= 1e-4 * e.abs().max(1.0))
}

/// A convolution into memory that it has to set as a whole.
fn conv2d(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: Weight<'_>,
    epilogue: &Epilogue,
) -> qkernels::Result<Vec<f32>> {
    let mut output = vec![f32::NAN; geometry.output_len()];
    conv2d_into(geometry, input, weight, epilogue, &mut output)?;
    Ok(output)
}

/// The results of `run` on each instruction set of this machine, on one and on three threads.
pub fn on_every_isa(run: impl Fn() -> Vec<f32>) -> Vec<Vec<f32>> {
    let mut results = Vec::new();
    for isa in Isa::available() {
        for threads in [1, 3] {
            set_isa(Some(isa));
            set_num_threads(threads);
            set_work_threshold(0);
            results.push(run());
        }
    }
    results
}

/// What is added up in each output, without its signs.
fn added(geometry: &Conv2dGeometry, input: &[f32], weight: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let magnitudes = |values: &[f32]| values.iter().map(|value| value.abs()).collect::<Vec<_>>();
    let [input, weight] = [magnitudes(input), magnitudes(weight)];
    reference::conv2d_float(geometry, &input, &weight, bias.map(magnitudes).as_deref())
}

proptest! {
    #[test]
    fn mean_agrees_with_a_sum_in_double(
        (outer, reduced, inner, input) in (0..=3_usize, 1..=70_usize, prop_oneof![Just(1), 1..=40_usize])
            .prop_flat_map(|(o, r, i)| (Just(o), Just(r), Just(i), floats(o * r * i))),
    ) {
        let output = in_every_way(|| {
            let mut output = vec![9.0; outer * inner];
            mean_into(MeanExtents { outer, reduced, inner }, &input, &mut output).unwrap();
            output
        });
        for (i, found) in output.iter().enumerate() {
            let values = input[i / inner * reduced * inner + i % inner..].iter().step_by(inner).take(reduced);
            let sum: f64 = values.copied().map(f64::from).sum();
            let expected = sum / reduced as f64;
            // A sum in double is off by less than its last rounding to single.
            prop_assert!((f64::from(*found) - expected).abs() <= expected.abs() * 6e-8 + 1e-12);
        }
    }

    #[test]
    fn affine_scales_shifts_and_clamps_each_channel(
        (channels, inner, affine, input) in (1..=5_usize, 1..=40_usize, 0..=3_usize)
            .prop_flat_map(|(c, i, n)| (Just(c), Just(i), floats(2 * c), floats(n * c * i))),
        clamps in any::<bool>(),
    ) {
        let limits = if clamps { [-1.0, 6.0] } else { [f32::NEG_INFINITY, f32::INFINITY] };
        let output = in_every_way(|| {
            let mut output = vec![9.0; input.len()];
            affine_into(affine.as_chunks().0, inner, limits, &input, &mut output).unwrap();
            output
        });
        let expected: Vec<f32> = input.iter().enumerate().map(|(i, x)| {
            let channel = i / inner % channels;
            (x * affine[2 * channel] + affine[2 * channel + 1]).max(limits[0]).min(limits[1])
        }).collect();
        prop_assert_eq!(output, expected);
    }

    #[test]
    fn conv2d_agrees_with_the_definition(
        (geometry, input, weight, bias) in problem::conv2d().prop_flat_map(|g| (
            Just(g),
            floats(g.input_len()),
            floats(g.weight_len()),
            prop::option::of(floats(g.out_channels)),
        )),
    ) {
        let expected = reference::conv2d_float(&geometry, &input, &weight, bias.as_deref());
        // Sums in another order differ by a part of what was added, however little of it is left.
        let added = added(&geometry, &input, &weight, bias.as_deref());
        let epilogue = Epilogue::bias(geometry.out_channels, bias.as_deref()).unwrap();
        for output in on_every_isa(|| {
            conv2d(&geometry, &input, Weight::Whole(&weight), &epilogue).unwrap()
        }) {
            for ((found, expected), added) in output.iter().zip(&expected).zip(&added) {
                prop_assert!((found - expected).abs() <= 4e-6 * added.max(1.0), "{} {}", found, expected);
            }
        }
    }

    /// A value of the input enters outputs that do not see it, and leaves them again but for rounding: so the error
    /// is a part of what is added anywhere.
    #[test]
    fn conv2d_with_a_packed_weight_agrees_with_the_definition(
        (geometry, input, weight, bias) in problem::conv2d_faster_packed().prop_flat_map(|g| (
            Just(g),
            floats(g.input_len()),
            floats(g.weight_len()),
            floats(g.out_channels),
        )),
    ) {
        let expected = reference::conv2d_float(&geometry, &input, &weight, Some(&bias));
        let added = added(&geometry, &input, &weight, Some(&bias)).into_iter().fold(0.0, f32::max);
        let epilogue = Epilogue::bias(geometry.out_channels, Some(&bias)).unwrap();
        for output in on_every_isa(|| {
            let packed = PackedWeight::new(&geometry, &weight).unwrap().unwrap();
            conv2d(&geometry, &input, Weight::Packed(&packed), &epilogue).unwrap()
        }) {
            prop_assert_eq!(output.len(), expected.len());
            for (found, expected) in output.iter().zip(&expected) {
                prop_assert!((found - expected).abs() <= 1e-6 * added, "{} {} of {}", found, expected, added);
            }
        }
    }

    #[test]
    fn linear_agrees_with_the_definition(
        (rows, inputs, outputs, input, weight, bias) in
            (1..=9_usize, 1..=40_usize, 1..=20_usize).prop_flat_map(|(r, i, o)| (
                Just(r), Just(i), Just(o), floats(r * i), floats(o * i), prop::option::of(floats(o)),
            )),
    ) {
        let epilogue = Epilogue::bias(outputs, bias.as_deref()).unwrap();
        let found = on_every_isa(|| {
            let mut output = vec![9.0; rows * outputs];
            linear(rows, &input, &weight, &epilogue, &mut output).unwrap();
            output
        });
        let mut expected = Vec::new();
        for r in 0..rows {
            for o in 0..outputs {
                let bias = bias.as_ref().map_or(0.0, |bias| f64::from(bias[o]));
                let sum: f64 = (0..inputs)
                    .map(|k| f64::from(input[r * inputs + k]) * f64::from(weight[o * inputs + k]))
                    .sum();
                expected.push((sum + bias) as f32);
            }
        }
        for output in found {
            prop_assert!(close(&output, &expected));
        }
    }
}

/// Properties draw small images; these have several tiles of pixels that end within a row, sums in several
/// parts, more padding than image, and windows that leave a large part of the image out.
#[test]
fn conv2d_agrees_beyond_one_tile() {
    let cases = [
        ([60, 5, 1], [13, 21], [3, 3], [1, 1], [1, 1]),
        ([60, 5, 1], [31, 33], [3, 3], [2, 2], [1, 1]),
        ([3, 7, 1], [40, 41], [7, 7], [2, 2], [3, 3]),
        ([530, 6, 2], [12, 11], [1, 1], [1, 1], [0, 0]),
        ([530, 6, 2], [23, 24], [1, 1], [3, 3], [0, 0]),
        ([17, 17, 17], [20, 19], [3, 3], [1, 1], [1, 1]),
        ([17, 34, 17], [20, 19], [5, 3], [2, 3], [2, 1]),
        ([6, 6, 6], [9, 70], [5, 5], [1, 1], [2, 2]),
        ([40, 80, 40], [5, 67], [3, 3], [2, 2], [1, 1]),
        ([4, 4, 4], [2, 3], [3, 3], [200, 150], [400, 300]),
        ([300, 5, 1], [2, 1], [3, 3], [1, 1], [1, 1]),
    ];
    for ([in_channels, out_channels, groups], [height, width], kernel, stride, padding) in cases {
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 2,
            in_channels,
            height,
            width,
            out_channels,
            kernel,
            stride,
            padding,
            dilation: [1; 2],
            groups,
        })
        .unwrap();
        // Integers, whose sums are exact in any order.
        let values = |len: usize| (0..len).map(|i| (i * 37 % 101) as f32 - 50.0).collect::<Vec<_>>();
        let (input, weight) = (values(geometry.input_len()), values(geometry.weight_len()));
        let bias = values(out_channels);
        for bias in [None, Some(bias.as_slice())] {
            let expected = reference::conv2d_float(&geometry, &input, &weight, bias);
            let epilogue = Epilogue::bias(out_channels, bias).unwrap();
            for output in
                on_every_isa(|| conv2d(&geometry, &input, Weight::Whole(&weight), &epilogue).unwrap())
            {
                assert_eq!(output, expected, "{geometry:?}");
            }
        }
    }
}

/// Several tiles of patches that end within a row, images of odd sizes, and all paddings.
#[test]
fn conv2d_with_a_packed_weight_agrees_beyond_one_tile() {
    let cases = [
        ([16, 16], [6, 6], [1, 1]),
        ([17, 30], [29, 31], [1, 1]),
        ([48, 16], [7, 90], [0, 2]),
        ([16, 53], [33, 64], [2, 0]),
        ([130, 25], [12, 13], [1, 1]),
        ([600, 16], [8, 8], [1, 1]),
    ];
    for (channels, size, padding) in cases {
        let geometry = problem::conv2d_3x3(2, channels, size, padding).unwrap();
        // Small integers, of which halves and quarters are exact too.
        let values = |len: usize| (0..len).map(|i| (i * 37 % 11) as f32 - 5.0).collect::<Vec<_>>();
        let (input, weight) = (values(geometry.input_len()), values(geometry.weight_len()));
        let bias = values(geometry.out_channels);
        let expected = reference::conv2d_float(&geometry, &input, &weight, Some(&bias));
        let epilogue = Epilogue::bias(geometry.out_channels, Some(&bias)).unwrap();
        for output in on_every_isa(|| {
            let packed = PackedWeight::new(&geometry, &weight).unwrap().unwrap();
            conv2d(&geometry, &input, Weight::Packed(&packed), &epilogue).unwrap()
        }) {
            assert_eq!(output, expected, "{geometry:?}");
        }
        // A weight that was packed for one instruction set serves all.
        let packed = PackedWeight::new(&geometry, &weight).unwrap().unwrap();
        for output in on_every_isa(|| conv2d(&geometry, &input, Weight::Packed(&packed), &epilogue).unwrap())
        {
            assert_eq!(output, expected, "{geometry:?}");
        }
    }
}

/// The images are so small that most taps only see padding.
#[test]
fn conv2d_needs_only_what_is_seen_of_a_weight() {
    for (size, stride, channels, groups) in
        [([1, 1], 1, [37, 20], 1), ([2, 2], 2, [6, 10], 2), ([1, 3], 1, [5, 4], 1)]
    {
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 2,
            in_channels: channels[0],
            height: size[0],
            width: size[1],
            out_channels: channels[1],
            kernel: [3; 2],
            stride: [stride; 2],
            padding: [1; 2],
            dilation: [1; 2],
            groups,
        })
        .unwrap();
        let values = |len: usize| (0..len).map(|i| (i * 37 % 101) as f32 - 50.0).collect::<Vec<_>>();
        let (input, weight) = (values(geometry.input_len()), values(geometry.weight_len()));
        let expected = reference::conv2d_float(&geometry, &input, &weight, None);
        let epilogue = Epilogue::bias(channels[1], None).unwrap();
        let seen = PackedWeight::new(&geometry, &weight).unwrap();
        let Some(seen) = seen else { panic!("{geometry:?} sees all") };
        let output = conv2d(&geometry, &input, Weight::Packed(&seen), &epilogue).unwrap();
        assert_eq!(output, expected);
        let larger = Conv2dGeometry::new(Conv2dParameters { height: 9, width: 9, ..*geometry }).unwrap();
        let input = values(larger.input_len());
        assert!(conv2d(&larger, &input, Weight::Packed(&seen), &epilogue).is_err());
        assert!(!seen.fits(&larger));
    }
}

/// Outputs in the middle of far more padding than image, which see a single pixel each at most.
#[test]
fn conv2d_agrees_where_all_is_padding() {
    for (in_channels, out_channels, groups, taps) in
        [(2, 20, 1, 3), (3, 3, 3, 3), (2, 5, 1, 41), (3, 3, 3, 41)]
    {
        let dilation = 1 << 14;
        let padding = taps / 2 * dilation;
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 1,
            in_channels,
            height: 1,
            width: 40,
            out_channels,
            kernel: [taps; 2],
            stride: [1, 1],
            padding: [padding; 2],
            dilation: [dilation; 2],
            groups,
        })
        .unwrap();
        let input: Vec<f32> = (0..geometry.input_len()).map(|i| i as f32).collect();
        let weight: Vec<f32> = (0..geometry.weight_len()).map(|i| (i % 7) as f32).collect();
        let epilogue = Epilogue::bias(out_channels, None).unwrap();
        let output = conv2d(&geometry, &input, Weight::Whole(&weight), &epilogue).unwrap();
        assert_eq!(output, reference::conv2d_float(&geometry, &input, &weight, None));
    }
}

#[test]
fn the_epilogue_scales_shifts_and_clamps_and_lets_nan_through() {
    let epilogue = Epilogue::affine(vec![[2.0, 1.0], [1.0, -3.0]]).clamped(0.0, 6.0);
    for (pixels, kernel) in [(1, 1), (40, 1), (40, 3)] {
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 1,
            in_channels: 2,
            height: kernel,
            width: pixels + kernel - 1,
            out_channels: 2,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [0; 2],
            dilation: [1; 2],
            groups: if kernel == 1 { 1 } else { 2 },
        })
        .unwrap();
        let mut input = vec![1.0; geometry.input_len()];
        input[0] = f32::NAN;
        let weight = vec![1.0; geometry.weight_len()];
        for output in on_every_isa(|| {
            let output = conv2d(&geometry, &input, Weight::Whole(&weight), &epilogue).unwrap();
            output.iter().map(|x| if x.is_nan() { -1.0 } else { *x }).collect()
        }) {
            let sum = weight.len() as f32 / 2.0;
            let finished = [(2.0 * sum + 1.0).min(6.0), (sum - 3.0).clamp(0.0, 6.0)];
            let nan_of_second = if kernel == 1 { -1.0 } else { finished[1] };
            assert_eq!([output[0], output[pixels]], [-1.0, nan_of_second]);
            assert!(output[1..pixels].iter().all(|&x| x == finished[0]));
            assert!(output[pixels + 1..].iter().all(|&x| x == finished[1]));
        }
    }
}

#[test]
fn element_wise_functions_see_every_value_once() {
    let numbers: Vec<f32> = (0..10_001).map(|i| i as f32).collect();
    set_num_threads(3);
    set_work_threshold(0);
    let mut values = numbers.clone();
    map(&mut values, |x| 2.0 * x + 1.0);
    assert!(values.iter().zip(&numbers).all(|(&y, &x)| y == 2.0 * x + 1.0));
    values.fill(f32::NAN);
    map_into(&numbers, &mut values, |x| 2.0 * x + 1.0).unwrap();
    assert!(values.iter().zip(&numbers).all(|(&y, &x)| y == 2.0 * x + 1.0));
    let mut differences = vec![f32::NAN; 10_001];
    zip_into(&values, &numbers, &mut differences, |a, b| a - 2.0 * b).unwrap();
    assert_eq!(differences, [1.0; 10_001]);
    assert!(map_into(&numbers[1..], &mut values, |x| x).is_err());
    assert!(zip_into(&numbers, &numbers[1..], &mut values, |a, _| a).is_err());
    assert!(zip_into(&numbers, &numbers, &mut values[1..], |a, _| a).is_err());
}

#[test]
fn affine_lets_nan_through() {
    let mut output = [0.0; 3];
    affine_into(&[[1.0, 0.0]], 3, [0.0, 6.0], &[f32::NAN, -1.0, 7.0], &mut output).unwrap();
    assert!(output[0].is_nan());
    assert_eq!(output[1..], [0.0, 6.0]);
}

#[test]
fn affine_and_mean_refuse_what_does_not_fit() {
    let none = [f32::NEG_INFINITY, f32::INFINITY];
    for (channels, inner, input, output) in [(2, 3, 7, 7), (2, 3, 6, 5), (0, 3, 6, 6), (2, 0, 6, 6)] {
        let affine = &[[1.0, 0.0]; 2][..channels];
        assert!(affine_into(affine, inner, none, &[1.0; 7][..input], &mut [0.0; 7][..output]).is_err());
    }
    for (outer, reduced, inner) in [(2, 0, 3), (1, 2, 3), (2, 2, 2), (usize::MAX, 2, 2)] {
        assert!(mean_into(MeanExtents { outer, reduced, inner }, &[1.0; 12], &mut [0.0; 6]).is_err());
    }
}
