//! Elementwise operations, on both 8-bit types.

use proptest::prelude::*;
use qkernels::elementwise::{
    BatchNorm, BinaryQParams, CatInput, LookupTable, add, add_qnnpack, add_scalar, batch_norm, cat, cat_into,
    clamp, mul, mul_scalar, relu, requantize, sub, zip_floats,
};
use qkernels::quantize::ChannelExtents;
use qkernels::{EightBit, QParams, QuantizedInteger, Result};

use crate::problem::{bytes, in_every_way, zero_point};
use crate::reference::{dequantize, quantize_steps};

type Binary<T> = fn(&BinaryQParams, &[T], &[T], &mut [T]) -> Result<()>;

fn run<T: EightBit + std::fmt::Debug>(f: Binary<T>, qparams: &BinaryQParams, a: &[T], b: &[T]) -> Vec<i32> {
    in_every_way(|| {
        let mut output = vec![T::from_i32(0); a.len()];
        f(qparams, a, b, &mut output).unwrap();
        output.into_iter().map(T::to_i32).collect()
    })
}

fn all_pairs<T: EightBit>() -> (Vec<T>, Vec<T>) {
    T::RANGE.flat_map(|a| T::RANGE.map(move |b| (T::from_i32(a), T::from_i32(b)))).unzip()
}

fn binary_qparams(zero_points: std::ops::RangeInclusive<i32>) -> impl Strategy<Value = BinaryQParams> {
    let qparams = (0.003_f32..2.0, zero_points).prop_map(|(s, z)| QParams::new(s, z));
    (prop::array::uniform3(qparams), any::<bool>()).prop_map(|([a, b, output], relu)| BinaryQParams {
        a,
        b,
        output,
        relu,
    })
}

/// All pairs of values through `add`, `sub` and `mul`.
fn check_binary<T: EightBit + std::fmt::Debug>(qparams: &BinaryQParams) {
    let (a, b) = all_pairs::<T>();
    let BinaryQParams { a: qa, b: qb, output: qy, relu } = *qparams;
    let (low, high) = T::RANGE.into_inner();
    let low = if relu { qy.zero_point } else { low };
    let finish = |v: f32| quantize_steps(v, qy.zero_point, low, high);
    let sums = run(add::<T>, qparams, &a, &b);
    let differences = run(sub::<T>, qparams, &a, &b);
    let products = run(mul::<T>, qparams, &a, &b);
    let larger = run(|q, a, b, y| zip_floats::<T>(q, f32::max, a, b, y), qparams, &a, &b);
    let multiplier = qa.scale * qb.scale * (1.0 / qy.scale);
    for i in 0..a.len() {
        let (a, b) = (a[i].to_i32(), b[i].to_i32());
        let da = dequantize(a, qa.scale, qa.zero_point);
        let db = dequantize(b, qb.scale, qb.zero_point);
        assert_eq!(sums[i], finish((da + db) * (1.0 / qy.scale)));
        assert_eq!(differences[i], finish((da - db) * (1.0 / qy.scale)));
        let product = (a - qa.zero_point) * (b - qb.zero_point);
        assert_eq!(products[i], finish(product as f32 * multiplier));
        assert_eq!(larger[i], finish(da.max(db) * (1.0 / qy.scale)));
    }
}

