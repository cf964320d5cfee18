//! torchvision's GoogLeNet without its auxiliary heads, with its key names (Szegedy et al. 2014,
//! `torchvision.models.googlenet`).

use qcore::prelude::*;

/// A convolution, its batch norm and ReLU.
#[quantizable]
#[derive(Debug)]
pub struct BasicConv2d {
    conv: Conv2d,
    bn: BatchNorm2d,
}

#[quantizable]
impl BasicConv2d {
    pub(super) fn new(in_channels: usize, out_channels: usize, kernel: usize) -> Self {
        Self::from(Conv2d::new(in_channels, out_channels, kernel), out_channels)
    }

    /// `conv` without its bias.
    pub(super) fn from(conv: Conv2d, out_channels: usize) -> Self {
        Self { conv: conv.bias(false), bn: BatchNorm2d::new(out_channels).eps(0.001) }
    }

    /// `[N, in_channels, H, W]` to `[N, out_channels, OH, OW]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        relu(self.bn(self.conv(x)))
    }
}

/// Four branches with windows of different sizes, side by side in the channels.
#[quantizable]
#[derive(Debug)]
pub struct Inception {
    branch1: BasicConv2d,
    branch2: Sequential<(BasicConv2d, BasicConv2d)>,
    branch3: Sequential<(BasicConv2d, BasicConv2d)>,
    branch4: Sequential<(MaxPool2d, BasicConv2d)>,
}

#[quantizable]
impl Inception {
    /// The output channels of each branch; of the second and third those of the 1x1 convolution before them too.
    fn new(in_channels: usize, ch1x1: usize, ch3x3: [usize; 2], ch5x5: [usize; 2], pool: usize) -> Self {
        // torchvision's third branch has windows of 3x3, as the weights that it took over were trained with.
        let reduced = |[reduced, out_channels]: [usize; 2]| {
            let conv = Conv2d::new(reduced, out_channels, 3).padding(1);
            Sequential((BasicConv2d::new(in_channels, reduced, 1), BasicConv2d::from(conv, out_channels)))
        };
        Self {
            branch1: BasicConv2d::new(in_channels, ch1x1, 1),
            branch2: reduced(ch3x3),
            branch3: reduced(ch5x5),
            branch4: Sequential((
                MaxPool2d::new(3).stride(1).padding(1).ceil_mode(true),
                BasicConv2d::new(in_channels, pool, 1),
            )),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, sum of the branches, H, W]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)
    }
}

/// A network of inception modules for pictures.
#[quantizable]
pub struct GoogLeNet {
    conv1: BasicConv2d,
    conv2: BasicConv2d,
    conv3: BasicConv2d,
    inception3a: Inception,
    inception3b: Inception,
    inception4a: Inception,
    inception4b: Inception,
    inception4c: Inception,
    inception4d: Inception,
    inception4e: Inception,
    inception5a: Inception,
    inception5b: Inception,
    dropout: Dropout,
    fc: Linear,
}

#[quantizable]
impl GoogLeNet {
    /// The network as it is published.
    pub fn new(num_classes: usize) -> Self {
        Self {
            conv1: BasicConv2d::from(Conv2d::new(3, 64, 7).stride(2).padding(3), 64),
            conv2: BasicConv2d::new(64, 64, 1),
            conv3: BasicConv2d::from(Conv2d::new(64, 192, 3).padding(1), 192),
            inception3a: Inception::new(192, 64, [96, 128], [16, 32], 32),
            inception3b: Inception::new(256, 128, [128, 192], [32, 96], 64),
            inception4a: Inception::new(480, 192, [96, 208], [16, 48], 64),
            inception4b: Inception::new(512, 160, [112, 224], [24, 64], 64),
            inception4c: Inception::new(512, 128, [128, 256], [24, 64], 64),
            inception4d: Inception::new(512, 112, [144, 288], [32, 64], 64),
            inception4e: Inception::new(528, 256, [160, 320], [32, 128], 128),
            inception5a: Inception::new(832, 256, [160, 320], [32, 128], 128),
            inception5b: Inception::new(832, 384, [192, 384], [48, 128], 128),
            dropout: Dropout::new(0.2),
            fc: Linear::new(1024, num_classes),
        }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = max_pool2d(self.conv1(x), 3, 2, 0, 1, true);
        let x = max_pool2d(self.conv3(self.conv2(x)), 3, 2, 0, 1, true);
        let x = max_pool2d(self.inception3b(self.inception3a(x)), 3, 2, 0, 1, true);
        let x = self.inception4c(self.inception4b(self.inception4a(x)));
        let x = max_pool2d(self.inception4e(self.inception4d(x)), 2, 2, 0, 1, true);
        let x = adaptive_avg_pool2d(self.inception5b(self.inception5a(x)), (1, 1));
        self.fc(self.dropout(x.flatten(1)))
    }
}

/// `torchvision.models.googlenet` with `aux_logits=False`.
pub fn googlenet(num_classes: usize) -> GoogLeNet {
    GoogLeNet::new(num_classes)
}
