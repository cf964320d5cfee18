//! The sizes of 2-d pools, with a fixed or an adaptive window.

use std::ops::Deref;

use super::reach::{self, Axis};
use super::window::Window;
use crate::error::{Error, Result};
use crate::length::product;

/// The sizes of a 2-d pool, in PyTorch's terms; pairs are `[height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool2dParameters {
    /// Images, N.
    pub batch: usize,
    /// Channels, C.
    pub channels: usize,
    /// Rows of the input, H.
    pub height: usize,
    /// Columns of the input, W.
    pub width: usize,
    /// Window size.
    pub kernel: [usize; 2],
    /// Distance between two windows.
    pub stride: [usize; 2],
    /// Padding on each side, at most half the window.
    pub padding: [usize; 2],
    /// Distance between two taps; only max pools may use another than 1.
    pub dilation: [usize; 2],
    /// Round the output size up, but drop a last window that starts in the right padding.
    pub ceil_mode: bool,
}

/// A 2-d pool whose sizes fit together; dereferences to its [`Pool2dParameters`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Pool2dGeometry {
    parameters: Pool2dParameters,
    output: [usize; 2],
    input_len: usize,
    output_len: usize,
}

impl Pool2dGeometry {
    /// Checks the sizes and computes those of the output.
    ///
    /// # Errors
    /// If a size other than the batch is zero, the padding is more than half the window, the
    /// output would have no pixel, or a tensor or an offset within it is too large to address.
    pub fn new(parameters: Pool2dParameters) -> Result<Self> {
        let p = &parameters;
        if p.channels == 0 {
            return Err(Error::geometry("channels must not be zero"));
        }
        let axes = [("height", p.height, 0), ("width", p.width, 1)].map(|(name, size, axis)| Axis {
            name,
            size,
            kernel: p.kernel[axis],
            stride: p.stride[axis],
            padding: p.padding[axis],
            dilation: p.dilation[axis],
        });
        reach::check(axes, p.channels)?;
        let [height, width] = [output_size(axes[0], p.ceil_mode)?, output_size(axes[1], p.ceil_mode)?];
        Ok(Self {
            output: [height, width],
            input_len: product("input", &[p.batch, p.height, p.width, p.channels])?,
            output_len: product("output", &[p.batch, height, width, p.channels])?,
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

    /// The input coordinate under `tap` of output `position`, or `None` in the padding.
    #[inline(always)]
    pub(crate) fn source(&self, axis: usize, position: usize, tap: usize) -> Option<usize> {
        let padded = position * self.stride[axis] + tap * self.dilation[axis];
        let size = if axis == 0 { self.height } else { self.width };
        padded.checked_sub(self.padding[axis]).filter(|&coordinate| coordinate < size)
    }

    /// The first input coordinate under the taps of output `position`, and how many taps are inside.
    #[inline(always)]
    pub(crate) fn taps(&self, axis: usize, position: usize) -> (usize, usize) {
        let size = if axis == 0 { self.height } else { self.width };
        let dilation = self.dilation[axis];
        let start = position * self.stride[axis];
        let skipped = self.padding[axis].saturating_sub(start).div_ceil(dilation);
        let first = start + skipped * dilation - self.padding[axis];
        let inside = size.saturating_sub(first).div_ceil(dilation);
        (first, inside.min(self.kernel[axis].saturating_sub(skipped)))
    }

    /// The window of an average pool along an axis, which is not dilated.
    #[inline(always)]
    pub(crate) fn average_window(&self, axis: usize, position: usize) -> Window {
        let size = if axis == 0 { self.height } else { self.width };
        Window::pooled(position, size, self.kernel[axis], self.stride[axis], self.padding[axis])
    }

    /// `Ok` if an average pool may have this geometry, which has no dilation.
    pub(crate) fn check_average(&self) -> Result<()> {
        if self.dilation == [1, 1] { Ok(()) } else { Err(Error::geometry("average pools have no dilation")) }
    }
}

impl Deref for Pool2dGeometry {
    type Target = Pool2dParameters;

    fn deref(&self) -> &Pool2dParameters {
        &self.parameters
    }
}

fn output_size(axis: Axis, ceil_mode: bool) -> Result<usize> {
    let Axis { name, size, kernel, stride, padding, .. } = axis;
    if padding > kernel / 2 {
        return Err(Error::geometry(format!(
            "padding {padding} of the {name} is more than half of kernel {kernel}"
        )));
    }
    let (padded, extent) = (axis.padded(), axis.extent());
    let round_up = if ceil_mode { stride - 1 } else { 0 };
    let Some(room) = (padded + round_up).checked_sub(extent) else {
        return Err(Error::geometry(format!(
            "the output would have no pixel: the window covers {extent} of the {name}, the padded input has {padded}"
        )));
    };
    let output = room / stride + 1;
    let last_starts_in_padding = (output - 1) * stride >= size + padding;
    Ok(if ceil_mode && last_starts_in_padding { output - 1 } else { output })
}

/// The sizes of an adaptive 2-d pool: the window follows from the output size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AdaptivePool2dGeometry {
    batch: usize,
    channels: usize,
    input: [usize; 2],
    output: [usize; 2],
    input_len: usize,
    output_len: usize,
}

impl AdaptivePool2dGeometry {
    /// `batch` images of `channels` channels, from `input` `[H, W]` to `output` `[OH, OW]`.
    ///
    /// # Errors
    /// If a size other than the batch is zero, or a tensor is too large to address.
    pub fn new(batch: usize, channels: usize, input: [usize; 2], output: [usize; 2]) -> Result<Self> {
        if channels == 0 || input.contains(&0) || output.contains(&0) {
            return Err(Error::geometry(format!(
                "channels {channels}, input {input:?} and output {output:?} must not be zero"
            )));
        }
        Ok(Self {
            batch,
            channels,
            input,
            output,
            input_len: product("input", &[batch, input[0], input[1], channels])?,
            output_len: product("output", &[batch, output[0], output[1], channels])?,
        })
    }

    /// Images, N.
    pub fn batch(&self) -> usize {
        self.batch
    }

    /// Channels, C.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// `[H, W]` of the input.
    pub fn input(&self) -> [usize; 2] {
        self.input
    }

    /// `[H, W]` of the output.
    pub fn output(&self) -> [usize; 2] {
        self.output
    }

    /// Elements of the input.
    pub fn input_len(&self) -> usize {
        self.input_len
    }

    /// Elements of the output.
    pub fn output_len(&self) -> usize {
        self.output_len
    }

    /// Whether both output sizes divide the input's, so that all windows are equal.
    pub fn divides(&self) -> bool {
        (0..2).all(|axis| self.input[axis].is_multiple_of(self.output[axis]))
    }

    #[inline(always)]
    pub(crate) fn average_window(&self, axis: usize, position: usize) -> Window {
        Window::adaptive(position, self.input[axis], self.output[axis])
    }
}
