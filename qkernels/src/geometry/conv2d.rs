//! The sizes of a 2-d convolution.

use std::ops::Deref;

use super::reach::{self, Axis};
use crate::error::{Error, Result};
use crate::length::product;

/// The sizes of a 2-d convolution, in PyTorch's terms; pairs are `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dParameters {
    /// Images, N.
    pub batch: usize,
    /// Channels of the input, C.
    pub in_channels: usize,
    /// Rows of the input, H.
    pub height: usize,
    /// Columns of the input, W.
    pub width: usize,
    /// Channels of the output, O.
    pub out_channels: usize,
    /// Filter size.
    pub kernel: [usize; 2],
    /// Distance between two windows.
    pub stride: [usize; 2],
    /// Zeros added on each side of the input.
    pub padding: [usize; 2],
    /// Distance between two filter taps.
    pub dilation: [usize; 2],
    /// Blocked connections: each group maps `C / groups` to `O / groups` channels.
    pub groups: usize,
}

/// A 2-d convolution whose sizes fit together; dereferences to its [`Conv2dParameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv2dGeometry {
    parameters: Conv2dParameters,
    output: [usize; 2],
    input_len: usize,
    output_len: usize,
}

impl Conv2dGeometry {
    /// Checks the sizes and computes those of the output.
    ///
    /// # Errors
    /// If a size other than the batch is zero, the groups do not divide the channels, the output
    /// would have no pixel, or a tensor or an offset within it is too large to address.
    pub fn new(parameters: Conv2dParameters) -> Result<Self> {
        let p = &parameters;
        let groups = p.groups;
        check_channels(p.in_channels, p.out_channels, groups)?;
        let axes = [("height", p.height, 0), ("width", p.width, 1)].map(|(name, size, axis)| Axis {
            name,
            size,
            kernel: p.kernel[axis],
            stride: p.stride[axis],
            padding: p.padding[axis],
            dilation: p.dilation[axis],
        });
        reach::check(axes, p.in_channels)?;
        let [output_height, output_width] = [output_size(axes[0])?, output_size(axes[1])?];
        product("weight", &[p.out_channels, p.in_channels / groups, p.kernel[0], p.kernel[1]])?;
        Ok(Self {
            output: [output_height, output_width],
            input_len: product("input", &[p.batch, p.height, p.width, p.in_channels])?,
            output_len: product("output", &[p.batch, output_height, output_width, p.out_channels])?,
            parameters,
        })
    }

    /// Rows of the output.
    pub fn output_height(&self) -> usize {
        self.output[0]
    }

    /// Columns of the output.
    pub fn output_width(&self) -> usize {
        self.output[1]
    }

    /// Elements of the input, `N * C * H * W`.
    pub fn input_len(&self) -> usize {
        self.input_len
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.output_len
    }

    /// Elements of the weight, `O * (C / groups) * KH * KW`.
    pub fn weight_len(&self) -> usize {
        self.out_channels * self.depth()
    }

    /// Products summed in one output element, `(C / groups) * KH * KW`.
    pub(crate) fn depth(&self) -> usize {
        self.in_channels / self.groups * self.kernel[0] * self.kernel[1]
    }

    /// Output pixels of the whole batch.
    pub(crate) fn pixels(&self) -> usize {
        self.output_len / self.out_channels
    }

    /// Products that one convolution adds up.
    pub fn multiply_accumulates(&self) -> u64 {
        self.work() as u64
    }

    /// [`Self::multiply_accumulates`], or `usize::MAX` if they are more than that.
    pub(crate) fn work(&self) -> usize {
        self.output_len.saturating_mul(self.depth())
    }

    /// Whether each group holds a single input channel, so that channels never mix.
    pub fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.groups == self.in_channels
    }

    /// Whether the input pixels, in order, are the rows of the matrix product.
    pub(crate) fn is_pointwise(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// The input coordinate under `tap` of output `position`, or `None` in the padding.
    #[inline(always)]
    pub(crate) fn source(&self, axis: usize, position: usize, tap: usize) -> Option<usize> {
        // Neither product nor sum overflows: the constructor has computed what is larger.
        let padded = position * self.stride[axis] + tap * self.dilation[axis];
        let size = if axis == 0 { self.height } else { self.width };
        padded.checked_sub(self.padding[axis]).filter(|&coordinate| coordinate < size)
    }
}

impl Deref for Conv2dGeometry {
    type Target = Conv2dParameters;

    fn deref(&self) -> &Conv2dParameters {
        &self.parameters
    }
}

/// # Errors
/// If the groups do not divide the channels, or there are none.
pub(super) fn check_channels(in_channels: usize, out_channels: usize, groups: usize) -> Result<()> {
    let fits = |channels: usize| channels > 0 && groups > 0 && channels.is_multiple_of(groups);
    if fits(in_channels) && fits(out_channels) {
        return Ok(());
    }
    Err(Error::geometry(format!(
        "in_channels {in_channels} and out_channels {out_channels} must be positive multiples of groups {groups}"
    )))
}

pub(super) fn output_size(axis: Axis) -> Result<usize> {
    let (name, padded, extent) = (axis.name, axis.padded(), axis.extent());
    match padded.checked_sub(extent) {
        Some(room) => Ok(room / axis.stride + 1),
        None => Err(Error::geometry(format!(
            "the output would have no pixel: the filter covers {extent} of the {name}, the padded input has {padded}"
        ))),
    }
}
