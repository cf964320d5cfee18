//! torchvision's InceptionV3 without its auxiliary head, with its key names (Szegedy et al. 2015,
//! `torchvision.models.inception`).

use qcore::prelude::*;

use super::googlenet::BasicConv2d;

/// Windows of 3x3 and 5x5.
#[quantizable]
#[derive(Debug)]
pub struct InceptionA {
    branch1x1: BasicConv2d,
    branch5x5_1: BasicConv2d,
    branch5x5_2: BasicConv2d,
    branch3x3dbl_1: BasicConv2d,
    branch3x3dbl_2: BasicConv2d,
    branch3x3dbl_3: BasicConv2d,
    branch_pool: BasicConv2d,
}

#[quantizable]
impl InceptionA {
    fn new(in_channels: usize, pool_features: usize) -> Self {
        Self {
            branch1x1: BasicConv2d::new(in_channels, 64, 1),
            branch5x5_1: BasicConv2d::new(in_channels, 48, 1),
            branch5x5_2: padded(48, 64, 5),
            branch3x3dbl_1: BasicConv2d::new(in_channels, 64, 1),
            branch3x3dbl_2: padded(64, 96, 3),
            branch3x3dbl_3: padded(96, 96, 3),
            branch_pool: BasicConv2d::new(in_channels, pool_features, 1),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, 224 + pool_features, H, W]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let five = self.branch5x5_2(self.branch5x5_1(x));
        let three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)));
        let pool = self.branch_pool(avg_pool2d(x, 3, 1, 1));
        cat([self.branch1x1(x), five, three, pool], 1)
    }
}

/// Halves the picture.
#[quantizable]
#[derive(Debug)]
pub struct InceptionB {
    branch3x3: BasicConv2d,
    branch3x3dbl_1: BasicConv2d,
    branch3x3dbl_2: BasicConv2d,
    branch3x3dbl_3: BasicConv2d,
}

#[quantizable]
impl InceptionB {
    fn new(in_channels: usize) -> Self {
        Self {
            branch3x3: halving(in_channels, 384),
            branch3x3dbl_1: BasicConv2d::new(in_channels, 64, 1),
            branch3x3dbl_2: padded(64, 96, 3),
            branch3x3dbl_3: halving(96, 96),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, 480 + in_channels, (H - 1) / 2, (W - 1) / 2]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)));
        cat([self.branch3x3(x), double, max_pool2d(x, 3, 2)], 1)
    }
}

/// Windows of 7x7, as 1x7 and 7x1.
#[quantizable]
#[derive(Debug)]
pub struct InceptionC {
    branch1x1: BasicConv2d,
    branch7x7_1: BasicConv2d,
    branch7x7_2: BasicConv2d,
    branch7x7_3: BasicConv2d,
    branch7x7dbl_1: BasicConv2d,
    branch7x7dbl_2: BasicConv2d,
    branch7x7dbl_3: BasicConv2d,
    branch7x7dbl_4: BasicConv2d,
    branch7x7dbl_5: BasicConv2d,
    branch_pool: BasicConv2d,
}

#[quantizable]
impl InceptionC {
    const IN_CHANNELS: usize = 768;

    fn new(channels_7x7: usize) -> Self {
        let c7 = channels_7x7;
        Self {
            branch1x1: BasicConv2d::new(Self::IN_CHANNELS, 192, 1),
            branch7x7_1: BasicConv2d::new(Self::IN_CHANNELS, c7, 1),
            branch7x7_2: row(c7, c7, 7),
            branch7x7_3: column(c7, 192, 7),
            branch7x7dbl_1: BasicConv2d::new(Self::IN_CHANNELS, c7, 1),
            branch7x7dbl_2: column(c7, c7, 7),
            branch7x7dbl_3: row(c7, c7, 7),
            branch7x7dbl_4: column(c7, c7, 7),
            branch7x7dbl_5: row(c7, 192, 7),
            branch_pool: BasicConv2d::new(Self::IN_CHANNELS, 192, 1),
        }
    }

