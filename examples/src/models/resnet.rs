//! torchvision's ResNet family, with its key names (He et al. 2015, `torchvision.models.resnet`).

use qcore::prelude::*;

/// Two 3x3 convolutions and a shortcut: the block of ResNet-18 and 34.
#[quantizable]
#[derive(Debug)]
pub struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Option<Sequential<(Conv2d, BatchNorm2d)>>,
}

#[quantizable]
impl BasicBlock {
    /// `[N, C, H, W]` to `[N, out_channels, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.bn1(self.conv1(x)));
        let y = self.bn2(self.conv2(y));
        let identity = match &self.downsample {
            Some(downsample) => downsample(x),
            None => x,
        };
        relu(y + identity)
    }
}

/// 1x1, 3x3 and 1x1 convolutions and a shortcut: the block of ResNet-50 and the ResNeXts.
#[quantizable]
#[derive(Debug)]
pub struct Bottleneck {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    conv3: Conv2d,
    bn3: BatchNorm2d,
    downsample: Option<Sequential<(Conv2d, BatchNorm2d)>>,
}

#[quantizable]
impl Bottleneck {
    /// `[N, C, H, W]` to `[N, 4 * planes, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.bn1(self.conv1(x)));
        let y = relu(self.bn2(self.conv2(y)));
        let y = self.bn3(self.conv3(y));
        let identity = match &self.downsample {
            Some(downsample) => downsample(x),
            None => x,
        };
        relu(y + identity)
    }
}

/// How the 3x3 convolutions of a ResNeXt are grouped (Xie et al. 2016).
#[derive(Clone, Copy, Debug)]
pub struct Groups {
    count: usize,
    /// Channels of a group for 64 planes.
    width: usize,
}

impl Groups {
    /// A ResNet's.
    const ONE: Self = Self { count: 1, width: 64 };

    fn channels(self, planes: usize) -> usize {
        planes * self.width / 64 * self.count
    }
}

/// A block that a [`ResNet`] is built of.
pub trait Block: Module<Input = Tensor, Output = Tensor> {
    /// Output channels for each plane.
    const EXPANSION: usize;

    /// A block from `in_channels` to `planes * EXPANSION` channels.
    fn new(in_channels: usize, planes: usize, stride: usize, groups: Groups) -> Self;
}

fn shortcut(
    in_channels: usize,
    out_channels: usize,
    stride: usize,
) -> Option<Sequential<(Conv2d, BatchNorm2d)>> {
    (stride != 1 || in_channels != out_channels).then(|| {
        let conv = Conv2d::new(in_channels, out_channels, 1).stride(stride).bias(false);
        Sequential((conv, BatchNorm2d::new(out_channels)))
    })
}

fn conv3x3(in_channels: usize, out_channels: usize, stride: usize) -> Conv2d {
    Conv2d::new(in_channels, out_channels, 3).stride(stride).padding(1).bias(false)
}

impl Block for BasicBlock {
    const EXPANSION: usize = 1;

    fn new(in_channels: usize, planes: usize, stride: usize, _: Groups) -> Self {
        Self {
            conv1: conv3x3(in_channels, planes, stride),
            bn1: BatchNorm2d::new(planes),
            conv2: conv3x3(planes, planes, 1),
            bn2: BatchNorm2d::new(planes),
            downsample: shortcut(in_channels, planes, stride),
        }
    }
}

impl Block for Bottleneck {
    const EXPANSION: usize = 4;

    fn new(in_channels: usize, planes: usize, stride: usize, groups: Groups) -> Self {
        let (width, out_channels) = (groups.channels(planes), planes * Self::EXPANSION);
        Self {
            conv1: Conv2d::new(in_channels, width, 1).bias(false),
            bn1: BatchNorm2d::new(width),
            conv2: conv3x3(width, width, stride).groups(groups.count),
            bn2: BatchNorm2d::new(width),
            conv3: Conv2d::new(width, out_channels, 1).bias(false),
            bn3: BatchNorm2d::new(out_channels),
            downsample: shortcut(in_channels, out_channels, stride),
        }
    }
}

/// A residual network for pictures.
#[quantizable]
#[derive(Debug)]
pub struct ResNet<B: Block> {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    layer1: Vec<B>,
    layer2: Vec<B>,
    layer3: Vec<B>,
    layer4: Vec<B>,
    fc: Linear,
}

#[quantizable]
impl<B: Block> ResNet<B> {
    /// A network with `blocks` blocks in each of its four stages.
    pub fn new(blocks: [usize; 4], groups: Groups, num_classes: usize) -> Self {
        let mut in_channels = 64;
        let mut stage = |planes: usize, blocks: usize, stride: usize| {
            (0..blocks)
                .map(|index| {
                    let block = B::new(in_channels, planes, if index == 0 { stride } else { 1 }, groups);
                    in_channels = planes * B::EXPANSION;
                    block
                })
                .collect()
        };
        Self {
            conv1: Conv2d::new(3, 64, 7).stride(2).padding(3).bias(false),
            bn1: BatchNorm2d::new(64),
            layer1: stage(64, blocks[0], 1),
            layer2: stage(128, blocks[1], 2),
            layer3: stage(256, blocks[2], 2),
            layer4: stage(512, blocks[3], 2),
            fc: Linear::new(512 * B::EXPANSION, num_classes),
        }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = max_pool2d(relu(self.bn1(self.conv1(x))), 3, 2, 1);
        let x = self.layer4(self.layer3(self.layer2(self.layer1(x))));
        self.fc(adaptive_avg_pool2d(x, (1, 1)).flatten(1))
    }
}

/// `torchvision.models.resnet18`.
pub fn resnet18(num_classes: usize) -> ResNet<BasicBlock> {
    ResNet::new([2, 2, 2, 2], Groups::ONE, num_classes)
}

/// `torchvision.models.resnet34`.
pub fn resnet34(num_classes: usize) -> ResNet<BasicBlock> {
    ResNet::new([3, 4, 6, 3], Groups::ONE, num_classes)
}

/// `torchvision.models.resnet50`.
pub fn resnet50(num_classes: usize) -> ResNet<Bottleneck> {
    ResNet::new([3, 4, 6, 3], Groups::ONE, num_classes)
}

/// `torchvision.models.resnext50_32x4d`.
pub fn resnext50_32x4d(num_classes: usize) -> ResNet<Bottleneck> {
    ResNet::new([3, 4, 6, 3], Groups { count: 32, width: 4 }, num_classes)
}

/// `torchvision.models.resnext101_32x8d`.
pub fn resnext101_32x8d(num_classes: usize) -> ResNet<Bottleneck> {
    ResNet::new([3, 4, 23, 3], Groups { count: 32, width: 8 }, num_classes)
}

/// `torchvision.models.resnext101_64x4d`.
pub fn resnext101_64x4d(num_classes: usize) -> ResNet<Bottleneck> {
    ResNet::new([3, 4, 23, 3], Groups { count: 64, width: 4 }, num_classes)
}
