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

/// Convolutions of videos `[N, 3, D, H, W]`, one of each kind, to `[N, 5]`.
#[quantizable]
#[derive(Debug)]
pub struct Video {
    pub stem: Conv3d,
    pub norm: BatchNorm3d,
    pub spatial: Conv3d,
    pub temporal: Conv3d,
    pub grouped: Conv3d,
    pub alone: BatchNorm3d,
    pub fc: Linear,
}

#[quantizable]
impl Video {
    pub fn small() -> Self {
        Self {
            stem: Conv3d::new(3, 8, (3, 3, 3)).stride((1, 2, 2)).padding(1).bias(false),
            norm: BatchNorm3d::new(8),
            spatial: Conv3d::new(8, 16, (1, 3, 3)).padding((0, 1, 1)),
            temporal: Conv3d::new(16, 8, (3, 1, 1)).padding((1, 0, 0)),
            grouped: Conv3d::new(8, 8, 3).stride((2, 1, 1)).padding(1).groups(4),
            alone: BatchNorm3d::new(8),
            fc: Linear::new(8, 5),
        }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = relu(self.norm(self.stem(x)));
        let y = relu(x + self.temporal(relu(self.spatial(x))));
        self.fc(self.alone(self.grouped(y)).mean((2, 3, 4)))
    }
}

/// An image `[N, 3, H, W]` that is made smaller and larger again, by transposed convolutions of each kind; H and W even.
#[quantizable]
#[derive(Debug)]
pub struct Upsampling {
    pub down: Conv2d,
    pub up: ConvTranspose2d,
    pub norm: BatchNorm2d,
    pub grouped: ConvTranspose2d,
    pub last: ConvTranspose2d,
}

#[quantizable]
impl Upsampling {
    pub fn small() -> Self {
        Self {
            down: Conv2d::new(3, 8, 3).stride(2).padding(1),
            up: ConvTranspose2d::new(8, 6, 2).stride(2).bias(false),
            norm: BatchNorm2d::new(6),
            grouped: ConvTranspose2d::new(9, 6, 3).padding(1).groups(3),
            last: ConvTranspose2d::new(6, 2, (4, 3)).stride((2, 1)).padding(1).dilation((1, 2)),
        }
    }

    pub fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.norm(self.up(relu(self.down(x)))));
        self.last(relu(self.grouped(cat([x, y], 1))))
    }
}
