//! torchvision's VGG16, with its key names (Simonyan and Zisserman 2014, `torchvision.models.vgg`).

use qcore::prelude::*;

/// Thirteen 3x3 convolutions and three large linear layers.
#[quantizable]
pub struct Vgg16 {
    features: Sequential<(
        Conv2d,
        ReLU,
        Conv2d,
        ReLU,
        MaxPool2d,
        Conv2d,
        ReLU,
        Conv2d,
        ReLU,
        MaxPool2d,
        Conv2d,
        ReLU,
        Conv2d,
        ReLU,
        Conv2d,
        ReLU,
        MaxPool2d,
        Conv2d,
        ReLU,
        Conv2d,
        ReLU,
        Conv2d,
        ReLU,
        MaxPool2d,
        Conv2d,
        ReLU,
        Conv2d,
        ReLU,
        Conv2d,
        ReLU,
        MaxPool2d,
    )>,
    classifier: Sequential<(Linear, ReLU, Dropout, Linear, ReLU, Dropout, Linear)>,
}

#[quantizable]
impl Vgg16 {
    /// A network whose classifier has `hidden` features; torchvision's has 4096.
    pub fn new(hidden: usize, num_classes: usize) -> Self {
        Self {
            features: Sequential((
                conv3x3(3, 64),
                ReLU,
                conv3x3(64, 64),
                ReLU,
                MaxPool2d::new(2),
                conv3x3(64, 128),
                ReLU,
                conv3x3(128, 128),
                ReLU,
                MaxPool2d::new(2),
                conv3x3(128, 256),
                ReLU,
                conv3x3(256, 256),
                ReLU,
                conv3x3(256, 256),
                ReLU,
                MaxPool2d::new(2),
                conv3x3(256, 512),
                ReLU,
                conv3x3(512, 512),
                ReLU,
                conv3x3(512, 512),
                ReLU,
                MaxPool2d::new(2),
                conv3x3(512, 512),
                ReLU,
                conv3x3(512, 512),
                ReLU,
                conv3x3(512, 512),
                ReLU,
                MaxPool2d::new(2),
            )),
            classifier: Sequential((
                Linear::new(512 * 7 * 7, hidden),
                ReLU,
                Dropout::new(0.5),
                Linear::new(hidden, hidden),
                ReLU,
                Dropout::new(0.5),
                Linear::new(hidden, num_classes),
            )),
        }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = self.features(x);
        self.classifier(adaptive_avg_pool2d(x, (7, 7)).flatten(1))
    }
}

fn conv3x3(in_channels: usize, out_channels: usize) -> Conv2d {
    Conv2d::new(in_channels, out_channels, 3).padding(1)
}

/// `torchvision.models.vgg16`.
pub fn vgg16(num_classes: usize) -> Vgg16 {
    Vgg16::new(4096, num_classes)
}
