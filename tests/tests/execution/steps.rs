//! Which calls become one step, and that this changes no byte.

use ndarray::Axis;
use qcore::prelude::*;
use tests::tensors::noise;

use super::{converted, paths, residual};

#[test]
fn an_addition_runs_in_the_convolution_before_it() {
    let input = noise(&[1, 3, 16, 16], 20);
    let model = converted(&residual(), Backend::Native, &[1, 3, 16, 16]);
    assert_eq!(
        paths(&model, &input),
        [
            "quantize",
            "stem",
            "max_pool2d",
            "conv1",
            "conv2",
            "shortcut + y_plus_shortcut",
            "adaptive_avg_pool2d",
            "fc"
        ]
    );
}

#[test]
fn qnnpack_adds_in_a_step_of_its_own() {
    let input = noise(&[1, 3, 16, 16], 20);
    let model = converted(&residual(), Backend::Qnnpack, &[1, 3, 16, 16]);
    assert!(paths(&model, &input).contains(&"y_plus_shortcut".to_owned()));
}

/// The sum is returned too, or only it: with two readers of the convolution nothing can be fused.
#[quantizable]
struct Sum {
    a: Conv2d,
    b: Conv2d,
}

#[quantizable]
impl Sum {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor, Tensor) {
        let a = self.a(x);
        let b = self.b(x);
        (a + b, a, b)
    }
}

#[quantizable]
struct OnlySum {
    a: Conv2d,
    b: Conv2d,
}

#[quantizable]
impl OnlySum {
    fn forward(&self, x: Tensor) -> Tensor {
        let a = self.a(x);
        a + self.b(x)
    }
}

fn pointwise(seed: u64) -> Conv2d {
    Conv2d::new(5, 19, 1).with_weight(noise(&[19, 5, 1, 1], seed)).unwrap()
}

#[test]
fn a_fused_addition_gives_the_bytes_of_a_separate_one() {
    let input = noise(&[2, 5, 7, 3], 30);
    for backend in Backend::ALL {
        let separate = converted(&Sum { a: pointwise(1), b: pointwise(2) }, backend, &[2, 5, 7, 3]);
        let fused = converted(&OnlySum { a: pointwise(1), b: pointwise(2) }, backend, &[2, 5, 7, 3]);
        let steps = paths(&fused, &input).len();
        assert_eq!(steps, if backend == Backend::Qnnpack { 4 } else { 3 }, "{backend}");
        assert_eq!(paths(&separate, &input).len(), 4, "{backend}");
        assert_eq!(fused.forward(&input).unwrap(), separate.forward(&input).unwrap().0, "{backend}");
    }
}

/// An Inception block: three branches side by side.
#[quantizable]
struct Branches {
    small: Conv2d,
    large: Conv2d,
    pooled: Conv2d,
    last: Conv2d,
}

#[quantizable]
impl Branches {
    fn forward(&self, x: Tensor) -> Tensor {
        let small = relu(self.small(x));
        let large = relu(self.large(x));
        let pooled = self.pooled(max_pool2d(x, 3, 1, 1));
        self.last(cat([small, large, pooled, x], 1))
    }
}

#[test]
fn branches_are_written_where_cat_wants_them() {
    let conv = |outputs, size: usize, seed| {
        let layer = Conv2d::new(5, outputs, size).padding(size / 2);
        layer.with_weight(noise(&[outputs, 5, size, size], seed)).unwrap()
    };
    let last = Conv2d::new(31, 4, 1).with_weight(noise(&[4, 31, 1, 1], 4)).unwrap();
    let model = Branches { small: conv(7, 1, 1), large: conv(16, 3, 2), pooled: conv(3, 1, 3), last };
    let input = noise(&[2, 5, 6, 4], 40);
    let int8 = converted(&model, Backend::Native, &[2, 5, 6, 4]);
    // Only the input, which others read too, has to be copied.
    assert_eq!(paths(&int8, &input), ["quantize", "small", "large", "max_pool2d", "pooled", "cat", "last"]);
    let (float, int8) = (model.forward(&input).unwrap(), int8.forward(&input).unwrap());
    let largest = float.view().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    assert!(tests::tensors::largest_difference(&float, &int8) < 0.05 * largest);
}

/// ReLU6 behind a batch norm, as in MobileNetV2.
#[quantizable]
struct Limited {
    conv: Conv2d,
    fc: Linear,
}

