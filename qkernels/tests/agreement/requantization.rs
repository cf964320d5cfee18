//! The three formulas, written out once more, and the row version used by the layers.

use proptest::prelude::*;
use qkernels::QParams;
use qkernels::linear::PackedLinear;
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};

use crate::problem::cases;

fn saturate_i16(value: f64) -> f64 {
    value.clamp(-32768.0, 32767.0)
}

/// Straight from the formulas, for one channel.
fn expected(p: &RequantizationParameters<'_>, sum: i32, channel: usize) -> u8 {
    let (scale, per_tensor) = match p.weight_scales {
        WeightScales::PerTensor(scale) => (scale, true),
        WeightScales::PerChannel(scales) => (scales[channel], false),
    };
    let act = p.input_scale * scale;
    let bias = p.bias.map(|bias| bias[channel]);
    let zero_point = f64::from(p.output.zero_point);
    let low = if p.relu { p.quant_min.max(p.output.zero_point) } else { p.quant_min };
    let rounded = |value: f32| f64::from(value).round_ties_even();
    let steps = match p.formula {
        Formula::Fbgemm => {
            let mut value = sum as f32;
            if let Some(bias) = bias {
                value += if per_tensor { bias * (1.0 / act) } else { bias / act };
            }
            let value = value * (act / p.output.scale);
            saturate_i16(saturate_i16(rounded(value)) + zero_point)
        }
        Formula::Qnnpack => {
            let bias = bias.map_or(0.0, |bias| rounded(bias * (1.0 / act)));
            let bias = bias.clamp(f64::from(i32::MIN), f64::from(i32::MAX));
            let sum = (f64::from(sum) + bias).clamp(f64::from(i32::MIN), f64::from(i32::MAX));
            let value = sum as i32 as f32 * (act * (1.0 / p.output.scale));
            saturate_i16(rounded(value)) + zero_point
        }
        Formula::Onednn => {
            let mut value = sum as f32 * act;
            if let Some(bias) = bias {
                value += bias;
            }
            if p.relu {
                value = value.max(0.0);
            }
            rounded(value * (1.0 / p.output.scale) + p.output.zero_point as f32)
        }
    };
    steps.clamp(f64::from(low), f64::from(p.quant_max)) as u8
}

fn formula() -> impl Strategy<Value = Formula> {
    prop_oneof![Just(Formula::Fbgemm), Just(Formula::Qnnpack), Just(Formula::Onednn)]
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn requantize_equals_the_formula(
        formula in formula(),
        per_tensor in any::<bool>(),
        with_bias in any::<bool>(),
        relu in any::<bool>(),
        (input_exponent, weight_exponent, output_exponent) in (-12.0_f32..2.0, -12.0_f32..2.0, -8.0_f32..4.0),
        zero_point in 0..=255_i32,
        (quant_min, quant_max) in prop_oneof![Just((0, 255)), Just((0, 127))],
        bias in prop::array::uniform3(-50.0_f32..50.0),
        sums in prop::collection::vec(prop_oneof![any::<i32>(), -200_000..200_000_i32, -300..300_i32], 30),
    ) {
        let scale = weight_exponent.exp2();
        let scales = [scale, scale * 0.37, scale * 2.9];
        let parameters = RequantizationParameters {
            formula,
            channels: 3,
            input_scale: input_exponent.exp2(),
            weight_scales: if per_tensor {
                WeightScales::PerTensor(scale)
            } else {
                WeightScales::PerChannel(&scales)
            },
            bias: with_bias.then_some(&bias),
            output: QParams::new(output_exponent.exp2(), zero_point),
            relu,
            quant_min,
            quant_max,
        };
        let requantization = Requantization::new(&parameters);
        if relu && zero_point > quant_max {
            prop_assert!(requantization.is_err());
            return Ok(());
        }
        let requantization = requantization.unwrap();
        for (i, &sum) in sums.iter().enumerate() {
            let channel = i % 3;
            prop_assert_eq!(
                requantization.requantize(sum, channel),
                expected(&parameters, sum, channel),
                "sum {} channel {}", sum, channel
            );
        }
    }

    /// A weight of ones and a single input give the layer any small sum.
    #[test]
    fn layers_requantize_as_the_definition_does(
        formula in formula(),
        relu in any::<bool>(),
        input in any::<u8>(),
        weight in prop::collection::vec(any::<i8>(), 37),
        output_scale in 0.001_f32..10.0,
        bias in -20.0_f32..20.0,
    ) {
        let bias = vec![bias; weight.len()];
        let requantization = Requantization::new(&RequantizationParameters {
            formula,
            channels: weight.len(),
            input_scale: 0.021,
            weight_scales: WeightScales::PerTensor(0.013),
            bias: Some(&bias),
            output: QParams::new(output_scale, 99),
            relu,
            quant_min: 0,
            quant_max: 255,
        }).unwrap();
        let packed = PackedLinear::new(&weight, &[0], weight.len(), 1).unwrap();
        let mut output = vec![0; weight.len()];
        packed.run(1, &[input], 7, &requantization, &mut output).unwrap();
        for (channel, (&w, &actual)) in weight.iter().zip(&output).enumerate() {
            let sum = (i32::from(input) - 7) * i32::from(w);
            prop_assert_eq!(actual, requantization.requantize(sum, channel));
        }
    }
}
