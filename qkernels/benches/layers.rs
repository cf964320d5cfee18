//! Times what surrounds the convolutions of a network: depthwise, linear, pools and elementwise passes.
//!
//! `cargo bench -p qkernels --bench layers [-- NAME]` prints a JSON object an operation (those whose name begins so),
//! with the time of every instruction set of this machine (or that of `QKERNELS_ISA`), on one thread.

use std::time::Instant;

use qkernels::QParams;
use qkernels::conv::PackedConv2d;
use qkernels::elementwise::{self, BinaryQParams, LookupTable};
use qkernels::geometry::{
    AdaptivePool2dGeometry, Conv2dGeometry, Conv2dParameters, Pool2dGeometry, Pool2dParameters,
};
use qkernels::isa::{Isa, set_isa};
use qkernels::linear::PackedLinear;
use qkernels::pool::{self, TieRule};
use qkernels::quantize::{self, ImageShape};
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::threads;

/// Prints the best of some runs in microseconds, for each instruction set.
fn time(name: &str, mut run: impl FnMut()) {
    if std::env::args().nth(1).is_some_and(|wanted| wanted != "--bench" && !name.starts_with(&wanted)) {
        return;
    }
    let wanted = std::env::var("QKERNELS_ISA").ok();
    let is_wanted = |isa: &Isa| wanted.as_ref().is_none_or(|wanted| wanted == isa.name());
    let times = Isa::available().filter(is_wanted).map(|isa| {
        set_isa(Some(isa));
        let mut best = f64::INFINITY;
        for _ in 0..30 {
            let start = Instant::now();
            run();
            best = best.min(start.elapsed().as_secs_f64());
        }
        format!("\"{isa}_us\": {:.1}", 1e6 * best)
    });
    println!("{{\"operation\": \"{name}\", {}}}", times.collect::<Vec<_>>().join(", "));
}

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

fn depthwise(channels: usize, size: usize, kernel: usize, stride: usize) {
    let geometry = Conv2dGeometry::new(Conv2dParameters {
        batch: 1,
        in_channels: channels,
        height: size,
        width: size,
        out_channels: channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        dilation: [1; 2],
        groups: channels,
    })
    .unwrap();
    let weight: Vec<i8> = (0..geometry.weight_len()).map(|i| (i * 37) as i8).collect();
    let input: Vec<u8> = (0..geometry.input_len()).map(|i| (i * 31) as u8).collect();
    let packed = PackedConv2d::new(&weight, &[0], &geometry).unwrap();
    let requantization = requantization(channels);
    let mut output = vec![0; geometry.output_len()];
    time(&format!("depthwise {channels}x{size}x{size}, {kernel}x{kernel}, stride {stride}"), || {
        packed.run(&geometry, &input, 57, &requantization, &mut output).unwrap();
    });
}

fn linear(rows: usize, inputs: usize, outputs: usize) {
    let weight: Vec<i8> = (0..inputs * outputs).map(|i| (i * 37) as i8).collect();
    let input: Vec<u8> = (0..rows * inputs).map(|i| (i * 31) as u8).collect();
    let packed = PackedLinear::new(&weight, &[0], outputs, inputs).unwrap();
    let requantization = requantization(outputs);
    let mut output = vec![0; rows * outputs];
    time(&format!("linear {rows}x{inputs} to {outputs}"), || {
        packed.run(rows, &input, 57, &requantization, &mut output).unwrap();
    });
}

