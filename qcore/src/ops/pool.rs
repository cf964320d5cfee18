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

impl<const D: usize> Window<D> {
    /// The geometry of images `[N, C, H, W]`, or of `[N, C, L]`, which is one row.
    pub(super) fn geometry(
        &self,
        operation: &'static str,
        shape: &[usize],
        dilation: Size<D>,
    ) -> Result<Pool2dGeometry> {
        let [batch, channels, height, width] = planar_extents::<D>(operation, shape)?;
        Pool2dGeometry::new(Pool2dParameters {
            batch,
            channels,
            height,
            width,
            kernel: planar(operation, self.kernel_size, 1)?,
            stride: planar(operation, self.stride, 1)?,
            padding: planar(operation, self.padding, 0)?,
            dilation: planar(operation, dilation, 1)?,
            ceil_mode: self.ceil_mode,
        })
        .map_err(kernel_error_on(operation, shape))
    }
}

/// A size in two dimensions; that of one dimension is `height` high.
pub(super) fn planar<const D: usize>(
    operation: &'static str,
    size: Size<D>,
    height: usize,
) -> Result<[usize; 2]> {
    match *size.0.as_slice() {
        [width] => Ok([height, width]),
        [height, width] => Ok([height, width]),
        _ => Err(Error::Unsupported(format!("{operation} in any precision"))),
    }
}

/// The extents of `[N, C, H, W]`, or of `[N, C, L]` with a height of 1.
pub(super) fn planar_extents<const D: usize>(operation: &'static str, shape: &[usize]) -> Result<[usize; 4]> {
    if D != 1 {
        return image_extents(operation, shape);
    }
    match *shape {
        [batch, channels, width] if channels > 0 && width > 0 => Ok([batch, channels, 1, width]),
        [_, _, _] => Err(Error::shape(operation, "[N, C, L] with channels and values", shape)),
        _ => Err(Error::shape(operation, "[N, C, L]", shape)),
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

/// The shape of the result of a pool over `D` dimensions.
pub(super) fn output_shape<const D: usize>(geometry: &Pool2dGeometry) -> Vec<usize> {
    planar_shape::<D>([geometry.batch, geometry.channels, geometry.output_height(), geometry.output_width()])
}

/// `[N, C, H, W]`, or `[N, C, L]` of one row.
pub(super) fn planar_shape<const D: usize>(extents: [usize; 4]) -> Vec<usize> {
    match extents {
        [batch, channels, _, width] if D == 1 => vec![batch, channels, width],
        _ => extents.to_vec(),
    }
}

/// A kernel from images to images that PyTorch has in `memory_format`. Float kernels have the pixels of a channel
/// side by side, integer kernels the channels of a pixel.
pub(super) fn planned(
    kernel: Box<dyn Kernel>,
    x: &TensorSpec,
    shape: &[usize],
    memory_format: MemoryFormat,
) -> Planned {
    let buffer = match x.dtype() {
        None => MemoryFormat::Contiguous,
        Some(_) => MemoryFormat::ChannelsLast,
    };
    let output = x.with_image(shape, memory_format).in_buffer(buffer);
    Planned::Kernel(PlannedKernel::new(kernel, vec![output]).inputs([buffer]))
}

/// How PyTorch rounds means of an image in this memory format, where qnnpack does not step in (NUMERICS section 9).
pub(super) fn native_tie_rule(format: MemoryFormat) -> TieRule {
    match format {
        MemoryFormat::ChannelsLast => TieRule::Centered,
        MemoryFormat::Contiguous => TieRule::Raw,
    }
}
