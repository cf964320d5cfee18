//! A run allocates nothing from the second one on, whatever its precisions.

use std::fmt::Debug;

use allocation_counter::measure;
use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, IntoInput};
use tests::networks::{TwoWays, Upsampling, Video};
use tests::tensors::noise;

use super::{converted, residual, with_num_threads};

/// The allocations of a run on `input` into the output of `other`, counted on the calling thread: number and bytes.
#[track_caller]
fn allocated<M: Module>(model: &Converted<M>, input: &M::Input, other: &M::Input) -> (u64, u64)
where
    M::Input: Clone + IntoInput<M::Input>,
    M::Output: Debug + PartialEq,
{
    let expected = model.forward(input.clone()).unwrap();
    let mut output = model.forward(other.clone()).unwrap();
    assert_ne!(output, expected);
    let counted = measure(|| model.forward_into(input, &mut output).unwrap());
    assert_eq!(output, expected);
    (counted.count_total, counted.bytes_total)
}

/// Asserts that a warm run of `model`, calibrated on `input` as `mapping` says, allocates nothing.
#[track_caller]
fn assert_allocates_nothing<M: Module>(
    model: &M,
    mapping: &QConfigMapping,
    input: &M::Input,
    other: &M::Input,
) where
    M::Input: Clone + IntoInput<M::Input>,
    M::Output: Debug + PartialEq,
{
    let mut prepared = model.prepare(mapping).unwrap();
    prepared.calibrate_with([input.clone()], CalibrationOptions { progress: false }).unwrap();
    let converted = prepared.convert().unwrap();
    let found = with_num_threads(1, || allocated(&converted, input, other));
    assert_eq!(found, (0, 0), "{}", prepared.plan());
}

/// Everything in int8, and everything in float.
fn mappings() -> Vec<QConfigMapping> {
    Backend::ALL.into_iter().map(QConfigMapping::for_backend).chain([QConfigMapping::new()]).collect()
}

#[test]
fn a_residual_network_allocates_nothing() {
    let inputs = [20, 21].map(|seed| noise(&[1, 3, 32, 32], seed));
    for mapping in mappings() {
        assert_allocates_nothing(&residual(), &mapping, &inputs[0], &inputs[1]);
    }
}

/// A first run makes the helper thread; from then on, calling it allocates nothing.
#[test]
fn two_threads_allocate_nothing() {
    let input = noise(&[1, 3, 64, 64], 20);
    for mapping in [QConfigMapping::for_backend(Backend::Native), QConfigMapping::new()] {
        let mut prepared = residual().prepare(&mapping).unwrap();
        prepared.calibrate_with([&input], CalibrationOptions { progress: false }).unwrap();
        let model = prepared.convert().unwrap();
        let expected = model.forward(&input).unwrap();
        let mut output = Tensor::zeros(&[1, 10]);
        let mut run = || measure(|| model.forward_into(&input, &mut output).unwrap()).count_total;
        with_num_threads(2, || {
            for _ in 0..70 {
                run();
            }
            assert_eq!((0..70).map(|_| run()).sum::<u64>(), 0);
        });
        assert_eq!(output, expected);
    }
}

/// Everything that only moves values, in one model.
#[quantizable]
struct Moving {
    conv: Conv2d,
    fc: Linear,
}

#[quantizable]
impl Moving {
    fn forward(&self, x: Tensor) -> Tensor {
        let (a, b) = relu(self.conv(x)).chunk(2, 1);
        let y = cat([b, a], 2).permute((0, 2, 3, 1)).reshape((x.size(0), -1, 8)).transpose(1, 2);
        let (y, z) = split(self.fc(y), 4, -1);
        cat([z, y], 0).flatten(1)
    }
}

#[test]
fn values_are_moved_without_an_allocation() {
    let inputs = [20, 21].map(|seed| noise(&[2, 3, 6, 5], seed));
    let model = Moving {
        conv: Conv2d::new(3, 8, 1).with_weight(noise(&[8, 3, 1, 1], 1)).unwrap(),
        fc: Linear::new(30, 8).with_weight(noise(&[8, 30], 2)).unwrap(),
    };
    for mapping in mappings() {
        assert_allocates_nothing(&model, &mapping, &inputs[0], &inputs[1]);
    }
}

#[test]
fn videos_and_transposed_convolutions_allocate_nothing() {
    let videos = [20, 21].map(|seed| noise(&[1, 3, 4, 8, 6], seed));
    let images = [20, 21].map(|seed| noise(&[1, 3, 8, 6], seed));
    for mapping in mappings() {
        assert_allocates_nothing(&Video::small(), &mapping, &videos[0], &videos[1]);
        assert_allocates_nothing(&Upsampling::small(), &mapping, &images[0], &images[1]);
    }
}

