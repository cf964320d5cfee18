//! Wrong arguments are errors that say what was wrong, never panics.

use qkernels::conv::PackedConv2d;
use qkernels::elementwise::{
    BatchNorm, BinaryQParams, CatInput, add, add_qnnpack, add_scalar, batch_norm, cat, clamp, mul_scalar,
};
use qkernels::float;
use qkernels::geometry::{
    AdaptivePool2dGeometry, Conv2dGeometry, Conv2dParameters, Pool2dGeometry, Pool2dParameters,
};
use qkernels::linear::PackedLinear;
use qkernels::pool::{MeanExtents, MeanRule, max_pool2d, max_pool2d_into, mean};
use qkernels::quantize::{ChannelExtents, quantize_per_tensor};
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::{Error, QParams};

const CONV: Conv2dParameters = Conv2dParameters {
    batch: 1,
    in_channels: 4,
    height: 5,
    width: 5,
    out_channels: 6,
    kernel: [3, 3],
    stride: [1, 1],
    padding: [1, 1],
    dilation: [1, 1],
    groups: 2,
};

const POOL: Pool2dParameters = Pool2dParameters {
    batch: 1,
    channels: 2,
    height: 5,
    width: 5,
    kernel: [3, 3],
    stride: [2, 2],
    padding: [1, 1],
    dilation: [1, 1],
    ceil_mode: false,
};

fn layer(channels: usize) -> RequantizationParameters<'static> {
    RequantizationParameters {
        formula: Formula::Fbgemm,
        channels,
        input_scale: 0.1,
        weight_scales: WeightScales::PerTensor(0.1),
        bias: None,
        output: QParams::new(0.1, 0),
        relu: false,
        quant_min: 0,
        quant_max: 255,
    }
}

#[test]
fn impossible_convolutions_are_refused() {
    let huge = usize::MAX / 2;
    for parameters in [
        Conv2dParameters { groups: 0, ..CONV },
        Conv2dParameters { groups: 3, ..CONV },
        Conv2dParameters { in_channels: 0, ..CONV },
        Conv2dParameters { out_channels: 0, ..CONV },
        Conv2dParameters { height: 0, ..CONV },
        Conv2dParameters { kernel: [3, 0], ..CONV },
        Conv2dParameters { kernel: [8, 3], ..CONV },
        Conv2dParameters { stride: [0, 1], ..CONV },
        Conv2dParameters { dilation: [1, 0], ..CONV },
        Conv2dParameters { dilation: [1, huge], ..CONV },
        Conv2dParameters { dilation: [4, 1], ..CONV },
        Conv2dParameters { padding: [usize::MAX, 1], ..CONV },
        Conv2dParameters { padding: [huge / 2, huge / 2], ..CONV },
        Conv2dParameters { batch: huge, ..CONV },
        Conv2dParameters { kernel: [huge, 1], padding: [huge, 0], ..CONV },
        // Valid as numbers, but offsets into the image could not be computed.
        Conv2dParameters { stride: [1 << 61, 1], ..CONV },
        Conv2dParameters { kernel: [1, 1], dilation: [1 << 61, 1 << 61], ..CONV },
    ] {
        let error = Conv2dGeometry::new(parameters).unwrap_err();
        assert!(matches!(error, Error::Geometry(_)), "{parameters:?}: {error}");
    }
    let error = Conv2dGeometry::new(Conv2dParameters { kernel: [8, 3], ..CONV }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the output would have no pixel: the filter covers 8 of the height, the padded input has 7"
    );
}

#[test]
fn impossible_pools_are_refused() {
    let huge = usize::MAX / 2;
    for parameters in [
        Pool2dParameters { channels: 0, ..POOL },
        Pool2dParameters { width: 0, ..POOL },
        Pool2dParameters { padding: [2, 1], ..POOL },
        Pool2dParameters { kernel: [0, 3], ..POOL },
        Pool2dParameters { stride: [0, 3], ..POOL },
        Pool2dParameters { dilation: [0, 1], ..POOL },
        Pool2dParameters { dilation: [huge, 1], ..POOL },
        Pool2dParameters { kernel: [9, 3], ..POOL },
        Pool2dParameters { kernel: [huge, 3], padding: [huge / 2, 0], ..POOL },
        Pool2dParameters { stride: [usize::MAX, 1], ceil_mode: true, ..POOL },
        Pool2dParameters { batch: usize::MAX, ..POOL },
        Pool2dParameters { stride: [1 << 61, 1], ..POOL },
        Pool2dParameters { kernel: [1, 1], padding: [0, 0], dilation: [1, 1 << 62], ..POOL },
    ] {
        assert!(matches!(Pool2dGeometry::new(parameters), Err(Error::Geometry(_))), "{parameters:?}");
    }
    assert!(AdaptivePool2dGeometry::new(1, 1, [0, 1], [1, 1]).is_err());
    assert!(AdaptivePool2dGeometry::new(1, 1, [1, 1], [usize::MAX, 2]).is_err());
}

