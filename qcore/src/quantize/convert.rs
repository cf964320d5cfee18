//! `convert`: every call lowered to its precision, with the scales that calibration found.

use std::sync::Arc;

use super::Plan;
use crate::network::{Call, Loaders, Network, NetworkValue, Node, NodeMember, formats, lower};
use crate::observer::MinMaxObserver;
use crate::ops::{Lowering, OutputRule, Precision};
use crate::{Error, Observer, QParams, Result};

/// The network of `plan` in the precisions that it says.
///
/// # Errors
/// When an observed edge never saw data (all such edges at once), an observer cannot give parameters, a weight is not
/// finite, or the backend refuses a scale.
pub(crate) fn convert(plan: &Plan, observers: &[&dyn Observer], loaders: &Loaders) -> Result<Network> {
    refuse_unseen(plan, observers)?;
    let network = &plan.network;
    let qparams = qparams(plan, observers)?;
    let values: Vec<NetworkValue> = network
        .values
        .iter()
        .zip(qparams)
        .map(|(value, qparams)| NetworkValue { node: value.node, qparams: qparams.map(Arc::new) })
        .collect();
    let nodes = network.nodes.iter().enumerate().map(|(index, node)| {
        let call = node.call.as_ref().map(|call| {
            convert_call(plan, index, node, call, &values, loaders)
                .map_err(|error| error.in_layer(&node.path))
        });
        Ok(Node { call: call.transpose()?, ..node.clone() })
    });
    let nodes = nodes.collect::<Result<_>>()?;
    Ok(network.with(nodes, values))
}

fn convert_call(
    plan: &Plan,
    index: usize,
    node: &Node,
    call: &Call,
    values: &[NetworkValue],
    loaders: &Loaders,
) -> Result<Call> {
    let decision = &plan.decisions[index];
    let precision = decision.precision;
    let backend = plan.network.backend;
    let [inputs, outputs] =
        [node.data_inputs(), &node.outputs].map(|ids| formats(ids, values, &call.members, precision));
    let weight_observer: Box<dyn Observer> = match &decision.qconfig {
        Some(qconfig) => qconfig.weight_observer(),
        None => Box::new(MinMaxObserver::new()),
    };
    // `quant` computes in float; its output is converted for its readers.
    let is_quantize = call.is_quantize();
    let lowered = if is_quantize { Precision::Float } else { precision };
    let lowering = Lowering::new(lowered, backend, &inputs, &outputs, weight_observer);
    let executable = lower(&call.members, lowering)?;
    let members = call
        .members
        .iter()
        .map(|member| Ok(NodeMember { path: member.path.clone(), op: loaders.without_tensors(&member.op)? }));
    Ok(Call { members: members.collect::<Result<_>>()?, precision, executable })
}

/// Scale and zero point of every value that is or becomes integers.
fn qparams(plan: &Plan, observers: &[&dyn Observer]) -> Result<Vec<Option<QParams>>> {
    let observed = observers
        .iter()
        .enumerate()
        .map(|(index, observer)| {
            let path = || plan.path(plan.observers[index].values[0]);
            let qparams = observer.calculate_qparams().map_err(|error| error.in_layer(path()))?;
            // `reduce_range` narrows the range from which the scale follows, not that of the integers.
            Ok(qparams.over_full_range())
        })
        .collect::<Result<Vec<_>>>()?;
    let network = &plan.network;
    let mut found: Vec<Option<QParams>> = Vec::with_capacity(network.values.len());
    for (value, NetworkValue { node, .. }) in network.values.iter().enumerate() {
        let (node, decision) = (&network.nodes[*node], &plan.decisions[*node]);
        let of_input = || node.inputs.first().and_then(|&input| found[input].clone());
        let rule = node.call.as_ref().map(Call::output_rule);
        let qparams = match (decision.precision, rule) {
            (Precision::Static, Some(OutputRule::SameAsInput | OutputRule::Moved)) => of_input(),
            (Precision::Static, Some(OutputRule::Derived)) => match (of_input(), &node.call) {
                (Some(input), Some(call)) => {
                    let derived = derive_output(call, &input).map_err(|error| error.in_layer(&node.path))?;
                    Some(derived)
                }
                _ => None,
            },
            _ => plan.observed[value].observer.map(|observer| observed[observer].clone()),
        };
        found.push(qparams);
    }
    Ok(found)
}

fn derive_output(call: &Call, input: &QParams) -> Result<QParams> {
    match call.members.first() {
        Some(member) => member.op.derive_output(input),
        None => Ok(input.clone()),
    }
}

fn refuse_unseen(plan: &Plan, observers: &[&dyn Observer]) -> Result<()> {
    let edges: Vec<String> = plan
        .observers
        .iter()
        .zip(observers)
        .filter(|(_, observer)| observer.gives_qparams() && !observer.has_observed())
        .flat_map(|(planned, _)| planned.values.iter().map(|&value| plan.path(value).to_owned()))
        .collect();
    if edges.is_empty() { Ok(()) } else { Err(Error::NotCalibrated { edges }) }
}
