//! Models with every operation.

use qcore::observer::FixedQParamsObserver;
use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, Prepared};
use tests::tensors::noise;

/// Every operation that has parameters of its own.
#[quantizable]
pub(crate) struct Everything {
    conv: Conv2d,
    depthwise: Conv2d,
    #[quantizable(skip)]
    float: Conv2d,
    norm: BatchNorm2d,
    max: MaxPool2d,
    mean: AvgPool2d,
    all: AdaptiveAvgPool2d,
    fc: Linear,
    dynamic: Linear,
}

#[quantizable]
impl Everything {
    pub(crate) fn new() -> Self {
        Self {
            conv: Conv2d::new(2, 4, 3).padding(1),
            depthwise: Conv2d::new(4, 4, 3).padding(1).groups(4),
            float: Conv2d::new(4, 4, 1).groups(2),
            norm: BatchNorm2d::new(4),
            max: MaxPool2d::new(2).stride(1),
            mean: AvgPool2d::new(2).stride(1),
            all: AdaptiveAvgPool2d::new(2),
            fc: Linear::new(2, 3),
            dynamic: Linear::new(3, 3),
        }
    }

    pub(crate) fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.conv(x));
        let y = hardswish(self.depthwise(y)) + y;
        let y = self.norm(self.mean(self.max(y)));
        let y = self.float(y).clamp(-1.0, 1.0);
        let (left, right) = y.chunk(2, 1);
        let y = cat([left.permute((0, 1, 3, 2)), right.transpose(2, 3)], 1) * 2.0;
        let z = self.all(y + 0.25).reshape((x.size(0), 2, -1)).mean(2);
        self.dynamic(relu6(self.fc(z.flatten(1))))
    }
}

pub(crate) const INPUT: [usize; 4] = [1, 2, 6, 6];

/// `dynamic` is a dynamic layer.
pub(crate) fn mapping(backend: Backend) -> QConfigMapping {
    QConfigMapping::for_backend(backend).module("dynamic", QConfig::dynamic())
}

pub(crate) fn prepared(backend: Backend) -> Prepared<Everything> {
    let mut prepared = Everything::new().prepare(&mapping(backend)).expect("the model can be prepared");
    let quiet = CalibrationOptions { progress: false };
    prepared
        .calibrate_with([noise(&INPUT, 0), noise(&INPUT, 1)], quiet)
        .expect("the model can be calibrated");
    prepared
}

pub(crate) fn converted(backend: Backend) -> Converted<Everything> {
    prepared(backend).convert().expect("the model can be converted")
}

/// A model with fixed scales, whatever its input.
pub(crate) fn converted_as_is<M: Module>(model: &M) -> qcore::Result<Converted<M>> {
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native))?;
    let paths: Vec<String> = prepared.observed_paths().map(str::to_owned).collect();
    for path in paths {
        prepared.set_observer(&path, FixedQParamsObserver::new(0.05, 128))?;
    }
    prepared.convert()
}