#[test]
fn wrong_lengths_are_reported_with_their_name() {
    let geometry = Conv2dGeometry::new(CONV).unwrap();
    let weight = vec![1; geometry.weight_len()];
    let packed = PackedConv2d::new(&weight, &[0], &geometry).unwrap();
    let input = vec![1; geometry.input_len()];
    let mut output = vec![1; geometry.output_len()];
    let six = Requantization::new(&layer(6)).unwrap();
    let five = Requantization::new(&layer(5)).unwrap();

    assert_eq!(
        packed.run(&geometry, &input[1..], 0, &six, &mut output),
        Err(Error::Length { what: "input", expected: 100, actual: 99 })
    );
    assert!(packed.run(&geometry, &input, 0, &six, &mut output[1..]).is_err());
    assert!(packed.run(&geometry, &input, 0, &five, &mut output).is_err());
    assert!(packed.run(&geometry, &input, 256, &six, &mut output).is_err());
    assert!(packed.run(&geometry, &input, -1, &six, &mut output).is_err());
    let other = Conv2dGeometry::new(Conv2dParameters { groups: 1, ..CONV }).unwrap();
    assert!(packed.run(&other, &input, 0, &six, &mut output).is_err());
    assert!(PackedConv2d::new(&weight[1..], &[0], &geometry).is_err());
    assert!(PackedConv2d::new(&weight, &[], &geometry).is_err());
    assert!(PackedConv2d::new(&weight, &[0; 5], &geometry).is_err());
    assert!(PackedConv2d::new(&weight, &[128], &geometry).is_err());

    assert!(PackedLinear::new(&[1; 5], &[0], 2, 3).is_err());
    assert!(PackedLinear::new(&[], &[0], 0, 3).is_err());
    let linear = PackedLinear::new(&[1; 6], &[0], 2, 3).unwrap();
    assert!(linear.accumulate(usize::MAX, &[], 0, &mut []).is_err());
    assert!(linear.accumulate(1, &[1, 2], 0, &mut [0; 2]).is_err());

    let pool = Pool2dGeometry::new(POOL).unwrap();
    assert!(max_pool2d::<u8>(&pool, &[], &mut []).is_err());
    let (input, mut output) = (vec![1_u8; pool.input_len()], vec![0; 8 * 3 + 2]);
    assert!(max_pool2d_into(&pool, &input, &mut output, 3).is_ok());
    assert!(max_pool2d_into(&pool, &input, &mut output[1..], 3).is_err());
    assert!(max_pool2d_into(&pool, &input, &mut output, 1).is_err());
    let epilogue = |channels| float::Epilogue::bias(channels, None).unwrap();
    assert!(float::linear(2, &[1.0; 3], &[1.0; 3], &epilogue(1), &mut [0.0; 2]).is_err());
    assert!(float::linear(0, &[1.0; 3], &[1.0; 3], &epilogue(1), &mut [0.0; 2]).is_err());
    assert!(float::linear(1, &[1.0; 3], &[1.0; 3], &epilogue(2), &mut [0.0; 1]).is_err());
    let mut floats = vec![0.0; geometry.output_len()];
    let whole = float::Weight::Whole(&[]);
    assert!(float::conv2d_into(&geometry, &[], whole, &epilogue(1), &mut floats).is_err());
    let pixel = Conv2dParameters {
        in_channels: 1,
        height: 1,
        width: 1,
        out_channels: 1,
        kernel: [1; 2],
        padding: [0; 2],
        groups: 1,
        ..CONV
    };
    let pixel = Conv2dGeometry::new(pixel).unwrap();
    for len in 0..=2 {
        let output = &mut [0.0; 2][..len];
        let weight = float::Weight::Whole(&[1.0]);
        assert_eq!(float::conv2d_into(&pixel, &[1.0], weight, &epilogue(1), output).is_ok(), len == 1);
    }
    assert!(float::Epilogue::bias(3, Some(&[0.0; 2])).is_err());
}

