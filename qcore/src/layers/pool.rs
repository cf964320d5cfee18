//! `MaxPool2d`, `AvgPool2d` and `AdaptiveAvgPool2d` as layers.

use super::layer_without_parameters;
use crate::{Pair, Result, op};

/// The largest value of each window: `[N, C, H, W]` to `[N, C, OH, OW]`.
///
/// Used with a size of 0, or padding of more than half the window, it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxPool2d {
    kernel_size: Pair,
    stride: Option<Pair>,
    padding: Pair,
    dilation: Pair,
    ceil_mode: bool,
}

impl MaxPool2d {
    /// Windows of this size, side by side.
    pub fn new(kernel_size: impl Into<Pair>) -> Self {
        Self {
            kernel_size: kernel_size.into(),
            stride: None,
            padding: Pair::from(0),
            dilation: Pair::from(1),
            ceil_mode: false,
        }
    }

    /// The distance between two windows; the kernel size if not set.
    #[must_use]
    pub fn stride(self, stride: impl Into<Pair>) -> Self {
        Self { stride: Some(stride.into()), ..self }
    }

    /// The padding on each side, which never wins; 0 if not set.
    #[must_use]
    pub fn padding(self, padding: impl Into<Pair>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// The distance between two values of a window; 1 if not set.
    #[must_use]
    pub fn dilation(self, dilation: impl Into<Pair>) -> Self {
        Self { dilation: dilation.into(), ..self }
    }

    /// Whether the output size is rounded up; false if not set.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    fn operation(self) -> Result<op::MaxPool2d> {
        let Self { kernel_size, stride, padding, dilation, ceil_mode } = self;
        op::max_pool2d(kernel_size, stride, Some(padding), Some(dilation), Some(ceil_mode))
    }
}

layer_without_parameters!(MaxPool2d, "MaxPool2d", op::MaxPool2d);

/// The mean of each window: `[N, C, H, W]` to `[N, C, OH, OW]`.
///
/// Used with a size of 0, or padding of more than half the window, it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AvgPool2d {
    kernel_size: Pair,
    stride: Option<Pair>,
    padding: Pair,
    ceil_mode: bool,
    count_include_pad: bool,
}

impl AvgPool2d {
    /// Windows of this size, side by side.
    pub fn new(kernel_size: impl Into<Pair>) -> Self {
        Self {
            kernel_size: kernel_size.into(),
            stride: None,
            padding: Pair::from(0),
            ceil_mode: false,
            count_include_pad: true,
        }
    }

    /// The distance between two windows; the kernel size if not set.
    #[must_use]
    pub fn stride(self, stride: impl Into<Pair>) -> Self {
        Self { stride: Some(stride.into()), ..self }
    }

    /// The zeros on each side; 0 if not set.
    #[must_use]
    pub fn padding(self, padding: impl Into<Pair>) -> Self {
        Self { padding: padding.into(), ..self }
    }

    /// Whether the output size is rounded up; false if not set.
    #[must_use]
    pub fn ceil_mode(self, ceil_mode: bool) -> Self {
        Self { ceil_mode, ..self }
    }

    /// Whether padding counts as values; true if not set.
    #[must_use]
    pub fn count_include_pad(self, count_include_pad: bool) -> Self {
        Self { count_include_pad, ..self }
    }

    fn operation(self) -> Result<op::AvgPool2d> {
        let Self { kernel_size, stride, padding, ceil_mode, count_include_pad } = self;
        op::avg_pool2d(kernel_size, stride, Some(padding), Some(ceil_mode), Some(count_include_pad))
    }
}

layer_without_parameters!(AvgPool2d, "AvgPool2d", op::AvgPool2d);

/// Means over windows that follow from the output size: `[N, C, H, W]` to `[N, C, OH, OW]`.
///
/// Used with an output size of 0 it gives an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdaptiveAvgPool2d {
    output_size: Pair,
}

impl AdaptiveAvgPool2d {
    /// A pool to images of this size.
    pub fn new(output_size: impl Into<Pair>) -> Self {
        Self { output_size: output_size.into() }
    }

    fn operation(self) -> Result<op::AdaptiveAvgPool2d> {
        op::adaptive_avg_pool2d(self.output_size)
    }
}

layer_without_parameters!(AdaptiveAvgPool2d, "AdaptiveAvgPool2d", op::AdaptiveAvgPool2d);
