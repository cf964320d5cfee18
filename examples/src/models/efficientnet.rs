//! torchvision's EfficientNet-B0, with its key names (Tan and Le 2019, `torchvision.models.efficientnet`).

use qcore::prelude::*;

/// A convolution, its batch norm and SiLU.
#[quantizable]
#[derive(Debug)]
pub struct ConvNormSiLU {
    #[quantizable(rename = "0")]
    conv: Conv2d,
    #[quantizable(rename = "1")]
    norm: BatchNorm2d,
}

#[quantizable]
impl ConvNormSiLU {
    fn new(in_channels: usize, out_channels: usize, kernel: usize, stride: usize, groups: usize) -> Self {
        let conv = Conv2d::new(in_channels, out_channels, kernel).stride(stride).padding(kernel / 2);
        Self { conv: conv.groups(groups).bias(false), norm: BatchNorm2d::new(out_channels) }
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        silu(self.norm(self.conv(x)))
    }
}

/// Weighs the channels by what the whole picture says.
#[quantizable]
#[derive(Debug)]
pub struct SqueezeExcitation {
    fc1: Conv2d,
    fc2: Conv2d,
}

#[quantizable]
impl SqueezeExcitation {
    fn new(channels: usize, squeezed: usize) -> Self {
        Self { fc1: Conv2d::new(channels, squeezed, 1), fc2: Conv2d::new(squeezed, channels, 1) }
    }

    /// `[N, channels, H, W]` to the same.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let squeezed = silu(self.fc1(adaptive_avg_pool2d(x, 1)));
        sigmoid(self.fc2(squeezed)) * x
    }
}

/// Widens sixfold, filters each channel, weighs the channels, narrows; a shortcut where the shapes agree.
#[quantizable]
#[derive(Debug)]
pub struct MBConv {
    block: Sequential<(ConvNormSiLU, ConvNormSiLU, SqueezeExcitation, Sequential<(Conv2d, BatchNorm2d)>)>,
    use_res_connect: bool,
}

#[quantizable]
impl MBConv {
    const EXPANSION: usize = 6;

    fn new(in_channels: usize, out_channels: usize, kernel: usize, stride: usize) -> Self {
        let hidden = in_channels * Self::EXPANSION;
        Self {
            block: Sequential((
                ConvNormSiLU::new(in_channels, hidden, 1, 1, 1),
                ConvNormSiLU::new(hidden, hidden, kernel, stride, hidden),
                SqueezeExcitation::new(hidden, in_channels / 4),
                narrowing(hidden, out_channels),
            )),
            use_res_connect: stride == 1 && in_channels == out_channels,
        }
    }

    fn stage(
        in_channels: usize,
        out_channels: usize,
        kernel: usize,
        stride: usize,
        blocks: usize,
    ) -> Vec<Self> {
        let rest = (1..blocks).map(|_| Self::new(out_channels, out_channels, kernel, 1));
        std::iter::once(Self::new(in_channels, out_channels, kernel, stride)).chain(rest).collect()
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = self.block(x);
        if self.use_res_connect { y + x } else { y }
    }
}

/// The first block, which does not widen.
#[quantizable]
#[derive(Debug)]
pub struct DepthwiseSeparable {
    block: Sequential<(ConvNormSiLU, SqueezeExcitation, Sequential<(Conv2d, BatchNorm2d)>)>,
}

#[quantizable]
impl DepthwiseSeparable {
    fn new(in_channels: usize, out_channels: usize) -> Self {
        Self {
            block: Sequential((
                ConvNormSiLU::new(in_channels, in_channels, 3, 1, in_channels),
                SqueezeExcitation::new(in_channels, in_channels / 4),
                narrowing(in_channels, out_channels),
            )),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, H, W]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.block(x)
    }
}

fn narrowing(in_channels: usize, out_channels: usize) -> Sequential<(Conv2d, BatchNorm2d)> {
    Sequential((Conv2d::new(in_channels, out_channels, 1).bias(false), BatchNorm2d::new(out_channels)))
}

/// A network of depthwise convolutions and squeeze-and-excitation for pictures.
#[quantizable]
pub struct EfficientNetB0 {
    #[quantizable(rename = "features.0")]
    stem: ConvNormSiLU,
    #[quantizable(rename = "features.1")]
    stage1: Vec<DepthwiseSeparable>,
    #[quantizable(rename = "features.2")]
    stage2: Vec<MBConv>,
    #[quantizable(rename = "features.3")]
    stage3: Vec<MBConv>,
    #[quantizable(rename = "features.4")]
    stage4: Vec<MBConv>,
    #[quantizable(rename = "features.5")]
    stage5: Vec<MBConv>,
    #[quantizable(rename = "features.6")]
    stage6: Vec<MBConv>,
    #[quantizable(rename = "features.7")]
    stage7: Vec<MBConv>,
    #[quantizable(rename = "features.8")]
    head: ConvNormSiLU,
    classifier: Sequential<(Dropout, Linear)>,
}

#[quantizable]
impl EfficientNetB0 {
    /// The network as it is published.
    pub fn new(num_classes: usize) -> Self {
        Self {
            stem: ConvNormSiLU::new(3, 32, 3, 2, 1),
            stage1: vec![DepthwiseSeparable::new(32, 16)],
            stage2: MBConv::stage(16, 24, 3, 2, 2),
            stage3: MBConv::stage(24, 40, 5, 2, 2),
            stage4: MBConv::stage(40, 80, 3, 2, 3),
            stage5: MBConv::stage(80, 112, 5, 1, 3),
            stage6: MBConv::stage(112, 192, 5, 2, 4),
            stage7: MBConv::stage(192, 320, 3, 1, 1),
            head: ConvNormSiLU::new(320, 1280, 1, 1, 1),
            classifier: Sequential((Dropout::new(0.2), Linear::new(1280, num_classes))),
        }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = self.stage3(self.stage2(self.stage1(self.stem(x))));
        let x = self.stage7(self.stage6(self.stage5(self.stage4(x))));
        self.classifier(adaptive_avg_pool2d(self.head(x), 1).flatten(1))
    }
}

/// `torchvision.models.efficientnet_b0`.
pub fn efficientnet_b0(num_classes: usize) -> EfficientNetB0 {
    EfficientNetB0::new(num_classes)
}
