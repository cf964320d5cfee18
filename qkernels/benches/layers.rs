//! Times what surrounds the convolutions of a network: depthwise, linear, pools and elementwise passes.
//!
//! `cargo bench -p qkernels --bench layers -- [part of a name]` prints a JSON object an operation, with the
//! time of every instruction set of this machine, on one thread.

use std::time::Instant;

use qkernels::QParams;
use qkernels::conv::PackedConv2d;
use qkernels::elementwise::{self, BatchNorm, BinaryQParams, CatInput, LookupTable};
use qkernels::geometry::{
    AdaptivePool2dGeometry, Conv2dGeometry, Conv2dParameters, Pool2dGeometry, Pool2dParameters,
};
use qkernels::isa::{Isa, set_isa};
use qkernels::linear::PackedLinear;
use qkernels::pool::{self, AveragePool2d, MeanExtents, MeanRule, TieRule};
use qkernels::quantize::{self, ChannelExtents, ImageShape};
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::threads;

/// Prints the best of some runs in microseconds, for each instruction set.
fn time(name: &str, mut run: impl FnMut()) {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    if wanted.is_some_and(|wanted| !name.contains(&wanted)) {
        return;
    }
    let times = Isa::available().map(|isa| {
        set_isa(Some(isa));
        let mut best = f64::INFINITY;
        for _ in 0..100 {
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

fn layouts() {
    for (name, channels, height, width) in [("3x224x224", 3, 224, 224), ("64x56x56", 64, 56, 56)] {
        let shape = ImageShape { batch: 1, channels, height, width };
        let input: Vec<u8> = (0..channels * height * width).map(|i| (i * 31) as u8).collect();
        let mut output = vec![0; input.len()];
        time(&format!("NCHW to NHWC {name}"), || {
            quantize::nchw_to_nhwc(&input, shape, &mut output).unwrap();
        });
        time(&format!("NHWC to NCHW {name}"), || {
            quantize::nhwc_to_nchw(&input, shape, &mut output).unwrap();
        });
    }
}

fn elementwise() {
    let (pixels, channels) = (56 * 56, 64);
    let len = pixels * channels;
    let a: Vec<u8> = (0..len).map(|i| (i * 31) as u8).collect();
    let b: Vec<u8> = (0..len).map(|i| (i * 17) as u8).collect();
    let mut output = vec![0; len];
    let (from, to) = (QParams::new(0.02, 60), QParams::new(0.04, 80));
    let qparams = BinaryQParams { a: from, b: QParams::new(0.03, 70), output: to, relu: true };
    time("copy 64x56x56", || output.copy_from_slice(&a));
    time("add_relu 64x56x56", || elementwise::add(&qparams, &a, &b, &mut output).unwrap());
    time("add_qnnpack 64x56x56", || elementwise::add_qnnpack(&qparams, &a, &b, &mut output).unwrap());
    time("mul 64x56x56", || elementwise::mul(&qparams, &a, &b, &mut output).unwrap());
    time("mul 64x56x56 by 64x1x1", || {
        elementwise::mul(&qparams, &a, &b[..channels], &mut output).unwrap();
    });
    time("relu 64x56x56", || elementwise::relu(&a, 60, &mut output).unwrap());
    time("relu6 64x56x56", || elementwise::clamp(&a, from, 0.0, 6.0, &mut output).unwrap());
    time("requantize 64x56x56", || elementwise::requantize(&a, from, to, false, &mut output).unwrap());
    let table = LookupTable::new(|q: u8| q.wrapping_mul(3));
    time("lookup 64x56x56", || table.apply(&a, &mut output).unwrap());
    let (scale, offset) = (vec![0.9; channels], vec![1.5; channels]);
    let batch_norm =
        BatchNorm { scale: &scale, offset: &offset, input_zero_point: 60, output: to, relu: true };
    for (order, extents) in [
        ("NHWC", ChannelExtents { outer: pixels, channels, inner: 1 }),
        ("NCHW", ChannelExtents { outer: 1, channels, inner: pixels }),
    ] {
        time(&format!("batch_norm {order} 64x56x56"), || {
            elementwise::batch_norm(&batch_norm, extents, &a, &mut output).unwrap();
        });
    }
    let half = &a[..len / 2];
    for (name, other) in [("one scale", from), ("two scales", to)] {
        let inputs = [from, other].map(|qparams| CatInput { values: half, qparams });
        time(&format!("cat 32x56x56 and 32x56x56, {name}"), || {
            elementwise::cat(pixels, &inputs, from, false, &mut output).unwrap();
        });
    }
}

fn pool(channels: usize, size: usize, kernel: usize, stride: usize, padding: usize) {
    let geometry = Pool2dGeometry::new(Pool2dParameters {
        batch: 1,
        channels,
        height: size,
        width: size,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [padding; 2],
        dilation: [1, 1],
        ceil_mode: false,
    })
    .unwrap();
    let input: Vec<u8> = (0..geometry.input_len()).map(|i| (i * 31) as u8).collect();
    let mut output = vec![0; geometry.output_len()];
    let shape = format!("{channels}x{size}x{size}, {kernel}x{kernel}, stride {stride}");
    time(&format!("max_pool2d {shape}"), || pool::max_pool2d(&geometry, &input, &mut output).unwrap());
    let average = AveragePool2d {
        qparams: QParams::new(0.02, 60),
        tie_rule: TieRule::Centered,
        count_include_pad: true,
    };
    time(&format!("avg_pool2d {shape}"), || {
        pool::avg_pool2d(&geometry, &average, &input, &mut output).unwrap();
    });
}

fn global_pools() {
    let (channels, qparams) = (512, QParams::new(0.02, 60));
    let input: Vec<u8> = (0..channels * 49).map(|i| (i * 31) as u8).collect();
    for output_size in [1, 7] {
        let geometry = AdaptivePool2dGeometry::new(1, channels, [7, 7], [output_size; 2]).unwrap();
        let mut output = vec![0; geometry.output_len()];
        time(&format!("adaptive_avg_pool2d 512x7x7 to {output_size}x{output_size}"), || {
            pool::adaptive_avg_pool2d(&geometry, qparams, TieRule::Centered, &input, &mut output).unwrap();
        });
    }
    let mut output = vec![0; channels];
    for (order, outer, inner) in [("NHWC", 1, channels), ("NCHW", channels, 1)] {
        for rule in [MeanRule::Raw, MeanRule::Dequantized] {
            let extents = MeanExtents { outer, reduced: 49, inner };
            time(&format!("mean {order} 512x7x7, {rule:?}"), || {
                pool::mean(extents, qparams, rule, &input, &mut output).unwrap();
            });
        }
    }
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
    layouts();
    elementwise();
    for (channels, size, kernel, stride, padding) in
        [(64, 112, 3, 2, 1), (64, 112, 2, 2, 0), (192, 28, 3, 1, 1), (20, 28, 3, 2, 1), (6, 28, 2, 2, 0)]
    {
        pool(channels, size, kernel, stride, padding);
    }
    global_pools();
}
