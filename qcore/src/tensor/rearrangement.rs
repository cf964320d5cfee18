//! `Rearrangement`: a change of an array's axes that only moves its values.

use std::ops::Range;

use ndarray::{ArcArray, Axis, IxDyn, Slice};

use super::check_copy;
use crate::{Error, Result};

/// A change of an array's axes that only moves its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rearrangement {
    /// Axis `i` of the result is axis `order[i]`; each is there once.
    Permute(Vec<usize>),
    /// Only these indices of an axis, which has them.
    Slice {
        /// Which axis.
        axis: usize,
        /// Its indices.
        range: Range<usize>,
    },
    /// The same values in row-major order, in a shape of as many.
    Reshape(Vec<usize>),
    /// Repeated along the axes that this shape has in addition, and along those of extent 1.
    Broadcast(Vec<usize>),
}

impl Rearrangement {
    /// The shape of the result, of an array with `shape`.
    pub(crate) fn shape(&self, shape: &[usize]) -> Vec<usize> {
        match self {
            Self::Permute(order) => order.iter().map(|&axis| shape[axis]).collect(),
            Self::Slice { axis, range } => {
                let mut shape = shape.to_vec();
                shape[*axis] = range.len();
                shape
            }
            Self::Reshape(shape) | Self::Broadcast(shape) => shape.clone(),
        }
    }

    /// The array with its axes so, sharing its data where that is possible.
    ///
    /// # Errors
    /// When the array has other axes, or another number of values.
    pub(crate) fn apply<T: Clone>(
        &self,
        operation: &'static str,
        mut values: ArcArray<T, IxDyn>,
    ) -> Result<ArcArray<T, IxDyn>> {
        match self {
            Self::Permute(order) => Ok(values.permuted_axes(IxDyn(order))),
            Self::Slice { axis, range } => {
                values.slice_axis_inplace(Axis(*axis), Slice::from(range.clone()));
                Ok(values)
            }
            Self::Reshape(shape) => {
                let row_major = match values.is_standard_layout() {
                    true => values,
                    false => {
                        check_copy::<T>(values.shape())?;
                        values.as_standard_layout().into_owned().into_shared()
                    }
                };
                let found = row_major.shape().to_vec();
                row_major
                    .into_shape_with_order(IxDyn(shape))
                    .map_err(|_| Error::shape(operation, format!("as many values as {shape:?} has"), &found))
            }
            Self::Broadcast(shape) => match values.broadcast(IxDyn(shape)) {
                Some(repeated) => {
                    check_copy::<T>(shape)?;
                    Ok(repeated.to_shared())
                }
                None => Err(Error::shape(
                    operation,
                    format!("a shape that broadcasts to {shape:?}"),
                    values.shape(),
                )),
            },
        }
    }
}
