//! Layers that have run once allocate nothing when they run again.

use allocation_counter::measure;
use qkernels::QParams;
use qkernels::conv::{PackedConv2d, Residual};
use qkernels::elementwise::BinaryQParams;
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::isa::{Isa, set_isa};
use qkernels::linear::PackedLinear;
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::threads;

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
    }
}
