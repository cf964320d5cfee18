//! `Graph`: the model as `#[quantizable]` parsed it, as plain data.

mod dot;
mod signature;
mod table;

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a value lives or an operation runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Domain {
    /// f32.
    Float,
    /// 8-bit integers with a scale and a zero point.
    Int8,
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Float => "float",
            Self::Int8 => "int8",
        })
    }
}

/// The operations of a model in the order in which they run, with the default plan: everything that can be int8
/// is, except what the source itself keeps in float. A `QConfigMapping` may leave more of it in float.
///
/// The constant `GRAPH` of each `#[quantizable]` model is one. It prints as a table, and [`Graph::to_dot`] draws it:
///
/// ```
/// use qcore::{Domain, Graph, GraphMember, GraphNode, GraphNodeKind, GraphValue};
/// const GRAPH: Graph = Graph {
///     model: "Net",
///     inputs: &["x"],
///     values: &[
///         GraphValue { name: "x", domain: Domain::Float },
///         GraphValue { name: "fc", domain: Domain::Float },
///     ],
///     nodes: &[GraphNode {
///         path: "fc",
///         inputs: &[0],
///         outputs: &[1],
///         kind: GraphNodeKind::Operation {
///             operation: "linear",
///             members: &[GraphMember { path: Some("fc"), object_type: "Linear" }],
///             domain_in: Domain::Float,
///             domain_out: Domain::Float,
///             float_reason: Some("its field is marked `#[quantizable(skip)]`"),
///             not_fused: None,
///             computed_with: &[],
///         },
///     }],
///     outputs: &[1],
/// };
/// assert!(GRAPH.to_string().contains("skip"));
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Graph {
    /// The model's type.
    pub model: &'static str,
    /// The names of `forward`'s parameters, which are the first values.
    pub inputs: &'static [&'static str],
    /// Every value; nodes speak of them by their index.
    pub values: &'static [GraphValue],
    /// The nodes in the order in which they run.
    pub nodes: &'static [GraphNode],
    /// The outputs of `forward`.
    pub outputs: &'static [usize],
}

/// A tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphValue {
    /// The name of the binding that it got, or of the operation that made it.
    pub name: &'static str,
    /// Where its producer leaves it.
    pub domain: Domain,
}

/// One step of a model.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GraphNode {
    /// Its path in PyTorch's spelling: `conv1`, `downsample.0`, `layers.{i}.conv1` in a loop.
    pub path: &'static str,
    /// The values that it reads.
    pub inputs: &'static [usize],
    /// The values that it makes.
    pub outputs: &'static [usize],
    /// The kind of the step.
    pub kind: GraphNodeKind,
}

/// The kind of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum GraphNodeKind {
    /// One operation, or a fused group of them.
    Operation {
        /// `conv_bn_relu`.
        operation: &'static str,
        /// The layers and functions that run as one, in order.
        members: &'static [GraphMember],
        /// Where it takes its inputs.
        domain_in: Domain,
        /// Where it leaves its output.
        domain_out: Domain,
        /// Why it stays in float, if it does.
        float_reason: Option<&'static str>,
        /// Why it is not fused with the step after it, if that was possible at all.
        not_fused: Option<&'static str>,
        /// The convolutions that the addition may run inside of, by their paths: of those that an instance has, it
        /// runs in the last. Empty for other operations, and where the macro cannot tell that it will for every
        /// instance; it follows no value out of a loop or a nested model.
        ///
        /// This is of the default plan and of operands of one shape. On the qnnpack backend an addition stays a
        /// step of its own, because it rounds in a way of its own. [`Converted::profile`](crate::Converted::profile)
        /// has the steps of an instance.
        computed_with: &'static [&'static str],
    },
    /// A nested `#[quantizable]` model. Values cross its border as they are.
    Model {
        /// Its type.
        model: &'static str,
        /// Its own graph.
        graph: &'static Graph,
        /// Why it stays in float, if it does.
        float_reason: Option<&'static str>,
    },
    /// A `for` over a `Vec`.
    Loop {
        /// The iterated field, `self.layers`.
        iterable: &'static str,
        /// The variables that live across iterations.
        carried: &'static [GraphCarried],
        /// The steps of an iteration.
        body: &'static [GraphNode],
    },
    /// An `if` on a flag, or a `match` on an optional layer.
    Branch {
        /// `self.downsample is some`.
        condition: &'static str,
        /// The values that come out of both arms.
        merged: &'static [GraphMerged],
        /// The steps if the condition holds.
        then_nodes: &'static [GraphNode],
        /// The steps if it does not.
        else_nodes: &'static [GraphNode],
    },
    /// A step between the domains, made from its only input for `readers`.
    Stub {
        /// Which way.
        action: StubAction,
        /// The paths of those that need it, `return` for the output.
        readers: &'static [&'static str],
        /// Whether it is missing when the model is nested in another, where values cross quantized.
        at_boundary: bool,
    },
}

