//! `ConvTransposeParameters`: a transposed convolution as kernels take it, and its geometry for an input.

use qkernels::geometry::{self, ConvTransposeGeometry};

use super::ConvTranspose;
use crate::ops::inputs::kernel_error_on;
use crate::ops::{Size, volume};
use crate::{Error, Result};

/// The parameters of a transposed convolution as kernels take them, in three dimensions.
#[derive(Clone, Copy, Debug)]
pub(super) struct ConvTransposeParameters {
    pub(super) name: &'static str,
    /// Spatial dimensions of the tensors.
    dimensions: usize,
    /// All but the extents of the input, which are 1.
    sizes: geometry::ConvTransposeParameters,
}

impl ConvTransposeParameters {
    pub(super) fn new<const D: usize>(layer: &ConvTranspose<D>) -> Result<Self> {
        let three = |size: Size<D>, outer: usize| volume::three(ConvTranspose::<D>::NAME, size, outer);
        let sizes = geometry::ConvTransposeParameters {
            batch: 1,
            in_channels: layer.in_channels(),
            size: [1; 3],
            out_channels: layer.out_channels(),
            kernel: three(layer.conv.kernel_size, 1)?,
            stride: three(layer.conv.stride, 1)?,
            padding: three(layer.conv.padding, 0)?,
            output_padding: three(layer.output_padding, 0)?,
            dilation: three(layer.conv.dilation, 1)?,
            groups: layer.conv.groups,
        };
        Ok(Self { name: ConvTranspose::<D>::NAME, dimensions: D, sizes })
    }

    /// For an input of which the padding leaves something: an error says what is wrong with the layer itself.
    pub(super) fn smallest_geometry(&self) -> Result<ConvTransposeGeometry> {
        // An extent more of the input is a stride more of the output.
        let size = [0, 1, 2].map(|axis| {
            let (padding, stride) = (self.sizes.padding[axis], self.sizes.stride[axis].max(1));
            padding.saturating_mul(2).div_ceil(stride).saturating_add(1)
        });
        ConvTransposeGeometry::new(geometry::ConvTransposeParameters { size, ..self.sizes })
            .map_err(|error| Error::parameter(self.name, error.to_string()))
    }

    pub(super) fn geometry(&self, shape: &[usize]) -> Result<ConvTransposeGeometry> {
        let (batch, size) = volume::extents(self.name, self.dimensions, self.sizes.in_channels, shape)?;
        ConvTransposeGeometry::new(geometry::ConvTransposeParameters { batch, size, ..self.sizes })
            .map_err(kernel_error_on(self.name, shape))
    }

    pub(super) fn output_shape(&self, geometry: &ConvTransposeGeometry) -> Vec<usize> {
        volume::shape(self.dimensions, geometry.batch, geometry.out_channels, geometry.output())
    }
}
