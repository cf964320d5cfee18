//! torchvision's MobileNetV3, large and small, with its key names (Howard et al. 2019,
//! `torchvision.models.mobilenetv3`).

use qcore::prelude::*;

/// A convolution with its batch norm and an activation.
pub trait ConvNormActivation: Module<Input = Tensor, Output = Tensor> {
    /// `conv` without its bias, to `out_channels` channels.
    fn new(conv: Conv2d, out_channels: usize) -> Self;
}

/// Defines a [`ConvNormActivation`].
macro_rules! conv_norm_activation {
    ($name:ident, $activation:ident) => {
        #[doc = concat!("A convolution, its batch norm and `", stringify!($activation), "`.")]
        #[quantizable]
        #[derive(Debug)]
        pub struct $name {
            #[quantizable(rename = "0")]
            conv: Conv2d,
            #[quantizable(rename = "1")]
            norm: BatchNorm2d,
        }

        #[quantizable]
        impl $name {
            /// `[N, in_channels, H, W]` to `[N, out_channels, OH, OW]`.
            pub fn forward(&self, x: Tensor) -> Tensor {
                $activation(self.norm(self.conv(x)))
            }
        }

        impl ConvNormActivation for $name {
            fn new(conv: Conv2d, out_channels: usize) -> Self {
                Self { conv: conv.bias(false), norm: batch_norm(out_channels) }
            }
        }
    };
}

conv_norm_activation!(ConvNormReLU, relu);
conv_norm_activation!(ConvNormHardswish, hardswish);

fn batch_norm(channels: usize) -> BatchNorm2d {
    BatchNorm2d::new(channels).eps(0.001).momentum(0.01)
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
    fn new(channels: usize) -> Self {
        let squeezed = divisible_by_8(channels / 4);
        Self { fc1: Conv2d::new(channels, squeezed, 1), fc2: Conv2d::new(squeezed, channels, 1) }
    }

    /// `[N, channels, H, W]` to the same.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let squeezed = relu(self.fc1(adaptive_avg_pool2d(x, 1)));
        hardsigmoid(self.fc2(squeezed)) * x
    }
}

/// The multiple of 8 next to `channels` that is not below nine tenths of it.
fn divisible_by_8(channels: usize) -> usize {
    let rounded = ((channels + 4) / 8 * 8).max(8);
    if rounded * 10 < channels * 9 { rounded + 8 } else { rounded }
}

/// The sizes of an inverted residual.
#[derive(Clone, Copy)]
struct Sizes {
    in_channels: usize,
    kernel: usize,
    hidden: usize,
    out_channels: usize,
    stride: usize,
}

impl Sizes {
    fn new(in_channels: usize, kernel: usize, hidden: usize, out_channels: usize, stride: usize) -> Self {
        Self { in_channels, kernel, hidden, out_channels, stride }
    }

    fn widening<C: ConvNormActivation>(self) -> C {
        C::new(Conv2d::new(self.in_channels, self.hidden, 1), self.hidden)
    }

    fn depthwise<C: ConvNormActivation>(self) -> C {
        let conv = Conv2d::new(self.hidden, self.hidden, self.kernel).groups(self.hidden);
        C::new(conv.stride(self.stride).padding(self.kernel / 2), self.hidden)
    }

    fn narrowing(self) -> Sequential<(Conv2d, BatchNorm2d)> {
        let conv = Conv2d::new(self.hidden, self.out_channels, 1).bias(false);
        Sequential((conv, batch_norm(self.out_channels)))
    }

    fn has_shortcut(self) -> bool {
        self.stride == 1 && self.in_channels == self.out_channels
    }
}

/// Widens, filters each channel, narrows; a shortcut where the shapes agree.
#[quantizable]
#[derive(Debug)]
pub struct InvertedResidual<C: ConvNormActivation> {
    block: Sequential<(C, C, Sequential<(Conv2d, BatchNorm2d)>)>,
    use_res_connect: bool,
}

#[quantizable]
impl<C: ConvNormActivation> InvertedResidual<C> {
    fn new(sizes: Sizes) -> Self {
        Self {
            block: Sequential((sizes.widening(), sizes.depthwise(), sizes.narrowing())),
            use_res_connect: sizes.has_shortcut(),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = self.block(x);
        if self.use_res_connect { y + x } else { y }
    }
}

/// An inverted residual with squeeze-and-excitation.
#[quantizable]
#[derive(Debug)]
pub struct SqueezedResidual<C: ConvNormActivation> {
    block: Sequential<(C, C, SqueezeExcitation, Sequential<(Conv2d, BatchNorm2d)>)>,
    use_res_connect: bool,
}

#[quantizable]
impl<C: ConvNormActivation> SqueezedResidual<C> {
    fn new(sizes: Sizes) -> Self {
        let squeeze = SqueezeExcitation::new(sizes.hidden);
        Self {
            block: Sequential((sizes.widening(), sizes.depthwise(), squeeze, sizes.narrowing())),
            use_res_connect: sizes.has_shortcut(),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = self.block(x);
        if self.use_res_connect { y + x } else { y }
    }
}

/// The first block of the large network, which does not widen.
#[quantizable]
#[derive(Debug)]
pub struct DepthwiseSeparable {
    block: Sequential<(ConvNormReLU, Sequential<(Conv2d, BatchNorm2d)>)>,
}

#[quantizable]
impl DepthwiseSeparable {
    fn new(sizes: Sizes) -> Self {
        Self { block: Sequential((sizes.depthwise(), sizes.narrowing())) }
    }

