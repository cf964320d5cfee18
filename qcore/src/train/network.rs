//! `TrainingNetwork`: the network of a plan that runs forward, keeping what the way back needs, and in reverse.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::batch_norm::{self, Normalized};
use super::layer::{Layer, RoundedWeight, set};
use super::{Backward, Gradients};
use crate::network::{Call, NodeId, NodeMember, ValueId};
use crate::ops::{BatchNormParameters, Executable, Lowering, Op, Precision};
use crate::program::evaluate_floats;
use crate::quantize::{Observations, Plan, shown};
use crate::{Error, FakeQuantSaved, Observer, Result, Tensor, join};

/// Gradients of parameters, by state-dict key.
pub(super) type ParameterGradients = BTreeMap<String, Tensor>;

/// A plan's network with operations of its own.
#[derive(Debug)]
pub(super) struct TrainingNetwork {
    pub(super) plan: Plan,
    pub(super) observations: Observations,
    pub(super) layers: Vec<Layer>,
    /// Of each node the layers of its members.
    members: Vec<Vec<usize>>,
}

/// The forward pass of each node, in their order.
#[derive(Debug)]
pub(super) struct ForwardPass {
    nodes: Vec<NodePass>,
    shapes: Vec<Vec<usize>>,
}

#[derive(Debug, Default)]
struct NodePass {
    steps: Vec<StepPass>,
    /// Of each output, if it was rounded: by which observer.
    rounded: Vec<Option<(usize, FakeQuantSaved)>>,
}

/// The forward pass of one member.
#[derive(Debug)]
struct StepPass {
    layer: usize,
    inputs: Vec<Tensor>,
    outputs: Vec<Tensor>,
    kind: StepKind,
}

#[derive(Debug)]
enum StepKind {
    Plain,
    Rounded(RoundedWeight),
    BatchNorm(Normalized),
}

impl ForwardPass {
    /// The first node with an output that is NaN or infinite.
    pub(super) fn first_non_finite(&self) -> Option<NodeId> {
        self.nodes.iter().position(|node| {
            let mut outputs = node.steps.iter().flat_map(|step| &step.outputs);
            outputs.any(|output| output.first_non_finite().is_some())
        })
    }

    /// Bytes that it keeps; tensors that share memory count once.
    pub(super) fn bytes(&self) -> usize {
        let mut masks = 0;
        let mut tensors: BTreeMap<*const f32, usize> = BTreeMap::new();
        let mut keep = |tensor: &Tensor| {
            let bytes = tensors.entry(tensor.view().as_ptr()).or_default();
            *bytes = (*bytes).max(size_of::<f32>() * tensor.len());
        };
        let mut keep_saved = |saved: &FakeQuantSaved, keep: &mut dyn FnMut(&Tensor)| match saved {
            FakeQuantSaved::Identity => {}
            FakeQuantSaved::Mask(mask) => masks += mask.bytes(),
            FakeQuantSaved::Input(input) => keep(input),
        };
        for node in &self.nodes {
            for StepPass { inputs, outputs, kind, .. } in &node.steps {
                inputs.iter().chain(outputs).for_each(&mut keep);
                match kind {
                    StepKind::Plain => {}
                    StepKind::BatchNorm(normalized) => keep(normalized.input()),
                    StepKind::Rounded(rounded) => {
                        rounded.op.parameters("", &mut |_, tensor| keep(tensor));
                        keep_saved(&rounded.saved, &mut keep);
                    }
                }
            }
            node.rounded.iter().flatten().for_each(|(_, saved)| keep_saved(saved, &mut keep));
        }
        masks + tensors.values().sum::<usize>()
    }
}

impl TrainingNetwork {
    pub(super) fn new(plan: Plan) -> Self {
        let observations = Observations::new(&plan);
        let mut layers: Vec<Layer> = Vec::new();
        let mut layer_of = |member: &NodeMember| {
            let known = member
                .path
                .as_ref()
                .and_then(|path| layers.iter().position(|layer| layer.path.as_ref() == Some(path)));
            known.unwrap_or_else(|| {
                layers.push(Layer::new(member.path.clone(), &member.op));
                layers.len() - 1
            })
        };
        let members: Vec<Vec<usize>> = plan
            .network
            .nodes
            .iter()
            .map(|node| node.call.iter().flat_map(|call| &call.members).map(&mut layer_of).collect())
            .collect();
        for (index, members) in members.iter().enumerate() {
            let decision = &plan.decisions[index];
            let Some(&first) = members.first() else { continue };
            if decision.precision != Precision::Float && layers[first].op.has_fake_quantized_weight() {
                let observer = decision.qconfig.as_ref().map(|qconfig| qconfig.weight_observer());
                layers[first].weight_observer = observer;
            }
        }
        Self { plan, observations, layers, members }
    }

