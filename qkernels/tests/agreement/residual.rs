//! An addition in the same pass, and outputs within larger ones: the same bytes as the operations one by one.

use proptest::prelude::*;
use qkernels::conv::PackedConv2d;
use qkernels::elementwise::{BinaryQParams, add};
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::linear::PackedLinear;
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::{Error, QParams, Residual};

use crate::problem::{bytes, cases, conv2d, in_every_way, signed_bytes, zero_point};

/// What lies between the pixels of a larger output.
const UNTOUCHED: u8 = 99;

fn requantization(formula: Formula, channels: usize, relu: bool) -> Requantization {
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

fn formula() -> impl Strategy<Value = Formula> {
    prop_oneof![Just(Formula::Fbgemm), Just(Formula::Qnnpack), Just(Formula::Onednn)]
}

fn addition() -> impl Strategy<Value = BinaryQParams> {
    let qparams = || (-8.0_f32..2.0, zero_point()).prop_map(|(e, z)| QParams::new(e.exp2(), z));
    (qparams(), qparams(), qparams(), any::<bool>()).prop_map(|(a, b, output, relu)| BinaryQParams {
        a,
        b,
        output,
        relu,
    })
}

/// Rows of `width` bytes, `row_stride` apart, with [`UNTOUCHED`] bytes between them.
fn with_gaps(rows: &[u8], width: usize, row_stride: usize) -> Vec<u8> {
    let mut strided: Vec<u8> = rows
        .chunks_exact(width)
        .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(UNTOUCHED, row_stride - width)))
        .collect();
    strided.truncate(strided.len().saturating_sub(row_stride - width));
    strided
}

proptest! {
    #![proptest_config(cases(300))]

    #[test]
    fn convolution_with_residual_is_convolution_then_addition(
        (geometry, input, weight, values) in conv2d().prop_flat_map(|geometry| (
            Just(geometry),
            bytes(geometry.input_len()),
            signed_bytes(geometry.weight_len()),
            bytes(geometry.output_len()),
        )),
        input_zero_point in zero_point(),
        formula in formula(),
        relu in any::<bool>(),
        qparams in addition(),
        gap in 0..=20_usize,
    ) {
        let channels = geometry.out_channels;
        let requantization = requantization(formula, channels, relu);
        let packed = PackedConv2d::new(&weight, &[0], &geometry).unwrap();
        let mut alone = vec![0; geometry.output_len()];
        packed.run(&geometry, &input, input_zero_point, &requantization, &mut alone).unwrap();
        let mut added = vec![0; alone.len()];
        add(&qparams, &alone, &values, &mut added).unwrap();

        let row_stride = channels + gap;
        for (residual, expected) in [(None, &alone), (Some(Residual { values: &values, qparams }), &added)] {
            let expected = with_gaps(expected, channels, row_stride);
            let actual = in_every_way(|| {
                let mut output = vec![UNTOUCHED; expected.len()];
                packed
                    .run_into(
                        &geometry, &input, input_zero_point, &requantization, residual, &mut output, row_stride,
                    )
                    .unwrap();
                output
            });
            prop_assert_eq!(actual, expected);
        }
    }

    #[test]
    fn linear_with_residual_is_linear_then_addition(
        (rows, in_features, out_features, input, weight, values) in
            (1..=15_usize, 1..=70_usize, 1..=70_usize).prop_flat_map(|(rows, inputs, outputs)| (
                Just(rows),
                Just(inputs),
                Just(outputs),
                bytes(rows * inputs),
                signed_bytes(outputs * inputs),
                bytes(rows * outputs),
            )),
        formula in formula(),
        qparams in addition(),
        gap in 0..=20_usize,
    ) {
        let requantization = requantization(formula, out_features, false);
        let packed = PackedLinear::new(&weight, &[0], out_features, in_features).unwrap();
        let mut alone = vec![0; rows * out_features];
        packed.run(rows, &input, 100, &requantization, &mut alone).unwrap();
        let mut added = vec![0; alone.len()];
        add(&qparams, &alone, &values, &mut added).unwrap();

        let row_stride = out_features + gap;
        for (residual, expected) in [(None, &alone), (Some(Residual { values: &values, qparams }), &added)] {
            let expected = with_gaps(expected, out_features, row_stride);
            let actual = in_every_way(|| {
                let mut output = vec![UNTOUCHED; expected.len()];
                packed.run_into(rows, &input, 100, &requantization, residual, &mut output, row_stride).unwrap();
                output
            });
            prop_assert_eq!(actual, expected);
        }
    }
}

#[test]
fn pitches_and_residuals_that_do_not_fit_are_refused() {
    let geometry = Conv2dGeometry::new(Conv2dParameters {
        batch: 1,
        in_channels: 4,
        height: 2,
        width: 2,
        out_channels: 6,
        kernel: [1, 1],
        stride: [1, 1],
        padding: [0, 0],
        dilation: [1, 1],
        groups: 1,
    })
    .unwrap();
    let packed = PackedConv2d::new(&[1; 24], &[0], &geometry).unwrap();
    let requantization = requantization(Formula::Fbgemm, 6, false);
    let run = |residual: Option<Residual<'_>>, len: usize, row_stride: usize| {
        packed.run_into(&geometry, &[1; 16], 0, &requantization, residual, &mut vec![0; len], row_stride)
    };
    assert_eq!(run(None, 3 * 8 + 6, 8), Ok(()));
    assert_eq!(run(None, 3 * 8 + 5, 8), Err(Error::Length { what: "output", expected: 30, actual: 29 }));
    assert!(run(None, 100, 5).is_err());
    assert!(run(None, 100, usize::MAX).is_err());

    let good = QParams::new(0.1, 0);
    let qparams = BinaryQParams { a: good, b: good, output: good, relu: false };
    assert_eq!(run(Some(Residual { values: &[1; 24], qparams }), 24, 6), Ok(()));
    assert_eq!(
        run(Some(Residual { values: &[1; 23], qparams }), 24, 6),
        Err(Error::Length { what: "residual", expected: 24, actual: 23 })
    );
    for bad in [QParams::new(0.1, 256), QParams::new(1e38, 0), QParams::new(f32::NAN, 0)] {
        for qparams in [BinaryQParams { a: bad, ..qparams }, BinaryQParams { b: bad, ..qparams }] {
            assert!(run(Some(Residual { values: &[1; 24], qparams }), 24, 6).is_err(), "{qparams:?}");
        }
    }
}