#[quantizable]
impl Limited {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let y = relu6(self.conv(x));
        (clamp(self.fc(y.flatten(1)), -1, 2), y)
    }
}

/// The same, with the limits out of the kernels' reach.
#[quantizable]
impl Unlimited {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor, Tensor, Tensor) {
        let conv = self.conv(x);
        let y = relu6(conv);
        let fc = self.fc(y.flatten(1));
        (clamp(fc, -1, 2), y, conv, fc)
    }
}

#[quantizable]
struct Unlimited {
    conv: Conv2d,
    fc: Linear,
}

#[test]
fn a_clamp_runs_in_the_layer_before_it() {
    let input = noise(&[2, 3, 4, 4], 60);
    let conv = || Conv2d::new(3, 5, 1).with_weight(noise(&[5, 3, 1, 1], 1).map(|w| 9.0 * w)).unwrap();
    let fc = || Linear::new(80, 7).with_weight(noise(&[7, 80], 2)).unwrap();
    for backend in Backend::ALL {
        let fused = converted(&Limited { conv: conv(), fc: fc() }, backend, &[2, 3, 4, 4]);
        let separate = converted(&Unlimited { conv: conv(), fc: fc() }, backend, &[2, 3, 4, 4]);
        assert_eq!(paths(&fused, &input), ["quantize", "conv + relu6", "flatten", "fc + clamp"], "{backend}");
        let (limited, y) = fused.forward(&input).unwrap();
        let (expected, expected_y, before, _) = separate.forward(&input).unwrap();
        assert_eq!((limited, &y), (expected, &expected_y), "{backend}");
        assert_ne!(before, y, "nothing was limited");
    }
}

/// Squeeze and excite: every channel scaled by the output of a small branch.
#[quantizable]
struct Excite {
    conv: Conv2d,
    gate: Conv2d,
}

#[quantizable]
impl Excite {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.conv(x);
        let gate = relu6(self.gate(adaptive_avg_pool2d(y, 1)));
        y * gate
    }
}

#[test]
fn a_gate_scales_every_pixel() {
    let layer =
        |inputs, seed| Conv2d::new(inputs, 6, 1).with_weight(noise(&[6, inputs, 1, 1], seed)).unwrap();
    let model =
        Excite { conv: layer(3, 1), gate: layer(6, 2).with_bias(noise(&[6], 3).map(|b| b + 1.0)).unwrap() };
    let input = noise(&[3, 3, 5, 4], 70);
    for backend in Backend::ALL {
        let int8 = converted(&model, backend, &[3, 3, 5, 4]);
        let steps = int8.profile(&input).unwrap().steps;
        assert!(steps.iter().all(|step| step.domain != "float"), "{backend}: {steps:?}");
        let (float, int8) = (model.forward(&input).unwrap(), int8.forward(&input).unwrap());
        let largest = float.view().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        assert!(tests::tensors::largest_difference(&float, &int8) < 0.05 * largest, "{backend}");
    }
}

#[test]
fn costs_are_those_of_the_layers() {
    let input = noise(&[2, 3, 16, 16], 20);
    let model = converted(&residual(), Backend::Native, &[2, 3, 16, 16]);
    let profile = model.profile(&input).unwrap();
    let step = |path: &str| profile.steps.iter().find(|step| step.path == path).unwrap();
    let stem = step("stem");
    assert_eq!(
        (stem.output.as_slice(), stem.cost.multiply_accumulates),
        (&[2, 16, 16, 16][..], 2 * 256 * 16 * 27)
    );
    assert_eq!(step("fc").cost.multiply_accumulates, 2 * 32 * 10);
    assert_eq!(step("quantize").bytes_moved(), 5 * 2 * 3 * 256);
    assert!(!stem.cost.kernel.is_empty() && stem.cost.weight_bytes >= 16 * 27);
}

#[test]
fn a_batch_gives_what_its_pictures_give() {
    let model = converted(&residual(), Backend::Native, &[1, 3, 16, 16]);
    let batch = noise(&[3, 3, 16, 16], 50);
    let together = model.forward(&batch).unwrap();
    for (index, picture) in batch.view().axis_chunks_iter(Axis(0), 1).enumerate() {
        let alone = model.forward(Tensor::from(picture)).unwrap();
        assert_eq!(alone.view().index_axis(Axis(0), 0), together.view().index_axis(Axis(0), index));
    }
}