    /// What looks at the weight of each node.
    pub(super) fn weight_observers(&self) -> BTreeMap<NodeId, Box<dyn Observer>> {
        let nodes = self.members.iter().enumerate();
        let observers = nodes.filter_map(|(node, members)| {
            let observer = self.layers[*members.first()?].weight_observer.clone()?;
            Some((node, observer))
        });
        observers.collect()
    }

    /// The operations of a node's members as they are now.
    pub(super) fn ops_of(&self, node: NodeId) -> impl Iterator<Item = Arc<dyn Op>> {
        self.members[node].iter().map(|&layer| self.layers[layer].op.shared())
    }

    fn call(&self, node: NodeId) -> Option<&Call> {
        self.plan.network.nodes[node].call.as_ref()
    }

    /// Runs the network; in training with the statistics of the batch, and what the way back needs.
    pub(super) fn forward(
        &mut self,
        inputs: &[Tensor],
        is_training: bool,
    ) -> Result<(Vec<Tensor>, ForwardPass)> {
        let network = Arc::clone(&self.plan.network);
        network.check_inputs(inputs.len())?;
        let missing = || Error::Unsupported("a value that is read before it is made".into());
        let mut values: Vec<Option<Tensor>> = vec![None; network.values.len()];
        let mut inputs = inputs.iter();
        let mut pass = ForwardPass { nodes: Vec::with_capacity(network.nodes.len()), shapes: Vec::new() };
        for (index, node) in network.nodes.iter().enumerate() {
            let (made, steps) = match &node.call {
                None => (inputs.next().cloned().into_iter().collect(), Vec::new()),
                Some(_) => {
                    let read = node.inputs.iter().map(|&value| values[value].clone().ok_or_else(missing));
                    let read = read.collect::<Result<Vec<_>>>()?;
                    self.run_node(index, read, is_training).map_err(|error| error.in_layer(&node.path))?
                }
            };
            let mut rounded = Vec::with_capacity(made.len());
            for (&value, tensor) in node.outputs.iter().zip(made) {
                let (tensor, saved) =
                    self.round(value, tensor).map_err(|error| error.in_layer(&node.path))?;
                rounded.push(saved);
                values[value] = Some(tensor);
            }
            pass.nodes.push(NodePass { steps, rounded });
        }
        pass.shapes =
            values.iter().map(|value| value.as_ref().map_or(Vec::new(), |v| v.shape().to_vec())).collect();
        let outputs = network.outputs.iter().map(|&value| values[value].clone().ok_or_else(missing));
        Ok((outputs.collect::<Result<_>>()?, pass))
    }

    /// Shows a value to its observer, which may round it.
    fn round(&mut self, value: ValueId, tensor: Tensor) -> Result<(Tensor, Option<(usize, FakeQuantSaved)>)> {
        let Some(index) = shown(&self.plan, value) else { return Ok((tensor, None)) };
        let observer = &mut self.observations.edges[index].observer;
        match observer.as_fake_quantize_mut() {
            Some(fake_quant) => {
                let (tensor, saved) = fake_quant.forward(tensor)?;
                Ok((tensor, Some((index, saved))))
            }
            None => {
                observer.observe(&tensor)?;
                Ok((tensor, None))
            }
        }
    }

