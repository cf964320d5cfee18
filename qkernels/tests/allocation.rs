//! Layers that have run once allocate nothing when they run again.

use allocation_counter::measure;
use qkernels::conv::PackedConv2d;
use qkernels::elementwise::BinaryQParams;
use qkernels::float::{self, Epilogue, PackedWeight, Weight};
use qkernels::geometry::{
    AdaptivePool2dGeometry, Conv2dGeometry, Conv2dParameters, MatmulGeometry, Pool2dGeometry,
    Pool2dParameters,
};
use qkernels::isa::{Isa, set_isa};
use qkernels::linear::{Dequantization, PackedLinear};
use qkernels::matmul::QuantizedMatmul;
use qkernels::pool::MeanExtents;
use qkernels::quantize;
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::threads;
use qkernels::{QParams, Residual};

fn requantization(channels: usize) -> Requantization {
    Requantization::new(&RequantizationParameters {
        formula: Formula::Fbgemm,
        channels,
        input_scale: 0.02,
        weight_scales: WeightScales::PerTensor(0.01),
        bias: None,
        output: QParams::new(2.0, 60),
        relu: true,
        quant_min: 0,
        quant_max: 255,
    })
    .unwrap()
}

fn allocations_of_second_run(mut run: impl FnMut()) -> u64 {
    run();
    measure(run).count_total
}

#[test]
fn a_second_run_allocates_nothing() {
    assert_eq!(allocations_of_second_run(|| drop(std::hint::black_box(vec![0_u8; 64]))), 1);
    threads::set_num_threads(1);
    for isa in Isa::available() {
        set_isa(Some(isa));
        check_integer_layers(isa);
        check_float_layers(isa);
    }
}

fn check_integer_layers(isa: Isa) {
    // Dense, strided, and grouped; with activations for 8 bits, for corrections of them, and for 16 bits.
    for (in_channels, out_channels, kernel, stride, groups) in
        [(16, 40, 3, 1, 1), (3, 16, 7, 2, 1), (24, 20, 1, 1, 1), (24, 20, 1, 2, 1), (8, 12, 3, 1, 4)]
    {
        let geometry = Conv2dGeometry::new(Conv2dParameters {
            batch: 1,
            in_channels,
            height: 13,
            width: 11,
            out_channels,
            kernel: [kernel; 2],
            stride: [stride; 2],
            padding: [kernel / 2; 2],
            dilation: [1; 2],
            groups,
        })
        .unwrap();
        let weight: Vec<i8> = (0..geometry.weight_len()).map(|i| (i * 37) as i8).collect();
        let packed = PackedConv2d::new(&weight, &[0], &geometry).unwrap();
        let requantization = requantization(out_channels);
        let values = vec![50; geometry.output_len()];
        let qparams = QParams::new(0.5, 60);
        let qparams = BinaryQParams { a: qparams, b: qparams, output: qparams, relu: true };
        let mut output = vec![0; geometry.output_len()];
        for large_every in [usize::MAX, 50, 1] {
            let activation = |i: usize| if (i + 1).is_multiple_of(large_every) { 255 } else { 127 };
            let input: Vec<u8> = (0..geometry.input_len()).map(activation).collect();
            let allocations = allocations_of_second_run(|| {
                let residual = Some(Residual { values: &values, qparams });
                packed
                    .run_into(&geometry, &input, 57, &requantization, residual, &mut output, out_channels)
                    .unwrap();
            });
            assert_eq!(allocations, 0, "{isa}, {geometry:?}");
        }
    }
    let packed = PackedLinear::new(&[5; 100 * 30], &[0], 30, 100).unwrap();
    let requantization = requantization(30);
    let mut output = [0; 90];
    let allocations = allocations_of_second_run(|| {
        packed.run(3, &[200; 300], 57, &requantization, &mut output).unwrap();
    });
    assert_eq!(allocations, 0, "{isa}, linear");
    let dequantization = Dequantization { multipliers: &[0.5], bias: None, relu: false, fused: true };
    let mut floats = [0.0; 90];
    let allocations = allocations_of_second_run(|| {
        let (low, _) = quantize::range(&floats).unwrap();
        assert!(low.is_finite());
        packed.run_float(3, &[200; 300], 57, &dequantization, &mut floats).unwrap();
    });
    assert_eq!(allocations, 0, "{isa}, dynamic linear");
    let geometry = MatmulGeometry::new([7, 30, 40], vec![[0, 0], [1, 0]], false).unwrap();
    let qparams = QParams::new(0.5, 60);
    let qparams = BinaryQParams { a: qparams, b: qparams, output: qparams, relu: false };
    let matmul = QuantizedMatmul::<u8>::new(&qparams).unwrap();
    let mut output = [0; 560];
    let allocations = allocations_of_second_run(|| {
        matmul.run(&geometry, &[200; 420], &[7; 1200], &mut output).unwrap();
    });
    assert_eq!(allocations, 0, "{isa}, matmul");
}

