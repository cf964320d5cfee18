//! Softmax, norms and PReLU, against their formulas in `f64` and in the order of NUMERICS.

use proptest::prelude::*;
use qkernels::elementwise::{PReLU, prelu};
use qkernels::quantize::ChannelExtents;
use qkernels::rows::{Affine, Normalization, Softmax, normalize, normalize_float, softmax_float};
use qkernels::{EightBit, QParams};

use crate::problem::in_every_way;
use crate::reference::quantize_steps;

/// Rows of this length, of all bytes by turns.
fn rows<T: EightBit>(rows: usize, len: usize, step: usize) -> Vec<T> {
    (0..rows * len).map(|i| T::from_i32((i * step % 256) as i32 + T::RANGE.start())).collect()
}

fn integers<T: EightBit>(output: Vec<T>) -> Vec<i32> {
    output.into_iter().map(T::to_i32).collect()
}

fn check_softmax<T: EightBit + std::fmt::Debug>(scale: f32, zero_point: i32, len: usize, step: usize) {
    let input = rows::<T>(3, len, step);
    let zero_point = zero_point + T::RANGE.start();
    let (qparams, output) = (QParams::new(scale, zero_point), QParams::new(1.0 / 256.0, *T::RANGE.start()));
    let softmax = Softmax::new::<T>(qparams, output).unwrap();
    let found = in_every_way(|| {
        let mut output = vec![T::from_i32(0); input.len()];
        softmax.apply(len, &input, &mut output).unwrap();
        integers(output)
    });
    for (found, row) in found.chunks(len).zip(input.chunks(len)) {
        let x = |q: &T| f64::from(q.to_i32()) * f64::from(scale);
        let max = row.iter().map(x).fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = row.iter().map(|q| (x(q) - max).exp()).sum();
        for (found, q) in found.iter().zip(row) {
            let steps = (x(q) - max).exp() / sum * 256.0;
            let distance = f64::from(found - T::RANGE.start()) - steps.min(255.0);
            assert!(distance.abs() <= 0.5 + 1e-4, "{found} for {steps}");
        }
    }
}