#[test]
fn unusable_scales_and_zero_points_are_refused() {
    let mut output = [0_u8];
    for scale in [0.0, -1.0, f32::NAN, f32::INFINITY, 1e-45] {
        let qparams = QParams::new(scale, 0);
        assert!(quantize_per_tensor(&[1.0], qparams, 0..=255, &mut output).is_err());
        let parameters = RequantizationParameters { input_scale: scale, ..layer(1) };
        assert!(Requantization::new(&parameters).is_err());
    }
    let qparams = QParams::new(1.0, 256);
    assert!(quantize_per_tensor(&[1.0], qparams, 0..=255, &mut output).is_err());
    let qparams = QParams::new(1.0, 0);
    assert!(quantize_per_tensor(&[1.0], qparams, 0..=256, &mut output).is_err());
    #[expect(clippy::reversed_empty_ranges)]
    let empty = 9..=8;
    assert!(quantize_per_tensor(&[1.0], qparams, empty, &mut output).is_err());

    for parameters in [
        RequantizationParameters { output: QParams::new(0.1, -1), ..layer(1) },
        RequantizationParameters { bias: Some(&[f32::NAN]), ..layer(1) },
        RequantizationParameters { bias: Some(&[1.0, 2.0]), ..layer(1) },
        RequantizationParameters { input_scale: 1e30, output: QParams::new(1e-30, 0), ..layer(1) },
        RequantizationParameters { quant_max: 256, ..layer(1) },
        RequantizationParameters { weight_scales: WeightScales::PerChannel(&[]), ..layer(1) },
    ] {
        assert!(Requantization::new(&parameters).is_err(), "{parameters:?}");
    }
}

#[test]
fn elementwise_operations_check_their_arguments() {
    let good = QParams::new(0.1, 0);
    let qparams = BinaryQParams { a: good, b: good, output: good, relu: false };
    assert!(add::<u8>(&qparams, &[1, 2], &[1, 2], &mut [0]).is_err());
    assert!(add::<u8>(&qparams, &[1, 2, 3], &[1, 2], &mut [0; 3]).is_err());
    assert!(add::<u8>(&qparams, &[1, 2], &[], &mut [0; 2]).is_err());
    assert!(add::<u8>(&qparams, &[], &[], &mut []).is_ok());
    assert!(clamp::<u8>(&[1], good, 1.0, 0.0, &mut [0]).is_err());
    assert!(clamp::<u8>(&[1], good, f32::NAN, 0.0, &mut [0]).is_err());
    assert!(add_scalar::<u8>(good, f64::NAN, false).is_err());
    assert!(mul_scalar::<u8>(good, f64::INFINITY, false).is_err());
    assert!(mul_scalar::<u8>(good, 1e-300, false).is_err());

    let too_large = BinaryQParams { a: QParams::new(30.0, 0), ..qparams };
    assert!(add_qnnpack(&too_large, &[1], &[1], &mut [0]).is_err());
    let tiny = QParams::new(1e-6, 0);
    let too_small = BinaryQParams { a: tiny, b: tiny, ..qparams };
    assert!(add_qnnpack(&too_small, &[1], &[1], &mut [0]).is_err());
    let empty = BinaryQParams { output: QParams::new(0.1, 255), relu: true, ..qparams };
    assert!(add_qnnpack(&empty, &[1], &[1], &mut [0]).is_err());

    let input = CatInput { values: &[1, 2, 3], qparams: good };
    assert!(cat::<u8>(1, &[input, input], good, false, &mut [0; 6]).is_ok());
    assert!(cat::<u8>(1, &[input, input], good, false, &mut [0; 5]).is_err());
    assert!(cat::<u8>(2, &[input, input], good, false, &mut [0; 6]).is_err());
    assert!(cat::<u8>(0, &[input], good, false, &mut [0; 3]).is_err());
    assert!(cat::<u8>(0, &[], good, false, &mut []).is_ok());
    let without_scale = CatInput { qparams: QParams::new(0.0, 0), ..input };
    assert!(cat::<u8>(1, &[without_scale], good, false, &mut [0; 3]).is_err());

    let extents = ChannelExtents { outer: 1, channels: 2, inner: 1 };
    let parameters =
        BatchNorm { scale: &[1.0; 2], offset: &[0.0; 2], input_zero_point: 0, output: good, relu: false };
    assert!(batch_norm::<u8>(&parameters, extents, &[1, 2], &mut [0; 2]).is_ok());
    assert!(batch_norm::<u8>(&parameters, extents, &[1], &mut [0; 2]).is_err());
    let infinite = BatchNorm { offset: &[0.0, f32::INFINITY], ..parameters };
    assert!(batch_norm::<u8>(&infinite, extents, &[1, 2], &mut [0; 2]).is_err());
    let one_scale = BatchNorm { scale: &[1.0], ..parameters };
    assert!(batch_norm::<u8>(&one_scale, extents, &[1, 2], &mut [0; 2]).is_err());
    let no_byte = BatchNorm { input_zero_point: -1, ..parameters };
    assert!(batch_norm::<u8>(&no_byte, extents, &[1, 2], &mut [0; 2]).is_err());

    let extents = MeanExtents { outer: 1, reduced: 0, inner: 1 };
    assert!(mean::<u8>(extents, good, MeanRule::Raw, &[], &mut [0]).is_err());
}
