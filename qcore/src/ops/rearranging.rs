//! The lowering shared by the operations that only move values.

use std::sync::Arc;

use super::inputs::{exactly, float_or_static};
use super::{Executable, Lowering, Planned};
use crate::Result;
use crate::tensor::Rearrangement;

/// An executable of one input, whose rearrangement follows from its shape.
pub(super) fn rearranging(
    operation: &'static str,
    lowering: &Lowering<'_>,
    rearrangement: impl Fn(&[usize]) -> Result<Rearrangement> + Send + Sync + 'static,
) -> Result<Arc<dyn Executable>> {
    float_or_static(operation, lowering, move |inputs| {
        let [x] = exactly(operation, inputs)?;
        rearrangement(x.shape()).map(Planned::Rearranged)
    })
}
