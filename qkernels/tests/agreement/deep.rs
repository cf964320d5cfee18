//! Layers so deep that their sums leave `i32`: exact sums in 64 bits, with extremes.

use qkernels::conv::PackedConv2d;
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::linear::{Dequantization, PackedLinear};
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::{QParams, Residual};

use crate::problem::in_every_way;

const DEPTH: usize = 140_000;

const FORMULAS: [Formula; 3] = [Formula::Fbgemm, Formula::Qnnpack, Formula::Onednn];

/// Weights of three outputs: the largest, the smallest, and a mixture.
fn weights() -> Vec<i8> {
    let mixture = (0..DEPTH).map(|k| (k * 37 % 251) as u8 as i8);
    [127; DEPTH].into_iter().chain([-128; DEPTH]).chain(mixture).collect()
}

fn inputs() -> Vec<u8> {
    let rest = (0..DEPTH).map(|k| (k * 91 % 256) as u8);
    [255; DEPTH].into_iter().chain([0; DEPTH]).chain(rest).collect()
}

/// The exact sum of a row and a column.
fn sum(inputs: &[u8], zero_point: i32, weights: &[i8]) -> i64 {
    inputs.iter().zip(weights).map(|(&x, &w)| i64::from(i32::from(x) - zero_point) * i64::from(w)).sum()
}

/// The output by the formulas of `requantize`, for exact sums and without a bias.
fn output(formula: Formula, sum: i64, scale: f32, output: QParams) -> u8 {
    let zero_point = output.zero_point as f32;
    let steps = match formula {
        Formula::Fbgemm => (sum as f32 * (scale / output.scale)).round_ties_even() + zero_point,
        Formula::Qnnpack => (sum as f32 * (scale * output.scale.recip())).round_ties_even() + zero_point,
        Formula::Onednn => (sum as f32 * scale * output.scale.recip() + zero_point).round_ties_even(),
    };
    steps.clamp(0.0, 255.0) as u8
}

fn requantization(formula: Formula, channels: usize, scale: f32, output: QParams) -> Requantization {
    Requantization::new(&RequantizationParameters {
        formula,
        channels,
        input_scale: 1.0,
        weight_scales: WeightScales::PerTensor(scale),
        bias: None,
        output,
        relu: false,
        quant_min: 0,
        quant_max: 255,
    })
    .unwrap()
}

#[test]
fn a_deep_linear_layer_has_exact_sums() {
    let (weights, inputs) = (weights(), inputs());
    let packed = PackedLinear::new(&weights, &[0], 3, DEPTH).unwrap();
    assert!(packed.packed().is_none());
    assert_eq!(packed.unpack(), weights);
    for zero_point in [0, 255, 100] {
        let rows = || inputs.chunks(DEPTH);
        let sums: Vec<i64> =
            rows().flat_map(|row| weights.chunks(DEPTH).map(move |w| sum(row, zero_point, w))).collect();
        assert!(sums.iter().any(|sum| i32::try_from(*sum).is_err()));
        // Of the largest sum 100 steps of the output.
        let (scale, to) = (1e-9, QParams::new(0.05, 120));
        for formula in FORMULAS {
            let requantization = requantization(formula, 3, scale, to);
            let expected: Vec<u8> = sums.iter().map(|&sum| output(formula, sum, scale, to)).collect();
            assert!(expected.iter().any(|&byte| byte != 0 && byte != 255 && byte != 120));
            let found = in_every_way(|| {
                let mut output = vec![0; 9];
                packed.run(3, &inputs, zero_point, &requantization, &mut output).unwrap();
                output
            });
            assert_eq!(found, expected, "{formula:?} {zero_point}");
        }
        let dequantization = Dequantization { multipliers: &[2.0], bias: None, relu: false, fused: true };
        let mut floats = vec![0.0; 9];
        packed.run_float(3, &inputs, zero_point, &dequantization, &mut floats).unwrap();
        let expected: Vec<f32> = sums.iter().map(|&sum| sum as f32 * 2.0).collect();
        assert_eq!(floats, expected);
    }
}

#[test]
fn weights_with_zero_points_count_from_them() {
    let weights = vec![127; DEPTH];
    let packed = PackedLinear::new(&weights, &[-128], 1, DEPTH).unwrap();
    let dequantization = Dequantization { multipliers: &[1.0], bias: None, relu: false, fused: true };
    let mut output = [0.0];
    packed.run_float(1, &vec![255; DEPTH], 0, &dequantization, &mut output).unwrap();
    assert_eq!(output, [(DEPTH as i64 * 255 * 255) as f32]);
}

