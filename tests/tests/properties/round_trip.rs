//! Quantizing and dequantizing: half a step inside the range, its ends outside, and never out of order.

use proptest::prelude::*;
use proptest::sample::select;
use qcore::{DType, QParams, QTensor, Tensor};

use crate::cases;

/// Per-tensor parameters, some of a reduced range.
fn qparams() -> impl Strategy<Value = QParams> {
    let ranges = select(vec![
        (DType::QUInt8, 0, 255),
        (DType::QUInt8, 0, 127),
        (DType::QInt8, -128, 127),
        (DType::QInt8, -127, 127),
        (DType::QInt8, -64, 63),
    ]);
    (ranges, -12.0_f32..3.0, 0.0..=1.0_f64).prop_map(|((dtype, low, high), log_scale, position)| {
        let zero_point = low + (f64::from(high - low) * position) as i32;
        QParams::per_tensor(log_scale.exp2(), zero_point, dtype).unwrap().with_range(low, high).unwrap()
    })
}

/// Values in steps of a scale, mostly around the range.
fn steps() -> impl Strategy<Value = Vec<f32>> {
    prop::collection::vec(prop_oneof![4 => -300.0_f32..300.0, 1 => -1e6_f32..1e6], 1..40)
}

fn tensor(values: Vec<f32>) -> Tensor {
    Tensor::from_vec(&[values.len()], values).unwrap()
}

/// The real numbers that the smallest and the largest integer stand for.
fn limits(qparams: &QParams) -> (f32, f32) {
    let real = |q: i32| (q - qparams.tensor_zero_point()) as f32 * qparams.tensor_scale();
    (real(qparams.quant_min), real(qparams.quant_max))
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn a_value_inside_the_range_comes_back_within_half_a_step(qparams in qparams(), steps in steps()) {
        let scale = qparams.tensor_scale();
        let (low, high) = limits(&qparams);
        let x = tensor(steps.into_iter().map(|step| (step * scale).clamp(low, high)).collect());
        let back = QTensor::quantize(&x, &qparams).unwrap().dequantize();
        for (x, back) in x.view().iter().zip(back.view()) {
            // The reciprocal of the scale and each product are rounded, three times half an ulp of the value.
            let rounding = 2.0 * f32::EPSILON * x.abs();
            prop_assert!((x - back).abs() <= 0.5 * scale + rounding, "{x} came back as {back}, scale {scale}");
        }
    }

    #[test]
    fn a_value_outside_the_range_becomes_its_end(qparams in qparams(), beyond in 0.51_f32..1e6) {
        let (low, high) = limits(&qparams);
        let distance = beyond * qparams.tensor_scale();
        let q = QTensor::quantize(&tensor(vec![low - distance, high + distance]), &qparams).unwrap();
        let integers: Vec<i32> = q.int_repr().to_i32().iter().copied().collect();
        prop_assert_eq!(integers, [qparams.quant_min, qparams.quant_max]);
    }

    #[test]
    fn a_larger_value_never_becomes_a_smaller_integer(qparams in qparams(), mut steps in steps()) {
        steps.sort_by(f32::total_cmp);
        let x = tensor(steps.into_iter().map(|step| step * qparams.tensor_scale()).collect());
        let q = QTensor::quantize(&x, &qparams).unwrap();
        let integers: Vec<i32> = q.int_repr().to_i32().iter().copied().collect();
        prop_assert!(integers.is_sorted(), "{integers:?}");
    }

    #[test]
    fn every_integer_survives_the_round_trip(qparams in qparams()) {
        let integers: Vec<i32> = (qparams.quant_min..=qparams.quant_max).collect();
        let real = |q: &i32| (q - qparams.tensor_zero_point()) as f32 * qparams.tensor_scale();
        let q = QTensor::quantize(&tensor(integers.iter().map(real).collect()), &qparams).unwrap();
        let back: Vec<i32> = q.int_repr().to_i32().iter().copied().collect();
        prop_assert_eq!(back, integers);
    }

    #[test]
    fn each_channel_is_quantized_by_its_own_scale(
        channels in prop::collection::vec((-8.0_f32..2.0, -128..=127), 1..5),
        axis in 0_usize..3,
        seed in any::<u64>(),
    ) {
        let scale: Vec<f32> = channels.iter().map(|(log_scale, _)| log_scale.exp2()).collect();
        let zero_point: Vec<i32> = channels.iter().map(|&(_, zero_point)| zero_point).collect();
        let mut shape = [2, 3, 2];
        shape[axis] = channels.len();
        let x = crate::randomness::Random(seed).tensor(&shape, -50.0, 50.0);
        let qparams = QParams::per_channel(scale.clone(), zero_point.clone(), axis, DType::QInt8).unwrap();
        let whole = QTensor::quantize(&x, &qparams).unwrap();
        let (integers, reals) = (whole.int_repr().to_i32(), whole.dequantize());
        for channel in 0..channels.len() {
            let alone = QParams::per_tensor(scale[channel], zero_point[channel], DType::QInt8).unwrap();
            let of_channel = |view: ndarray::ArrayViewD<'_, f32>| {
                Tensor::from(view.index_axis(ndarray::Axis(axis), channel).to_owned())
            };
            let q = QTensor::quantize(&of_channel(x.view()), &alone).unwrap();
            prop_assert_eq!(integers.index_axis(ndarray::Axis(axis), channel), q.int_repr().to_i32());
            prop_assert_eq!(of_channel(reals.view()), q.dequantize());
        }
    }
}
