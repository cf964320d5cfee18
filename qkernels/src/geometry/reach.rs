//! How far windows reach: bounds without which the arithmetic of the kernels could overflow.

use crate::error::{Error, Result};
use crate::length::product;

/// How a window lies on one axis.
#[derive(Clone, Copy)]
pub(super) struct Axis {
    pub(super) name: &'static str,
    /// Of the image.
    pub(super) size: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
    pub(super) dilation: usize,
}

impl Axis {
    /// A number above every coordinate that a window has, or that the next one would have.
    ///
    /// # Errors
    /// If a size other than the padding is zero, or the number too large.
    pub(super) fn reach(self) -> Result<usize> {
        let Self { name, size, kernel, stride, padding, dilation } = self;
        if size == 0 || kernel == 0 || stride == 0 || dilation == 0 {
            return Err(Error::geometry(format!(
                "{name} {size}, kernel {kernel}, stride {stride} and dilation {dilation} must not be zero"
            )));
        }
        let sum = dilation.checked_mul(kernel).and_then(|extent| {
            [padding, padding, stride]
                .iter()
                .try_fold(size, |sum, &term| sum.checked_add(term))?
                .checked_add(extent)
        });
        sum.ok_or_else(|| {
            Error::geometry(format!("kernel, stride, padding or dilation of the {name} is too large"))
        })
    }

    /// The size with the padding on both sides.
    pub(super) fn padded(self) -> usize {
        self.size + 2 * self.padding
    }

    /// From the first tap of a window to its last one.
    pub(super) fn extent(self) -> usize {
        self.dilation * (self.kernel - 1) + 1
    }
}

/// Checks that offsets into images of so many channels, however far windows reach, do not overflow.
///
/// # Errors
/// If they would be too large.
pub(super) fn check([height, width]: [Axis; 2], channels: usize) -> Result<()> {
    product("the area that windows reach", &[height.reach()?, width.size, channels])?;
    product("the area that windows reach", &[width.reach()?, channels]).map(|_| ())
}