/// Everything that computes.
#[quantizable]
struct Computing {
    conv: Conv2d,
    norm: BatchNorm2d,
    depthwise: Conv2d,
    alone: BatchNorm2d,
    strided: Conv2d,
    max: MaxPool2d,
    mean: AvgPool2d,
    fc: Linear,
}

#[quantizable]
impl Computing {
    fn new() -> Self {
        Self {
            conv: Conv2d::new(3, 8, 3).padding(1).bias(false),
            norm: BatchNorm2d::new(8),
            depthwise: Conv2d::new(8, 8, 3).padding(1).groups(8),
            alone: BatchNorm2d::new(8),
            strided: Conv2d::new(16, 8, 3).stride(2).groups(2),
            max: MaxPool2d::new(3).stride(1),
            mean: AvgPool2d::new(3).stride(1),
            fc: Linear::new(8, 5),
        }
    }

    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let y = relu6(self.norm(self.conv(x)));
        let z = hardswish(self.alone(relu(self.depthwise(y))));
        let y = self.strided(cat([self.max(y), self.mean(z)], 1));
        let z = relu(y * adaptive_avg_pool2d(y, 1) + y) - y * 0.5;
        let rows = (z + 0.25).permute((0, 2, 3, 1)).mean((1, 2));
        (clamp(self.fc(rows), -1, 1), y)
    }
}

#[test]
fn no_operation_allocates_in_any_precision() {
    let inputs = [20, 21].map(|seed| noise(&[2, 3, 12, 11], seed));
    let native = || QConfigMapping::for_backend(Backend::Native);
    let partly_float = [
        native().module("conv", None),
        native().module("depthwise", None).module("strided", None),
        native().module_type::<BatchNorm2d>(None).object_type("hardswish", None),
        native().object_type("add", None).object_type("mul", None).object_type("cat", None),
        native().module_type::<Conv2d>(None),
    ];
    let dynamic =
        [native(), QConfigMapping::new()].map(|mapping| mapping.module_type::<Linear>(QConfig::dynamic()));
    for mapping in mappings().into_iter().chain(partly_float).chain(dynamic) {
        assert_allocates_nothing(&Computing::new(), &mapping, &inputs[0], &inputs[1]);
    }
}

/// A layer in float between two in int8.
#[quantizable]
struct Mixed {
    first: Linear,
    #[quantizable(skip)]
    float: Linear,
    last: Linear,
}

#[quantizable]
impl Mixed {
    fn forward(&self, x: Tensor) -> Tensor {
        self.last(relu(self.float(relu(self.first(x)))))
    }
}

#[test]
fn a_layer_in_float_allocates_nothing_between_two_in_int8() {
    let linear = |seed| Linear::new(64, 64).with_weight(noise(&[64, 64], seed)).unwrap();
    let model = Mixed { first: linear(1), float: linear(2), last: linear(3) };
    let inputs = [4, 5].map(|seed| noise(&[8, 64], seed));
    for mapping in mappings() {
        assert_allocates_nothing(&model, &mapping, &inputs[0], &inputs[1]);
        let dynamic = mapping.module("last", QConfig::dynamic());
        assert_allocates_nothing(&model, &dynamic, &inputs[0], &inputs[1]);
    }
}

#[test]
fn several_inputs_and_outputs_take_no_allocation() {
    let inputs = [4, 5].map(|seed| (noise(&[3, 8], seed), noise(&[3, 8], seed + 10)));
    for mapping in mappings() {
        for wide in [false, true] {
            assert_allocates_nothing(&TwoWays::new(wide), &mapping, &inputs[0], &inputs[1]);
        }
    }
}

#[test]
fn an_output_that_does_not_fit_is_replaced() {
    let input = noise(&[2, 3, 32, 32], 20);
    let model = converted(&residual(), Backend::Native, &[1, 3, 32, 32]);
    let mut output = Tensor::zeros(&[7]);
    let shared = output.clone();
    model.forward_into(&input, &mut output).unwrap();
    assert_eq!(output, model.forward(&input).unwrap());
    assert_eq!(shared, Tensor::zeros(&[7]));
    let kept = output.clone();
    model.forward_into(&noise(&[2, 3, 32, 32], 21), &mut output).unwrap();
    assert_ne!(output, kept);
    assert_eq!(kept, model.forward(&input).unwrap());
}
