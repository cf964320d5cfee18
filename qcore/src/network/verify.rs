//! Checks that a file describes a network.

use super::file::Header;
use super::node::{Node, NodeMember};
use super::{NetworkValue, ValueId};
use crate::ops::{OutputRule, Precision};
use crate::{Error, Result};

/// Checks the graph: values are made once, in order, before they are read.
pub(super) fn header(header: &Header) -> Result<()> {
    let mut made: ValueId = 0;
    let mut is_behind_inputs = false;
    for node in &header.nodes {
        let fail = |message: String| Err(Error::Unsupported(format!("node `{}` {message}", node.path)));
        is_behind_inputs |= node.call.is_some();
        if node.call.is_none() && (is_behind_inputs || !node.inputs.is_empty() || node.outputs.len() != 1) {
            return fail("is no parameter of `forward`, and calls nothing".into());
        }
        if let Some(input) = node.inputs.iter().find(|&&input| input >= made) {
            return fail(format!("reads the value {input}, which is not made before it"));
        }
        if node.outputs.is_empty() || !node.outputs.iter().copied().eq(made..made + node.outputs.len()) {
            return fail(format!("makes the values {:?}, the next is {made}", node.outputs));
        }
        if node.call.as_ref().is_some_and(|call| call.members.is_empty()) {
            return fail("calls nothing".into());
        }
        made += node.outputs.len();
    }
    if header.nodes.first().is_none_or(|node| node.call.is_some()) {
        return Err(Error::Unsupported("a model without inputs".into()));
    }
    if header.qparams.len() != made {
        let found = header.qparams.len();
        return Err(Error::Unsupported(format!("scales of {found} values, there are {made}")));
    }
    if header.outputs.is_empty() || header.outputs.iter().any(|&output| output >= made) {
        return Err(Error::Unsupported(format!("the outputs {:?} of {made} values", header.outputs)));
    }
    for qparams in header.qparams.iter().flatten() {
        qparams.validate()?;
        if qparams.is_per_channel() {
            return Err(Error::Unsupported("a value with a scale for each channel".into()));
        }
    }
    Ok(())
}

/// Checks a call: its members run as one in this precision, and read and write values that they support.
pub(super) fn call(
    members: &[NodeMember],
    precision: Precision,
    node: &Node,
    values: &[NetworkValue],
) -> Result<()> {
    let fail = |message: String| Err(Error::Unsupported(message));
    let Some(first) = members.first() else { return fail("a call of nothing".into()) };
    let op = &first.op;
    if !op.precisions().contains(&precision) {
        return fail(format!("{} in the precision `{precision}`", op.name()));
    }
    if node.outputs.len() != op.output_count() {
        return fail(format!("{} outputs of {}", node.outputs.len(), op.name()));
    }
    let data = node.data_inputs_of(members);
    if let Some(row) = qcatalogue::operation(op.name()) {
        let fits = match row.tensors {
            qcatalogue::Tensors::Exactly(count) => data.len() == count,
            _ => !data.is_empty(),
        };
        if !fits {
            return fail(format!("{} inputs of {}", node.inputs.len(), op.name()));
        }
    }
    if members.len() > 1 {
        let rows: Option<Vec<_>> =
            members.iter().map(|member| qcatalogue::operation(member.op.name())).collect();
        if rows.is_none_or(|rows| qcatalogue::fusion(&rows).is_none()) {
            let names: Vec<&str> = members.iter().map(|member| member.op.name()).collect();
            return fail(format!("{} as one operation", names.join(", ")));
        }
    }
    let is_integer = precision == Precision::Static && op.output_rule() != OutputRule::Quantize;
    if is_integer && data.iter().chain(&node.outputs).any(|&id| values[id].qparams.is_none()) {
        return fail(format!("{} on integers without a scale", op.name()));
    }
    Ok(())
}
