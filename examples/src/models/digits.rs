//! The small residual network that `data/digits/train.py` trains on 8x8 digits.

use qcore::prelude::*;

/// Two 3x3 convolutions and a strided shortcut.
#[quantizable]
#[derive(Debug)]
pub struct BasicBlock {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    conv2: Conv2d,
    bn2: BatchNorm2d,
    downsample: Sequential<(Conv2d, BatchNorm2d)>,
}

#[quantizable]
impl BasicBlock {
    fn new(in_channels: usize, out_channels: usize, stride: usize) -> Self {
        Self {
            conv1: Conv2d::new(in_channels, out_channels, 3).stride(stride).padding(1).bias(false),
            bn1: BatchNorm2d::new(out_channels),
            conv2: Conv2d::new(out_channels, out_channels, 3).padding(1).bias(false),
            bn2: BatchNorm2d::new(out_channels),
            downsample: Sequential((
                Conv2d::new(in_channels, out_channels, 1).stride(stride).bias(false),
                BatchNorm2d::new(out_channels),
            )),
        }
    }

    /// `[N, C, H, W]` to `[N, out_channels, H / stride, W / stride]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.bn1(self.conv1(x)));
        let y = self.bn2(self.conv2(y));
        relu(y + self.downsample(x))
    }
}

/// Digits of 8x8 pixels, values 0 to 1, to ten logits.
#[quantizable]
#[derive(Debug)]
pub struct DigitsNet {
    conv1: Conv2d,
    bn1: BatchNorm2d,
    layers: Vec<BasicBlock>,
    fc: Linear,
}

#[quantizable]
impl DigitsNet {
    /// The network as `train.py` defines it, with weights yet to be loaded.
    pub fn new() -> Self {
        Self {
            conv1: Conv2d::new(1, 16, 3).padding(1).bias(false),
            bn1: BatchNorm2d::new(16),
            layers: vec![BasicBlock::new(16, 32, 2), BasicBlock::new(32, 64, 2)],
            fc: Linear::new(64, 10),
        }
    }

    /// `[N, 1, 8, 8]` to `[N, 10]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let mut x = relu(self.bn1(self.conv1(x)));
        for block in &self.layers {
            x = block(x);
        }
        self.fc(adaptive_avg_pool2d(x, 1).flatten(1))
    }
}

impl Default for DigitsNet {
    fn default() -> Self {
        Self::new()
    }
}