fn float_conv2d(
    [in_channels, out_channels, groups]: [usize; 3],
    size: usize,
    kernel: usize,
) -> Conv2dGeometry {
    Conv2dGeometry::new(Conv2dParameters {
        batch: 2,
        in_channels,
        height: size,
        width: size,
        out_channels,
        kernel: [kernel; 2],
        stride: [if groups > 1 { 2 } else { 1 }; 2],
        padding: [kernel / 2; 2],
        dilation: [1; 2],
        groups,
    })
    .unwrap()
}

fn check_float_layers(isa: Isa) {
    let mut packed_weights = 0;
    // Dense, pointwise, grouped, depthwise, of few pixels, and all padding but for a few.
    for (channels, size, kernel) in [
        ([16, 40, 1], 13, 3),
        ([24, 20, 1], 12, 1),
        ([8, 12, 4], 13, 3),
        ([8, 8, 8], 13, 5),
        ([9, 7, 1], 2, 3),
        ([9, 7, 1], 1, 3),
        ([1, 1, 1], 1, 401),
    ] {
        let geometry = float_conv2d(channels, size, kernel);
        let input = vec![0.5; geometry.input_len()];
        let weight = vec![0.25; geometry.weight_len()];
        let epilogue = Epilogue::bias(geometry.out_channels, None).unwrap();
        let packed = PackedWeight::new(&geometry, &weight).unwrap();
        packed_weights += usize::from(packed.is_some());
        let mut output = vec![0.0; geometry.output_len()];
        for weight in
            [Some(Weight::Whole(&weight)), packed.as_ref().map(Weight::Packed)].into_iter().flatten()
        {
            let allocations = allocations_of_second_run(|| {
                float::conv2d_into(&geometry, &input, weight, &epilogue, &mut output).unwrap();
            });
            assert_eq!(allocations, 0, "{isa}, {geometry:?}");
        }
    }
    assert_eq!(packed_weights, 3, "Winograd once, and taps that see padding twice");
    let mut output = [0.0; 90];
    let epilogue = Epilogue::bias(30, None).unwrap();
    let product = MatmulGeometry::new([3, 100, 30], vec![[0, 0]], false).unwrap();
    let allocations = allocations_of_second_run(|| {
        float::linear(3, &[0.5; 300], &[0.25; 3000], &epilogue, &mut output).unwrap();
        float::matmul_into(&product, &[0.5; 300], &[0.25; 3000], &mut output).unwrap();
    });
    assert_eq!(allocations, 0, "{isa}, linear and matmul");
    let geometry = Pool2dGeometry::new(Pool2dParameters {
        batch: 2,
        channels: 3,
        height: 13,
        width: 11,
        kernel: [3; 2],
        stride: [2; 2],
        padding: [1; 2],
        dilation: [1; 2],
        ceil_mode: false,
    })
    .unwrap();
    let adaptive = AdaptivePool2dGeometry::new(2, 3, [13, 11], [4, 3]).unwrap();
    let input = vec![0.5; geometry.input_len()];
    let mut output = vec![0.0; geometry.output_len()];
    let mut same = input.clone();
    let mut adaptive_output = vec![0.0; adaptive.output_len()];
    let allocations = allocations_of_second_run(|| {
        float::max_pool2d(&geometry, &input, &mut output).unwrap();
        float::avg_pool2d(&geometry, true, &input, &mut output).unwrap();
        float::adaptive_avg_pool2d(&adaptive, &input, &mut adaptive_output).unwrap();
        float::mean_into(MeanExtents { outer: 2, reduced: 429, inner: 1 }, &input, &mut output[..2]).unwrap();
        float::affine_into(&[[2.0, 1.0]; 3], 143, [0.0, 6.0], &input, &mut same).unwrap();
        float::map_into(&input, &mut same, |x| x + 1.0).unwrap();
        float::zip_into(&input, &input, &mut same, |a, b| a + b).unwrap();
    });
    assert_eq!(allocations, 0, "{isa}, pools and passes");
}
