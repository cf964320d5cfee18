//! `Window`: the window of a pool and how it moves, shared by max and average pools.

use qkernels::geometry::{Pool2dGeometry, Pool2dParameters};
use qkernels::pool::TieRule;
use serde::{Deserialize, Serialize};

use super::defaults;
use super::inputs::{image_extents, kernel_error_on};
use super::{Kernel, Planned, PlannedKernel, Size, TensorSpec};
use crate::tensor::MemoryFormat;
use crate::{Error, Result};

/// The window of a pool over `D` dimensions and how it moves, with PyTorch's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Window<const D: usize> {
    pub(super) kernel_size: Size<D>,
    pub(super) stride: Size<D>,
    #[serde(default = "defaults::zeros", skip_serializing_if = "defaults::are_zeros")]
    pub(super) padding: Size<D>,
    #[serde(default, skip_serializing_if = "defaults::is_no")]
    pub(super) ceil_mode: bool,
}

impl<const D: usize> Window<D> {
    /// Windows of this size, side by side.
    pub(super) fn new(kernel_size: Size<D>) -> Self {
        Self { kernel_size, stride: kernel_size, padding: Size::from(0), ceil_mode: false }
    }

    /// The checks that need no input.
    pub(super) fn check(&self, operation: &'static str) -> Result<()> {
        let Self { kernel_size, stride, padding, .. } = *self;
        check_positive(operation, "kernel_size", kernel_size)?;
        check_positive(operation, "stride", stride)?;
        if padding.0.iter().zip(kernel_size.0).any(|(&padding, size)| padding > size / 2) {
            let message = format!("padding {padding} is more than half of kernel_size {kernel_size}");
            return Err(Error::parameter(operation, message));
        }
        Ok(())
    }
}

impl Window<2> {
    pub(super) fn geometry(
        &self,
        operation: &'static str,
        shape: &[usize],
        dilation: Size<2>,
    ) -> Result<Pool2dGeometry> {
        let [batch, channels, height, width] = image_extents(operation, shape)?;
        Pool2dGeometry::new(Pool2dParameters {
            batch,
            channels,
            height,
            width,
            kernel: self.kernel_size.0,
            stride: self.stride.0,
            padding: self.padding.0,
            dilation: dilation.0,
            ceil_mode: self.ceil_mode,
        })
        .map_err(kernel_error_on(operation, shape))
    }
}

/// An error if one of the numbers is 0.
pub(super) fn check_positive<const D: usize>(
    operation: &'static str,
    what: &str,
    size: Size<D>,
) -> Result<()> {
    if size.has_zero() {
        return Err(Error::parameter(operation, format!("{what} {size} must not be 0")));
    }
    Ok(())
}

/// The shape of a pool's result.
pub(super) fn output_shape(geometry: &Pool2dGeometry) -> [usize; 4] {
    [geometry.batch, geometry.channels, geometry.output_height(), geometry.output_width()]
}

/// A kernel from images to images that PyTorch has in `memory_format`. Float kernels have the pixels of a channel
/// side by side, integer kernels the channels of a pixel.
pub(super) fn planned(
    kernel: Box<dyn Kernel>,
    x: &TensorSpec,
    shape: [usize; 4],
    memory_format: MemoryFormat,
) -> Planned {
    let buffer = match x.dtype() {
        None => MemoryFormat::Contiguous,
        Some(_) => MemoryFormat::ChannelsLast,
    };
    let output = x.with_image(&shape, memory_format).in_buffer(buffer);
    Planned::Kernel(PlannedKernel::new(kernel, vec![output]).inputs([buffer]))
}

/// How PyTorch rounds means of an image in this memory format, where qnnpack does not step in (NUMERICS section 9).
pub(super) fn native_tie_rule(format: MemoryFormat) -> TieRule {
    match format {
        MemoryFormat::ChannelsLast => TieRule::Centered,
        MemoryFormat::Contiguous => TieRule::Raw,
    }
}
