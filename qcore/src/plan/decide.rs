//! Which operations run in int8, which values are observed, and by whom: PyTorch FX's rules
//! (NUMERICS section 14), on the flat graph.

use super::{NodeId, ObserverPlan, Plan, PlanNode, Site};
use crate::graph::Domain;
use crate::observer::ReuseInputObserver;
use crate::op::OutputRule;
use crate::qconfig_mapping::Mode;
use crate::{Backend, DType, Error, QConfig, Result};

/// Decides for the traced `sites`.
///
/// # Errors
/// When a qconfig asks for something that no kernel runs.
pub(crate) fn decide(sites: Vec<Site>, outputs: Vec<NodeId>, backend: Backend, mode: Mode) -> Result<Plan> {
    let rules: Vec<Option<OutputRule>> = sites.iter().map(|site| effective_rule(site, mode)).collect();
    let float_reasons = float_reasons(&sites)?;
    let domains = domains(&sites, &rules, &float_reasons);
    let classes = observer_classes(&sites, &rules, &domains);

    let mut observers: Vec<ObserverPlan> = Vec::new();
    let mut observer_of_class: Vec<Option<usize>> = vec![None; sites.len()];
    let mut nodes: Vec<PlanNode> = Vec::with_capacity(sites.len());
    let consumers = consumers(&sites);
    for (id, site) in sites.iter().enumerate() {
        let qconfig = observing_qconfig(id, &sites, &rules, &domains, &consumers);
        let class = classes[id];
        let observer = qconfig.map(|qconfig| {
            *observer_of_class[class].get_or_insert_with(|| {
                observers.push(ObserverPlan { nodes: Vec::new(), qconfig });
                observers.len() - 1
            })
        });
        if let Some(observer) = observer {
            observers[observer].nodes.push(id);
        }
        let keeps_scale = matches!(rules[id], Some(OutputRule::SameAsInput | OutputRule::Derived));
        nodes.push(PlanNode {
            site: site.clone(),
            domain: domains[id],
            float_reason: float_reasons[id]
                .clone()
                .or_else(|| (domains[id] == Domain::Float && rules[id].is_some()).then(unneeded)),
            observer,
            // FX shows every value of a shared observer to it; eager mode has none on such operations.
            observes: observer.is_some()
                && !(mode == Mode::Eager && keeps_scale && domains[id] == Domain::Int8),
        });
    }
    Ok(Plan { backend, nodes, outputs, observers })
}

fn unneeded() -> String {
    "neither its input nor a consumer is int8".to_owned()
}

/// In eager mode `cat` is a FloatFunctional with an observer of its own.
fn effective_rule(site: &Site, mode: Mode) -> Option<OutputRule> {
    match site.rule {
        Some(OutputRule::Shared) if mode == Mode::Eager => Some(OutputRule::Observed),
        rule => rule,
    }
}

/// For each operation that must stay in float, why.
fn float_reasons(sites: &[Site]) -> Result<Vec<Option<String>>> {
    let mut reasons: Vec<Option<String>> = Vec::with_capacity(sites.len());
    // Values between the user's `dequant` and `quant`.
    let mut in_float_island = vec![false; sites.len()];
    for (id, site) in sites.iter().enumerate() {
        let reason = match site.rule {
            None => None,
            Some(OutputRule::Dequantize) => {
                in_float_island[id] = true;
                Some("`dequant` is where int8 ends".to_owned())
            }
            Some(OutputRule::Quantize) if site.qconfig.is_none() => Some("its qconfig is None".to_owned()),
            Some(OutputRule::Quantize) => None,
            Some(_) if site.inputs.iter().any(|&input| in_float_island[input]) => {
                in_float_island[id] = true;
                Some("it is between `dequant` and `quant`".to_owned())
            }
            Some(_) if site.skip => Some("`#[quantizable(skip)]`".to_owned()),
            Some(_) => match &site.qconfig {
                None => Some("its qconfig is None".to_owned()),
                Some(qconfig) => unsupported_activation(site, qconfig)?,
            },
        };
        reasons.push(reason);
    }
    Ok(reasons)
}

