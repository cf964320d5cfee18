//! Operations that only move values: what they do to the axes, for float, integers and buffers.

use std::ops::Range;

use ndarray::{ArcArray, Axis, IxDyn, Slice};

use super::inputs::{exactly, exactly_shared, take_one};
use super::layout::{row_major, with_integers, with_qparams_of};
use super::{ActivationSpec, Planned};
use crate::{Error, QTensor, Result, Tensor};

/// What becomes of the axes of an array.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rearrangement {
    /// Axis `i` of the result is axis `order[i]`; each is there once.
    Permute(Vec<usize>),
    /// Only these indices of an axis, which has them.
    Cut {
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
    /// The shape of the result, of one with `shape`.
    pub(crate) fn shape(&self, shape: &[usize]) -> Vec<usize> {
        match self {
            Self::Permute(order) => order.iter().map(|&axis| shape[axis]).collect(),
            Self::Cut { axis, range } => {
                let mut shape = shape.to_vec();
                shape[*axis] = range.len();
                shape
            }
            Self::Reshape(shape) | Self::Broadcast(shape) => shape.clone(),
        }
    }

    fn apply<T: Clone>(
        &self,
        operation: &'static str,
        mut values: ArcArray<T, IxDyn>,
    ) -> Result<ArcArray<T, IxDyn>> {
        match self {
            Self::Permute(order) => Ok(values.permuted_axes(IxDyn(order))),
            Self::Cut { axis, range } => {
                values.slice_axis_inplace(Axis(*axis), Slice::from(range.clone()));
                Ok(values)
            }
            Self::Reshape(shape) => row_major(&values).into_shape_with_order(IxDyn(shape)).map_err(|_| {
                Error::shape(operation, format!("as many values as {shape:?} has"), values.shape())
            }),
            Self::Broadcast(shape) => match values.broadcast(IxDyn(shape)) {
                Some(repeated) => Ok(repeated.to_shared()),
                None => Err(Error::shape(operation, format!("what broadcasts to {shape:?}"), values.shape())),
            },
        }
    }
}

/// Moves values without looking at them.
pub(super) trait Rearrange {
    const NAME: &'static str;

    /// What it does to an array of this shape.
    fn rearrangement(&self, shape: &[usize]) -> Result<Rearrangement>;
}

/// Implements `Op`, `QuantizedOp` and `Record` for types with [`Rearrange`], serde and
/// `fn check(&self) -> Result<()>`.
macro_rules! rearranging_operation {
    ($($operation:ty),+) => {$(
        $crate::op::plain::plain_record!($operation);

        impl $crate::op::Op for $operation {
            type Quantized = Self;

            fn name(&self) -> &'static str {
                <Self as $crate::op::rearrange::Rearrange>::NAME
            }

            fn output_rule(&self) -> $crate::op::OutputRule {
                $crate::op::OutputRule::SameAsInput
            }

            fn forward(&self, inputs: &mut [$crate::Tensor]) -> $crate::Result<$crate::Tensor> {
                $crate::op::rearrange::float(self, inputs)
            }

            fn lower(&self, _lowering: &$crate::op::Lowering<'_>) -> $crate::Result<Self> {
                Ok(self.clone())
            }
        }

        impl $crate::op::QuantizedOp for $operation {
            fn forward(&self, inputs: &mut [$crate::QTensor]) -> $crate::Result<$crate::QTensor> {
                $crate::op::rearrange::quantized(self, inputs)
            }

            fn plan(
                &self,
                inputs: &[$crate::op::ActivationSpec],
            ) -> $crate::Result<Option<$crate::op::Planned>> {
                $crate::op::rearrange::planned(self, inputs).map(Some)
            }
        }
    )+};
}
pub(super) use rearranging_operation;

/// On float tensors; the result may share data with the argument.
pub(super) fn float<R: Rearrange>(operation: &R, inputs: &mut [Tensor]) -> Result<Tensor> {
    let values = take_one(R::NAME, inputs)?.into_shared();
    operation.rearrangement(values.shape())?.apply(R::NAME, values).map(Tensor::from)
}

/// On integers; the result may share data with the argument.
pub(super) fn quantized<R: Rearrange>(operation: &R, inputs: &mut [QTensor]) -> Result<QTensor> {
    let [x] = exactly(R::NAME, inputs)?;
    let rearrangement = operation.rearrangement(x.shape())?;
    with_integers!(R::NAME, x, integers => {
        with_qparams_of(x, rearrangement.apply(R::NAME, integers.clone())?)
    })
}

/// On buffers.
pub(super) fn planned<R: Rearrange>(operation: &R, inputs: &[ActivationSpec]) -> Result<Planned> {
    let [x] = exactly_shared(R::NAME, inputs)?;
    operation.rearrangement(x.shape()).map(Planned::Rearranged)
}
