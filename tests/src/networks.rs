//! Small networks with one of everything, for tests about files, calibration and bad input.

use qcore::prelude::*;

/// Two convolutions and a shortcut.
#[quantizable]
#[derive(Debug)]
pub struct Block {
    pub conv1: Conv2d,
    pub bn1: BatchNorm2d,
    pub conv2: Conv2d,
    pub bn2: BatchNorm2d,
    pub downsample: Option<Sequential<(Conv2d, BatchNorm2d)>>,
}

#[quantizable]
impl Block {
    pub fn new(in_channels: usize, out_channels: usize) -> Self {
        let stride = if in_channels == out_channels { 1 } else { 2 };
        Self {
            conv1: Conv2d::new(in_channels, out_channels, 3).stride(stride).padding(1).bias(false),
            bn1: BatchNorm2d::new(out_channels),
            conv2: Conv2d::new(out_channels, out_channels, 3).padding(1).bias(false),
            bn2: BatchNorm2d::new(out_channels),
            downsample: (stride == 2).then(|| {
                Sequential((
                    Conv2d::new(in_channels, out_channels, 1).stride(2).bias(false),
                    BatchNorm2d::new(out_channels),
                ))
            }),
        }
    }

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

/// A residual network for `[N, 3, H, W]`, H and W at least 3, to `[N, 5]`.
#[quantizable]
#[derive(Debug)]
pub struct Network {
    pub conv1: Conv2d,
    pub bn1: BatchNorm2d,
    pub layers: Vec<Block>,
    pub fc: Linear,
}

#[quantizable]
impl Network {
    pub fn small() -> Self {
        Self {
            conv1: Conv2d::new(3, 8, 3).bias(false),
            bn1: BatchNorm2d::new(8),
            layers: vec![Block::new(8, 8), Block::new(8, 16)],
            fc: Linear::new(16, 5),
        }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        let mut x = relu(self.bn1(self.conv1(x)));
        for block in &self.layers {
            x = block(x);
        }
        self.fc(adaptive_avg_pool2d(x, 1).flatten(1))
    }
}

/// Two inputs of 8 features, two outputs; a shared layer, a skipped one, a loop and a flag.
#[quantizable]
#[derive(Debug)]
pub struct TwoWays {
    pub fc: Linear,
    pub stack: Vec<Linear>,
    #[quantizable(skip)]
    pub float: Linear,
    pub norm: BatchNorm1d,
    pub wide: bool,
}

#[quantizable]
impl TwoWays {
    pub fn new(wide: bool) -> Self {
        Self {
            fc: Linear::new(8, 8),
            stack: vec![Linear::new(8, 8), Linear::new(8, 8).bias(false)],
            float: Linear::new(8, 4),
            norm: BatchNorm1d::new(4),
            wide,
        }
    }

    pub fn forward(&self, a: Tensor, b: Tensor) -> (Tensor, Tensor) {
        let a = self.fc(a);
        let b = self.fc(b);
        let mut x = a + b;
        for layer in &self.stack {
            x = relu(layer(x)) * 0.5;
        }
        let y = self.norm(self.float(x));
        let (left, right) = x.chunk(2, 1);
        let z = if self.wide { cat([left, right, y], 1) } else { left * right - y };
        (z, x)
    }
}
