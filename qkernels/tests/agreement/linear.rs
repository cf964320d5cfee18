//! Quantized linear layers.

use proptest::prelude::*;
use qkernels::QParams;
use qkernels::linear::{Dequantization, PackedLinear};
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};

use crate::problem::{bytes, cases, floats, in_every_way, signed_bytes, weight_zero_points, zero_point};

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn linear_equals_the_definition(
        (rows, in_features, out_features, input, weight, zero_points, multipliers, bias) in
            (1..=9_usize, 1..=70_usize, 1..=40_usize).prop_flat_map(|(rows, inputs, outputs)| (
                Just(rows),
                Just(inputs),
                Just(outputs),
                bytes(rows * inputs),
                signed_bytes(outputs * inputs),
                weight_zero_points(outputs),
                prop_oneof![floats(1), floats(outputs)],
                prop::option::of(floats(outputs)),
            )),
        input_zero_point in zero_point(),
        [relu, fused] in any::<[bool; 2]>(),
    ) {
        let packed = PackedLinear::new(&weight, &zero_points, out_features, in_features).unwrap();
        let mut expected = Vec::new();
        for row in 0..rows {
            for o in 0..out_features {
                let zero_point = zero_points[o % zero_points.len()];
                expected.push((0..in_features).map(|k| {
                    (i32::from(input[row * in_features + k]) - input_zero_point)
                        * (i32::from(weight[o * in_features + k]) - zero_point)
                }).sum::<i32>());
            }
        }
        let sums = in_every_way(|| {
            let mut output = vec![1; rows * out_features];
            packed.accumulate(rows, &input, input_zero_point, &mut output).unwrap();
            output
        });
        prop_assert_eq!(&sums, &expected);

        let dequantization = Dequantization { multipliers: &multipliers, bias: bias.as_deref(), relu, fused };
        let actual = in_every_way(|| {
            let mut output = vec![f32::NAN; rows * out_features];
            packed.run_float(rows, &input, input_zero_point, &dequantization, &mut output).unwrap();
            output.into_iter().map(f32::to_bits).collect::<Vec<_>>()
        });
        let values = expected.iter().enumerate().map(|(i, &sum)| {
            let (sum, multiplier) = (sum as f32, multipliers[i % out_features % multipliers.len()]);
            let value = match &bias {
                None => sum * multiplier,
                Some(bias) if fused => sum.mul_add(multiplier, bias[i % out_features]),
                Some(bias) => sum * multiplier + bias[i % out_features],
            };
            (if relu && value < 0.0 { 0.0 } else { value }).to_bits()
        });
        prop_assert_eq!(actual, values.collect::<Vec<_>>());

        let requantization = Requantization::new(&RequantizationParameters {
            formula: Formula::Fbgemm,
            channels: out_features,
            input_scale: 0.05,
            weight_scales: WeightScales::PerTensor(0.01),
            bias: None,
            output: QParams::new(0.5, 3),
            relu: false,
            quant_min: 0,
            quant_max: 255,
        }).unwrap();
        let actual = in_every_way(|| {
            let mut output = vec![1; rows * out_features];
            packed.run(rows, &input, input_zero_point, &requantization, &mut output).unwrap();
            output
        });
        let expected: Vec<u8> = expected
            .into_iter()
            .enumerate()
            .map(|(i, sum)| requantization.requantize(sum, i % out_features))
            .collect();
        prop_assert_eq!(actual, expected);
    }
}

#[test]
fn a_fused_product_is_rounded_once_and_nan_passes_the_relu() {
    let packed = PackedLinear::new(&[127, 1], &[0], 2, 1).unwrap();
    // 127 * 129 * m is not an f32, and the bias leaves only what rounding would lose.
    let multiplier = 1.0 + f32::EPSILON;
    let product = 127.0 * 129.0 * f64::from(multiplier);
    let bias = [-(product as f32), f32::NAN];
    for (fused, expected) in [(true, (product + f64::from(bias[0])) as f32), (false, 0.0)] {
        let dequantization =
            Dequantization { multipliers: &[multiplier], bias: Some(&bias), relu: false, fused };
        let mut output = [9.0; 2];
        packed.run_float(1, &[129], 0, &dequantization, &mut output).unwrap();
        assert_eq!(output[0], expected, "fused: {fused}");
        packed
            .run_float(1, &[129], 0, &Dequantization { relu: true, ..dequantization }, &mut output)
            .unwrap();
        assert_eq!(output[0], expected.max(0.0));
        assert!(output[1].is_nan());
    }
}

#[test]
fn float_outputs_of_wrong_lengths_are_refused() {
    let packed = PackedLinear::new(&[1; 6], &[0], 3, 2).unwrap();
    for (multipliers, bias, input, output, is_right) in [
        (1, None, 2, 3, true),
        (3, Some(3), 2, 3, true),
        (2, None, 2, 3, false),
        (0, None, 2, 3, false),
        (1, Some(1), 2, 3, false),
        (1, None, 1, 3, false),
        (1, None, 2, 4, false),
    ] {
        let ones = [1.0; 4];
        let dequantization = Dequantization {
            multipliers: &ones[..multipliers],
            bias: bias.map(|len| &ones[..len]),
            relu: false,
            fused: true,
        };
        let output = &mut [0.0; 4][..output];
        assert_eq!(packed.run_float(1, &[1; 2][..input], 0, &dequantization, output).is_ok(), is_right);
    }
    let one = Dequantization { multipliers: &[1.0], bias: None, relu: false, fused: true };
    assert!(packed.run_float(1, &[1; 2], 256, &one, &mut [0.0; 3]).is_err());
    packed.run_float(0, &[], 0, &one, &mut []).unwrap();
}

#[test]
fn no_rows_are_no_work() {
    let packed = PackedLinear::new(&[1, 2], &[0], 1, 2).unwrap();
    packed.accumulate(0, &[], 0, &mut []).unwrap();
}
