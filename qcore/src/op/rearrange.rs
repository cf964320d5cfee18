//! Operations that only move values: one piece of code for float and integers.

use ndarray::{ArcArray, IxDyn};

use super::{ActivationSpec, Planned};
use crate::Result;

/// Moves values without looking at them. The result may share data with the argument.
pub(super) trait Rearrange {
    const NAME: &'static str;

    /// How it runs on a buffer; `None` if it only runs on tensors.
    fn plan(&self, _input: &ActivationSpec) -> Result<Option<Planned>> {
        Ok(None)
    }

    /// The same values elsewhere.
    fn rearrange<T: Clone>(&self, values: ArcArray<T, IxDyn>) -> Result<ArcArray<T, IxDyn>>;
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
                let [x] = $crate::op::inputs::exactly_shared(<Self as $crate::op::rearrange::Rearrange>::NAME, inputs)?;
                $crate::op::rearrange::Rearrange::plan(self, x)
            }
        }
    )+};
}
pub(super) use rearranging_operation;

use super::inputs::{exactly, take_one};
use super::layout::{with_integers, with_qparams_of};
use crate::{QTensor, Tensor};

pub(super) fn float<R: Rearrange>(operation: &R, inputs: &mut [Tensor]) -> Result<Tensor> {
    let values = take_one(R::NAME, inputs)?.into_shared();
    operation.rearrange(values).map(Tensor::from)
}

pub(super) fn quantized<R: Rearrange>(operation: &R, inputs: &mut [QTensor]) -> Result<QTensor> {
    let [x] = exactly(R::NAME, inputs)?;
    with_integers!(R::NAME, x, integers => with_qparams_of(x, operation.rearrange(integers.clone())?))
}