    fn run_node(
        &mut self,
        node: NodeId,
        inputs: Vec<Tensor>,
        is_training: bool,
    ) -> Result<(Vec<Tensor>, Vec<StepPass>)> {
        let members = self.members[node].clone();
        let folds_matrices = self.call(node).is_some_and(Call::folds_matrices);
        let is_apart = folds_matrices && inputs.first().is_some_and(|input| input.rank() != 2);
        if is_apart {
            self.observations.apart.insert(node);
        }
        let mut steps: Vec<StepPass> = Vec::with_capacity(members.len());
        let mut current = inputs;
        for (position, &layer) in members.iter().enumerate() {
            let inputs = std::mem::take(&mut current);
            let has_weight = position == 0 && self.layers[layer].weight_observer.is_some();
            let (outputs, kind) = if has_weight {
                let batch_norm = members.get(1).filter(|_| !is_apart);
                let batch_norm = batch_norm.and_then(|&next| self.layers[next].op.as_batch_norm()).cloned();
                self.run_rounded(layer, batch_norm.as_ref(), &inputs)?
            } else if self.layers[layer].op.as_batch_norm().is_some() {
                self.run_batch_norm(layer, &inputs, is_training)?
            } else {
                let lowered = self.layers[layer].op.lower(&Lowering::float())?;
                (evaluate(lowered.as_ref(), &inputs)?, StepKind::Plain)
            };
            current = outputs.clone();
            steps.push(StepPass { layer, inputs, outputs, kind });
        }
        Ok((current, steps))
    }

    /// A layer with a rounded weight; before a batch norm its output is divided by the factor of the weight again.
    fn run_rounded(
        &mut self,
        layer: usize,
        batch_norm: Option<&BatchNormParameters>,
        inputs: &[Tensor],
    ) -> Result<(Vec<Tensor>, StepKind)> {
        let layer = &mut self.layers[layer];
        let rounded = layer.round_weight(batch_norm)?;
        let mut outputs = evaluate(rounded.op.lower(&Lowering::float())?.as_ref(), inputs)?;
        if let (Some(scale), [output]) = (&rounded.scale, &mut outputs[..]) {
            let bias = layer.parameter("bias").map(|bias| batch_norm::values(&bias));
            let channels = scale.len();
            each_channel(output, channels, |channel, value| {
                value / scale[channel] + bias.as_ref().map_or(0.0, |bias| bias[channel])
            })?;
        }
        Ok((outputs, StepKind::Rounded(rounded)))
    }

    fn run_batch_norm(
        &mut self,
        layer: usize,
        inputs: &[Tensor],
        is_training: bool,
    ) -> Result<(Vec<Tensor>, StepKind)> {
        let layer = &mut self.layers[layer];
        let input =
            inputs.first().cloned().ok_or_else(|| Error::Unsupported("a batch norm of nothing".into()))?;
        let parameters = layer.op.as_batch_norm().cloned();
        let parameters = parameters.ok_or_else(|| Error::Unsupported("no batch norm".into()))?;
        let momentum = (is_training && !layer.has_frozen_statistics).then(|| layer.op.momentum());
        let (output, saved, statistics) = batch_norm::forward(&parameters, input, momentum)?;
        if let Some(statistics) = statistics {
            set(&mut layer.op, &mut |key, tensor| {
                let new = match key {
                    "running_mean" => &statistics.mean,
                    "running_var" => &statistics.variance,
                    _ => return,
                };
                if let Some(values) = tensor.as_slice_mut() {
                    values.copy_from_slice(new);
                }
            })?;
        }
        Ok((vec![output], StepKind::BatchNorm(saved)))
    }

    /// The gradients of inputs and parameters from those of the outputs. The parameters' are added to `sums`.
    pub(super) fn backward(
        &mut self,
        pass: ForwardPass,
        gradients: Vec<Tensor>,
        sums: &mut ParameterGradients,
    ) -> Result<Vec<Option<Tensor>>> {
        let network = Arc::clone(&self.plan.network);
        let mut of_values: Vec<Option<Tensor>> = vec![None; network.values.len()];
        if gradients.len() != network.outputs.len() {
            let message = format!("{} gradients for {} outputs", gradients.len(), network.outputs.len());
            return Err(Error::parameter("backward", message));
        }
        for (&value, gradient) in network.outputs.iter().zip(gradients) {
            if gradient.shape() != pass.shapes[value] {
                let expected = format!("a gradient of shape {:?}", pass.shapes[value]);
                return Err(Error::shape("backward", expected, gradient.shape()));
            }
            add(&mut of_values[value], gradient)?;
        }
        for (node, node_pass) in network.nodes.iter().zip(pass.nodes).rev() {
            let NodePass { steps, rounded } = node_pass;
            if node.outputs.iter().all(|&value| of_values[value].is_none()) {
                continue;
            }
            let mut gradients = Vec::with_capacity(node.outputs.len());
            for (&value, rounded) in node.outputs.iter().zip(rounded) {
                let gradient = match of_values[value].take() {
                    Some(gradient) => gradient,
                    None => Tensor::try_zeros(&pass.shapes[value])?,
                };
                gradients.push(match rounded {
                    Some((observer, saved)) => {
                        let observer = &mut self.observations.edges[observer].observer;
                        match observer.as_fake_quantize_mut() {
                            Some(fake_quant) => fake_quant.backward(&saved, gradient)?,
                            None => gradient,
                        }
                    }
                    None => gradient,
                });
            }
            if node.call.is_none() {
                of_values[node.outputs[0]] = gradients.pop();
                continue;
            }
            let of_inputs =
                self.backward_node(steps, gradients, sums).map_err(|error| error.in_layer(&node.path))?;
            for (&value, gradient) in node.inputs.iter().zip(of_inputs) {
                if let Some(gradient) = gradient {
                    add(&mut of_values[value], gradient)?;
                }
            }
        }
        let inputs = network.nodes.iter().take_while(|node| node.call.is_none());
        Ok(inputs.map(|node| of_values[node.outputs[0]].take()).collect())
    }