/// Which way a stub goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StubAction {
    /// Float to int8.
    Quantize,
    /// Int8 to float.
    Dequantize,
}

/// A layer or a function in an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphMember {
    /// The layer's path; a function has none.
    pub path: Option<&'static str>,
    /// The layer's type or the function's name: `Conv2d`, `relu`.
    pub object_type: &'static str,
}

impl fmt::Display for GraphMember {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.path.unwrap_or(self.object_type))
    }
}

/// A variable that lives across iterations; the fields are indices of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphCarried {
    /// Before the loop.
    pub initial: usize,
    /// When an iteration begins.
    pub entry: usize,
    /// When an iteration ends.
    pub next: usize,
    /// After the loop.
    pub result: usize,
}

/// A value that comes out of both arms of a branch; the fields are indices of values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphMerged {
    /// In the arm of the condition.
    pub then_value: usize,
    /// In the other arm.
    pub else_value: usize,
    /// After the branch.
    pub result: usize,
}

impl Graph {
    /// All steps, those inside loops and branches after the step that holds them. Nested models are one step.
    pub fn all_nodes(&self) -> Vec<&'static GraphNode> {
        fn walk(nodes: &'static [GraphNode], found: &mut Vec<&'static GraphNode>) {
            for node in nodes {
                found.push(node);
                match node.kind {
                    GraphNodeKind::Loop { body, .. } => walk(body, found),
                    GraphNodeKind::Branch { then_nodes, else_nodes, .. } => {
                        walk(then_nodes, found);
                        walk(else_nodes, found);
                    }
                    GraphNodeKind::Operation { .. }
                    | GraphNodeKind::Model { .. }
                    | GraphNodeKind::Stub { .. } => {}
                }
            }
        }
        let mut found = Vec::new();
        walk(self.nodes, &mut found);
        found
    }

    /// The fused groups as PyTorch's `fuse_modules` takes them; a function stands by its name.
    pub fn fusions(&self) -> Vec<Vec<&'static str>> {
        let groups = self.all_nodes().into_iter().filter_map(|node| match node.kind {
            GraphNodeKind::Operation { members, .. } if members.len() > 1 => Some(members),
            _ => None,
        });
        groups
            .map(|members| members.iter().map(|member| member.path.unwrap_or(member.object_type)).collect())
            .collect()
    }

    /// The lines by which a file knows the body of its model again: one for each operation, branch and loop, with those
    /// of nested models.
    pub fn signature(&self) -> Vec<String> {
        signature::lines(self)
    }

    /// The graph in Graphviz's language: int8 filled, float white, loops and nested models framed.
    ///
    /// `dot -Tsvg` draws it.
    pub fn to_dot(&self) -> String {
        dot::text(self)
    }
}

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&table::text(self))
    }
}

/// `computed with conv2 or downsample.0`.
fn computed_with_text(convolutions: &[&str]) -> Option<String> {
    (!convolutions.is_empty()).then(|| format!("computed with {}", convolutions.join(" or ")))
}

#[cfg(test)]
mod tests;
