//! `PreparedOp`: one call of an operation in a prepared model.

use std::sync::Arc;

use crate::converted_op::ConvertedOp;
use crate::observation::Observation;
use crate::op::{Op, Reshape};
use crate::plan::{Conversion, NodeId};
use crate::{Result, Tensor};

/// One call of an operation in a prepared model.
#[derive(Clone, Debug)]
pub struct PreparedOp<O> {
    op: O,
    node: NodeId,
    path: Arc<str>,
}

impl<O: Op> PreparedOp<O> {
    pub(crate) fn new(op: O, node: NodeId, path: Arc<str>) -> Self {
        Self { op, node, path }
    }

    /// Runs in float, and shows the result to its observer.
    ///
    /// # Errors
    /// When a shape does not fit or a value is not finite.
    pub fn run<const N: usize>(
        &self,
        observation: &mut Observation<'_>,
        mut inputs: [Tensor; N],
    ) -> Result<Tensor> {
        self.observed(observation, self.op.forward(&mut inputs))
    }

    fn observed(&self, observation: &mut Observation<'_>, output: Result<Tensor>) -> Result<Tensor> {
        let output = output.map_err(|error| error.in_layer(&self.path))?;
        observation.record(self.node, &output)?;
        Ok(output)
    }

    /// The call in a converted model.
    ///
    /// # Errors
    /// As [`Prepared::convert`](crate::Prepared::convert).
    pub fn convert(&self, conversion: &Conversion<'_>) -> Result<ConvertedOp<O>> {
        let quantized = conversion.lower(self.node, &self.op).map_err(|error| error.in_layer(&self.path))?;
        Ok(ConvertedOp::new(
            quantized,
            &self.op,
            Arc::clone(&self.path),
            conversion.value(self.node).cloned(),
        ))
    }
}

impl PreparedOp<Reshape> {
    /// [`PreparedOp::run`], with the sizes that the user took from tensors.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn run_sized(
        &self,
        observation: &mut Observation<'_>,
        input: Tensor,
        sizes: &[usize],
    ) -> Result<Tensor> {
        self.observed(observation, self.op.forward_sized(&mut [input], sizes))
    }
}