    fn backward_node(
        &mut self,
        steps: Vec<StepPass>,
        gradients: Vec<Tensor>,
        sums: &mut ParameterGradients,
    ) -> Result<Vec<Option<Tensor>>> {
        let mut gradients: Vec<Option<Tensor>> = gradients.into_iter().map(Some).collect();
        // Of the batch norm behind a layer whose weight has its factor.
        let mut batch_norm: Option<usize> = None;
        for StepPass { layer, inputs, outputs, kind } in steps.into_iter().rev() {
            let zeros = |(gradient, output): (Option<Tensor>, &Tensor)| match gradient {
                Some(gradient) => Ok(gradient),
                None => Tensor::try_zeros(output.shape()),
            };
            let given = std::mem::take(&mut gradients).into_iter().zip(&outputs).map(zeros);
            let mut given = given.collect::<Result<Vec<_>>>()?;
            match kind {
                StepKind::BatchNorm(saved) => {
                    let path = &self.layers[layer].path;
                    let parameters = self.layers[layer].op.as_batch_norm().cloned();
                    let parameters = parameters.ok_or_else(|| Error::Unsupported("no batch norm".into()))?;
                    let gradient = given.pop().ok_or_else(|| Error::Unsupported("no gradient".into()))?;
                    let found = batch_norm::backward(&parameters, &saved, gradient)?;
                    for (name, is_there, values) in [
                        ("weight", parameters.weight.is_some(), found.weight),
                        ("bias", parameters.bias.is_some(), found.bias),
                    ] {
                        if is_there {
                            add_parameter(sums, path, name, Tensor::from_vec(&[values.len()], values)?)?;
                        }
                    }
                    gradients = vec![Some(found.input)];
                    batch_norm = Some(layer);
                }
                StepKind::Plain => {
                    let op = &self.layers[layer].op;
                    let found =
                        op.backward(&Backward { inputs: &inputs, outputs: &outputs, gradients: &given })?;
                    for (name, gradient) in found.parameters {
                        add_parameter(sums, &self.layers[layer].path, name, gradient)?;
                    }
                    gradients = found.inputs;
                }
                StepKind::Rounded(rounded) => {
                    let pass = StepPass { layer, inputs, outputs, kind: StepKind::Plain };
                    gradients = self.backward_rounded(pass, &rounded, given, batch_norm, sums)?;
                }
            }
        }
        Ok(gradients)
    }

