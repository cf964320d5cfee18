//! `Window`: the window of a pool and how it moves, shared by max and average pools.

use qkernels::geometry::{Pool2dGeometry, Pool2dParameters};
use qkernels::pool::TieRule;
use serde::{Deserialize, Serialize};

use super::defaults;
use super::inputs::{image_extents, kernel_error_on};
use super::{Kernel, Planned, PlannedKernel, Size, TensorSpec};
use crate::tensor::MemoryFormat;
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

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
/// The gradient of a pool, plane by plane: `of_plane` gets a plane of the input and the gradients of the output's, and adds
/// up those of the input's, which are zeros at first.
pub(super) fn backward(
    pass: &Backward<'_>,
    of_plane: impl Fn(&[f32], &[f32], &mut [f32]),
) -> Result<Gradients> {
    let x = pass.input(0)?.clone().contiguous();
    let (_, gradient) = pass.output()?;
    let mut sums = Tensor::try_zeros(x.shape())?;
    let planes: usize = x.shape().iter().take(2).product();
    if !x.is_empty() && planes > 0 {
        let (inner, outer) = (x.len() / planes, gradient.len() / planes);
        let inputs = x.as_slice().unwrap_or_default().chunks_exact(inner);
        let gradients = gradient.as_slice().unwrap_or_default().chunks_exact(outer);
        let sums = sums.as_slice_mut().unwrap_or_default().chunks_exact_mut(inner);
        inputs.zip(gradients).zip(sums).for_each(|((x, gradient), sums)| of_plane(x, gradient, sums));
    }
    Ok(Gradients::of_input(sums))
}

/// Calls `visit` for each window of a plane with the places that it sees.
pub(super) fn each_window<'g>(geometry: &'g Pool2dGeometry, mut visit: impl FnMut(usize, WindowPlaces<'g>)) {
    for output in 0..geometry.output_height() * geometry.output_width() {
        let (row, column) = (output / geometry.output_width(), output % geometry.output_width());
        visit(output, WindowPlaces { geometry, row, column, next: 0 });
    }
}

/// The places of a plane that a window sees, in row-major order.
#[derive(Clone)]
pub(super) struct WindowPlaces<'g> {
    geometry: &'g Pool2dGeometry,
    row: usize,
    column: usize,
    next: usize,
}

impl Iterator for WindowPlaces<'_> {
    type Item = usize;

    fn next(&mut self) -> Option<usize> {
        let g = self.geometry;
        while self.next < g.kernel[0] * g.kernel[1] {
            let (tap_row, tap_column) = (self.next / g.kernel[1], self.next % g.kernel[1]);
            self.next += 1;
            let place = |index: usize, tap: usize, axis: usize, extent: usize| {
                let position = index * g.stride[axis] + tap * g.dilation[axis];
                position.checked_sub(g.padding[axis]).filter(|&position| position < extent)
            };
            let row = place(self.row, tap_row, 0, g.height);
            let column = place(self.column, tap_column, 1, g.width);
            if let (Some(row), Some(column)) = (row, column) {
                return Some(row * g.width + column);
            }
        }
        None
    }
}

/// How many values a window has with its padding, which ends where the padding of the image does.
pub(super) fn padded_count(geometry: &Pool2dGeometry, output: usize) -> usize {
    let extents = [geometry.height, geometry.width];
    let index = [output / geometry.output_width(), output % geometry.output_width()];
    let len = |axis: usize| {
        let first = index[axis] * geometry.stride[axis];
        (first + geometry.kernel[axis]).min(extents[axis] + 2 * geometry.padding[axis]) - first
    };
    len(0) * len(1)
}
