//! `Node`: a value's origin: a parameter of `forward`, or a call of an operation.

use std::sync::Arc;

use super::ValueId;
use crate::ops::{Activation, Executable, Lowering, Op, OutputRule, Precision};
use crate::{Error, Result};

/// A parameter of `forward`, or a call of an operation with the operations fused behind it.
#[derive(Clone, Debug)]
pub struct Node {
    /// Unique: `layers.0.conv2`, of a second call `layers.0.conv2#1`.
    pub(crate) path: String,
    pub(crate) inputs: Vec<ValueId>,
    pub(crate) outputs: Vec<ValueId>,
    /// `None` for a parameter of `forward`.
    pub(crate) call: Option<Call>,
}

/// A call of an operation in some precision.
#[derive(Clone, Debug)]
pub struct Call {
    /// The operation, and those fused behind it, unfolded.
    pub(crate) members: Vec<NodeMember>,
    pub(crate) precision: Precision,
    /// The members lowered as one.
    pub(crate) executable: Arc<dyn Executable>,
}

/// One of the operations that run as one.
#[derive(Clone, Debug)]
pub struct NodeMember {
    /// The layer's state-dict path; a function has none.
    pub(crate) path: Option<String>,
    pub(crate) op: Arc<dyn Op>,
}

impl Node {
    /// Unique: `layers.0.conv2`, of a second call `layers.0.conv2#1`; of a parameter of `forward` its name.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// PyTorch's name of the operation, `ConvReLU2d`; `input` for a parameter of `forward`.
    pub fn operation(&self) -> &str {
        self.call.as_ref().map_or("input", Call::operation)
    }

    /// How the operation computes; [`Precision::Float`] for a parameter of `forward`.
    pub fn precision(&self) -> Precision {
        self.call.as_ref().map_or(Precision::Float, |call| call.precision)
    }

    /// The values whose elements it reads; of its other inputs it reads only the shape.
    pub(crate) fn data_inputs(&self) -> &[ValueId] {
        self.data_inputs_of(self.call.as_ref().map_or(&[], |call| &call.members))
    }

    /// [`Node::data_inputs`], if its call has these members.
    pub(super) fn data_inputs_of(&self, members: &[NodeMember]) -> &[ValueId] {
        let shape_inputs = members.first().map_or(0, |member| member.op.shape_inputs());
        &self.inputs[..self.inputs.len().saturating_sub(shape_inputs)]
    }

    /// The state-dict paths of the layers that run as one.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        let members = self.call.iter().flat_map(|call| &call.members);
        members.filter_map(|member| member.path.as_deref())
    }
}

impl Call {
    /// PyTorch's name of the members as one: `ConvReLU2d`.
    pub(crate) fn operation(&self) -> &'static str {
        operation_name(&self.members)
    }

    /// Where the scale of the output comes from.
    pub(crate) fn output_rule(&self) -> OutputRule {
        self.members.first().map_or(OutputRule::Observed, |member| member.op.output_rule())
    }

    /// Whether a batch norm is folded into the first member for inputs of two dimensions alone.
    pub(crate) fn folds_matrices(&self) -> bool {
        let mut members = self.members.iter();
        members.next().is_some_and(|first| first.op.folds_matrices())
            && members.any(|member| member.op.as_batch_norm().is_some())
    }

    /// Whether this is the user's `quant(x)`, which takes floats whatever follows.
    pub(crate) fn is_quantize(&self) -> bool {
        self.output_rule() == OutputRule::Quantize
    }
}

/// PyTorch's name of the members as one.
pub(crate) fn operation_name(members: &[NodeMember]) -> &'static str {
    let Some((first, followers)) = members.split_first() else { return "" };
    let name = first.op.name();
    let has_activation = followers.iter().any(|member| member.op.as_activation().is_some());
    let fused = if has_activation { qcatalogue::operation(name).and_then(|row| row.with_relu) } else { None };
    fused.unwrap_or(name)
}

/// The members lowered as one: batch norms are folded into the weights before them, an activation runs in the kernel.
///
/// # Errors
/// When a member cannot be lowered so, or does not fit the one before it; the error names the layer.
pub(crate) fn lower(members: &[NodeMember], lowering: Lowering<'_>) -> Result<Arc<dyn Executable>> {
    let (op, activation) = match lowering.stored() {
        None => folded(members)?,
        // Weights of a file are folded already.
        Some(_) => fold(members, |op, _| Ok(op))?,
    };
    op.lower(&lowering.with_activation(activation))
}

/// The first member with the batch norms behind it folded in, and the activation behind those.
///
/// # Errors
/// When a member does not fit the one before it.
pub(crate) fn folded(members: &[NodeMember]) -> Result<(Arc<dyn Op>, Option<Activation>)> {
    fold(members, |op, member| {
        let folded = member.op.as_batch_norm().and_then(|batch_norm| op.fold_batch_norm(batch_norm));
        folded.unwrap_or_else(|| Err(not_fused(&op, member)))
    })
}

/// [`folded`], where `fold_batch_norm` says how.
fn fold(
    members: &[NodeMember],
    fold_batch_norm: impl Fn(Arc<dyn Op>, &NodeMember) -> Result<Arc<dyn Op>>,
) -> Result<(Arc<dyn Op>, Option<Activation>)> {
    let Some((first, followers)) = members.split_first() else {
        return Err(Error::Unsupported("a call without an operation".into()));
    };
    let mut op = Arc::clone(&first.op);
    let mut activation = None;
    for member in followers {
        match (member.op.as_batch_norm(), member.op.as_activation()) {
            (Some(_), _) if activation.is_none() => op = fold_batch_norm(op, member)?,
            (None, Some(found)) if activation.is_none() => activation = Some(found),
            _ => return Err(not_fused(&op, member)),
        }
    }
    Ok((op, activation))
}

fn not_fused(op: &Arc<dyn Op>, member: &NodeMember) -> Error {
    Error::Unsupported(format!("{} fused behind {}", member.op.name(), op.name()))
}
