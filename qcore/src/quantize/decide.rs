//! The precision of each call, which values are observed, and by whom: PyTorch FX's rules (NUMERICS section 14), on the
//! flat graph.

use std::sync::Arc;

use super::plan::{Decision, Observed, ObserverPlan};
use super::{Mode, Plan};
use crate::network::{Network, NodeId, Settings, ValueId, lower};
use crate::observer::{PerGroupMinMaxObserver, ReuseInputObserver};
use crate::ops::{Format, Lowering, OutputRule, Precision};
use crate::{Backend, DType, Error, QConfig, Result};

/// Decides for a recorded network.
///
/// # Errors
/// When a qconfig asks for something that no kernel runs.
pub(crate) fn decide(network: Network, settings: &[Settings], mode: Mode) -> Result<Plan> {
    let network = Arc::new(network);
    let graph = Graph::new(&network, settings, mode);
    let requested = (0..graph.len()).map(|node| graph.requested(node)).collect::<Result<Vec<_>>>()?;
    let float_reasons = graph.float_reasons(&requested);
    let precisions = graph.precisions(&requested, &float_reasons);
    let is_static: Vec<bool> = precisions.iter().map(|precision| *precision == Precision::Static).collect();
    let is_derived = graph.derived(&is_static);
    let classes = graph.observer_classes(&is_static);

    let mut observers: Vec<ObserverPlan> = Vec::new();
    let mut observer_of_class: Vec<Option<usize>> = vec![None; classes.len()];
    let observed = (0..classes.len()).map(|value| {
        if is_derived[value] {
            return None;
        }
        let qconfig = graph.observing_qconfig(value, &is_static)?;
        let observer = *observer_of_class[classes[value]].get_or_insert_with(|| {
            observers.push(ObserverPlan { values: Vec::new(), qconfig });
            observers.len() - 1
        });
        observers[observer].values.push(value);
        let node = graph.producer(value);
        // FX shows every value of a shared observer to it; eager mode has none on such operations.
        let is_shown = !(mode == Mode::Eager && graph.keeps_scale(node) && is_static[node]);
        Some(Observed { observer: Some(observer), is_shown })
    });
    let observed = observed.map(Option::unwrap_or_default).collect();
    let decisions = (0..graph.len())
        .map(|node| {
            let is_float = precisions[node] == Precision::Float && graph.rules[node].is_some();
            Decision {
                precision: precisions[node],
                float_reason: float_reasons[node].clone().or_else(|| is_float.then(unneeded)),
                qconfig: settings[node].qconfig.clone(),
            }
        })
        .collect();
    drop(graph);
    let plan = Plan { network, decisions, observed, observers };
    check_weights(&plan)?;
    Ok(plan)
}

/// Lowers what needs no calibration once, so that weights that no kernel takes are refused here.
fn check_weights(plan: &Plan) -> Result<()> {
    for (node, decision) in plan.network.nodes.iter().zip(&plan.decisions) {
        let (Precision::Dynamic | Precision::WeightOnly | Precision::Half, Some(call), Some(qconfig)) =
            (decision.precision, &node.call, &decision.qconfig)
        else {
            continue;
        };
        let [inputs, outputs] =
            [node.data_inputs().len(), node.outputs.len()].map(|count| vec![Format::F32; count]);
        let (backend, observer) = (plan.network.backend, qconfig.weight_observer());
        let lowering = Lowering::new(decision.precision, backend, &inputs, &outputs, observer);
        lower(&call.members, lowering).map_err(|error| error.in_layer(&node.path))?;
    }
    Ok(())
}

fn unneeded() -> String {
    "neither its input nor a consumer is int8".to_owned()
}

/// The precision that a call's qconfig asks for.
enum Requested {
    Precision(Precision),
    /// As its input; see [`ReuseInputObserver`].
    ReuseInput,
    /// With the reason.
    Float(String),
}

