//! `Architecture`: torchvision's networks by name, for programs that let the user choose one.

use std::fmt;

use anyhow::{Context, Result};
use clap::ValueEnum;
use qcore::StateDict;

/// Defines the architectures: torchvision's name, the module that has the constructor of that name, and the layer that
/// tells the classes apart.
macro_rules! architectures {
    ($dollar:tt; $($variant:ident $name:ident in $module:ident, $classifier:literal;)+) => {
        /// The architectures, by torchvision's names.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
        #[expect(missing_docs, reason = "the names say it")]
        pub enum Architecture {
            $(#[value(name = stringify!($name))] $variant,)+
        }

        impl Architecture {
            /// The name, as in `torchvision.models`.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => stringify!($name),)+
                }
            }

            /// The key of the last layer's weight `[num_classes, features]`.
            fn classifier(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!($classifier, ".weight"),)+
                }
            }
        }

        /// Runs `$body` with `$new` bound to the constructor of an architecture, which takes the number of classes.
        ///
        /// The constructors differ in their type, so `$body` is compiled for each.
        #[macro_export]
        macro_rules! with_architecture {
            ($dollar architecture:expr, $dollar new:ident => $dollar body:expr) => {
                match $dollar architecture {
                    $($dollar crate::architecture::Architecture::$variant => {
                        let $dollar new = $dollar crate::models::$module::$name;
                        $dollar body
                    })+
                }
            };
        }
    };
}

architectures! {
    $;
    Resnet18 resnet18 in resnet, "fc";
    Resnet34 resnet34 in resnet, "fc";
    Resnet50 resnet50 in resnet, "fc";
    Resnext50_32x4d resnext50_32x4d in resnet, "fc";
    Resnext101_32x8d resnext101_32x8d in resnet, "fc";
    Resnext101_64x4d resnext101_64x4d in resnet, "fc";
    MobilenetV2 mobilenet_v2 in mobilenet_v2, "classifier.1";
    MobilenetV3Large mobilenet_v3_large in mobilenet_v3, "classifier.3";
    MobilenetV3Small mobilenet_v3_small in mobilenet_v3, "classifier.3";
    ShufflenetV2X0_5 shufflenet_v2_x0_5 in shufflenet_v2, "fc";
    ShufflenetV2X1_0 shufflenet_v2_x1_0 in shufflenet_v2, "fc";
    ShufflenetV2X1_5 shufflenet_v2_x1_5 in shufflenet_v2, "fc";
    ShufflenetV2X2_0 shufflenet_v2_x2_0 in shufflenet_v2, "fc";
    EfficientnetB0 efficientnet_b0 in efficientnet, "classifier.1";
    Googlenet googlenet in googlenet, "fc";
    InceptionV3 inception_v3 in inception, "fc";
    Vgg11 vgg11 in vgg, "classifier.6";
    Vgg11Bn vgg11_bn in vgg, "classifier.6";
    Vgg13 vgg13 in vgg, "classifier.6";
    Vgg13Bn vgg13_bn in vgg, "classifier.6";
    Vgg16 vgg16 in vgg, "classifier.6";
    Vgg16Bn vgg16_bn in vgg, "classifier.6";
    Vgg19 vgg19 in vgg, "classifier.6";
    Vgg19Bn vgg19_bn in vgg, "classifier.6";
}

impl Architecture {
    /// How many classes a checkpoint of this architecture tells apart.
    pub fn num_classes(self, weights: &StateDict) -> Result<usize> {
        let key = self.classifier();
        let shapes = weights.shapes();
        let shape =
            shapes.get(key).with_context(|| format!("no `{key}`, so these are no weights of {self}"))?;
        shape.first().copied().with_context(|| format!("`{key}` has no dimensions"))
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