/// A qconfig without a static quint8 activation leaves an operation in float, as in FX; on a weighted layer
/// it asks for a mode of quantization that is not there, which must not pass silently.
fn unsupported_activation(site: &Site, qconfig: &QConfig) -> Result<Option<String>> {
    let activation = qconfig.activation_observer();
    if reuses_input(qconfig) {
        return Ok(None);
    }
    let is_static = activation.gives_qparams();
    if is_static && activation.dtype() == DType::QUInt8 {
        return Ok(None);
    }
    let description = format!("{} of dtype {}", activation.name(), activation.dtype().name());
    let is_weighted = site.rule == Some(OutputRule::Observed) && !site.members.is_empty();
    if is_weighted {
        return Err(Error::Unsupported(format!(
            "`{}` has a qconfig whose activations are observed by {description}; int8 kernels take static \
             quint8 activations (leave the layer in float with a qconfig of None)",
            site.path
        )));
    }
    Ok(Some(format!("its qconfig observes activations by {description}")))
}

/// PyTorch's `default_reuse_input_qconfig`: the operation goes with its input, whatever that is.
fn reuses_input(qconfig: &QConfig) -> bool {
    qconfig.activation_observer().as_any().is::<ReuseInputObserver>()
}

fn consumers(sites: &[Site]) -> Vec<Vec<NodeId>> {
    let mut consumers = vec![Vec::new(); sites.len()];
    for (id, site) in sites.iter().enumerate() {
        for &input in &site.inputs {
            consumers[input].push(id);
        }
    }
    consumers
}

/// Operations that only keep a scale run in int8 if they stand next to int8; all others if they may.
fn domains(sites: &[Site], rules: &[Option<OutputRule>], float_reasons: &[Option<String>]) -> Vec<Domain> {
    let follows = |id: NodeId| {
        matches!(rules[id], Some(OutputRule::SameAsInput | OutputRule::Shared | OutputRule::Derived))
    };
    let may = |id: NodeId| rules[id].is_some() && float_reasons[id].is_none();
    let mut domains: Vec<Domain> = (0..sites.len())
        .map(|id| if may(id) && !follows(id) { Domain::Int8 } else { Domain::Float })
        .collect();
    let consumers = consumers(sites);
    loop {
        let mut changed = false;
        for id in 0..sites.len() {
            if domains[id] == Domain::Int8 || !may(id) || !follows(id) {
                continue;
            }
            let input_is_int8 = sites[id].inputs.iter().any(|&input| domains[input] == Domain::Int8);
            let wants_int8 = !sites[id].qconfig.as_ref().is_some_and(reuses_input);
            let feeds_int8 = wants_int8
                && consumers[id]
                    .iter()
                    .any(|&consumer| domains[consumer] == Domain::Int8 && reads_int8(rules[consumer]));
            if input_is_int8 || feeds_int8 {
                domains[id] = Domain::Int8;
                changed = true;
            }
        }
        if !changed {
            return domains;
        }
    }
}

/// Whether an int8 operation of this rule takes its inputs in int8. `quant` takes them in float.
fn reads_int8(rule: Option<OutputRule>) -> bool {
    rule != Some(OutputRule::Quantize)
}

/// Whose activation observer watches the value of node `id`; `None` if nobody does.
fn observing_qconfig(
    id: NodeId,
    sites: &[Site],
    rules: &[Option<OutputRule>],
    domains: &[Domain],
    consumers: &[Vec<NodeId>],
) -> Option<QConfig> {
    if domains[id] == Domain::Int8 {
        return sites[id].qconfig.clone();
    }
    let consumer = consumers[id]
        .iter()
        .find(|&&consumer| domains[consumer] == Domain::Int8 && reads_int8(rules[consumer]))?;
    sites[*consumer].qconfig.clone()
}

