//! Tensors of one, two or three spatial dimensions as kernels of three take them: with extents of 1 for those that are
//! not there.

use super::Size;
use super::inputs::missing_batch;
use crate::{Error, Result};

/// A size in three dimensions; those that are not there have `outer`.
pub(super) fn three<const D: usize>(
    operation: &'static str,
    size: Size<D>,
    outer: usize,
) -> Result<[usize; 3]> {
    match *size.0.as_slice() {
        [width] => Ok([outer, outer, width]),
        [height, width] => Ok([outer, height, width]),
        [depth, height, width] => Ok([depth, height, width]),
        _ => Err(Error::Unsupported(format!("{operation} in any precision"))),
    }
}

/// The batch and the extents of an input `[N, channels, ..]` of so many spatial dimensions.
pub(super) fn extents(
    operation: &'static str,
    dimensions: usize,
    channels: usize,
    shape: &[usize],
) -> Result<(usize, [usize; 3])> {
    let (batch, size) = match (dimensions, shape) {
        (1, &[batch, found, width]) if found == channels => (batch, [1, 1, width]),
        (2, &[batch, found, height, width]) if found == channels => (batch, [1, height, width]),
        (3, &[batch, found, depth, height, width]) if found == channels => (batch, [depth, height, width]),
        _ => {
            let spatial = ["L", "H, W"].get(dimensions - 1).unwrap_or(&"D, H, W");
            let hint = missing_batch(shape.len() == dimensions + 1 && shape[0] == channels);
            return Err(Error::shape(operation, format!("[N, {channels}, {spatial}]{hint}"), shape));
        }
    };
    if size.contains(&0) {
        return Err(Error::shape(operation, "an image with pixels", shape));
    }
    Ok((batch, size))
}

/// The shape of an output of so many spatial dimensions.
pub(super) fn shape(dimensions: usize, batch: usize, channels: usize, size: [usize; 3]) -> Vec<usize> {
    [&[batch, channels], &size[3_usize.saturating_sub(dimensions)..]].concat()
}
