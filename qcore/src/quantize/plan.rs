//! `Plan`: the decision for each node of a network.

use std::sync::Arc;

use crate::network::{Call, Network, Node, NodeId, ValueId};
use crate::ops::{OutputRule, Precision};
use crate::{QConfig, Result};

/// The decisions for a model instance: the precision of each call, and which values are observed by which observer.
#[derive(Clone, Debug)]
pub struct Plan {
    pub(crate) network: Arc<Network>,
    /// Of each node.
    pub(crate) decisions: Vec<Decision>,
    /// Of each value.
    pub(crate) observed: Vec<Observed>,
    pub(crate) observers: Vec<ObserverPlan>,
}

/// How a node computes, and why.
#[derive(Clone, Debug)]
pub(crate) struct Decision {
    pub(crate) precision: Precision,
    /// Why the operation stays in float, if it does.
    pub(crate) float_reason: Option<String>,
    pub(crate) qconfig: Option<QConfig>,
}

/// By whom a value is observed.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Observed {
    /// The observer that gives this value its scale.
    pub(crate) observer: Option<usize>,
    /// Whether the value is shown to that observer when it is made.
    pub(crate) is_shown: bool,
}

/// One observer and whom it serves.
#[derive(Clone, Debug)]
pub(crate) struct ObserverPlan {
    /// The values that it sees, in the order in which they are made.
    pub(crate) values: Vec<ValueId>,
    pub(crate) qconfig: QConfig,
}

impl Plan {
    /// Every node, in the order in which they run: the parameters of `forward`, then one for each call of an
    /// operation.
    pub fn nodes(&self) -> impl ExactSizeIterator<Item = PlanNode<'_>> {
        (0..self.network.nodes.len()).map(|index| self.node(index))
    }

    /// The nodes whose values the model returns, as indices into [`Plan::nodes`].
    pub fn outputs(&self) -> impl Iterator<Item = usize> {
        self.network.outputs.iter().map(|&value| self.network.values[value].node)
    }

    /// Of each observer the nodes whose values it serves, as indices into [`Plan::nodes`].
    pub fn observers(&self) -> impl Iterator<Item = Vec<usize>> {
        let node = |&value: &ValueId| self.network.values[value].node;
        self.observers.iter().map(move |observer| observer.values.iter().map(node).collect())
    }

    pub(crate) fn node(&self, index: NodeId) -> PlanNode<'_> {
        PlanNode { plan: self, index }
    }

    /// The path of the node that makes a value.
    pub(crate) fn path(&self, value: ValueId) -> &str {
        &self.network.nodes[self.network.values[value].node].path
    }

    /// Whether a value has a range of its own, not one that follows from the value before it.
    pub(crate) fn has_own_scale(&self, value: ValueId) -> bool {
        let node = self.network.values[value].node;
        let rule = self.network.nodes[node].call.as_ref().map(Call::output_rule);
        let follows = matches!(
            rule,
            Some(OutputRule::SameAsInput | OutputRule::Moved | OutputRule::Derived | OutputRule::Shared)
        );
        self.decisions[node].precision != Precision::Static || !follows
    }

    /// The observer that serves the edge `path`.
    pub(crate) fn observer_of(&self, path: &str) -> Option<usize> {
        (0..self.observed.len())
            .find(|&value| self.path(value) == path)
            .and_then(|value| self.observed[value].observer)
    }

    /// The paths of all observed edges.
    pub(crate) fn observed_paths(&self) -> impl Iterator<Item = &str> {
        let observed = self.observed.iter().enumerate().filter(|(_, observed)| observed.observer.is_some());
        observed.map(|(value, _)| self.path(value))
    }
}

/// One node and its decision.
#[derive(Clone, Copy, Debug)]
pub struct PlanNode<'a> {
    plan: &'a Plan,
    index: NodeId,
}

impl<'a> PlanNode<'a> {
    /// Unique: `layers.0.conv2`, of a second call `layers.0.conv2#1`.
    pub fn path(&self) -> &'a str {
        self.node().path()
    }

    /// PyTorch's name of the operation, `ConvReLU2d`; `input` for a parameter of `forward`.
    pub fn operation(&self) -> &'a str {
        self.node().operation()
    }

    /// The state-dict paths of the layers that run as one.
    pub fn members(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.node().members()
    }

    /// The nodes whose values the operation reads, as indices into [`Plan::nodes`].
    pub fn inputs(&self) -> impl Iterator<Item = usize> + use<'a> {
        let network = &self.plan.network;
        self.node().data_inputs().iter().map(|&value| network.values[value].node)
    }

    /// How the operation computes.
    pub fn precision(&self) -> Precision {
        self.decision().precision
    }

    /// Why the operation stays in float, if it does.
    pub fn float_reason(&self) -> Option<&'a str> {
        self.decision().float_reason.as_deref()
    }

    /// The observer that gives its first value a scale, as an index into [`Plan::observers`].
    pub fn observer(&self) -> Option<usize> {
        self.node().outputs.first().and_then(|&value| self.plan.observed[value].observer)
    }

    fn node(&self) -> &'a Node {
        &self.plan.network.nodes[self.index]
    }

    fn decision(&self) -> &'a Decision {
        &self.plan.decisions[self.index]
    }
}

/// Shows each value that is to be shown to its observer.
pub(crate) fn shown(plan: &Plan, value: ValueId) -> Option<usize> {
    let Observed { observer, is_shown } = plan.observed[value];
    observer.filter(|_| is_shown)
}

/// An error's layer is the node that makes the value.
pub(crate) fn in_node<T>(plan: &Plan, value: ValueId, result: Result<T>) -> Result<T> {
    result.map_err(|error| error.in_layer(plan.path(value)))
}