fn check_norm<T: EightBit + std::fmt::Debug>(
    [batch, groups, channels, inner]: [usize; 4],
    qparams: QParams,
    step: usize,
) {
    let (channels, len) = (groups * channels, channels * inner);
    let input = rows::<T>(batch * groups, len, step);
    let weight: Vec<f32> = (0..channels).map(|channel| 0.5 + channel as f32 / 4.0).collect();
    let bias: Vec<f32> = (0..channels).map(|channel| channel as f32 / 8.0 - 0.3).collect();
    let output_qparams = QParams::new(0.02, 3);
    for (has_weight, has_bias) in [(true, true), (true, false), (false, false)] {
        let weight = has_weight.then_some(&weight[..]);
        let bias = has_bias.then_some(&bias[..]);
        let affine = Affine { weight, bias, inner };
        let normalization = Normalization { len, channels, affine, eps: 1e-5 };
        let found = in_every_way(|| {
            let mut output = vec![T::from_i32(0); input.len()];
            normalize(&normalization, qparams, output_qparams, &input, &mut output).unwrap();
            integers(output)
        });
        for (index, found) in found.iter().enumerate() {
            let row = &input[index / len * len..][..len];
            let steps = row.iter().map(|q| i64::from(q.to_i32() - qparams.zero_point));
            let (sum, squares) = steps.fold((0, 0), |(sum, squares), q| (sum + q, squares + q * q));
            let mean = sum as f32 / len as f32;
            let variance = (squares as f32 / len as f32 - mean * mean).max(0.0);
            let k = qparams.scale / (variance * qparams.scale * qparams.scale + 1e-5).sqrt();
            let channel = index / inner % channels;
            let q = (input[index].to_i32() - qparams.zero_point) as f32;
            let y = (q - mean) * k * weight.map_or(1.0, |weight| weight[channel]);
            let y = y + bias.map_or(0.0, |bias| bias[channel]);
            let (low, high) = T::RANGE.into_inner();
            assert_eq!(*found, quantize_steps(y * (1.0 / 0.02), 3, low, high), "{normalization:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn softmax_is_within_half_a_step(
        scale in 0.001_f32..0.5, zero_point in 0..=255, len in 1_usize..700, step in 1_usize..256,
    ) {
        check_softmax::<u8>(scale, zero_point, len, step);
        check_softmax::<i8>(scale, zero_point, len, step);
    }

    #[test]
    fn norms_round_each_step(
        extents in [1_usize..3, 1..4, 1..5, 1..70], scale in 0.001_f32..1.0, zero_point in 0..=127,
        step in 1_usize..256,
    ) {
        check_norm::<u8>(extents, QParams::new(scale, zero_point), step);
        check_norm::<i8>(extents, QParams::new(scale, -zero_point), step);
    }

    #[test]
    fn prelu_multiplies_negative_steps(
        channels in 1_usize..70, inner in 1_usize..40, zero_point in 0..=255, one in -255..=255, seed in 0..255,
    ) {
        let slopes: Vec<i32> = (0..channels as i32).map(|channel| (channel * 37 + seed) % 511 - 255).collect();
        let extents = ChannelExtents { outer: 3, channels, inner };
        let input = rows::<u8>(3, channels * inner, 7);
        let (from, to) = (QParams::new(0.05, zero_point), QParams::new(0.03, 100));
        let constants = PReLU { slopes: &slopes, one, slope_scale: 0.01, input: from, output: to };
        let found = in_every_way(|| {
            let mut output = vec![0; input.len()];
            prelu(&constants, extents, &input, &mut output).unwrap();
            integers(output)
        });
        let multiplier = 0.05_f32 * 0.01 * (1.0 / 0.03);
        for (index, (found, q)) in found.iter().zip(&input).enumerate() {
            let steps = i32::from(*q) - zero_point;
            let product = steps * if steps > 0 { one } else { slopes[index / inner % channels] };
            prop_assert_eq!(*found, quantize_steps(product as f32 * multiplier, 100, 0, 255));
        }
    }
}

/// Sums of the largest squares, over several blocks of 32 bits.
#[test]
fn long_rows_of_extremes_do_not_overflow() {
    let len = (1 << 16) + 3;
    let input: Vec<u8> = (0..len).map(|i| if i % 2 == 0 { 255 } else { 0 }).collect();
    let affine = Affine { weight: None, bias: None, inner: len };
    let normalization = Normalization { len, channels: 1, affine, eps: 0.0 };
    let mut output = vec![0_u8; len];
    normalize(&normalization, QParams::new(1.0, 255), QParams::new(0.01, 128), &input, &mut output).unwrap();
    // Just below +1 and just above -1.
    assert_eq!(output[..2], [228, 28]);
}

#[test]
fn float_rows_have_mean_zero_and_sum_one() {
    // 1000 beside 1000.5: what is lost in sums of f32.
    let input: Vec<f32> = (0..2 * 4099).map(|i| 1000.0 + (i % 3) as f32 / 4.0).collect();
    let mut output = vec![0.0; input.len()];
    let affine = Affine { weight: None, bias: None, inner: 1 };
    let normalization = Normalization { len: 4099, channels: 4099, affine, eps: 0.0 };
    normalize_float(&normalization, &input, &mut output).unwrap();
    for row in output.chunks(4099) {
        let sum: f64 = row.iter().map(|&y| f64::from(y)).sum();
        let squares: f64 = row.iter().map(|&y| f64::from(y) * f64::from(y)).sum();
        assert!((sum / 4099.0).abs() < 1e-6 && (squares / 4099.0 - 1.0).abs() < 1e-6, "{sum} {squares}");
    }
    softmax_float(4099, &input, &mut output).unwrap();
    let sum: f64 = output[..4099].iter().map(|&y| f64::from(y)).sum();
    assert!((sum - 1.0).abs() < 1e-6, "{sum}");
}

#[test]
fn lengths_that_do_not_fit_are_errors() {
    let softmax = Softmax::new::<u8>(QParams::new(1.0, 0), QParams::new(1.0, 0)).unwrap();
    assert!(softmax.apply(2, &[0_u8; 3], &mut [0; 3]).is_err());
    assert!(softmax.apply(0, &[0_u8; 3], &mut [0; 3]).is_err());
    assert!(softmax.apply(3, &[0_u8; 3], &mut [0; 6]).is_err());
    assert!(softmax.apply::<u8>(3, &[], &mut []).is_ok());
    assert!(Softmax::new::<u8>(QParams::new(f32::NAN, 0), QParams::new(1.0, 0)).is_err());
    let affine = Affine { weight: Some(&[1.0]), bias: None, inner: 1 };
    let normalization = Normalization { len: 2, channels: 2, affine, eps: 0.0 };
    assert!(normalize_float(&normalization, &[0.0; 4], &mut [0.0; 4]).is_err());
}