/// Values that share one observer get one class: the input and output of an operation that keeps its scale,
/// all inputs and the output of `cat`.
fn observer_classes(sites: &[Site], rules: &[Option<OutputRule>], domains: &[Domain]) -> Vec<NodeId> {
    let mut parent: Vec<NodeId> = (0..sites.len()).collect();
    fn root(parent: &mut [NodeId], mut node: NodeId) -> NodeId {
        while parent[node] != node {
            parent[node] = parent[parent[node]];
            node = parent[node];
        }
        node
    }
    for (id, site) in sites.iter().enumerate() {
        if domains[id] != Domain::Int8 {
            continue;
        }
        let shared: &[NodeId] = match rules[id] {
            Some(OutputRule::SameAsInput | OutputRule::Derived) => site.inputs.get(..1).unwrap_or(&[]),
            Some(OutputRule::Shared) => &site.inputs,
            _ => &[],
        };
        // The smallest node of a class stands for it: it runs first.
        for &input in shared {
            let (a, b) = (root(&mut parent, input), root(&mut parent, id));
            parent[a.max(b)] = a.min(b);
        }
    }
    (0..sites.len()).map(|id| root(&mut parent, id)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QConfig;

    fn site(path: &str, rule: Option<OutputRule>, inputs: &[NodeId], quantized: bool) -> Site {
        Site {
            path: path.to_owned(),
            operation: path.to_owned(),
            rule,
            members: Vec::new(),
            inputs: inputs.to_vec(),
            skip: false,
            qconfig: quantized.then(|| QConfig::get_default_qconfig(Backend::Fbgemm)),
            derive: None,
        }
    }

    fn plan(sites: Vec<Site>) -> Plan {
        let last = sites.len() - 1;
        decide(sites, vec![last], Backend::Fbgemm, Mode::Graph).unwrap()
    }

    #[test]
    fn a_pool_shares_the_observer_of_its_input() {
        let plan = plan(vec![
            site("x", None, &[], false),
            site("conv", Some(OutputRule::Observed), &[0], true),
            site("pool", Some(OutputRule::SameAsInput), &[1], true),
        ]);
        let observers: Vec<_> = plan.nodes.iter().map(|node| node.observer).collect();
        assert_eq!(observers, [Some(0), Some(1), Some(1)]);
    }

    #[test]
    fn all_inputs_of_cat_share_one_observer() {
        let plan = plan(vec![
            site("x", None, &[], false),
            site("a", Some(OutputRule::Observed), &[0], true),
            site("b", Some(OutputRule::Observed), &[0], true),
            site("cat", Some(OutputRule::Shared), &[1, 2], true),
        ]);
        let observers: Vec<_> = plan.nodes.iter().map(|node| node.observer).collect();
        assert_eq!(observers, [Some(0), Some(1), Some(1), Some(1)]);
    }

    #[test]
    fn a_skipped_layer_is_observed_only_if_int8_follows() {
        let plan = plan(vec![
            site("x", None, &[], false),
            site("fc", Some(OutputRule::Observed), &[0], false),
            site("fc2", Some(OutputRule::Observed), &[1], true),
            site("fc3", Some(OutputRule::Observed), &[2], false),
        ]);
        let observed: Vec<_> = plan.nodes.iter().map(|node| node.observer.is_some()).collect();
        assert_eq!(observed, [false, true, true, false]);
    }

    #[test]
    fn a_reshape_between_float_layers_stays_in_float() {
        let plan = plan(vec![
            site("x", None, &[], false),
            site("flatten", Some(OutputRule::SameAsInput), &[0], true),
            site("fc", Some(OutputRule::Observed), &[1], false),
        ]);
        assert!(plan.observers.is_empty());
    }

    #[test]
    fn between_dequant_and_quant_everything_is_float() {
        let plan = plan(vec![
            site("x", None, &[], false),
            site("conv", Some(OutputRule::Observed), &[0], true),
            site("dequant", Some(OutputRule::Dequantize), &[1], true),
            site("conv2", Some(OutputRule::Observed), &[2], true),
            site("quant", Some(OutputRule::Quantize), &[3], true),
            site("conv3", Some(OutputRule::Observed), &[4], true),
        ]);
        let domains: Vec<_> = plan.nodes.iter().map(|node| node.domain == Domain::Int8).collect();
        assert_eq!(domains, [false, true, false, false, true, true]);
    }
}