    /// `[N, 768, H, W]` to `[N, 768, H, W]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)));
        let double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)));
        let double = self.branch7x7dbl_5(self.branch7x7dbl_4(double));
        let pool = self.branch_pool(avg_pool2d(x, 3, 1, 1));
        cat([self.branch1x1(x), seven, double, pool], 1)
    }
}

/// Halves the picture once more.
#[quantizable]
#[derive(Debug)]
pub struct InceptionD {
    branch3x3_1: BasicConv2d,
    branch3x3_2: BasicConv2d,
    branch7x7x3_1: BasicConv2d,
    branch7x7x3_2: BasicConv2d,
    branch7x7x3_3: BasicConv2d,
    branch7x7x3_4: BasicConv2d,
}

#[quantizable]
impl InceptionD {
    fn new(in_channels: usize) -> Self {
        Self {
            branch3x3_1: BasicConv2d::new(in_channels, 192, 1),
            branch3x3_2: halving(192, 320),
            branch7x7x3_1: BasicConv2d::new(in_channels, 192, 1),
            branch7x7x3_2: row(192, 192, 7),
            branch7x7x3_3: column(192, 192, 7),
            branch7x7x3_4: halving(192, 192),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, 512 + in_channels, (H - 1) / 2, (W - 1) / 2]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let three = self.branch3x3_2(self.branch3x3_1(x));
        let seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)));
        cat([three, self.branch7x7x3_4(seven), max_pool2d(x, 3, 2)], 1)
    }
}

/// Windows of 3x3 that end in 1x3 and 3x1, side by side.
#[quantizable]
#[derive(Debug)]
pub struct InceptionE {
    branch1x1: BasicConv2d,
    branch3x3_1: BasicConv2d,
    branch3x3_2a: BasicConv2d,
    branch3x3_2b: BasicConv2d,
    branch3x3dbl_1: BasicConv2d,
    branch3x3dbl_2: BasicConv2d,
    branch3x3dbl_3a: BasicConv2d,
    branch3x3dbl_3b: BasicConv2d,
    branch_pool: BasicConv2d,
}

#[quantizable]
impl InceptionE {
    fn new(in_channels: usize) -> Self {
        Self {
            branch1x1: BasicConv2d::new(in_channels, 320, 1),
            branch3x3_1: BasicConv2d::new(in_channels, 384, 1),
            branch3x3_2a: row(384, 384, 3),
            branch3x3_2b: column(384, 384, 3),
            branch3x3dbl_1: BasicConv2d::new(in_channels, 448, 1),
            branch3x3dbl_2: padded(448, 384, 3),
            branch3x3dbl_3a: row(384, 384, 3),
            branch3x3dbl_3b: column(384, 384, 3),
            branch_pool: BasicConv2d::new(in_channels, 192, 1),
        }
    }

    /// `[N, in_channels, H, W]` to `[N, 2048, H, W]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let three = self.branch3x3_1(x);
        let three = cat([self.branch3x3_2a(three), self.branch3x3_2b(three)], 1);
        let double = self.branch3x3dbl_2(self.branch3x3dbl_1(x));
        let double = cat([self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)], 1);
        let pool = self.branch_pool(avg_pool2d(x, 3, 1, 1));
        cat([self.branch1x1(x), three, double, pool], 1)
    }
}

/// A square window that keeps the picture's size.
fn padded(in_channels: usize, out_channels: usize, kernel: usize) -> BasicConv2d {
    BasicConv2d::from(Conv2d::new(in_channels, out_channels, kernel).padding(kernel / 2), out_channels)
}

/// A 3x3 window at every second place.
fn halving(in_channels: usize, out_channels: usize) -> BasicConv2d {
    BasicConv2d::from(Conv2d::new(in_channels, out_channels, 3).stride(2), out_channels)
}

/// A window of one row.
fn row(in_channels: usize, out_channels: usize, width: usize) -> BasicConv2d {
    let conv = Conv2d::new(in_channels, out_channels, (1, width)).padding((0, width / 2));
    BasicConv2d::from(conv, out_channels)
}

