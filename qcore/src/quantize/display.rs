//! The plan as text: the precision of each call, and why.

use std::fmt;

use super::{Plan, PlanNode};
use crate::Precision;

impl fmt::Display for Plan {
    /// One line a node: path, operation, precision, inputs, whose scale it has, why it stays in float.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width =
            |column: fn(&PlanNode<'_>) -> usize| self.nodes().map(|node| column(&node)).max().unwrap_or(0);
        let path_width = width(|node| node.path().len());
        let operation_width = width(|node| node.operation().len());
        for node in self.nodes() {
            let (path, operation, precision) = (node.path(), node.operation(), node.precision());
            write!(f, "{path:path_width$}  {operation:operation_width$}  {precision:7}")?;
            let inputs: Vec<&str> = node.inputs().map(|input| self.node(input).path()).collect();
            if !inputs.is_empty() {
                write!(f, "  of {}", inputs.join(", "))?;
            }
            let members: Vec<&str> = node.members().collect();
            if members.len() > 1 {
                write!(f, "  fused {}", members.join("+"))?;
            }
            if let Some(observer) = node.observer() {
                let owner = self.path(self.observers[observer].values[0]);
                if owner != node.path() {
                    write!(f, "  scale of {owner}")?;
                }
            }
            if node.observer().is_none() && node.precision() == Precision::Static {
                write!(f, "  scale derived")?;
            }
            if let Some(reason) = node.float_reason() {
                write!(f, "  float because {reason}")?;
            }
            writeln!(f)?;
        }
        let outputs: Vec<&str> = self.outputs().map(|node| self.node(node).path()).collect();
        write!(f, "returns {}", outputs.join(", "))
    }
}
