//! The sizes of a 3-d convolution, which is a 2-d one of images that are gathered from several depths.

use std::ops::Deref;

use super::conv2d::{self, Conv2dGeometry, Conv2dParameters};
use super::reach::Axis;
use crate::error::Result;
use crate::length::product;

/// The sizes of a 3-d convolution, in PyTorch's terms; triples are `[depth, height, width]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv3dParameters {
    /// Videos, N.
    pub batch: usize,
    /// Channels of the input, C.
    pub in_channels: usize,
    /// Extents of the input, `[D, H, W]`.
    pub size: [usize; 3],
    /// Channels of the output, O.
    pub out_channels: usize,
    /// Filter size.
    pub kernel: [usize; 3],
    /// Distance between two windows.
    pub stride: [usize; 3],
    /// Zeros added on each side of the input.
    pub padding: [usize; 3],
    /// Distance between two filter taps.
    pub dilation: [usize; 3],
    /// Blocked connections: each group maps `C / groups` to `O / groups` channels.
    pub groups: usize,
}

/// A 3-d convolution whose sizes fit together; dereferences to its [`Conv3dParameters`].
///
/// For each depth of the output, the planes that the filter's `KD` depths see are the channels of one image: what is left
/// is a 2-d convolution of `N * OD` images with `KD * C` channels. 1-d and 2-d convolutions have a depth of 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conv3dGeometry {
    parameters: Conv3dParameters,
    output_depth: usize,
    images: Conv2dGeometry,
    input_len: usize,
}

impl Conv3dGeometry {
    /// Checks the sizes and computes those of the output.
    ///
    /// # Errors
    /// As for [`Conv2dGeometry::new`].
    pub fn new(parameters: Conv3dParameters) -> Result<Self> {
        let p = &parameters;
        conv2d::check_channels(p.in_channels, p.out_channels, p.groups)?;
        let depth = Axis {
            name: "depth",
            size: p.size[0],
            kernel: p.kernel[0],
            stride: p.stride[0],
            padding: p.padding[0],
            dilation: p.dilation[0],
        };
        depth.reach()?;
        let output_depth = conv2d::output_size(depth)?;
        let [_, height, width] = p.size;
        let images = Conv2dGeometry::new(Conv2dParameters {
            batch: product("images", &[p.batch, output_depth])?,
            in_channels: product("channels", &[p.in_channels, p.kernel[0]])?,
            height,
            width,
            out_channels: p.out_channels,
            kernel: [p.kernel[1], p.kernel[2]],
            stride: [p.stride[1], p.stride[2]],
            padding: [p.padding[1], p.padding[2]],
            dilation: [p.dilation[1], p.dilation[2]],
            groups: p.groups,
        })?;
        let input_len = product("input", &[p.batch, p.size[0], height, width, p.in_channels])?;
        Ok(Self { parameters, output_depth, images, input_len })
    }

    /// The 2-d convolution of the images, `[N * OD, KD * C, H, W]`.
    pub fn images(&self) -> &Conv2dGeometry {
        &self.images
    }

    /// Extents of the output, `[OD, OH, OW]`.
    pub fn output(&self) -> [usize; 3] {
        [self.output_depth, self.images.output_height(), self.images.output_width()]
    }

    /// Elements of the input, `N * C * D * H * W`.
    pub fn input_len(&self) -> usize {
        self.input_len
    }

    /// Whether the images have to be gathered from an input `[N, D, H, W, C]`; else they lie in it one after the other.
    pub fn is_gathered(&self) -> bool {
        self.kernel[0] != 1 || self.stride[0] != 1 || self.padding[0] != 0
    }

    /// Whether they have to be gathered from an input `[N, C, D, H, W]`, in which depths are within channels.
    pub fn is_gathered_from_planes(&self) -> bool {
        self.is_gathered() || self.size[0] != 1
    }

    /// Elements of the images, if [they are gathered](Self::is_gathered); else none.
    pub fn gathered_len(&self) -> usize {
        if self.is_gathered() { self.images.input_len() } else { 0 }
    }

    /// The depth of the input under `tap` of the output's depth `position`, or `None` in the padding.
    pub fn depth(&self, position: usize, tap: usize) -> Option<usize> {
        // As in `Conv2dGeometry::source`, nothing overflows.
        let padded = position * self.stride[0] + tap * self.dilation[0];
        padded.checked_sub(self.padding[0]).filter(|&depth| depth < self.size[0])
    }
}

impl Deref for Conv3dGeometry {
    type Target = Conv3dParameters;

    fn deref(&self) -> &Conv3dParameters {
        &self.parameters
    }
}
