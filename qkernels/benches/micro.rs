//! Times single kernels with Criterion, on one thread, for every instruction set of this machine.
//!
//! `cargo bench -p qkernels --bench micro -- conv/3x3` runs those whose name contains that, and compares them with
//! the last run. Throughput counts multiply-accumulates, or elements where there are none.

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Criterion, Throughput};
use qkernels::QParams;
use qkernels::conv::PackedConv2d;
use qkernels::elementwise::{self, BinaryQParams};
use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};
use qkernels::isa::{Isa, set_isa};
use qkernels::linear::PackedLinear;
use qkernels::quantize::{self, ImageShape};
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use qkernels::threads;

/// Times what `prepare` returns; it is called again for each instruction set, as packed weights depend on it.
fn measure<R: FnMut()>(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    work: usize,
    prepare: impl Fn() -> R,
) {
    threads::set_num_threads(1);
    group.throughput(Throughput::Elements(work as u64));
    for isa in Isa::available() {
        set_isa(Some(isa));
        let mut run = prepare();
        group.bench_function(BenchmarkId::new(name, isa), |bencher| bencher.iter(&mut run));
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i * 31) as u8).collect()
}

fn weights(len: usize) -> Vec<i8> {
    (0..len).map(|i| (i * 37) as i8).collect()
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

fn gemm(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("gemm");
    for (rows, inputs, outputs) in [(1, 2048, 1000), (1, 4096, 4096), (32, 2048, 1000), (32, 4096, 4096)] {
        let name = format!("{rows}x{inputs} to {outputs}");
        measure(&mut group, &name, rows * inputs * outputs, || {
            let packed = PackedLinear::new(&weights(inputs * outputs), &[0], outputs, inputs).unwrap();
            let (input, mut output) = (bytes(rows * inputs), vec![0; rows * outputs]);
            let requantization = requantization(outputs);
            move || packed.run(rows, &input, 57, &requantization, &mut output).unwrap()
        });
    }
}

/// A square convolution that keeps the size, or halves it with stride 2.
#[derive(Clone, Copy)]
struct Convolution {
    channels: [usize; 2],
    size: usize,
    kernel: usize,
    stride: usize,
    groups: usize,
}

fn convolution(group: &mut BenchmarkGroup<'_, WallTime>, convolution: Convolution) {
    let Convolution { channels: [in_channels, out_channels], size, kernel, stride, groups } = convolution;
    let geometry = Conv2dGeometry::new(Conv2dParameters {
        batch: 1,
        in_channels,
        height: size,
        width: size,
        out_channels,
        kernel: [kernel; 2],
        stride: [stride; 2],
        padding: [kernel / 2; 2],
        dilation: [1; 2],
        groups,
    })
    .unwrap();
    let name = format!("{kernel}x{kernel} {in_channels}x{size}x{size} to {out_channels}, stride {stride}");
    let work = geometry.output_len() * kernel * kernel * (in_channels / groups);
    measure(group, &name, work, || {
        let packed = PackedConv2d::new(&weights(geometry.weight_len()), &[0], &geometry).unwrap();
        let (input, mut output) = (bytes(geometry.input_len()), vec![0; geometry.output_len()]);
        let requantization = requantization(out_channels);
        move || packed.run(&geometry, &input, 57, &requantization, &mut output).unwrap()
    });
}

fn conv(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("conv");
    for (channels, size, kernel, stride) in [
        ([256, 64], 56, 1, 1),
        ([1024, 256], 14, 1, 1),
        ([256, 512], 56, 1, 2),
        ([64, 64], 56, 3, 1),
        ([256, 256], 14, 3, 1),
        ([512, 512], 7, 3, 1),
        ([128, 128], 56, 3, 2),
        ([3, 64], 224, 7, 2),
    ] {
        convolution(&mut group, Convolution { channels, size, kernel, stride, groups: 1 });
    }
}

fn depthwise(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("depthwise");
    for (channels, size, stride) in [(32, 112, 1), (144, 56, 2), (384, 14, 1), (960, 7, 1)] {
        let shape = Convolution { channels: [channels; 2], size, kernel: 3, stride, groups: channels };
        convolution(&mut group, shape);
    }
}

fn quantize(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("quantize");
    for size in [32, 224] {
        let len = 3 * size * size;
        measure(&mut group, &format!("3x{size}x{size} to channels-last"), len, || {
            let shape = ImageShape { batch: 1, channels: 3, height: size, width: size };
            let input: Vec<f32> = (0..len).map(|i| (i % 997) as f32 * 0.005 - 2.5).collect();
            let mut output = vec![0_u8; len];
            let qparams = QParams::new(0.02, 114);
            move || {
                quantize::quantize_nchw_to_nhwc(&input, shape, qparams, 0..=255, &mut output).unwrap();
            }
        });
    }
}

fn add(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("add");
    for (channels, size) in [(256, 56), (512, 7)] {
        let len = channels * size * size;
        measure(&mut group, &format!("relu {channels}x{size}x{size}"), len, || {
            let qparams = BinaryQParams {
                a: QParams::new(0.02, 60),
                b: QParams::new(0.03, 70),
                output: QParams::new(0.04, 80),
                relu: true,
            };
            let (a, b, mut output) = (bytes(len), bytes(len), vec![0; len]);
            move || elementwise::add(&qparams, &a, &b, &mut output).unwrap()
        });
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    for run in [gemm, conv, depthwise, quantize, add] {
        run(&mut criterion);
    }
    criterion.final_summary();
}