/// qnnpack's integer addition, in `i128` and with `log2`.
fn qnnpack_add(q: &BinaryQParams, a: u8, b: u8) -> i32 {
    let (ra, rb) = (q.a.scale / q.output.scale, q.b.scale / q.output.scale);
    let shift = 21 - f64::from(ra.max(rb)).log2().floor() as i32;
    let fixed = |ratio: f32| (f64::from(ratio) * 2_f64.powi(shift)).round_ties_even() as i128;
    let acc = (i128::from(a) - i128::from(q.a.zero_point)) * fixed(ra)
        + (i128::from(b) - i128::from(q.b.zero_point)) * fixed(rb);
    // Division by 2^shift, rounded to nearest, ties away from zero.
    let half = 1_i128 << (shift - 1);
    let rounded = acc.signum() * ((acc.abs() + half) >> shift);
    let low = if q.relu { q.output.zero_point } else { 0 };
    (rounded as i32 + q.output.zero_point).clamp(low, 255)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn unsigned_binary_operations_equal_their_formulas(qparams in binary_qparams(0..=255)) {
        check_binary::<u8>(&qparams);
    }

    #[test]
    fn signed_binary_operations_equal_their_formulas(qparams in binary_qparams(-128..=127)) {
        check_binary::<i8>(&qparams);
    }

    #[test]
    fn qnnpack_addition_rounds_ties_away_from_zero(mut qparams in binary_qparams(0..=254)) {
        qparams.output.scale = qparams.output.scale.max(0.01);
        let (a, b) = all_pairs::<u8>();
        let actual = run(add_qnnpack, &qparams, &a, &b);
        for i in 0..a.len() {
            prop_assert_eq!(actual[i], qnnpack_add(&qparams, a[i], b[i]));
        }
    }

    #[test]
    fn qnnpack_addition_of_tiny_ratios_rounds_to_few_steps(
        exponent in 6.0_f32..13.9,
        zero_points in prop::array::uniform3(zero_point()),
    ) {
        let [a, b, output] = zero_points;
        let qparams = BinaryQParams {
            a: QParams::new(1.0, a),
            b: QParams::new(0.7, b),
            output: QParams::new(exponent.exp2(), output),
            relu: false,
        };
        let (a, b) = all_pairs::<u8>();
        let actual = run(add_qnnpack, &qparams, &a, &b);
        for i in 0..a.len() {
            prop_assert_eq!(actual[i], qnnpack_add(&qparams, a[i], b[i]));
        }
    }

    #[test]
    fn a_row_of_any_length_is_repeated(
        (row, copies) in (prop_oneof![1..=40_usize, 250..=530_usize], 1..=9_usize)
            .prop_flat_map(|(len, copies)| (bytes(len), Just(copies))),
    ) {
        let qparams = BinaryQParams {
            a: QParams::new(0.1, 3),
            b: QParams::new(0.2, 9),
            output: QParams::new(0.3, 20),
            relu: false,
        };
        let repeated = row.repeat(copies);
        let input: Vec<u8> = (0..repeated.len()).map(|i| (i * 31) as u8).collect();
        prop_assert_eq!(run(add, &qparams, &input, &row), run(add, &qparams, &input, &repeated));
    }

    #[test]
    fn a_short_second_operand_is_repeated(input in bytes(24), row in bytes(6), scalar in any::<u8>()) {
        let qparams = BinaryQParams {
            a: QParams::new(0.1, 3),
            b: QParams::new(0.2, 9),
            output: QParams::new(0.3, 20),
            relu: false,
        };
        let repeated: Vec<u8> = row.iter().copied().cycle().take(24).collect();
        prop_assert_eq!(
            run(add, &qparams, &input, &row),
            run(add, &qparams, &input, &repeated)
        );
        prop_assert_eq!(
            run(mul, &qparams, &input, &[scalar]),
            run(mul, &qparams, &input, &[scalar; 24])
        );
    }

    #[test]
    fn requantize_copies_or_moves(
        scale in 0.01_f32..1.0,
        zero_point in 0..=255_i32,
        relu_fused in any::<bool>(),
    ) {
        let input: Vec<u8> = (0..=255).collect();
        let from = QParams::new(0.11, 40);
        let to = QParams::new(scale, zero_point);
        let mut output = vec![0; 256];
        requantize(&input, from, to, relu_fused, &mut output).unwrap();
        let low = if relu_fused { zero_point } else { 0 };
        for (&q, &y) in input.iter().zip(&output) {
            let x = dequantize(i32::from(q), 0.11, 40);
            prop_assert_eq!(i32::from(y), quantize_steps(x * (1.0 / scale), zero_point, low, 255));
        }
        requantize(&input, from, from, relu_fused, &mut output).unwrap();
        let low = if relu_fused { 40 } else { 0 };
        prop_assert!(input.iter().zip(&output).all(|(&q, &y)| y == q.max(low)));
    }
}

fn signed(values: &[u8]) -> Vec<i8> {
    values.iter().map(|&q| (q ^ 128) as i8).collect()
}

