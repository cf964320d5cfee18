//! The lowering shared by the operations that only move values.

use std::sync::Arc;

use super::inputs::{exactly, float_or_static};
use super::{Executable, Lowering, Planned};
use crate::Result;
use crate::tensor::Rearrangement;

/// An executable of one input, whose rearrangements, one after the other, follow from its shape.
pub(super) fn rearranging(
    operation: &'static str,
    lowering: &Lowering<'_>,
    rearrangements: impl Fn(&[usize]) -> Result<Vec<Rearrangement>> + Send + Sync + 'static,
) -> Result<Arc<dyn Executable>> {
    float_or_static(operation, lowering, move |inputs| {
        let [x] = exactly(operation, inputs)?;
        rearrangements(x.shape()).map(Planned::Rearranged)
    })
}
