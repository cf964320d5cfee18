//! torchvision's MobileNetV2, with its key names (Sandler et al. 2018, `torchvision.models.mobilenetv2`).

use qcore::prelude::*;

/// A convolution, its batch norm and ReLU6; torchvision has it in `torchvision.ops.misc`.
#[quantizable]
#[derive(Debug)]
pub struct Conv2dNormActivation {
    #[quantizable(rename = "0")]
    conv: Conv2d,
    #[quantizable(rename = "1")]
    norm: BatchNorm2d,
}

#[quantizable]
impl Conv2dNormActivation {
    fn new(in_channels: usize, out_channels: usize, kernel: usize, stride: usize) -> Self {
        Self {
            conv: Conv2d::new(in_channels, out_channels, kernel)
                .stride(stride)
                .padding(kernel / 2)
                .bias(false),
            norm: BatchNorm2d::new(out_channels),
        }
    }

    /// Each channel filtered on its own.
    fn depthwise(channels: usize, stride: usize) -> Self {
        Self {
            conv: Conv2d::new(channels, channels, 3).stride(stride).padding(1).groups(channels).bias(false),
            norm: BatchNorm2d::new(channels),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        relu6(self.norm(self.conv(x)))
    }
}

/// Widens sixfold with 1x1, filters each channel with 3x3, narrows with 1x1; a shortcut where the shapes agree.
#[quantizable]
#[derive(Debug)]
pub struct InvertedResidual {
    conv: Sequential<(Conv2dNormActivation, Conv2dNormActivation, Conv2d, BatchNorm2d)>,
    use_res_connect: bool,
}

#[quantizable]
impl InvertedResidual {
    const EXPANSION: usize = 6;

    fn new(in_channels: usize, out_channels: usize, stride: usize) -> Self {
        let hidden = in_channels * Self::EXPANSION;
        Self {
            conv: Sequential((
                Conv2dNormActivation::new(in_channels, hidden, 1, 1),
                Conv2dNormActivation::depthwise(hidden, stride),
                Conv2d::new(hidden, out_channels, 1).bias(false),
                BatchNorm2d::new(out_channels),
            )),
            use_res_connect: stride == 1 && in_channels == out_channels,
        }
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = self.conv(x);
        if self.use_res_connect { x + y } else { y }
    }
}

/// The first block, which torchvision builds as an inverted residual that does not widen.
#[quantizable]
#[derive(Debug)]
pub struct DepthwiseSeparable {
    conv: Sequential<(Conv2dNormActivation, Conv2d, BatchNorm2d)>,
}

#[quantizable]
impl DepthwiseSeparable {
    fn new(in_channels: usize, out_channels: usize) -> Self {
        Self {
            conv: Sequential((
                Conv2dNormActivation::depthwise(in_channels, 1),
                Conv2d::new(in_channels, out_channels, 1).bias(false),
                BatchNorm2d::new(out_channels),
            )),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, H, W]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.conv(x)
    }
}

/// A network of depthwise convolutions for pictures.
#[quantizable]
pub struct MobileNetV2 {
    features: Sequential<(
        Conv2dNormActivation,
        DepthwiseSeparable,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        InvertedResidual,
        Conv2dNormActivation,
    )>,
    classifier: Sequential<(Dropout, Linear)>,
}

#[quantizable]
impl MobileNetV2 {
    /// The network of width 1.
    pub fn new(num_classes: usize) -> Self {
        Self {
            features: Sequential((
                Conv2dNormActivation::new(3, 32, 3, 2),
                DepthwiseSeparable::new(32, 16),
                InvertedResidual::new(16, 24, 2),
                InvertedResidual::new(24, 24, 1),
                InvertedResidual::new(24, 32, 2),
                InvertedResidual::new(32, 32, 1),
                InvertedResidual::new(32, 32, 1),
                InvertedResidual::new(32, 64, 2),
                InvertedResidual::new(64, 64, 1),
                InvertedResidual::new(64, 64, 1),
                InvertedResidual::new(64, 64, 1),
                InvertedResidual::new(64, 96, 1),
                InvertedResidual::new(96, 96, 1),
                InvertedResidual::new(96, 96, 1),
                InvertedResidual::new(96, 160, 2),
                InvertedResidual::new(160, 160, 1),
                InvertedResidual::new(160, 160, 1),
                InvertedResidual::new(160, 320, 1),
                Conv2dNormActivation::new(320, 1280, 1, 1),
            )),
            classifier: Sequential((Dropout::new(0.2), Linear::new(1280, num_classes))),
        }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = self.features(x);
        self.classifier(adaptive_avg_pool2d(x, (1, 1)).flatten(1))
    }
}

/// `torchvision.models.mobilenet_v2`.
pub fn mobilenet_v2(num_classes: usize) -> MobileNetV2 {
    MobileNetV2::new(num_classes)
}