/// Small weights keep their packed form, as deep as they may be.
#[test]
fn what_fits_stays_packed() {
    let packed = PackedLinear::new(&vec![1; DEPTH], &[0], 1, DEPTH).unwrap();
    assert!(packed.packed().is_some());
    let mut output = [0];
    packed.accumulate(1, &vec![255; DEPTH], 0, &mut output).unwrap();
    assert_eq!(output, [DEPTH as i32 * 255]);
}

/// Groups, padding, stride, an output with room between pixels, and an addition.
#[test]
fn a_deep_convolution_has_exact_sums() {
    for groups in [1, 2] {
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 2,
            in_channels: 4 * groups,
            out_channels: 2 * groups,
            height: 133,
            width: 133,
            kernel: [132, 132],
            stride: [1, 2],
            padding: [1, 0],
            dilation: [1, 1],
            groups,
        })
        .unwrap();
        let depth = 4 * 132 * 132;
        let weights: Vec<i8> = (0..2 * groups * depth)
            .map(|k| if k / depth % 2 == 0 { -128 } else { ((k * 13) % 128) as i8 })
            .collect();
        let packed = PackedConv2d::new(&weights, &[0], &geometry).unwrap();
        assert!(packed.packed().is_none());
        let inputs: Vec<u8> = (0..geometry.input_len()).map(|i| 250 + (i * 7 % 6) as u8).collect();
        let zero_point = 3;
        let mut sums = Vec::new();
        for image in 0..2 {
            for y in 0..geometry.output_height() {
                for x in 0..geometry.output_width() {
                    for o in 0..2 * groups {
                        let mut sum = 0_i64;
                        for c in 0..4 {
                            for ky in 0..132 {
                                for kx in 0..132 {
                                    let (iy, ix) = (y + ky, 2 * x + kx);
                                    if iy == 0 || iy > 133 || ix >= 133 {
                                        continue;
                                    }
                                    let pixel = (image * 133 + iy - 1) * 133 + ix;
                                    let input = inputs[pixel * 4 * groups + o / 2 * 4 + c];
                                    let weight = weights[((o * 4 + c) * 132 + ky) * 132 + kx];
                                    sum += i64::from(i32::from(input) - zero_point) * i64::from(weight);
                                }
                            }
                        }
                        sums.push(sum);
                    }
                }
            }
        }
        assert!(sums.iter().any(|sum| i32::try_from(*sum).is_err()), "they leave i32");
        let (scale, to) = (1e-9, QParams::new(0.02, 130));
        let requantization = requantization(Formula::Fbgemm, 2 * groups, scale, to);
        let expected: Vec<u8> = sums.iter().map(|&sum| output(Formula::Fbgemm, sum, scale, to)).collect();
        let found = in_every_way(|| {
            let mut output = vec![0; expected.len()];
            packed.run(&geometry, &inputs, zero_point, &requantization, &mut output).unwrap();
            output
        });
        assert_eq!(found, expected);

        let stride = 2 * groups + 1;
        let pixels = expected.len() / (2 * groups);
        let mut strided = vec![99; (pixels - 1) * stride + 2 * groups];
        packed
            .run_into(
                &geometry,
                &inputs,
                zero_point,
                &requantization,
                None::<Residual<'_>>,
                &mut strided,
                stride,
            )
            .unwrap();
        for (strided, expected) in strided.chunks(stride).zip(expected.chunks(2 * groups)) {
            assert_eq!(&strided[..2 * groups], expected);
            assert!(strided.get(2 * groups).is_none_or(|&between| between == 99));
        }
    }
}

/// One channel a group, with a window so large.
#[test]
fn a_deep_depthwise_convolution_has_exact_sums() {
    let geometry = Conv2dGeometry::new(Conv2dParameters {
        batch: 1,
        in_channels: 2,
        out_channels: 2,
        height: 260,
        width: 260,
        kernel: [260, 260],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        groups: 2,
    })
    .unwrap();
    let weights: Vec<i8> = [[127; 67_600], [-128; 67_600]].concat();
    let packed = PackedConv2d::new(&weights, &[0], &geometry).unwrap();
    let to = QParams::new(0.05, 120);
    let requantization = requantization(Formula::Fbgemm, 2, 1e-9, to);
    let mut bytes = [0; 2];
    packed.run(&geometry, &vec![255; 2 * 67_600], 0, &requantization, &mut bytes).unwrap();
    let sums = [67_600 * 255 * 127, -67_600 * 255 * 128];
    assert_eq!(bytes, sums.map(|sum| output(Formula::Fbgemm, sum, 1e-9, to)));
}
