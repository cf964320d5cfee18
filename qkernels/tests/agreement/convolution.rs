//! Quantized convolution: dense, grouped, depthwise, pointwise.

use proptest::prelude::*;
use qkernels::QParams;
use qkernels::conv::PackedConv2d;
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};

use crate::problem::{
    bytes, cases, conv2d, conv2d_3x3, in_every_way, signed_bytes, weight_zero_points, zero_point,
};
use crate::reference;

#[derive(Clone, Debug)]
struct Problem {
    geometry: Conv2dGeometry,
    input: Vec<u8>,
    input_zero_point: i32,
    weight: Vec<i8>,
    zero_points: Vec<i32>,
}

fn problem() -> impl Strategy<Value = Problem> {
    prop_oneof![4 => conv2d(), 1 => usual_depthwise(), 1 => usual_dense()].prop_flat_map(|geometry| {
        (
            bytes(geometry.input_len()),
            zero_point(),
            signed_bytes(geometry.weight_len()),
            weight_zero_points(geometry.out_channels),
        )
            .prop_map(move |(input, input_zero_point, weight, zero_points)| Problem {
                geometry,
                input,
                input_zero_point,
                weight,
                zero_points,
            })
    })
}

impl Problem {
    fn sums(&self) -> Vec<i32> {
        reference::conv2d(&self.geometry, &self.input, self.input_zero_point, &self.weight, &self.zero_points)
    }

    fn pack(&self) -> PackedConv2d {
        PackedConv2d::new(&self.weight, &self.zero_points, &self.geometry).unwrap()
    }
}

fn requantization(channels: usize, formula: Formula, relu: bool) -> Requantization {
    let scales: Vec<f32> = (0..channels).map(|o| 0.01 + o as f32 * 0.001).collect();
    let bias: Vec<f32> = (0..channels).map(|o| o as f32 * 0.3 - 2.0).collect();
    Requantization::new(&RequantizationParameters {
        formula,
        channels,
        input_scale: 0.03,
        weight_scales: WeightScales::PerChannel(&scales),
        bias: Some(&bias),
        output: QParams::new(0.7, 77),
        relu,
        quant_min: 0,
        quant_max: 255,
    })
    .unwrap()
}

/// Depthwise filters as networks have them; 64 channels or more are vectors of bytes, wide images have several parts.
fn usual_depthwise() -> impl Strategy<Value = Conv2dGeometry> {
    let kernel = prop_oneof![Just([3, 3]), Just([5, 5]), Just([7, 7]), Just([5, 1])];
    let size = prop_oneof![
        4 => prop::array::uniform2(1..=20_usize),
        1 => (1..=4_usize, 21..=130_usize).prop_map(|(height, width)| [height, width]),
    ];
    (prop_oneof![2..=130_usize, Just(64), Just(192)], size, kernel, 1..=2_usize).prop_map(
        |(channels, [height, width], kernel, stride)| {
            Conv2dGeometry::new(Conv2dParameters {
                batch: 1,
                in_channels: channels,
                height,
                width,
                out_channels: channels,
                kernel,
                stride: [stride; 2],
                padding: kernel.map(|size| size / 2),
                dilation: [1; 2],
                groups: channels,
            })
            .unwrap()
        },
    )
}

/// 3x3 filters of stride 1 as networks have them, which Winograd's algorithm may compute; wide images have several
/// parts.
fn usual_dense() -> impl Strategy<Value = Conv2dGeometry> {
    let size = prop_oneof![
        4 => prop::array::uniform2(3..=15_usize),
        1 => (3..=4_usize, 95..=101_usize).prop_map(|(height, width)| [height, width]),
    ];
    (1..=2_usize, 1..=3_usize, 1..=40_usize, size, prop::array::uniform2(0..=3_usize)).prop_map(
        |(batch, vectors, out_channels, size, padding)| {
            conv2d_3x3(batch, [16 * vectors, out_channels], size, padding).unwrap()
        },
    )
}

proptest! {
    #![proptest_config(cases(400))]

    #[test]
    fn sums_equal_the_definition(problem in problem()) {
        let packed = problem.pack();
        let actual = in_every_way(|| {
            let mut output = vec![-1; problem.geometry.output_len()];
            packed
                .accumulate(&problem.geometry, &problem.input, problem.input_zero_point, &mut output)
                .unwrap();
            output
        });
        prop_assert_eq!(actual, problem.sums());
    }

    #[test]
    fn output_is_the_requantized_sum(
        problem in problem(),
        formula in prop_oneof![Just(Formula::Fbgemm), Just(Formula::Qnnpack), Just(Formula::Onednn)],
        relu in any::<bool>(),
    ) {
        let channels = problem.geometry.out_channels;
        let requantization = requantization(channels, formula, relu);
        let packed = problem.pack();
        let actual = in_every_way(|| {
            let mut output = vec![1; problem.geometry.output_len()];
            packed
                .run(
                    &problem.geometry,
                    &problem.input,
                    problem.input_zero_point,
                    &requantization,
                    &mut output,
                )
                .unwrap();
            output
        });
        let expected: Vec<u8> = problem
            .sums()
            .into_iter()
            .enumerate()
            .map(|(i, sum)| requantization.requantize(sum, i % channels))
            .collect();
        prop_assert_eq!(actual, expected);
    }
}

