//! torchvision's ShuffleNetV2 family, with its key names (Ma et al. 2018, `torchvision.models.shufflenetv2`).

use qcore::prelude::*;

/// Half of the channels pass, the others are filtered, and both are shuffled; or both are filtered, at every second
/// pixel.
#[quantizable]
#[derive(Debug)]
pub struct InvertedResidual {
    branch1: Option<Sequential<(Conv2d, BatchNorm2d, Conv2d, BatchNorm2d, ReLU)>>,
    branch2: Sequential<(Conv2d, BatchNorm2d, ReLU, Conv2d, BatchNorm2d, Conv2d, BatchNorm2d, ReLU)>,
}

#[quantizable]
impl InvertedResidual {
    fn new(in_channels: usize, out_channels: usize, stride: usize) -> Self {
        let half = out_channels / 2;
        let pointwise = |in_channels| Conv2d::new(in_channels, half, 1).bias(false);
        let depthwise = |channels| {
            Conv2d::new(channels, channels, 3).stride(stride).padding(1).groups(channels).bias(false)
        };
        let norm = BatchNorm2d::new;
        Self {
            branch1: (stride > 1).then(|| {
                Sequential((
                    depthwise(in_channels),
                    norm(in_channels),
                    pointwise(in_channels),
                    norm(half),
                    ReLU,
                ))
            }),
            branch2: Sequential((
                pointwise(if stride > 1 { in_channels } else { half }),
                norm(half),
                ReLU,
                depthwise(half),
                norm(half),
                pointwise(half),
                norm(half),
                ReLU,
            )),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = match &self.branch1 {
            Some(branch1) => cat([branch1(x), self.branch2(x)], 1),
            None => {
                let (passing, filtered) = x.chunk(2, 1);
                cat([passing, self.branch2(filtered)], 1)
            }
        };
        // The channel shuffle: the two halves by turns.
        let pairs = y.reshape((y.size(0), 2, -1, y.size(2), y.size(3))).transpose(1, 2);
        pairs.reshape((y.size(0), -1, y.size(2), y.size(3)))
    }
}

/// A network of channel shuffles for pictures.
#[quantizable]
pub struct ShuffleNetV2 {
    conv1: Sequential<(Conv2d, BatchNorm2d, ReLU)>,
    maxpool: MaxPool2d,
    stage2: Vec<InvertedResidual>,
    stage3: Vec<InvertedResidual>,
    stage4: Vec<InvertedResidual>,
    conv5: Sequential<(Conv2d, BatchNorm2d, ReLU)>,
    fc: Linear,
}

#[quantizable]
impl ShuffleNetV2 {
    /// A network with these channels after each of its five stages.
    pub fn new(stages_out_channels: [usize; 5], num_classes: usize) -> Self {
        let [first, second, third, fourth, last] = stages_out_channels;
        let stage = |in_channels, out_channels, repeats| {
            let rest = (1..repeats).map(|_| InvertedResidual::new(out_channels, out_channels, 1));
            std::iter::once(InvertedResidual::new(in_channels, out_channels, 2)).chain(rest).collect()
        };
        Self {
            conv1: Sequential((
                Conv2d::new(3, first, 3).stride(2).padding(1).bias(false),
                BatchNorm2d::new(first),
                ReLU,
            )),
            maxpool: MaxPool2d::new(3).stride(2).padding(1),
            stage2: stage(first, second, 4),
            stage3: stage(second, third, 8),
            stage4: stage(third, fourth, 4),
            conv5: Sequential((Conv2d::new(fourth, last, 1).bias(false), BatchNorm2d::new(last), ReLU)),
            fc: Linear::new(last, num_classes),
        }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = self.maxpool(self.conv1(x));
        let x = self.conv5(self.stage4(self.stage3(self.stage2(x))));
        self.fc(x.mean((2, 3)))
    }
}

/// `torchvision.models.shufflenet_v2_x0_5`.
pub fn shufflenet_v2_x0_5(num_classes: usize) -> ShuffleNetV2 {
    ShuffleNetV2::new([24, 48, 96, 192, 1024], num_classes)
}

/// `torchvision.models.shufflenet_v2_x1_0`.
pub fn shufflenet_v2_x1_0(num_classes: usize) -> ShuffleNetV2 {
    ShuffleNetV2::new([24, 116, 232, 464, 1024], num_classes)
}

/// `torchvision.models.shufflenet_v2_x1_5`.
pub fn shufflenet_v2_x1_5(num_classes: usize) -> ShuffleNetV2 {
    ShuffleNetV2::new([24, 176, 352, 704, 1024], num_classes)
}

/// `torchvision.models.shufflenet_v2_x2_0`.
pub fn shufflenet_v2_x2_0(num_classes: usize) -> ShuffleNetV2 {
    ShuffleNetV2::new([24, 244, 488, 976, 2048], num_classes)
}