/// A window of one column.
fn column(in_channels: usize, out_channels: usize, height: usize) -> BasicConv2d {
    let conv = Conv2d::new(in_channels, out_channels, (height, 1)).padding((height / 2, 0));
    BasicConv2d::from(conv, out_channels)
}

/// A network of inception modules for pictures of 299x299.
#[quantizable]
pub struct InceptionV3 {
    #[quantizable(rename = "Conv2d_1a_3x3")]
    conv2d_1a_3x3: BasicConv2d,
    #[quantizable(rename = "Conv2d_2a_3x3")]
    conv2d_2a_3x3: BasicConv2d,
    #[quantizable(rename = "Conv2d_2b_3x3")]
    conv2d_2b_3x3: BasicConv2d,
    #[quantizable(rename = "Conv2d_3b_1x1")]
    conv2d_3b_1x1: BasicConv2d,
    #[quantizable(rename = "Conv2d_4a_3x3")]
    conv2d_4a_3x3: BasicConv2d,
    #[quantizable(rename = "Mixed_5b")]
    mixed_5b: InceptionA,
    #[quantizable(rename = "Mixed_5c")]
    mixed_5c: InceptionA,
    #[quantizable(rename = "Mixed_5d")]
    mixed_5d: InceptionA,
    #[quantizable(rename = "Mixed_6a")]
    mixed_6a: InceptionB,
    #[quantizable(rename = "Mixed_6b")]
    mixed_6b: InceptionC,
    #[quantizable(rename = "Mixed_6c")]
    mixed_6c: InceptionC,
    #[quantizable(rename = "Mixed_6d")]
    mixed_6d: InceptionC,
    #[quantizable(rename = "Mixed_6e")]
    mixed_6e: InceptionC,
    #[quantizable(rename = "Mixed_7a")]
    mixed_7a: InceptionD,
    #[quantizable(rename = "Mixed_7b")]
    mixed_7b: InceptionE,
    #[quantizable(rename = "Mixed_7c")]
    mixed_7c: InceptionE,
    dropout: Dropout,
    fc: Linear,
}

#[quantizable]
impl InceptionV3 {
    /// The network as it is published.
    pub fn new(num_classes: usize) -> Self {
        Self {
            conv2d_1a_3x3: halving(3, 32),
            conv2d_2a_3x3: BasicConv2d::new(32, 32, 3),
            conv2d_2b_3x3: padded(32, 64, 3),
            conv2d_3b_1x1: BasicConv2d::new(64, 80, 1),
            conv2d_4a_3x3: BasicConv2d::new(80, 192, 3),
            mixed_5b: InceptionA::new(192, 32),
            mixed_5c: InceptionA::new(256, 64),
            mixed_5d: InceptionA::new(288, 64),
            mixed_6a: InceptionB::new(288),
            mixed_6b: InceptionC::new(128),
            mixed_6c: InceptionC::new(160),
            mixed_6d: InceptionC::new(160),
            mixed_6e: InceptionC::new(192),
            mixed_7a: InceptionD::new(768),
            mixed_7b: InceptionE::new(1280),
            mixed_7c: InceptionE::new(2048),
            dropout: Dropout::new(0.5),
            fc: Linear::new(2048, num_classes),
        }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`; `H` and `W` are at least 75.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = self.conv2d_2b_3x3(self.conv2d_2a_3x3(self.conv2d_1a_3x3(x)));
        let x = self.conv2d_4a_3x3(self.conv2d_3b_1x1(max_pool2d(x, 3, 2)));
        let x = self.mixed_5d(self.mixed_5c(self.mixed_5b(max_pool2d(x, 3, 2))));
        let x = self.mixed_6c(self.mixed_6b(self.mixed_6a(x)));
        let x = self.mixed_7a(self.mixed_6e(self.mixed_6d(x)));
        let x = adaptive_avg_pool2d(self.mixed_7c(self.mixed_7b(x)), (1, 1));
        self.fc(self.dropout(x).flatten(1))
    }
}

/// `torchvision.models.inception_v3` with `aux_logits=False`.
pub fn inception_v3(num_classes: usize) -> InceptionV3 {
    InceptionV3::new(num_classes)
}