proptest! {
    #[test]
    fn tables_of_tensors_of_any_length_are_looked_up(input in (0..=200_usize).prop_flat_map(bytes)) {
        let table = LookupTable::new(|q: u8| q.wrapping_mul(167) ^ (q >> 3));
        let actual = in_every_way(|| {
            let mut output = vec![0; input.len()];
            table.apply(&input, &mut output).unwrap();
            output
        });
        prop_assert!(input.iter().zip(&actual).all(|(&q, &y)| y == table.get(q)));

        let input = signed(&input);
        let table = LookupTable::new(|q: i8| q.wrapping_mul(3).wrapping_sub(5));
        let mut output = vec![0; input.len()];
        table.apply(&input, &mut output).unwrap();
        prop_assert!(input.iter().zip(&output).all(|(&q, &y)| y == table.get(q)));
    }

    #[test]
    fn batch_norm_equals_its_formula_in_both_orders(
        (extents, input, scale, offset) in
            (1..=5_usize, 1..=130_usize, prop_oneof![Just(1), 2..=70_usize]).prop_flat_map(
                |(outer, channels, inner)| (
                    Just(ChannelExtents { outer, channels, inner }),
                    bytes(outer * channels * inner),
                    prop::collection::vec(-2.0_f32..2.0, channels..=channels),
                    prop::collection::vec(-200.0_f32..200.0, channels..=channels),
                )
            ),
        zero_points in prop::array::uniform2(zero_point()),
        relu in any::<bool>(),
    ) {
        let [input_zero_point, zero_point] = zero_points;
        let output = QParams::new(0.1, zero_point);
        let parameters = BatchNorm { scale: &scale, offset: &offset, input_zero_point, output, relu };
        let actual = in_every_way(|| {
            let mut output = vec![0; input.len()];
            batch_norm(&parameters, extents, &input, &mut output).unwrap();
            output
        });
        let low = if relu { zero_point } else { 0 };
        for (i, (&q, &y)) in input.iter().zip(&actual).enumerate() {
            let channel = i / extents.inner % extents.channels;
            let steps = (i32::from(q) - input_zero_point) as f32 * scale[channel] + offset[channel];
            prop_assert_eq!(i32::from(y), quantize_steps(steps, zero_point, low, 255));
        }

        let output = QParams::new(0.1, zero_point - 128);
        let parameters = BatchNorm { input_zero_point: input_zero_point - 128, output, ..parameters };
        let mut signed_output = vec![0; input.len()];
        batch_norm(&parameters, extents, &signed(&input), &mut signed_output).unwrap();
        prop_assert_eq!(signed_output, signed(&actual));
    }

    #[test]
    fn cat_puts_each_input_in_its_place(
        outer in 1..=40_usize,
        inputs in prop::collection::vec((prop_oneof![0..=40_usize, 60..=130_usize], any::<bool>()), 1..=4),
        zero_point in zero_point(),
        relu in any::<bool>(),
        byte in any::<u8>(),
    ) {
        let (same, other) = (QParams::new(0.2, zero_point), QParams::new(0.05, 30));
        let inputs: Vec<(usize, QParams, Vec<u8>)> = inputs
            .into_iter()
            .map(|(length, is_same)| {
                let values = (0..outer * length).map(|i| (i * 31) as u8 ^ byte).collect();
                (length, if is_same { same } else { other }, values)
            })
            .collect();
        let run_len: usize = inputs.iter().map(|(length, ..)| length).sum();
        let cat_inputs: Vec<CatInput<'_, u8>> =
            inputs.iter().map(|(_, qparams, values)| CatInput { values, qparams: *qparams }).collect();
        let actual = in_every_way(|| {
            let mut output = vec![7; outer * run_len];
            cat(outer, &cat_inputs, same, relu, &mut output).unwrap();
            output
        });
        let mut expected = Vec::new();
        for run in 0..outer {
            for (length, qparams, values) in &inputs {
                let mut output = vec![0; *length];
                let values = &values[run * length..][..*length];
                requantize(values, *qparams, same, relu, &mut output).unwrap();
                expected.extend(output);
            }
        }
        prop_assert_eq!(&actual, &expected);
        if relu {
            return Ok(());
        }
        let one_by_one = in_every_way(|| {
            let mut output = vec![7; outer * run_len];
            let mut start = 0;
            for (input, (length, ..)) in cat_inputs.iter().zip(&inputs) {
                cat_into(*input, *length, same, &mut output[start..], run_len.max(1)).unwrap();
                start += length;
            }
            output
        });
        prop_assert_eq!(one_by_one, expected);
    }

    #[test]
    fn adding_a_scalar_follows_the_formula(
        scale in 0.01_f32..1.0,
        zero_point in 0..=255_i32,
        c in -300.0_f64..300.0,
        relu_fused in any::<bool>(),
    ) {
        let result = add_scalar::<u8>(QParams::new(scale, zero_point), c, relu_fused).unwrap();
        let s = f64::from(scale);
        let shifted = i64::from(zero_point) - (c / s).round_ties_even() as i64;
        let (new_scale, new_zero_point) = if shifted < 0 {
            ((255 - shifted) as f64 / 255.0 * s, 0)
        } else if shifted > 255 {
            (shifted as f64 / 255.0 * s, 255)
        } else {
            (s, shifted as i32)
        };
        prop_assert_eq!(result.scale, new_scale);
        prop_assert_eq!(result.zero_point, new_zero_point);
        let input: Vec<u8> = (0..=255).collect();
        let mut output = vec![0; 256];
        result.apply(&input, &mut output).unwrap();
        let low = if relu_fused { new_zero_point } else { 0 };
        for (q, &y) in (0..=255_i64).zip(&output) {
            let expected = if new_scale == s {
                (q as i32).max(low)
            } else {
                let m = scale * (1.0 / new_scale as f32);
                quantize_steps((q - shifted) as f32 * m, new_zero_point, low, 255)
            };
            prop_assert_eq!(i32::from(y), expected);
        }
    }
}