fn quantization() {
    let shape = ImageShape { batch: 1, channels: 3, height: 224, width: 224 };
    let deep = ImageShape { batch: 1, channels: 512, height: 7, width: 7 };
    let qparams = QParams::new(0.02, 114);
    for (name, shape) in [("3x224x224", shape), ("512x7x7", deep)] {
        let len = shape.channels * shape.height * shape.width;
        let mut floats: Vec<f32> = (0..len).map(|i| (i % 997) as f32 * 0.005 - 2.5).collect();
        let mut bytes = vec![0_u8; len];
        time(&format!("quantize NCHW to NHWC {name}"), || {
            quantize::quantize_nchw_to_nhwc(&floats, shape, qparams, 0..=255, &mut bytes).unwrap();
        });
        time(&format!("quantize {name}"), || {
            quantize::quantize_per_tensor(&floats, qparams, 0..=255, &mut bytes).unwrap();
        });
        time(&format!("dequantize {name}"), || {
            quantize::dequantize_per_tensor(&bytes, qparams, &mut floats).unwrap();
        });
        time(&format!("dequantize NHWC to NCHW {name}"), || {
            quantize::dequantize_nhwc_to_nchw(&bytes, shape, qparams, &mut floats).unwrap();
        });
    }
}

fn elementwise() {
    let len = 64 * 56 * 56;
    let a: Vec<u8> = (0..len).map(|i| (i * 31) as u8).collect();
    let b: Vec<u8> = (0..len).map(|i| (i * 17) as u8).collect();
    let mut output = vec![0; len];
    let qparams = BinaryQParams {
        a: QParams::new(0.02, 60),
        b: QParams::new(0.03, 70),
        output: QParams::new(0.04, 80),
        relu: true,
    };
    time("add_relu 64x56x56", || elementwise::add(&qparams, &a, &b, &mut output).unwrap());
    time("add_qnnpack 64x56x56", || elementwise::add_qnnpack(&qparams, &a, &b, &mut output).unwrap());
    time("mul 64x56x56", || elementwise::mul(&qparams, &a, &b, &mut output).unwrap());
    time("relu 64x56x56", || elementwise::relu(&a, 60, &mut output).unwrap());
    let table = LookupTable::new(|q: u8| q.wrapping_mul(3));
    time("lookup 64x56x56", || table.apply(&a, &mut output).unwrap());
}

fn pools() {
    let geometry = Pool2dGeometry::new(Pool2dParameters {
        batch: 1,
        channels: 64,
        height: 112,
        width: 112,
        kernel: [3, 3],
        stride: [2, 2],
        padding: [1, 1],
        dilation: [1, 1],
        ceil_mode: false,
    })
    .unwrap();
    let input: Vec<u8> = (0..geometry.input_len()).map(|i| (i * 31) as u8).collect();
    let mut output = vec![0; geometry.output_len()];
    time("max_pool2d 64x112x112, 3x3, stride 2", || {
        pool::max_pool2d(&geometry, &input, &mut output).unwrap()
    });
    let geometry = AdaptivePool2dGeometry::new(1, 512, [7, 7], [1, 1]).unwrap();
    let mut output = vec![0; 512];
    time("adaptive_avg_pool2d 512x7x7 to 1x1", || {
        let qparams = QParams::new(0.02, 60);
        let input = &input[..512 * 49];
        pool::adaptive_avg_pool2d(&geometry, qparams, TieRule::Centered, input, &mut output).unwrap();
    });
}

fn main() {
    threads::set_num_threads(1);
    // Those of MobileNetV2 at 224, and one with a larger filter.
    for (channels, size, kernel, stride) in [
        (32, 112, 3, 1),
        (96, 112, 3, 2),
        (144, 56, 3, 1),
        (144, 56, 3, 2),
        (192, 28, 3, 1),
        (192, 28, 3, 2),
        (384, 14, 3, 1),
        (576, 14, 3, 1),
        (576, 14, 3, 2),
        (960, 7, 3, 1),
        (240, 28, 5, 1),
    ] {
        depthwise(channels, size, kernel, stride);
    }
    for (rows, inputs, outputs) in [(1, 512, 1000), (1, 4096, 4096), (8, 512, 1000), (128, 768, 768)] {
        linear(rows, inputs, outputs);
    }
    quantization();
    elementwise();
    pools();
}
