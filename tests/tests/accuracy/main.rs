//! Passes that win back accuracy, on networks where plain quantization loses it.

mod equalization;

use qcore::prelude::*;
use qcore::{CalibrationOptions, Parameters, Prepared, error_metrics};
use tests::tensors::noise;

/// A small MobileNet: `[N, 3, H, W]` to `[N, 5]`.
#[quantizable]
struct Mobile {
    stem: Sequential<(Conv2d, BatchNorm2d)>,
    depthwise: Sequential<(Conv2d, BatchNorm2d, ReLU)>,
    project: Sequential<(Conv2d, BatchNorm2d)>,
    expand: Sequential<(Conv2d, BatchNorm2d, ReLU)>,
    fc: Linear,
}

#[quantizable]
impl Mobile {
    fn forward(&self, x: Tensor) -> Tensor {
        let x = self.project(self.depthwise(relu(self.stem(x))));
        let x = self.expand(x);
        self.fc(adaptive_avg_pool2d(x, 2).flatten(1))
    }
}

/// With weights of 8 random bits and channels whose scales are between 1/16 and 16, undone by the layer behind.
fn uneven() -> Mobile {
    let conv =
        |inputs, outputs, size: usize| Conv2d::new(inputs, outputs, size).padding(size / 2).bias(false);
    let mut model = Mobile {
        stem: Sequential((conv(3, 16, 3), BatchNorm2d::new(16))),
        depthwise: Sequential((conv(16, 16, 3).groups(16), BatchNorm2d::new(16), ReLU)),
        project: Sequential((conv(16, 8, 1), BatchNorm2d::new(8))),
        expand: Sequential((conv(8, 24, 1), BatchNorm2d::new(24), ReLU)),
        fc: Linear::new(24 * 4, 5),
    };
    let layers = [
        ("stem.1", "depthwise.0.weight", 16, 1),
        ("depthwise.1", "project.0.weight", 16, 1),
        ("project.1", "expand.0.weight", 8, 1),
        ("expand.1", "fc.weight", 24, 4),
    ];
    for (seed, (batch_norm, next, channels, elements)) in layers.into_iter().enumerate() {
        let exponents = noise(&[channels], 100 + seed as u64);
        let factors: Vec<f32> = exponents.view().iter().map(|exponent| (4.0 * exponent).exp2()).collect();
        model.parameters_mut("", &mut |key, tensor| {
            let shape = tensor.shape().to_vec();
            let channel = |index: usize| match shape.as_slice() {
                [_] => index,
                // A depthwise convolution has one input a filter.
                [_, 1, ..] => index / shape[2..].iter().product::<usize>(),
                [_, inputs, taps @ ..] => index / taps.iter().product::<usize>() % inputs / elements,
                [] => 0,
            };
            let change: fn(f32, f32) -> f32 = match () {
                () if key == format!("{batch_norm}.weight") || key == format!("{batch_norm}.bias") => {
                    |value, factor| value * factor
                }
                () if key == next => |value, factor| value / factor,
                () => return,
            };
            let values =
                tensor.view().iter().enumerate().map(|(i, &v)| change(v, factors[channel(i)])).collect();
            *tensor = Tensor::from_vec(&shape, values).unwrap();
        });
    }
    model
}

fn batches() -> Vec<Tensor> {
    (0..4).map(|seed| noise(&[4, 3, 12, 12], seed)).collect()
}

fn calibrate<M: Module<Input = Tensor>>(prepared: &mut Prepared<M>) {
    prepared.calibrate_with(batches(), CalibrationOptions { progress: false }).unwrap();
}

/// The normalized L2 error of the int8 model on data that calibration has not seen.
fn error<M: Module<Input = Tensor, Output = Tensor>>(model: &M, prepared: &Prepared<M>) -> f64 {
    let x = noise(&[8, 3, 12, 12], 50);
    let int8 = prepared.convert().unwrap();
    error_metrics(&model.run(x.clone()).unwrap(), &int8.forward(&x).unwrap()).unwrap().normalized_l2
}