    fn backward_rounded(
        &mut self,
        pass: StepPass,
        rounded: &RoundedWeight,
        mut given: Vec<Tensor>,
        batch_norm: Option<usize>,
        sums: &mut ParameterGradients,
    ) -> Result<Vec<Option<Tensor>>> {
        let StepPass { layer, inputs, outputs, .. } = pass;
        let path = self.layers[layer].path.clone();
        let mut of_factor = Vec::new();
        if let (Some(scale), [gradient], [output]) = (&rounded.scale, &mut given[..], &outputs[..]) {
            let bias = self.layers[layer].parameter("bias").map(|bias| batch_norm::values(&bias));
            let mut found = vec![[0.0_f64; 2]; scale.len()];
            let y = output.clone().contiguous();
            let y = y.as_slice().unwrap_or_default();
            let mut index = 0;
            each_channel(gradient, scale.len(), |channel, dy| {
                let unbiased = y[index] - bias.as_ref().map_or(0.0, |bias| bias[channel]);
                index += 1;
                found[channel][0] += f64::from(dy);
                found[channel][1] += f64::from(dy) * f64::from(unbiased);
                dy / scale[channel]
            })?;
            if bias.is_some() {
                let bias: Vec<f32> = found.iter().map(|found| found[0] as f32).collect();
                add_parameter(sums, &path, "bias", Tensor::from_vec(&[bias.len()], bias)?)?;
            }
            // The output is `conv / scale`.
            of_factor = found.iter().zip(scale).map(|(found, &scale)| -found[1] as f32 / scale).collect();
        }
        let pass = Backward { inputs: &inputs, outputs: &outputs, gradients: &given };
        let Gradients { inputs: of_inputs, parameters } = rounded.op.backward(&pass)?;
        for (name, gradient) in parameters {
            match name {
                "weight" => {
                    let (gradient, of_scale) = self.layers[layer].weight_gradient(rounded, gradient)?;
                    add_parameter(sums, &path, name, gradient)?;
                    if let (Some(of_scale), Some(batch_norm)) = (of_scale, batch_norm) {
                        let of_scale = of_scale.iter().zip(&of_factor).map(|(a, b)| a + b);
                        let of_gamma = of_scale
                            .zip(&rounded.deviation)
                            .map(|(of_scale, deviation)| of_scale / deviation);
                        self.add_to_gamma(batch_norm, of_gamma.collect(), sums)?;
                    }
                }
                "bias" if rounded.scale.is_some() => {}
                name => add_parameter(sums, &path, name, gradient)?,
            }
        }
        Ok(of_inputs)
    }

    /// Adds the gradient of the batch norm's weight through the factor `gamma / sqrt(running_var + eps)`.
    fn add_to_gamma(&self, layer: usize, of_gamma: Vec<f32>, sums: &mut ParameterGradients) -> Result<()> {
        let layer = &self.layers[layer];
        match layer.op.as_batch_norm().is_some_and(|parameters| parameters.weight.is_some()) {
            true => {
                let gradient = Tensor::from_vec(&[of_gamma.len()], of_gamma)?;
                add_parameter(sums, &layer.path, "weight", gradient)
            }
            false => Ok(()),
        }
    }
}

fn evaluate(executable: &dyn Executable, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
    evaluate_floats(executable, inputs.to_vec())
}

/// Replaces each value of `[N, C, ..]`.
fn each_channel(
    tensor: &mut Tensor,
    channels: usize,
    mut change: impl FnMut(usize, f32) -> f32,
) -> Result<()> {
    if tensor.shape().get(1) != Some(&channels) {
        return Err(Error::shape("batch norm", format!("[N, {channels}, ..]"), tensor.shape()));
    }
    let inner: usize = tensor.shape()[2..].iter().product();
    *tensor = tensor.clone().contiguous();
    let rows = tensor.as_slice_mut().unwrap_or_default().chunks_mut(inner.max(1));
    for (row, values) in rows.enumerate() {
        values.iter_mut().for_each(|value| *value = change(row % channels, *value));
    }
    Ok(())
}

/// Adds a gradient to the sum of those so far.
pub(super) fn add(sum: &mut Option<Tensor>, gradient: Tensor) -> Result<()> {
    match sum {
        None => *sum = Some(gradient.contiguous()),
        Some(sum) if sum.shape() == gradient.shape() => {
            let gradient = gradient.contiguous();
            let values = sum.as_slice_mut().unwrap_or_default().iter_mut();
            values.zip(gradient.as_slice().unwrap_or_default()).for_each(|(sum, value)| *sum += value);
        }
        Some(sum) => {
            return Err(Error::shape(
                "backward",
                format!("a gradient of shape {:?}", sum.shape()),
                gradient.shape(),
            ));
        }
    }
    Ok(())
}

fn add_parameter(
    sums: &mut ParameterGradients,
    path: &Option<String>,
    name: &str,
    gradient: Tensor,
) -> Result<()> {
    let key = join(path.as_deref().unwrap_or_default(), name);
    let mut sum = sums.remove(&key);
    add(&mut sum, gradient)?;
    sums.extend(sum.map(|sum| (key, sum)));
    Ok(())
}