/// A network with its settings, output rules and consumers.
struct Graph<'a> {
    network: &'a Network,
    settings: &'a [Settings],
    /// Of each node; `None` of a parameter of `forward`.
    rules: Vec<Option<OutputRule>>,
    /// Of each value the nodes that read its elements.
    consumers: Vec<Vec<NodeId>>,
    /// Whether a derived value, `x * 8`, is shown to the observer of its input, as in FX: then `x` has steps wide enough for
    /// both. The native backend needs no more than the range of `x`, from which the other one follows.
    shows_derived: bool,
}

impl<'a> Graph<'a> {
    fn new(network: &'a Network, settings: &'a [Settings], mode: Mode) -> Self {
        let rules = network.nodes.iter().map(|node| {
            let rule = node.call.as_ref()?.output_rule();
            // In eager mode `cat` is a FloatFunctional with an observer of its own.
            Some(if (rule, mode) == (OutputRule::Shared, Mode::Eager) { OutputRule::Observed } else { rule })
        });
        let mut graph = Self {
            network,
            settings,
            rules: rules.collect(),
            consumers: vec![Vec::new(); network.values.len()],
            shows_derived: network.backend != Backend::Native,
        };
        for node in 0..graph.len() {
            for &input in graph.inputs(node) {
                graph.consumers[input].push(node);
            }
        }
        graph
    }

    fn len(&self) -> usize {
        self.network.nodes.len()
    }

