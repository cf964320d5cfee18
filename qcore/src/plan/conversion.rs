//! `Conversion`: the scale of every value, once calibration is over.

use super::{NodeId, Plan, PlanNode};
use crate::graph::Domain;
use crate::op::{Lowering, Op, OutputRule};
use crate::{Error, Observer, QParams, Result};

/// What `convert` knows: the plan, and the parameters of every value that is or becomes int8.
#[derive(Debug)]
pub struct Conversion<'a> {
    plan: &'a Plan,
    values: Vec<Option<QParams>>,
}

impl<'a> Conversion<'a> {
    /// # Errors
    /// When an observed edge never saw data (all such edges at once), or an observer cannot give parameters.
    pub(crate) fn new(plan: &'a Plan, observers: &[&dyn Observer]) -> Result<Self> {
        refuse_unseen(plan, observers)?;
        let path = |observer: usize| &plan.nodes[plan.observers[observer].nodes[0]].site.path;
        let observed = observers
            .iter()
            .enumerate()
            .map(|(index, observer)| {
                let qparams = observer.calculate_qparams().map_err(|error| error.in_layer(path(index)))?;
                // `reduce_range` narrows the range from which the scale follows, not that of the integers.
                Ok(qparams.over_full_range())
            })
            .collect::<Result<Vec<_>>>()?;
        let mut values: Vec<Option<QParams>> = Vec::with_capacity(plan.nodes.len());
        for node in &plan.nodes {
            let of_input = || node.site.inputs.first().and_then(|&input| values[input].clone());
            let qparams = match (node.domain, node.site.rule) {
                (Domain::Int8, Some(OutputRule::SameAsInput)) => of_input(),
                (Domain::Int8, Some(OutputRule::Derived)) => match (of_input(), &node.site.derive) {
                    (Some(input), Some(derive)) => {
                        Some(derive.apply(&input).map_err(|error| error.in_layer(&node.site.path))?)
                    }
                    _ => None,
                },
                _ => node.observer.map(|observer| observed[observer].clone()),
            };
            values.push(qparams);
        }
        Ok(Self { plan, values })
    }

    pub(crate) fn node(&self, node: NodeId) -> &PlanNode {
        &self.plan.nodes[node]
    }

    /// The parameters of the value that `node` makes.
    pub(crate) fn value(&self, node: NodeId) -> Option<&QParams> {
        self.values[node].as_ref()
    }

    /// What `node` has to be lowered with, `None` if it stays in float.
    ///
    /// # Errors
    /// When a value that it reads has no parameters, which a plan does not let happen.
    pub(crate) fn lower<O: Op>(&self, node: NodeId, op: &O) -> Result<Option<O::Quantized>> {
        let planned = self.node(node);
        if planned.domain == Domain::Float || planned.site.rule == Some(OutputRule::Quantize) {
            return Ok(None);
        }
        let missing = || Error::Unsupported("an int8 operation on a value that was never observed".into());
        let inputs = planned
            .site
            .inputs
            .iter()
            .map(|&input| self.value(input).cloned().ok_or_else(missing))
            .collect::<Result<Vec<_>>>()?;
        let output = self.value(node).ok_or_else(missing)?;
        let qconfig = planned.site.qconfig.as_ref().ok_or_else(missing)?;
        let lowering = Lowering::new(self.plan.backend, &inputs, output, qconfig.weight_observer());
        op.lower(&lowering).map(Some)
    }
}

fn refuse_unseen(plan: &Plan, observers: &[&dyn Observer]) -> Result<()> {
    let edges: Vec<String> = plan
        .observers
        .iter()
        .zip(observers)
        .filter(|(_, observer)| observer.gives_qparams() && !observer.has_observed())
        .flat_map(|(planned, _)| planned.nodes.iter().map(|&node| plan.nodes[node].site.path.clone()))
        .collect();
    if edges.is_empty() { Ok(()) } else { Err(Error::NotCalibrated { edges }) }
}