#[test]
fn a_tensor_with_itself_is_as_with_its_copy() {
    let qparams = BinaryQParams {
        a: QParams::new(0.1, 3),
        b: QParams::new(0.2, -9),
        output: QParams::new(0.3, 20),
        relu: false,
    };
    let input: Vec<i8> = (0..5000).map(|i| ((i * 31) >> 1) as i8).collect();
    for operation in [add::<i8>, sub::<i8>, mul::<i8>] {
        let expected = run(operation, &qparams, &input, &input.clone());
        assert_eq!(run(operation, &qparams, &input, &input), expected);
    }
}

/// Sums that fit no integer, which kernels could not round.
#[test]
fn sums_far_out_of_range_saturate() {
    let (a, b) = all_pairs::<u8>();
    for scale in [1e30, 1e36, 3.4e38] {
        let qparams = BinaryQParams {
            a: QParams::new(scale, 3),
            b: QParams::new(scale, 200),
            output: QParams::new(1e-9, 20),
            relu: false,
        };
        let sums = run(add, &qparams, &a, &b);
        for ((&a, &b), sum) in a.iter().zip(&b).zip(sums) {
            let value = dequantize(a.into(), scale, 3) + dequantize(b.into(), scale, 200);
            let steps = value * (1.0 / 1e-9_f32);
            let expected = if steps.is_nan() { 20 } else { quantize_steps(steps, 20, 0, 255) };
            assert_eq!(sum, expected, "{a} and {b} times {scale}");
        }
    }
}

#[test]
fn multiplying_by_a_scalar_changes_scale_and_mirrors() {
    let input: Vec<i8> = vec![-128, -3, 0, 127];
    let qparams = QParams::new(0.5, 7);
    let mut output = vec![0; 4];

    let positive = mul_scalar::<i8>(qparams, 3.0, false).unwrap();
    assert_eq!((positive.scale, positive.zero_point), (1.5, 7));
    assert!(positive.table.is_none());

    let negative = mul_scalar::<i8>(qparams, -2.0, false).unwrap();
    assert_eq!((negative.scale, negative.zero_point), (1.0, -8));
    negative.apply(&input, &mut output).unwrap();
    assert_eq!(output, [127, 2, -1, -128]);

    let rectified = mul_scalar::<i8>(qparams, -2.0, true).unwrap();
    rectified.apply(&input, &mut output).unwrap();
    assert_eq!(output, [127, 2, -1, -8]);

    let zero = mul_scalar::<i8>(qparams, 0.0, false).unwrap();
    assert_eq!(zero.qparams(), QParams::new(1.0, 0));
    zero.apply(&input, &mut output).unwrap();
    assert_eq!(output, [0; 4]);
}

#[test]
fn relu_and_clamp_work_on_integers() {
    let input: Vec<u8> = (0..=255).collect();
    let mut output = vec![0; 256];
    relu(&input, 100, &mut output).unwrap();
    assert!(input.iter().zip(&output).all(|(&q, &y)| y == q.max(100)));
    // 6 / 0.1 above the zero point.
    clamp(&input, QParams::new(0.1, 100), 0.0, 6.0, &mut output).unwrap();
    assert!(input.iter().zip(&output).all(|(&q, &y)| y == q.clamp(100, 160)));
}

#[test]
fn a_float_table_is_quantize_of_f_of_dequantize() {
    let (from, to) = (QParams::new(0.05, 10), QParams::new(1.0 / 256.0, -128));
    let table = LookupTable::<i8>::from_float(from, to, |x| x * x).unwrap();
    for q in i8::MIN..=i8::MAX {
        let x = dequantize(i32::from(q), 0.05, 10);
        let expected = quantize_steps(x * x * (1.0 / to.scale), -128, -128, 127);
        assert_eq!(i32::from(table.get(q)), expected);
    }
    assert_eq!(i8::RANGE.count(), 256);
}

#[test]
fn lookups_of_every_length_equal_the_table() {
    let table = LookupTable::new(|q: u8| q.wrapping_mul(167) ^ (q >> 3));
    for len in 0..=300_usize {
        let input: Vec<u8> = (0..len).map(|i| (i * 89 + len) as u8).collect();
        let expected: Vec<u8> = input.iter().map(|&q| table.get(q)).collect();
        let actual = in_every_way(|| {
            let mut output = vec![0; len];
            table.apply(&input, &mut output).unwrap();
            output
        });
        assert_eq!(actual, expected, "{len}");
    }
}