#[test]
fn first_deep_and_tiny_layers_equal_the_definition() {
    for (in_channels, out_channels, size, kernel, stride) in [
        (3, 16, 33, 7, 2),
        (256, 12, 5, 3, 1),
        (130, 7, 3, 1, 1),
        (64, 20, 1, 3, 1),
        (64, 20, 2, 3, 2),
        // Windows that lie in tiles of bytes, with padding and without.
        (3, 70, 50, 7, 2),
        (32, 40, 26, 3, 2),
        (20, 64, 17, 5, 1),
        (36, 33, 27, 1, 2),
    ] {
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 2,
            in_channels,
            height: size,
            width: size,
            out_channels,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            dilation: [1; 2],
            groups: 1,
        })
        .unwrap();
        let problem = Problem {
            geometry,
            input: (0..geometry.input_len()).map(|i| (i * 97) as u8).collect(),
            input_zero_point: 100,
            weight: (0..geometry.weight_len()).map(|i| (i * 53) as i8).collect(),
            zero_points: vec![0],
        };
        let packed = problem.pack();
        let actual = in_every_way(|| {
            let mut output = vec![0; geometry.output_len()];
            packed.accumulate(&geometry, &problem.input, 100, &mut output).unwrap();
            output
        });
        assert_eq!(actual, problem.sums());
    }
}

/// So many columns and channels that a row of a convolution with few channels in a group is computed in parts.
#[test]
fn wide_rows_of_narrow_groups() {
    for (channels, outputs, groups, kernel, stride, dilation, width) in [
        (1, 7, 1, [3, 3], 1, 1, 700),
        (2, 6, 2, [5, 5], 2, 1, 1500),
        (3, 3, 3, [1, 9], 3, 5, 900),
        (17, 17, 17, [3, 3], 1, 1, 200),
        (65, 130, 65, [4, 2], 2, 1, 90),
        (64, 64, 16, [3, 3], 1, 2, 80),
        (24, 40, 8, [3, 2], 2, 3, 120),
        (70, 30, 10, [2, 3], 1, 1, 100),
    ] {
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 2,
            in_channels: channels,
            height: 11,
            width,
            out_channels: outputs,
            kernel,
            stride: [stride; 2],
            padding: kernel.map(|kernel| kernel / 2),
            dilation: [dilation; 2],
            groups,
        })
        .unwrap();
        let problem = Problem {
            geometry,
            input: (0..geometry.input_len()).map(|i| ((i * 97) >> 2) as u8).collect(),
            input_zero_point: 100,
            weight: (0..geometry.weight_len()).map(|i| (i * 53) as i8).collect(),
            zero_points: vec![0],
        };
        let packed = problem.pack();
        let actual = in_every_way(|| {
            let mut output = vec![-1; geometry.output_len()];
            packed.accumulate(&geometry, &problem.input, 100, &mut output).unwrap();
            output
        });
        assert_eq!(actual, problem.sums(), "{geometry:?}");
    }
}

/// One large pair after the other: in the image, at its borders, and next to padding that is large itself.
#[test]
fn a_single_large_pair_does_not_saturate() {
    for (channels, groups, kernel, dilation) in
        [(8, 1, 3, 1), (5, 1, 3, 1), (4, 2, 2, 2), (3, 1, 3, 1), (32, 1, 1, 1)]
    {
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 1,
            in_channels: channels * groups,
            height: 4,
            width: 5,
            out_channels: 17 * groups,
            kernel: [kernel; 2],
            stride: [1; 2],
            padding: [kernel / 2; 2],
            dilation: [dilation; 2],
            groups,
        })
        .unwrap();
        for position in 0..geometry.input_len() - 1 {
            let mut input = vec![2; geometry.input_len()];
            input[position..position + 2].fill(255);
            for (weight, input_zero_point) in [(-128, 0), (127, 3), (127, 200)] {
                let problem = Problem {
                    geometry,
                    input: input.clone(),
                    input_zero_point,
                    weight: vec![weight; geometry.weight_len()],
                    zero_points: vec![0],
                };
                let packed = problem.pack();
                let actual = in_every_way(|| {
                    let mut output = vec![-1; geometry.output_len()];
                    packed.accumulate(&geometry, &problem.input, input_zero_point, &mut output).unwrap();
                    output
                });
                assert_eq!(actual, problem.sums(), "position {position} of {geometry:?}");
            }
        }
    }
}

#[test]
fn depthwise_taps_far_outside_the_image_take_no_memory() {
    let far = 1 << 40;
    let geometry = Conv2dGeometry::new(Conv2dParameters {
        batch: 1,
        in_channels: 3,
        height: 2,
        width: 1,
        out_channels: 3,
        kernel: [2, 3],
        stride: [1, far],
        padding: [0, far],
        dilation: [1, far],
        groups: 3,
    })
    .unwrap();
    let (input, weight) = ([1, 2, 3, 4, 5, 6], [7_i8; 18]);
    let packed = PackedConv2d::new(&weight, &[0], &geometry).unwrap();
    let actual = in_every_way(|| {
        let mut output = [0; 3];
        packed.accumulate(&geometry, &input, 0, &mut output).unwrap();
        output.to_vec()
    });
    assert_eq!(actual, [7 * 5, 7 * 7, 7 * 9]);
}
