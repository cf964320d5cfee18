//! How a converted model runs: its steps, their memory, and sharing it between threads.

mod allocations;
mod memory;
mod rearrangements;
mod residuals;
mod serving;
mod steps;

use std::sync::{Mutex, PoisonError};

use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted};
use tests::tensors::noise;

/// A stem, a residual block with a shortcut of its own, and a head: the parts of a ResNet.
#[quantizable]
struct Residual {
    stem: Conv2d,
    conv1: Conv2d,
    conv2: Conv2d,
    shortcut: Conv2d,
    fc: Linear,
}

#[quantizable]
impl Residual {
    fn forward(&self, x: Tensor) -> Tensor {
        let x = max_pool2d(relu(self.stem(x)), 2, 2, 0);
        let y = self.conv2(relu(self.conv1(x)));
        let y = relu(y + self.shortcut(x));
        self.fc(adaptive_avg_pool2d(y, 1).flatten(1))
    }
}

fn residual() -> Residual {
    let conv = |inputs, outputs, size: usize, seed| {
        let layer = Conv2d::new(inputs, outputs, size).padding(size / 2);
        layer.with_weight(noise(&[outputs, inputs, size, size], seed)).unwrap()
    };
    Residual {
        stem: conv(3, 16, 3, 1),
        conv1: conv(16, 24, 3, 2),
        conv2: conv(24, 32, 3, 3),
        shortcut: conv(16, 32, 1, 4),
        fc: Linear::new(32, 10).with_weight(noise(&[10, 32], 5)).unwrap(),
    }
}

/// Calibrated on noise of this shape.
fn converted<M: Module<Input = Tensor>>(model: &M, backend: Backend, shape: &[usize]) -> Converted<M> {
    let mut prepared = model.prepare(&QConfigMapping::for_backend(backend)).unwrap();
    let batches = [noise(shape, 10), noise(shape, 11)];
    prepared.calibrate_with(&batches, CalibrationOptions { progress: false }).unwrap();
    prepared.convert().unwrap()
}

/// The paths of the steps of one run.
fn paths<M: Module<Input = Tensor>>(model: &Converted<M>, input: &Tensor) -> Vec<String> {
    model.profile(input).unwrap().steps.into_iter().map(|step| step.path).collect()
}

/// The result of `body` with this many threads a call. One at a time: the number holds for the whole process.
fn with_num_threads<T>(threads: usize, body: impl FnOnce() -> T) -> T {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    qcore::set_num_threads(threads);
    let result = body();
    qcore::set_num_threads(0);
    result
}