    /// The values whose elements a node reads.
    fn inputs(&self, node: NodeId) -> &'a [ValueId] {
        self.network.nodes[node].data_inputs()
    }

    fn producer(&self, value: ValueId) -> NodeId {
        self.network.values[value].node
    }

    /// Whether the output's scale follows from the input's.
    fn keeps_scale(&self, node: NodeId) -> bool {
        matches!(self.rules[node], Some(OutputRule::SameAsInput | OutputRule::Moved | OutputRule::Derived))
    }

    fn follows(&self, node: NodeId) -> bool {
        self.keeps_scale(node) || self.rules[node] == Some(OutputRule::Shared)
    }

    /// The precision that the qconfig of a node asks for. A layer with weights takes no other; an operation
    /// without weights stays in float where its qconfig says something else than static `quint8`, as in FX.
    fn requested(&self, node: NodeId) -> Result<Requested> {
        let Some(call) = &self.network.nodes[node].call else { return Ok(Requested::ReuseInput) };
        let Some(qconfig) = &self.settings[node].qconfig else {
            return Ok(Requested::Float("its qconfig is None".to_owned()));
        };
        if reuses_input(qconfig) {
            return Ok(Requested::ReuseInput);
        }
        let activation = qconfig.activation_observer();
        let (gives_qparams, dtype) = (activation.gives_qparams(), activation.dtype());
        let asked = match (gives_qparams, dtype) {
            (true, DType::QUInt8) => Some(Precision::Static),
            (false, DType::QUInt8) if activation.is_dynamic() => Some(Precision::Dynamic),
            (false, DType::Float16) if activation.is_dynamic() => Some(Precision::Half),
            (false, DType::Float32) if qconfig.weight_observer().gives_qparams() => {
                Some(Precision::WeightOnly)
            }
            _ => None,
        };
        let op = call.members.first().map(|member| &member.op);
        if asked != Some(Precision::WeightOnly)
            && qconfig.weight_observer().as_any().is::<PerGroupMinMaxObserver>()
        {
            let path = &self.network.nodes[node].path;
            return Err(Error::Unsupported(format!(
                "`{path}` has a qconfig with weights in groups and quantized activations; weights in groups go with float \
                 activations (`QConfig::weight_only`), quantized ones with a scale for each channel or one for all"
            )));
        }
        let supports = |precision: &Precision| op.is_some_and(|op| op.precisions().contains(precision));
        if let Some(precision) = asked.filter(supports) {
            let is_transposed = op
                .and_then(|op| qcatalogue::operation(op.name()))
                .is_some_and(|row| row.role == qcatalogue::Role::ConvTranspose);
            if precision == Precision::Static
                && is_transposed
                && qconfig.weight_observer().qscheme().is_per_channel()
            {
                let path = &self.network.nodes[node].path;
                return Err(Error::Unsupported(format!(
                    "`{path}` has a qconfig with a weight scale for each channel, and transposed convolutions have one \
                     for all (give it one with `default_weight_observer()`, as `QConfigMapping::for_backend` does)"
                )));
            }
            return Ok(Requested::Precision(precision));
        }
        let description = format!("{} of dtype {}", activation.name(), dtype.name());
        let is_weighted = self.rules[node] == Some(OutputRule::Observed)
            && call.members.iter().any(|member| member.path.is_some());
        if is_weighted && asked != Some(Precision::Static) {
            let path = &self.network.nodes[node].path;
            let choices = op.map(|op| {
                op.precisions().iter().map(|precision| precision.name()).collect::<Vec<_>>().join(", ")
            });
            return Err(Error::Unsupported(format!(
                "`{path}` has a qconfig whose activations are observed by {description}; it can be {} (leave the \
                 layer in float with a qconfig of None)",
                choices.unwrap_or_default()
            )));
        }
        Ok(Requested::Float(format!("its qconfig observes activations by {description}")))
    }

    /// For each operation that must stay in float, why.
    fn float_reasons(&self, requested: &[Requested]) -> Vec<Option<String>> {
        // Nodes between the user's `dequant` and `quant`.
        let mut is_in_float_region = vec![false; self.len()];
        let reason = |node: NodeId| match self.rules[node] {
            None => None,
            Some(OutputRule::Dequantize) => {
                is_in_float_region[node] = true;
                Some("`dequant` is where int8 ends".to_owned())
            }
            Some(OutputRule::Quantize) => match &requested[node] {
                Requested::Float(reason) if self.settings[node].qconfig.is_none() => Some(reason.clone()),
                _ => None,
            },
            Some(_) if self.inputs(node).iter().any(|&input| is_in_float_region[self.producer(input)]) => {
                is_in_float_region[node] = true;
                Some("it is between `dequant` and `quant`".to_owned())
            }
            Some(_) if self.settings[node].skip => Some("`#[quantizable(skip)]`".to_owned()),
            Some(_) => match &requested[node] {
                Requested::Float(reason) => Some(reason.clone()),
                _ => None,
            },
        };
        (0..self.len()).map(reason).collect()
    }

    /// Operations that only keep a scale run on integers if they stand next to integers; all others if they may.
    fn precisions(&self, requested: &[Requested], float_reasons: &[Option<String>]) -> Vec<Precision> {
        let may = |node: NodeId| self.rules[node].is_some() && float_reasons[node].is_none();
        let mut precisions: Vec<Precision> = (0..self.len())
            .map(|node| match &requested[node] {
                Requested::Precision(precision) if may(node) && !self.follows(node) => *precision,
                Requested::ReuseInput if may(node) && !self.follows(node) => Precision::Static,
                _ if may(node) && self.rules[node] == Some(OutputRule::Quantize) => Precision::Static,
                _ => Precision::Float,
            })
            .collect();
        loop {
            let mut changed = false;
            for node in 0..self.len() {
                if precisions[node] == Precision::Static || !may(node) || !self.follows(node) {
                    continue;
                }
                let is_static = |node: NodeId| precisions[node] == Precision::Static;
                let input_is_static = self.inputs(node).iter().any(|&input| is_static(self.producer(input)));
                let goes_with_consumers = !matches!(requested[node], Requested::ReuseInput);
                let feeds_static = goes_with_consumers
                    && self
                        .consumers_of(node)
                        .any(|consumer| is_static(consumer) && self.reads_integers(consumer));
                if input_is_static || feeds_static {
                    precisions[node] = Precision::Static;
                    changed = true;
                }
            }
            if !changed {
                return precisions;
            }
        }
    }

    fn consumers_of(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        self.network.nodes[node].outputs.iter().flat_map(|&output| self.consumers[output].iter().copied())
    }

    /// Whether a static operation takes its inputs as integers. `quant` takes them in float.
    fn reads_integers(&self, node: NodeId) -> bool {
        self.rules[node] != Some(OutputRule::Quantize)
    }

    /// Whose activation observer watches a value; `None` if nobody does.
    fn observing_qconfig(&self, value: ValueId, is_static: &[bool]) -> Option<QConfig> {
        let node = self.producer(value);
        if is_static[node] {
            return self.settings[node].qconfig.clone();
        }
        let reads = |&&consumer: &&NodeId| is_static[consumer] && self.reads_integers(consumer);
        let consumer = self.consumers[value].iter().find(reads)?;
        self.settings[*consumer].qconfig.clone()
    }

    /// Of each value whether its scale follows from another value's by arithmetic, so that nobody need observe it.
    fn derived(&self, is_static: &[bool]) -> Vec<bool> {
        let mut is_derived = vec![false; self.network.values.len()];
        for node in (0..self.len()).filter(|&node| is_static[node] && self.keeps_scale(node)) {
            let of_input = self.inputs(node).first().is_some_and(|&input| is_derived[input]);
            let derives = self.rules[node] == Some(OutputRule::Derived) && !self.shows_derived;
            for &output in &self.network.nodes[node].outputs {
                is_derived[output] = of_input || derives;
            }
        }
        is_derived
    }

    /// Values that share one observer get one class: the input and output of an operation that keeps its scale,
    /// all inputs and the output of `cat`.
    fn observer_classes(&self, is_static: &[bool]) -> Vec<ValueId> {
        fn root(parent: &mut [ValueId], mut value: ValueId) -> ValueId {
            while parent[value] != value {
                parent[value] = parent[parent[value]];
                value = parent[value];
            }
            value
        }
        let mut parent: Vec<ValueId> = (0..self.network.values.len()).collect();
        for node in (0..self.len()).filter(|&node| is_static[node]) {
            let inputs = self.inputs(node);
            let shared = match self.rules[node] {
                Some(OutputRule::Shared) => inputs,
                Some(OutputRule::Derived) if !self.shows_derived => &[],
                _ if self.keeps_scale(node) => inputs.get(..1).unwrap_or_default(),
                _ => &[],
            };
            // The smallest value of a class stands for it: it is made first.
            for &output in &self.network.nodes[node].outputs {
                for &input in shared {
                    let (a, b) = (root(&mut parent, input), root(&mut parent, output));
                    parent[a.max(b)] = a.min(b);
                }
            }
        }
        (0..parent.len()).map(|value| root(&mut parent, value)).collect()
    }
}

