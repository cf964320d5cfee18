//! The plan as text: what runs where, and why.

use std::fmt;

use super::Plan;

impl fmt::Display for Plan {
    /// One line a value: path, operation, domain, inputs, whose scale it has, why it stays in float.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = |column: fn(&super::PlanNode) -> usize| self.nodes.iter().map(column).max().unwrap_or(0);
        let path_width = width(|node| node.site.path.len());
        let operation_width = width(|node| node.site.operation.len());
        for node in &self.nodes {
            let (path, operation, domain) = (&node.site.path, &node.site.operation, node.domain);
            write!(f, "{path:path_width$}  {operation:operation_width$}  {domain:5}")?;
            let inputs: Vec<&str> =
                node.site.inputs.iter().map(|&input| self.nodes[input].site.path.as_str()).collect();
            if !inputs.is_empty() {
                write!(f, "  of {}", inputs.join(", "))?;
            }
            if node.site.members.len() > 1 {
                write!(f, "  fused {}", node.site.members.join("+"))?;
            }
            if let Some(observer) = node.observer {
                let first = self.observers[observer].nodes[0];
                let owner = &self.nodes[first].site.path;
                if *owner != node.site.path {
                    write!(f, "  scale of {owner}")?;
                }
            }
            if let Some(reason) = &node.float_reason {
                write!(f, "  float because {reason}")?;
            }
            writeln!(f)?;
        }
        let outputs: Vec<&str> =
            self.outputs.iter().map(|&node| self.nodes[node].site.path.as_str()).collect();
        write!(f, "returns {}", outputs.join(", "))
    }
}
