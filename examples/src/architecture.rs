//! `Architecture`: torchvision's networks by name, for programs that let the user choose one.

use std::fmt;

use anyhow::{Context, Result};
use clap::ValueEnum;
use qcore::StateDict;

/// The architectures, by torchvision's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Architecture {
    Resnet18,
    Resnet34,
    Resnet50,
    MobilenetV2,
    Vgg16,
}

impl Architecture {
    /// The name, as in `torchvision.models`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Resnet18 => "resnet18",
            Self::Resnet34 => "resnet34",
            Self::Resnet50 => "resnet50",
            Self::MobilenetV2 => "mobilenet_v2",
            Self::Vgg16 => "vgg16",
        }
    }

    /// The key of the last layer's weight `[num_classes, features]`.
    fn classifier(self) -> &'static str {
        match self {
            Self::Resnet18 | Self::Resnet34 | Self::Resnet50 => "fc.weight",
            Self::MobilenetV2 => "classifier.1.weight",
            Self::Vgg16 => "classifier.6.weight",
        }
    }

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

/// Runs `$body` with `$new` bound to the constructor of an architecture, which takes the number of classes.
///
/// The constructors differ in their type, so `$body` is compiled for each.
#[macro_export]
macro_rules! with_architecture {
    ($architecture:expr, $new:ident => $body:expr) => {
        match $architecture {
            $crate::architecture::Architecture::Resnet18 => {
                let $new = $crate::models::resnet::resnet18;
                $body
            }
            $crate::architecture::Architecture::Resnet34 => {
                let $new = $crate::models::resnet::resnet34;
                $body
            }
            $crate::architecture::Architecture::Resnet50 => {
                let $new = $crate::models::resnet::resnet50;
                $body
            }
            $crate::architecture::Architecture::MobilenetV2 => {
                let $new = $crate::models::mobilenet_v2::mobilenet_v2;
                $body
            }
            $crate::architecture::Architecture::Vgg16 => {
                let $new = $crate::models::vgg::vgg16;
                $body
            }
        }
    };
}
