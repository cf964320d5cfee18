//! torchvision's VGG networks, with their key names (Simonyan and Zisserman 2014, `torchvision.models.vgg`).

use qcore::prelude::*;

/// A layer of the features, which torchvision numbers one after the other.
#[quantizable]
#[expect(missing_docs, reason = "the names say it")]
pub enum Feature {
    Conv(Conv2d),
    Norm(BatchNorm2d),
    Relu(ReLU),
    Pool(MaxPool2d),
}

/// Five stages of 3x3 convolutions, and three large linear layers.
#[quantizable]
pub struct Vgg {
    features: Vec<Feature>,
    classifier: Sequential<(Linear, ReLU, Dropout, Linear, ReLU, Dropout, Linear)>,
}

/// The output channels of each stage's convolutions.
const CHANNELS: [usize; 5] = [64, 128, 256, 512, 512];

#[quantizable]
impl Vgg {
    /// A network with so many convolutions in each stage, and a batch norm behind each if wanted, whose classifier has
    /// `hidden` features; torchvision's has 4096.
    pub fn new(convolutions: [usize; 5], has_norms: bool, hidden: usize, num_classes: usize) -> Self {
        let mut features = Vec::new();
        let mut in_channels = 3;
        for (count, out_channels) in convolutions.into_iter().zip(CHANNELS) {
            for _ in 0..count {
                features.push(Feature::Conv(Conv2d::new(in_channels, out_channels, 3).padding(1)));
                if has_norms {
                    features.push(Feature::Norm(BatchNorm2d::new(out_channels)));
                }
                features.push(Feature::Relu(ReLU));
                in_channels = out_channels;
            }
            features.push(Feature::Pool(MaxPool2d::new(2)));
        }
        let classifier = Sequential((
            Linear::new(512 * 7 * 7, hidden),
            ReLU,
            Dropout::new(0.5),
            Linear::new(hidden, hidden),
            ReLU,
            Dropout::new(0.5),
            Linear::new(hidden, num_classes),
        ));
        Self { features, classifier }
    }

    /// `[N, 3, H, W]` to `[N, num_classes]`.
    pub fn forward(&self, x: Tensor) -> Tensor {
        let x = self.features(x);
        self.classifier(adaptive_avg_pool2d(x, (7, 7)).flatten(1))
    }
}

/// Defines the constructors of an architecture, without and with batch norms.
macro_rules! constructors {
    ($($name:ident $with_norms:ident $convolutions:expr;)+) => {$(
        #[doc = concat!("`torchvision.models.", stringify!($name), "`.")]
        pub fn $name(num_classes: usize) -> Vgg {
            Vgg::new($convolutions, false, 4096, num_classes)
        }

        #[doc = concat!("`torchvision.models.", stringify!($with_norms), "`.")]
        pub fn $with_norms(num_classes: usize) -> Vgg {
            Vgg::new($convolutions, true, 4096, num_classes)
        }
    )+};
}

constructors! {
    vgg11 vgg11_bn [1, 1, 2, 2, 2];
    vgg13 vgg13_bn [2, 2, 2, 2, 2];
    vgg16 vgg16_bn [2, 2, 3, 3, 3];
    vgg19 vgg19_bn [2, 2, 4, 4, 4];
}