/// PyTorch's `default_reuse_input_qconfig`: the operation goes with its input, whatever that is.
fn reuses_input(qconfig: &QConfig) -> bool {
    qconfig.activation_observer().as_any().is::<ReuseInputObserver>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Call, NetworkValue, Node, NodeMember};
    use crate::ops::{self, Lowering, Op};
    use crate::program::Programs;

    /// Path, operation, inputs, and whether there is a qconfig.
    type TestNode<'a> = (&'a str, Option<Arc<dyn Op>>, &'a [ValueId], bool);

    fn plan(nodes: Vec<TestNode<'_>>) -> Plan {
        plan_for(Backend::Fbgemm, nodes)
    }

    /// A network whose node `i` makes the value `i`.
    fn plan_for(backend: Backend, nodes: Vec<TestNode<'_>>) -> Plan {
        let qconfig = || QConfig::get_default_qconfig(Backend::Fbgemm);
        let settings: Vec<Settings> = nodes
            .iter()
            .map(|(.., is_quantized)| Settings { skip: false, qconfig: is_quantized.then(qconfig) })
            .collect();
        let values = (0..nodes.len()).map(|node| NetworkValue { node, qparams: None }).collect();
        let outputs = vec![nodes.len() - 1];
        let nodes = nodes.into_iter().enumerate().map(|(index, (path, op, inputs, _))| Node {
            path: path.to_owned(),
            inputs: inputs.to_vec(),
            outputs: vec![index],
            call: op.map(|op| Call {
                executable: op.lower(&Lowering::float()).unwrap(),
                members: vec![NodeMember { path: None, op }],
                precision: Precision::Float,
            }),
        });
        let network = Network {
            model: "Test".into(),
            signature: String::new(),
            backend,
            metadata: Default::default(),
            nodes: nodes.collect(),
            values,
            outputs,
            non_finite: Default::default(),
            mapped: None,
            programs: Programs::default(),
        };
        decide(network, &settings, Mode::Graph).unwrap()
    }

    fn some(op: impl Op) -> Option<Arc<dyn Op>> {
        Some(Arc::new(op))
    }

    fn conv() -> Option<Arc<dyn Op>> {
        some(ops::Conv2d::new(1, 1, 1))
    }

    fn fc() -> Option<Arc<dyn Op>> {
        some(ops::Linear::new(1, 1))
    }

    fn observers(plan: &Plan) -> Vec<Option<usize>> {
        plan.observed.iter().map(|observed| observed.observer).collect()
    }

    #[test]
    fn a_pool_shares_the_observer_of_its_input() {
        let pool = some(ops::MaxPool2d::new(1));
        let plan =
            plan(vec![("x", None, &[], false), ("conv", conv(), &[0], true), ("pool", pool, &[1], true)]);
        assert_eq!(observers(&plan), [Some(0), Some(1), Some(1)]);
    }

    #[test]
    fn all_inputs_of_cat_share_one_observer() {
        let cat = some(ops::cat(Some(1)).unwrap());
        let plan = plan(vec![
            ("x", None, &[], false),
            ("a", conv(), &[0], true),
            ("b", conv(), &[0], true),
            ("cat", cat, &[1, 2], true),
        ]);
        assert_eq!(observers(&plan), [Some(0), Some(1), Some(1), Some(1)]);
    }

    #[test]
    fn a_derived_value_shares_an_observer_in_fx_and_has_none_in_native() {
        let nodes = || {
            let (mul, pool) = (some(ops::mul_scalar(8).unwrap()), some(ops::MaxPool2d::new(1)));
            let cat = some(ops::cat(Some(1)).unwrap());
            vec![
                ("x", None, &[][..], false),
                ("conv", conv(), &[0][..], true),
                ("mul", mul, &[1], true),
                ("pool", pool, &[2], true),
                ("cat", cat, &[1, 3], true),
            ]
        };
        assert_eq!(observers(&plan(nodes())), [Some(0), Some(1), Some(1), Some(1), Some(1)]);
        let native = plan_for(Backend::Native, nodes());
        assert_eq!(observers(&native), [Some(0), Some(1), None, None, Some(1)]);
    }

    #[test]
    fn a_skipped_layer_is_observed_only_if_int8_follows() {
        let plan = plan(vec![
            ("x", None, &[], false),
            ("fc", fc(), &[0], false),
            ("fc2", fc(), &[1], true),
            ("fc3", fc(), &[2], false),
        ]);
        let observed: Vec<_> = observers(&plan).iter().map(Option::is_some).collect();
        assert_eq!(observed, [false, true, true, false]);
    }

    #[test]
    fn a_reshape_between_float_layers_stays_in_float() {
        let flatten = some(ops::Flatten::new());
        let plan =
            plan(vec![("x", None, &[], false), ("flatten", flatten, &[0], true), ("fc", fc(), &[1], false)]);
        assert!(plan.observers.is_empty());
    }

    #[test]
    fn between_dequant_and_quant_everything_is_float() {
        let plan = plan(vec![
            ("x", None, &[], false),
            ("conv", conv(), &[0], true),
            ("dequant", some(ops::Dequant), &[1], true),
            ("conv2", conv(), &[2], true),
            ("quant", some(ops::Quant), &[3], true),
            ("conv3", conv(), &[4], true),
        ]);
        let precisions: Vec<_> =
            plan.decisions.iter().map(|decision| decision.precision == Precision::Static).collect();
        assert_eq!(precisions, [false, true, false, false, true, true]);
    }
}
