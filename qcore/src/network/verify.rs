//! Checks that a file describes a network.

use super::node::{Node, NodeMember};
use super::{NetworkValue, ValueId};
use crate::ops::{OutputRule, Precision};
use crate::{Error, Result};

/// A graph whose nodes are checked one by one: values are made once, in order, before they are read.
#[derive(Default)]
pub(super) struct Graph {
    /// How many values the nodes so far make.
    values: usize,
    has_inputs: bool,
    has_calls: bool,
}

impl Graph {
    /// Checks the next node; gives the value that its first output is.
    pub(super) fn node(
        &mut self,
        path: &str,
        is_call: bool,
        inputs: &[ValueId],
        outputs: usize,
    ) -> Result<ValueId> {
        let fail = |message: &str| Err(Error::Unsupported(message.to_owned()));
        if path.is_empty() {
            return fail("a node without a path");
        }
        if !is_call && (self.has_calls || !inputs.is_empty() || outputs != 1) {
            return fail("is no parameter of `forward`, and calls nothing");
        }
        let first = self.values;
        if let Some(input) = inputs.iter().find(|&&input| input >= first) {
            return fail(&format!("reads the value {input}, which is not made before it"));
        }
        if outputs == 0 {
            return fail("makes no value");
        }
        self.has_inputs |= !is_call;
        self.has_calls |= is_call;
        self.values += outputs;
        Ok(first)
    }

    /// Checks the outputs of a graph of these nodes.
    pub(super) fn outputs(&self, outputs: &[ValueId]) -> Result<()> {
        if !self.has_inputs {
            return Err(Error::Unsupported("a model without inputs".into()));
        }
        let values = self.values;
        if outputs.is_empty() || outputs.iter().any(|&output| output >= values) {
            return Err(Error::Unsupported(format!("the outputs {outputs:?} of {values} values")));
        }
        Ok(())
    }
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
            qcatalogue::Tensors::Exactly(count) => {
                let is_optional =
                    |each: &&qcatalogue::Parameter| each.kind == qcatalogue::ParameterKind::Tensor;
                let most = count + row.parameters.iter().filter(is_optional).count();
                (count..=most).contains(&data.len())
            }
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
