//! The flat graph of one model instance and what was decided for each of its operations.
//!
//! `prepare` walks the model once with symbolic values ([`Tracer`]), which gives every call site a name and
//! a node; [`decide`] then settles, by the qconfig mapping, which operations run in int8, which values are
//! observed, and which of them share an observer.

mod conversion;
mod decide;
mod display;
mod tracer;

pub use conversion::Conversion;
pub use tracer::{Edge, Member, OpSite, Tracer};

pub(crate) use decide::decide;

use std::sync::Arc;

use crate::graph::Domain;
use crate::op::{Op, OutputRule};
use crate::{Backend, QConfig, QParams, Result};

/// Index of a node in a [`Plan`].
pub(crate) type NodeId = usize;

/// What was decided for a model instance: one node for each input and each call of an operation.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) backend: Backend,
    pub(crate) nodes: Vec<PlanNode>,
    pub(crate) outputs: Vec<NodeId>,
    /// Of each observer the nodes whose values it sees, in the order in which they run.
    pub(crate) observers: Vec<ObserverPlan>,
}

impl Plan {
    /// Every value, in the order in which they are made: the parameters of `forward`, then one for each call of
    /// an operation.
    pub fn nodes(&self) -> &[PlanNode] {
        &self.nodes
    }

    /// The values that the model returns, as indices into [`Plan::nodes`].
    pub fn outputs(&self) -> &[usize] {
        &self.outputs
    }

    /// Of each observer the values that it serves, as indices into [`Plan::nodes`].
    pub fn observers(&self) -> impl Iterator<Item = &[usize]> {
        self.observers.iter().map(|observer| observer.nodes.as_slice())
    }

    /// The observer that serves the edge `path`.
    pub(crate) fn observer_of(&self, path: &str) -> Option<usize> {
        self.nodes.iter().find(|node| node.site.path == path).and_then(|node| node.observer)
    }

    /// The paths of all observed edges.
    pub(crate) fn observed_paths(&self) -> impl Iterator<Item = &str> {
        self.nodes.iter().filter(|node| node.observer.is_some()).map(|node| node.site.path.as_str())
    }
}

/// One value and the operation that makes it.
#[derive(Clone, Debug)]
pub struct PlanNode {
    pub(crate) site: Site,
    pub(crate) domain: Domain,
    /// Why the operation stays in float, if it does.
    pub(crate) float_reason: Option<String>,
    /// The observer that gives this value its scale.
    pub(crate) observer: Option<usize>,
    /// Whether the value is shown to that observer when it is made.
    pub(crate) observes: bool,
}

impl PlanNode {
    /// Unique: `layers.0.conv2`, of a second call `layers.0.conv2#1`.
    pub fn path(&self) -> &str {
        &self.site.path
    }

    /// PyTorch's name of the operation, `ConvReLU2d`; `input` for a parameter of `forward`.
    pub fn operation(&self) -> &str {
        &self.site.operation
    }

    /// The state-dict paths of the layers that run as one.
    pub fn members(&self) -> &[String] {
        &self.site.members
    }

    /// The values that the operation reads, as indices into [`Plan::nodes`].
    pub fn inputs(&self) -> &[usize] {
        &self.site.inputs
    }

    /// Where the operation runs.
    pub fn domain(&self) -> Domain {
        self.domain
    }

    /// Why the operation stays in float, if it does.
    pub fn float_reason(&self) -> Option<&str> {
        self.float_reason.as_deref()
    }
}

/// One observer and whom it serves.
#[derive(Clone, Debug)]
pub(crate) struct ObserverPlan {
    pub(crate) nodes: Vec<NodeId>,
    pub(crate) qconfig: QConfig,
}

/// A call of an operation, as the trace found it.
#[derive(Clone, Debug)]
pub(crate) struct Site {
    /// Unique: `layers.0.conv2`, `layers.0.conv2#1`.
    pub(crate) path: String,
    /// PyTorch's name of the operation, e.g. `ConvReLU2d`; `input` for a parameter of `forward`.
    pub(crate) operation: String,
    /// `None` for a parameter of `forward`.
    pub(crate) rule: Option<OutputRule>,
    /// The state-dict paths of the fused layers.
    pub(crate) members: Vec<String>,
    pub(crate) inputs: Vec<NodeId>,
    pub(crate) skip: bool,
    pub(crate) qconfig: Option<QConfig>,
    /// For [`OutputRule::Derived`].
    pub(crate) derive: Option<DeriveOutput>,
}

type DeriveFn = dyn Fn(&QParams) -> Result<QParams> + Send + Sync;

/// [`crate::op::Op::derive_output`] of one operation, without its type.
#[derive(Clone)]
pub(crate) struct DeriveOutput(Arc<DeriveFn>);

impl DeriveOutput {
    pub(crate) fn of<O: Op>(op: &O) -> Self {
        let op = op.clone();
        Self(Arc::new(move |input| op.derive_output(input)))
    }

    pub(crate) fn apply(&self, input: &QParams) -> Result<QParams> {
        (self.0)(input)
    }
}

impl std::fmt::Debug for DeriveOutput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DeriveOutput")
    }
}
