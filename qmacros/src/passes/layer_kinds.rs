//! What the passes know of each layer: its names and where its output's scale comes from.

use crate::catalogue::OutputRule;
use crate::ir::LayerKind;

impl LayerKind {
    /// The type's name, `Conv2d`, which is also its name in a `QConfigMapping`.
    pub fn type_name(self) -> &'static str {
        self.facts().0
    }

    /// The name of the function that does the same, `conv2d`.
    pub fn function_name(self) -> &'static str {
        self.facts().1
    }

    /// Where the scale of its output comes from.
    pub fn output_rule(self) -> OutputRule {
        self.facts().2
    }

    fn facts(self) -> (&'static str, &'static str, OutputRule) {
        use OutputRule::{Observed, SameAsInput, ShapeOnly};
        match self {
            Self::Conv1d => ("Conv1d", "conv1d", Observed),
            Self::Conv2d => ("Conv2d", "conv2d", Observed),
            Self::Conv3d => ("Conv3d", "conv3d", Observed),
            Self::ConvTranspose1d => ("ConvTranspose1d", "conv_transpose1d", Observed),
            Self::ConvTranspose2d => ("ConvTranspose2d", "conv_transpose2d", Observed),
            Self::ConvTranspose3d => ("ConvTranspose3d", "conv_transpose3d", Observed),
            Self::Linear => ("Linear", "linear", Observed),
            Self::BatchNorm1d => ("BatchNorm1d", "batch_norm1d", Observed),
            Self::BatchNorm2d => ("BatchNorm2d", "batch_norm2d", Observed),
            Self::BatchNorm3d => ("BatchNorm3d", "batch_norm3d", Observed),
            Self::ReLU => ("ReLU", "relu", SameAsInput),
            Self::ReLU6 => ("ReLU6", "relu6", SameAsInput),
            Self::MaxPool2d => ("MaxPool2d", "max_pool2d", SameAsInput),
            Self::AvgPool2d => ("AvgPool2d", "avg_pool2d", SameAsInput),
            Self::AdaptiveAvgPool2d => ("AdaptiveAvgPool2d", "adaptive_avg_pool2d", SameAsInput),
            Self::Flatten => ("Flatten", "flatten", ShapeOnly),
            Self::Dropout => ("Dropout", "dropout", SameAsInput),
            Self::Identity => ("Identity", "identity", ShapeOnly),
        }
    }
}
