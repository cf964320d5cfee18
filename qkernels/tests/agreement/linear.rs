//! Quantized linear layers.

use proptest::prelude::*;
use qkernels::QParams;
use qkernels::linear::PackedLinear;
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};

use crate::problem::{bytes, cases, in_every_way, signed_bytes, weight_zero_points, zero_point};

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn linear_equals_the_definition(
        (rows, in_features, out_features, input, weight, zero_points) in
            (1..=9_usize, 1..=70_usize, 1..=40_usize).prop_flat_map(|(rows, inputs, outputs)| (
                Just(rows),
                Just(inputs),
                Just(outputs),
                bytes(rows * inputs),
                signed_bytes(outputs * inputs),
                weight_zero_points(outputs),
            )),
        input_zero_point in zero_point(),
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
fn no_rows_are_no_work() {
    let packed = PackedLinear::new(&[1, 2], &[0], 1, 2).unwrap();
    packed.accumulate(0, &[], 0, &mut []).unwrap();
}