    /// `[N, C, H, W]` to the same.
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.block(x) + x
    }
}

/// The first block of the small network, which does not widen.
#[quantizable]
#[derive(Debug)]
pub struct SqueezedSeparable {
    block: Sequential<(ConvNormReLU, SqueezeExcitation, Sequential<(Conv2d, BatchNorm2d)>)>,
}

#[quantizable]
impl SqueezedSeparable {
    fn new(sizes: Sizes) -> Self {
        let squeeze = SqueezeExcitation::new(sizes.hidden);
        Self { block: Sequential((sizes.depthwise(), squeeze, sizes.narrowing())) }
    }

    /// `[N, C, H, W]` to `[N, C, H / 2, W / 2]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.block(x)
    }
}

fn stem() -> ConvNormHardswish {
    ConvNormHardswish::new(Conv2d::new(3, 16, 3).stride(2).padding(1), 16)
}

fn head(in_channels: usize) -> ConvNormHardswish {
    ConvNormHardswish::new(Conv2d::new(in_channels, in_channels * 6, 1), in_channels * 6)
}

fn classifier(
    in_features: usize,
    hidden: usize,
    num_classes: usize,
) -> Sequential<(Linear, Hardswish, Dropout, Linear)> {
    let last = Linear::new(hidden, num_classes);
    Sequential((Linear::new(in_features, hidden), Hardswish, Dropout::new(0.2), last))
}

/// The large network.
#[quantizable]
pub struct MobileNetV3Large {
    features: Sequential<(
        ConvNormHardswish,
        DepthwiseSeparable,
        InvertedResidual<ConvNormReLU>,
        InvertedResidual<ConvNormReLU>,
        SqueezedResidual<ConvNormReLU>,
        SqueezedResidual<ConvNormReLU>,
        SqueezedResidual<ConvNormReLU>,
        InvertedResidual<ConvNormHardswish>,
        InvertedResidual<ConvNormHardswish>,
        InvertedResidual<ConvNormHardswish>,
        InvertedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        ConvNormHardswish,
    )>,
    classifier: Sequential<(Linear, Hardswish, Dropout, Linear)>,
}

#[quantizable]
impl MobileNetV3Large {
    /// The network of width 1.
    pub fn new(num_classes: usize) -> Self {
        Self {
            features: Sequential((
                stem(),
                DepthwiseSeparable::new(Sizes::new(16, 3, 16, 16, 1)),
                InvertedResidual::new(Sizes::new(16, 3, 64, 24, 2)),
                InvertedResidual::new(Sizes::new(24, 3, 72, 24, 1)),
                SqueezedResidual::new(Sizes::new(24, 5, 72, 40, 2)),
                SqueezedResidual::new(Sizes::new(40, 5, 120, 40, 1)),
                SqueezedResidual::new(Sizes::new(40, 5, 120, 40, 1)),
                InvertedResidual::new(Sizes::new(40, 3, 240, 80, 2)),
                InvertedResidual::new(Sizes::new(80, 3, 200, 80, 1)),
                InvertedResidual::new(Sizes::new(80, 3, 184, 80, 1)),
                InvertedResidual::new(Sizes::new(80, 3, 184, 80, 1)),
                SqueezedResidual::new(Sizes::new(80, 3, 480, 112, 1)),
                SqueezedResidual::new(Sizes::new(112, 3, 672, 112, 1)),
                SqueezedResidual::new(Sizes::new(112, 5, 672, 160, 2)),
                SqueezedResidual::new(Sizes::new(160, 5, 960, 160, 1)),
                SqueezedResidual::new(Sizes::new(160, 5, 960, 160, 1)),
                head(160),
            )),
            classifier: classifier(960, 1280, num_classes),
        }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.classifier(adaptive_avg_pool2d(self.features(x), 1).flatten(1))
    }
}

/// The small network.
#[quantizable]
pub struct MobileNetV3Small {
    features: Sequential<(
        ConvNormHardswish,
        SqueezedSeparable,
        InvertedResidual<ConvNormReLU>,
        InvertedResidual<ConvNormReLU>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        SqueezedResidual<ConvNormHardswish>,
        ConvNormHardswish,
    )>,
    classifier: Sequential<(Linear, Hardswish, Dropout, Linear)>,
}

#[quantizable]
impl MobileNetV3Small {
    /// The network of width 1.
    pub fn new(num_classes: usize) -> Self {
        Self {
            features: Sequential((
                stem(),
                SqueezedSeparable::new(Sizes::new(16, 3, 16, 16, 2)),
                InvertedResidual::new(Sizes::new(16, 3, 72, 24, 2)),
                InvertedResidual::new(Sizes::new(24, 3, 88, 24, 1)),
                SqueezedResidual::new(Sizes::new(24, 5, 96, 40, 2)),
                SqueezedResidual::new(Sizes::new(40, 5, 240, 40, 1)),
                SqueezedResidual::new(Sizes::new(40, 5, 240, 40, 1)),
                SqueezedResidual::new(Sizes::new(40, 5, 120, 48, 1)),
                SqueezedResidual::new(Sizes::new(48, 5, 144, 48, 1)),
                SqueezedResidual::new(Sizes::new(48, 5, 288, 96, 2)),
                SqueezedResidual::new(Sizes::new(96, 5, 576, 96, 1)),
                SqueezedResidual::new(Sizes::new(96, 5, 576, 96, 1)),
                head(96),
            )),
            classifier: classifier(576, 1024, num_classes),
        }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.classifier(adaptive_avg_pool2d(self.features(x), 1).flatten(1))
    }
}

/// `torchvision.models.mobilenet_v3_large`.
pub fn mobilenet_v3_large(num_classes: usize) -> MobileNetV3Large {
    MobileNetV3Large::new(num_classes)
}

/// `torchvision.models.mobilenet_v3_small`.
pub fn mobilenet_v3_small(num_classes: usize) -> MobileNetV3Small {
    MobileNetV3Small::new(num_classes)
}
