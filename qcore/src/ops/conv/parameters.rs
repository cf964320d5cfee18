//! `ConvParameters`: a convolution as kernels take it, and its geometry for an input.

use qkernels::geometry::{Conv2dGeometry, Conv2dParameters};

use super::Conv;
use crate::ops::Size;
use crate::ops::inputs::{kernel_error_on, missing_batch};
use crate::{Error, Result};

/// The parameters of a convolution as kernels take them: in two dimensions, with a height of 1 for one dimension.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvParameters {
    pub(super) name: &'static str,
    /// Spatial dimensions of the tensors.
    dimensions: usize,
    /// All but the extents of the input, which are 1.
    conv2d: Conv2dParameters,
}

impl ConvParameters {
    pub(super) fn new<const D: usize>(conv: &Conv<D>) -> Result<Self> {
        let two = |size: Size<D>, outer: usize| match *size.0.as_slice() {
            [width] => Ok([outer, width]),
            [height, width] => Ok([height, width]),
            _ => Err(Error::Unsupported(format!("{} in any precision", Conv::<D>::NAME))),
        };
        let conv2d = Conv2dParameters {
            batch: 1,
            in_channels: conv.in_channels,
            height: 1,
            width: 1,
            out_channels: conv.out_channels,
            kernel: two(conv.kernel_size, 1)?,
            stride: two(conv.stride, 1)?,
            padding: two(conv.padding, 0)?,
            dilation: two(conv.dilation, 1)?,
            groups: conv.groups,
        };
        Ok(Self { name: Conv::<D>::NAME, dimensions: D, conv2d })
    }

    /// For the smallest image that a filter fits on: an error says what is wrong with the layer itself.
    pub(super) fn smallest_geometry(&self) -> Result<Conv2dGeometry> {
        let Conv2dParameters { kernel, dilation, .. } = self.conv2d;
        let [height, width] = [0, 1]
            .map(|axis| kernel[axis].saturating_sub(1).saturating_mul(dilation[axis]).saturating_add(1));
        Conv2dGeometry::new(Conv2dParameters { height, width, ..self.conv2d })
            .map_err(|error| Error::parameter(self.name, error.to_string()))
    }

    pub(super) fn geometry(&self, shape: &[usize]) -> Result<Conv2dGeometry> {
        let (batch, channels, height, width) = match *shape {
            [batch, channels, width] if self.dimensions == 1 => (batch, channels, 1, width),
            [batch, channels, height, width] if self.dimensions == 2 => (batch, channels, height, width),
            _ => return Err(self.misfit(shape)),
        };
        if channels != self.conv2d.in_channels {
            return Err(self.misfit(shape));
        }
        if height == 0 || width == 0 {
            return Err(Error::shape(self.name, "an image with pixels", shape));
        }
        Conv2dGeometry::new(Conv2dParameters { batch, height, width, ..self.conv2d })
            .map_err(kernel_error_on(self.name, shape))
    }

    fn misfit(&self, shape: &[usize]) -> Error {
        let (spatial, channels) = (if self.dimensions == 1 { "L" } else { "H, W" }, self.conv2d.in_channels);
        let hint = missing_batch(shape.len() == self.dimensions + 1 && shape[0] == channels);
        Error::shape(self.name, format!("[N, {channels}, {spatial}]{hint}"), shape)
    }

    pub(super) fn output_shape(&self, geometry: &Conv2dGeometry) -> Vec<usize> {
        let shape =
            [geometry.batch, geometry.out_channels, geometry.output_height(), geometry.output_width()];
        match self.dimensions {
            1 => vec![shape[0], shape[1], shape[3]],
            _ => shape.to_vec(),
        }
    }
}
