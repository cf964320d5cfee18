//! `convert`: every call lowered to its precision, with the scales that calibration found.

use std::sync::Arc;

use super::{Observations, ObservedEdge, Plan};
use crate::network::{Call, Loaders, Network, NetworkValue, Node, NodeMember, formats, lower};
use crate::observer::MinMaxObserver;
use crate::ops::{Lowering, OutputRule, Precision};
use crate::{Error, Observer, QParams, Result};

/// Settings of [`Prepared::convert_with`](crate::Prepared::convert_with).
///
/// ```
/// use qcore::ConvertOptions;
///
/// let options = ConvertOptions { allow_constant: true };
/// assert_ne!(options, ConvertOptions::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ConvertOptions {
    /// Whether an edge may be converted that was calibrated with a single value alone: with pictures that are all black,
    /// say. Its scale is that of this value (of zeros the smallest there is, 1.19e-7), and whatever comes later is cut off
    /// at it; so by default it is an error. An edge whose value the graph itself makes, as behind `x * 0.0`, and one
    /// whose observer has no range (`FixedQParamsObserver`), is always converted.
    pub allow_constant: bool,
}

/// The network of `plan` in the precisions that it says.
///
/// # Errors
/// When an observed edge never saw data, or a single value that `options` do not allow (all such edges at once), an
/// observer cannot give parameters, a weight is not finite, or the backend refuses a scale.
pub(crate) fn convert(
    plan: &Plan,
    observations: &Observations,
    options: ConvertOptions,
    loaders: &Loaders,
) -> Result<Network> {
    let Observations { edges, apart, weights } = observations;
    refuse_unseen(plan, edges)?;
    if !options.allow_constant {
        refuse_constant(plan, edges)?;
    }
    let network = &plan.network;
    let qparams = qparams(plan, edges)?;
    let values: Vec<NetworkValue> = network
        .values
        .iter()
        .zip(qparams)
        .map(|(value, qparams)| NetworkValue { node: value.node, qparams: qparams.map(Arc::new) })
        .collect();
    let nodes = network.nodes.iter().enumerate().map(|(index, node)| {
        let call = node.call.as_ref().map(|call| {
            let is_apart = apart.contains(&index);
            convert_call(
                plan,
                index,
                call,
                &values,
                is_apart,
                weights.get(&index).map(AsRef::as_ref),
                loaders,
            )
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
    call: &Call,
    values: &[NetworkValue],
    is_apart: bool,
    weight_observer: Option<&dyn Observer>,
    loaders: &Loaders,
) -> Result<Call> {
    let (node, decision) = (&plan.network.nodes[index], &plan.decisions[index]);
    let precision = decision.precision;
    let backend = plan.network.backend;
    let [inputs, outputs] =
        [node.data_inputs(), &node.outputs].map(|ids| formats(ids, values, &call.members, precision));
    let weight_observer: Box<dyn Observer> = match (weight_observer, &decision.qconfig) {
        (Some(observer), _) => observer.boxed_clone(),
        (None, Some(qconfig)) => qconfig.weight_observer(),
        (None, None) => Box::new(MinMaxObserver::new()),
    };
    // `quant` computes in float; its output is converted for its readers.
    let is_quantize = call.is_quantize();
    let lowered = if is_quantize { Precision::Float } else { precision };
    let lowering = Lowering::new(lowered, backend, &inputs, &outputs, weight_observer);
    let executable = lower(&call.members, lowering.with_batch_norm_apart(is_apart))?;
    let members = call
        .members
        .iter()
        .map(|member| Ok(NodeMember { path: member.path.clone(), op: loaders.without_tensors(&member.op)? }));
    Ok(Call { members: members.collect::<Result<_>>()?, precision, executable })
}

/// Scale and zero point of every value that is or becomes integers.
fn qparams(plan: &Plan, edges: &[ObservedEdge]) -> Result<Vec<Option<QParams>>> {
    let observed = edges
        .iter()
        .map(|ObservedEdge { path, observer, .. }| {
            let qparams = observer.calculate_qparams().and_then(|qparams| {
                qparams.validate()?;
                Ok(qparams)
            });
            // `reduce_range` narrows the range from which the scale follows, not that of the integers.
            qparams.map(QParams::over_full_range).map_err(|error| error.in_layer(path))
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

fn refuse_unseen(plan: &Plan, edges: &[ObservedEdge]) -> Result<()> {
    let edges: Vec<String> = plan
        .observers
        .iter()
        .zip(edges)
        .filter(|(_, edge)| edge.observer.gives_qparams() && !edge.observer.has_observed())
        .flat_map(|(planned, _)| planned.values.iter().map(|&value| plan.path(value).to_owned()))
        .collect();
    if edges.is_empty() { Ok(()) } else { Err(Error::NotCalibrated { edges }) }
}

fn refuse_constant(plan: &Plan, edges: &[ObservedEdge]) -> Result<()> {
    let is_made_here = independent_of_inputs(&plan.network);
    let edges: Vec<(String, f32)> = plan
        .observers
        .iter()
        .zip(edges)
        .filter(|(planned, _)| !planned.values.iter().all(|&value| is_made_here[value]))
        .filter_map(|(_, edge)| {
            let (low, high) = edge.observer.range()?;
            (low == high).then(|| (edge.path.clone(), low))
        })
        .collect();
    if edges.is_empty() { Ok(()) } else { Err(Error::ConstantEdges { edges }) }
}

/// Of each value whether it is the same for all inputs of the network.
fn independent_of_inputs(network: &Network) -> Vec<bool> {
    let mut independent = vec![false; network.values.len()];
    for node in &network.nodes {
        let Some(call) = &node.call else { continue };
        let inputs = node.data_inputs();
        let is_difference = call.members.first().is_some_and(|member| member.op.name() == "sub")
            && inputs.iter().all(|input| Some(input) == inputs.first());
        let is_constant = is_difference
            || call.members.iter().any(|member| member.op.ignores_input())
            || inputs.iter().all(|&input| independent[input]);
        for &output in &node.outputs {
            independent[output] = is_constant;
        }
    }
    independent
}
