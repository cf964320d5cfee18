//! `ConvParameters`: a convolution as kernels take it, and its geometry for an input.

use qkernels::geometry::{Conv3dGeometry, Conv3dParameters};

use super::Conv;
use crate::ops::inputs::kernel_error_on;
use crate::ops::{Size, volume};
use crate::{Error, Result};

/// The parameters of a convolution as kernels take them: in three dimensions, with extents of 1 for those that are not
/// there.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvParameters {
    pub(super) name: &'static str,
    /// Spatial dimensions of the tensors.
    dimensions: usize,
    /// All but the extents of the input, which are 1.
    conv3d: Conv3dParameters,
}

impl ConvParameters {
    pub(super) fn new<const D: usize>(conv: &Conv<D>) -> Result<Self> {
        let three = |size: Size<D>, outer: usize| volume::three(Conv::<D>::NAME, size, outer);
        let conv3d = Conv3dParameters {
            batch: 1,
            in_channels: conv.in_channels,
            size: [1; 3],
            out_channels: conv.out_channels,
            kernel: three(conv.kernel_size, 1)?,
            stride: three(conv.stride, 1)?,
            padding: three(conv.padding, 0)?,
            dilation: three(conv.dilation, 1)?,
            groups: conv.groups,
        };
        Ok(Self { name: Conv::<D>::NAME, dimensions: D, conv3d })
    }

    /// For the smallest input that a filter fits on: an error says what is wrong with the layer itself.
    pub(super) fn smallest_geometry(&self) -> Result<Conv3dGeometry> {
        let Conv3dParameters { kernel, dilation, .. } = self.conv3d;
        let size = [0, 1, 2]
            .map(|axis| kernel[axis].saturating_sub(1).saturating_mul(dilation[axis]).saturating_add(1));
        Conv3dGeometry::new(Conv3dParameters { size, ..self.conv3d })
            .map_err(|error| Error::parameter(self.name, error.to_string()))
    }

    pub(super) fn geometry(&self, shape: &[usize]) -> Result<Conv3dGeometry> {
        let (batch, size) = volume::extents(self.name, self.dimensions, self.conv3d.in_channels, shape)?;
        Conv3dGeometry::new(Conv3dParameters { batch, size, ..self.conv3d })
            .map_err(kernel_error_on(self.name, shape))
    }

    pub(super) fn output_shape(&self, geometry: &Conv3dGeometry) -> Vec<usize> {
        volume::shape(self.dimensions, geometry.batch, geometry.out_channels, geometry.output())
    }
}
