//! Times the convolutions of ResNet-18, layer by layer, in int8 and in float.
//!
//! `cargo bench -p qkernels` prints one JSON object a layer and one for all; set `QKERNELS_BENCH_THREADS` for
//! another number of threads than 2, `QKERNELS_BENCH_SIZE` for other images than 224x224 (a multiple of 32), and
//! `QKERNELS_BENCH_ACTIVATIONS` for another largest activation than 127, which is that of PyTorch's `x86`
//! configuration, or `relu` for what follows a ReLU: |normal|, a standard deviation of 64, at most 255.

use std::hint::black_box;
use std::time::{Duration, Instant};

use qkernels::QParams;
use qkernels::conv::PackedConv2d;
use qkernels::float;
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::threads;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How often, and in, out, size for an image of 224x224, kernel, stride.
const LAYERS: [(u32, [usize; 5]); 11] = [
    (1, [3, 64, 224, 7, 2]),
    (4, [64, 64, 56, 3, 1]),
    (1, [64, 128, 56, 3, 2]),
    (3, [128, 128, 28, 3, 1]),
    (1, [64, 128, 56, 1, 2]),
    (1, [128, 256, 28, 3, 2]),
    (3, [256, 256, 14, 3, 1]),
    (1, [128, 256, 28, 1, 2]),
    (1, [256, 512, 14, 3, 2]),
    (3, [512, 512, 7, 3, 1]),
    (1, [256, 512, 14, 1, 2]),
];

fn geometry([inputs, outputs, size, kernel, stride]: [usize; 5]) -> Conv2dGeometry {
    Conv2dGeometry::new(Conv2dParameters {
        batch: 1,
        in_channels: inputs,
        height: size,
        width: size,
        out_channels: outputs,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        dilation: [1; 2],
        groups: 1,
    })
    .unwrap()
}

/// A number from the environment.
fn number(variable: &str, default: usize) -> usize {
    std::env::var(variable).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// Activations, as the environment says.
fn activations(len: usize) -> Vec<u8> {
    if std::env::var("QKERNELS_BENCH_ACTIVATIONS").is_ok_and(|kind| kind == "relu") {
        let mut random = StdRng::seed_from_u64(0);
        // The sum of twelve uniform variables has variance 1.
        let mut normal = || (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
        return (0..len).map(|_| (64.0 * normal().abs()).min(255.0) as u8).collect();
    }
    let largest = number("QKERNELS_BENCH_ACTIVATIONS", 127);
    (0..len).map(|i| (i * 31 % (largest + 1)) as u8).collect()
}

fn best_of_thirty(mut run: impl FnMut()) -> Duration {
    (0..30)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .min()
        .unwrap()
}

fn int8(geometry: &Conv2dGeometry) -> Duration {
    let weight: Vec<i8> = (0..geometry.weight_len()).map(|i| (i * 37) as i8).collect();
    let input = activations(geometry.input_len());
    let packed = PackedConv2d::new(&weight, &[0], geometry).unwrap();
    let requantization = Requantization::new(&RequantizationParameters {
        formula: Formula::Fbgemm,
        channels: geometry.out_channels,
        input_scale: 0.02,
        weight_scales: WeightScales::PerTensor(0.01),
        bias: None,
        output: QParams::new(2.0, 60),
        relu: true,
        quant_min: 0,
        quant_max: 255,
    })
    .unwrap();
    let mut output = vec![0; geometry.output_len()];
    best_of_thirty(|| {
        packed.run(geometry, &input, 57, &requantization, &mut output).unwrap();
    })
}

fn float(geometry: &Conv2dGeometry) -> Duration {
    let weight = vec![0.5; geometry.weight_len()];
    let input = vec![0.25; geometry.input_len()];
    let epilogue = float::Epilogue::bias(geometry.out_channels, None).unwrap();
    let mut output = vec![0.0; geometry.output_len()];
    best_of_thirty(|| {
        float::conv2d_into(geometry, &input, float::Weight::Whole(&weight), &epilogue, &mut output).unwrap();
        black_box(&output);
    })
}

fn main() {
    threads::set_num_threads(number("QKERNELS_BENCH_THREADS", 2));
    let size = number("QKERNELS_BENCH_SIZE", 224);
    let milliseconds = |time: Duration| 1e3 * time.as_secs_f64();
    let mut total = [0.0; 2];
    for (count, mut layer) in LAYERS {
        layer[2] = layer[2] * size / 224;
        let geometry = geometry(layer);
        let macs = geometry.output_len() * geometry.weight_len() / geometry.out_channels;
        let [int8, float] = [int8(&geometry), float(&geometry)].map(milliseconds);
        println!(
            "{{\"layer\": {layer:?}, \"count\": {count}, \"mmacs\": {}, \"int8_ms\": {int8:.3}, \"float_ms\": {float:.3}}}",
            macs / 1_000_000
        );
        for (total, time) in total.iter_mut().zip([int8, float]) {
            *total += f64::from(count) * time;
        }
    }
    let threads = threads::num_threads();
    println!(
        "{{\"resnet18_convolutions\": {{\"threads\": {threads}, \"int8_ms\": {:.1}, \"float_ms\": {:.1}}}}}",
        total[0], total[1]
    );
}
