//! `Trainable`: a prepared model that trains.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use super::layer::set;
use super::network::{ForwardPass, ParameterGradients, TrainingNetwork};
use super::{Optimizer, clip_grad_norm};
use crate::model::outputs;
use crate::model::{IntoInput, Module, tensors};
use crate::network::{Loaders, Network, Node};
use crate::quantize::{ConvertOptions, Plan, convert};
use crate::suggest::nearest;
use crate::{Converted, Error, FakeQuantize, Observer, Result, StateDict, Tensor, join};

/// A model that trains: its network in float, with fake quantization where int8 operations will read and write.
///
/// Made by [`Module::prepare_qat`]. [`Trainable::forward`] and [`Trainable::backward`] make a step's gradients,
/// [`Trainable::step`] gives them to an optimizer, and [`Trainable::convert`] makes the int8 model. With a mapping that
/// leaves everything in float, [`QConfigMapping::new`](crate::QConfigMapping::new), it is plain training. Dropout passes
/// everything on, in training too.
///
/// ```
/// use qcore::prelude::*;
/// use qcore::train::{Sgd, cross_entropy};
///
/// #[quantizable]
/// struct Net {
///     fc: Linear,
/// }
///
/// #[quantizable]
/// impl Net {
///     fn forward(&self, x: Tensor) -> Tensor {
///         self.fc(x)
///     }
/// }
///
/// # fn main() -> qcore::Result<()> {
/// let x = Tensor::from_vec(&[2, 2], vec![1.0, 0.0, 0.0, 1.0])?;
/// let mut model = Net { fc: Linear::new(2, 2) }.prepare_qat(&QConfigMapping::for_qat(Backend::Native))?;
/// let mut sgd = Sgd::new(0.5);
/// let mut losses = Vec::new();
/// for _ in 0..20 {
///     let loss = cross_entropy(&model.forward(&x)?, &[1, 0], 0.0)?;
///     model.backward(loss.gradient)?;
///     model.step(&mut sgd)?;
///     losses.push(loss.value);
/// }
/// assert!(losses[19] < losses[0]);
/// model.eval();
/// let int8 = model.convert()?;
/// assert!(int8.forward(&x)?.view()[[0, 1]] > int8.forward(&x)?.view()[[0, 0]]);
/// # Ok(())
/// # }
/// ```
pub struct Trainable<M: Module> {
    pub(super) network: TrainingNetwork,
    is_training: bool,
    /// The last forward pass in training, until its backward pass.
    pass: Option<ForwardPass>,
    gradients: ParameterGradients,
    input_gradients: Vec<Option<Tensor>>,
    /// Tensors of the model that its body does not use.
    others: StateDict,
    model: PhantomData<fn() -> M>,
}

impl<M: Module> fmt::Debug for Trainable<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trainable").field("model", &M::NAME).field("network", &self.network).finish()
    }
}

impl<M: Module> Trainable<M> {
    pub(crate) fn new(plan: Plan, others: StateDict) -> Self {
        Self {
            network: TrainingNetwork::new(plan),
            is_training: true,
            pass: None,
            gradients: BTreeMap::new(),
            input_gradients: Vec::new(),
            others,
            model: PhantomData,
        }
    }

    /// Batch norms use the statistics of the batch, and forward passes keep what the way back needs; as it is at first.
    pub fn train(&mut self) {
        self.is_training = true;
    }

    /// Batch norms use their running statistics.
    pub fn eval(&mut self) {
        (self.is_training, self.pass) = (false, None);
    }

    /// Runs the model. Observers look and values are rounded as far as that is enabled, in training and evaluation, as in
    /// PyTorch.
    ///
    /// # Errors
    /// When the input does not fit a layer, or a value is NaN or infinite where it is observed: the error names the layer
    /// at which it first appeared.
    pub fn forward(&mut self, input: impl IntoInput<M::Input>) -> Result<M::Output> {
        let (made, pass) = self.network.forward(&tensors(input.into_input()?), self.is_training)?;
        self.pass = self.is_training.then_some(pass);
        outputs::<M>(made)
    }

    /// Bytes of what the last forward pass in training keeps for its backward pass, inputs and rounded weights among it; tensors
    /// that share memory count once. 0 when there is no such pass.
    pub fn saved_bytes(&self) -> usize {
        self.pass.as_ref().map_or(0, ForwardPass::bytes)
    }

    /// The first layer of the last forward pass in training whose output is NaN or infinite.
    pub fn first_non_finite(&self) -> Option<String> {
        let node = self.pass.as_ref()?.first_non_finite()?;
        Some(self.network.plan.node(node).path().to_owned())
    }

    /// Adds the gradients of the last forward pass to [`Trainable::gradients`], from those of its outputs.
    ///
    /// # Errors
    /// When there was no forward pass in training since the last backward pass, a shape is another than that of the output,
    /// or an operation has no gradient.
    pub fn backward(&mut self, gradients: impl IntoInput<M::Output>) -> Result<()> {
        let gradients = tensors(gradients.into_input()?);
        let Some(pass) = self.pass.take() else {
            return Err(Error::parameter("backward", "there was no forward pass in training before it"));
        };
        self.input_gradients = self.network.backward(pass, gradients, &mut self.gradients)?;
        Ok(())
    }

    /// The sums of the gradients since the last [`Trainable::zero_grad`], by state-dict key.
    pub fn gradients(&self) -> &BTreeMap<String, Tensor> {
        &self.gradients
    }

    /// The gradients of the inputs of the last backward pass; `None` where the outputs do not depend on one.
    pub fn input_gradients(&self) -> &[Option<Tensor>] {
        &self.input_gradients
    }

    /// Forgets the gradients.
    pub fn zero_grad(&mut self) {
        self.gradients.clear();
        self.set_all(FakeQuantize::zero_grad);
    }

    /// Multiplies all gradients by a number: by one over their number, those of several batches become their mean.
    pub fn scale_gradients(&mut self, factor: f32) {
        for gradient in self.gradients.values_mut() {
            *gradient = std::mem::replace(gradient, Tensor::zeros(&[0])).map(|value| value * factor);
        }
        self.set_all(|fake_quant| fake_quant.scale_gradients(factor));
    }

    /// Scales the gradients down to this norm, if theirs is larger; gives the norm that they had.
    ///
    /// # Errors
    /// When the norm is NaN or infinite.
    pub fn clip_grad_norm(&mut self, max_norm: f32) -> Result<f32> {
        clip_grad_norm(&mut self.gradients, max_norm)
    }

    /// Changes the parameters by their gradients, which it forgets.
    ///
    /// # Errors
    /// When a gradient is NaN or infinite (the error has its key), or the optimizer has settings that make no sense; the
    /// parameters are then as they were.
    pub fn step(&mut self, optimizer: &mut dyn Optimizer) -> Result<()> {
        self.check_step(optimizer)?;
        optimizer.begin_step()?;
        for layer in &mut self.network.layers {
            let path = layer.path.clone().unwrap_or_default();
            let mut result = Ok(());
            set(&mut layer.op, &mut |name, tensor| {
                let key = join(&path, name);
                if let (Some(gradient), true) = (self.gradients.get(&key), result.is_ok()) {
                    result = change(optimizer, &key, tensor, gradient);
                }
            })?;
            result?;
        }
        self.visit_fake_quants(&mut |path, fake_quant| learn(optimizer, path, fake_quant))?;
        self.zero_grad();
        Ok(())
    }

    /// Whether [`Trainable::step`] can change all parameters.
    fn check_step(&mut self, optimizer: &dyn Optimizer) -> Result<()> {
        for (key, gradient) in &self.gradients {
            if let Some((index, value)) = gradient.first_non_finite() {
                return Err(Error::NotFinite { what: format!("the gradient of `{key}`"), value, index });
            }
            optimizer.check(key, gradient.len())?;
        }
        self.visit_fake_quants(&mut |path, fake_quant| {
            for (name, gradient) in
                ["scale", "zero_point"].into_iter().zip(fake_quant.gradients().into_iter().flatten())
            {
                let key = join(path, name);
                if let Some((index, &value)) =
                    gradient.iter().enumerate().find(|(_, value)| !value.is_finite())
                {
                    return Err(Error::NotFinite { what: format!("the gradient of `{key}`"), value, index });
                }
                optimizer.check(&key, gradient.len())?;
            }
            Ok(())
        })
    }

    /// Shows each fake quantization with the path below which PyTorch keeps its scale.
    fn visit_fake_quants(
        &mut self,
        visit: &mut dyn FnMut(&str, &mut FakeQuantize) -> Result<()>,
    ) -> Result<()> {
        for layer in &mut self.network.layers {
            let observer = layer.weight_observer.as_deref_mut();
            if let Some(fake_quant) = observer.and_then(|observer| observer.as_fake_quantize_mut()) {
                visit(&join(layer.path.as_deref().unwrap_or_default(), "weight_fake_quant"), fake_quant)?;
            }
        }
        for edge in &mut self.network.observations.edges {
            if let Some(fake_quant) = edge.observer.as_fake_quantize_mut() {
                visit(&join(&edge.path, "activation_post_process"), fake_quant)?;
            }
        }
        Ok(())
    }

    /// Calls `change` for the fake quantization of each weight and of each edge below `path`; an empty path means all.
    ///
    /// # Errors
    /// When there is none.
    pub fn for_each_fake_quant(
        &mut self,
        path: &str,
        mut change: impl FnMut(&mut FakeQuantize),
    ) -> Result<()> {
        let mut known = Vec::new();
        let mut is_found = false;
        let is_below = |name: &str| {
            path.is_empty()
                || name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        let mut visit = |name: String, observer: &mut dyn Observer| {
            let Some(fake_quant) = observer.as_fake_quantize_mut() else { return };
            if is_below(&name) {
                is_found = true;
                change(fake_quant);
            }
            known.push(name);
        };
        for layer in &mut self.network.layers {
            if let Some(observer) = layer.weight_observer.as_deref_mut() {
                visit(layer.path.clone().unwrap_or_default(), observer);
            }
        }
        for edge in &mut self.network.observations.edges {
            visit(edge.path.clone(), edge.observer.as_mut());
        }
        match is_found || path.is_empty() {
            true => Ok(()),
            false => {
                let near = nearest(path, known.iter().map(String::as_str));
                Err(Error::UnknownNames { names: vec![(path.to_owned(), near)] })
            }
        }
    }

    /// Observers look again.
    pub fn enable_observer(&mut self) {
        self.set_all(|fake_quant| fake_quant.enable_observer(true));
    }

    /// Scales stay as they are.
    pub fn disable_observer(&mut self) {
        self.set_all(|fake_quant| fake_quant.enable_observer(false));
    }

    /// Values are rounded again.
    pub fn enable_fake_quant(&mut self) {
        self.set_all(|fake_quant| fake_quant.enable_fake_quant(true));
    }

    /// Values are not rounded: training in float.
    pub fn disable_fake_quant(&mut self) {
        self.set_all(|fake_quant| fake_quant.enable_fake_quant(false));
    }

    fn set_all(&mut self, change: impl FnMut(&mut FakeQuantize)) {
        // An empty path is never unknown.
        let _ = self.for_each_fake_quant("", change);
    }

    /// Batch norms keep their running statistics and use them in training too; `train` does not undo it, as in PyTorch.
    pub fn freeze_bn_stats(&mut self) {
        self.network.layers.iter_mut().for_each(|layer| layer.has_frozen_statistics = true);
    }

    /// Batch norms use the statistics of the batch in training again.
    pub fn update_bn_stats(&mut self) {
        self.network.layers.iter_mut().for_each(|layer| layer.has_frozen_statistics = false);
    }

    /// The observer that looks at the weight of the layer `path`.
    pub fn weight_observer(&self, path: &str) -> Option<&dyn Observer> {
        let layer = self.network.layers.iter().find(|layer| layer.path.as_deref() == Some(path))?;
        layer.weight_observer.as_deref()
    }

    /// The observer that serves the edge `path`.
    pub fn observer(&self, path: &str) -> Option<&dyn Observer> {
        let index = self.network.plan.observer_of(path)?;
        Some(self.network.observations.edges[index].observer.as_ref())
    }

    /// Puts `observer` in the place of the one of the weight of the layer `path`.
    ///
    /// # Errors
    /// When no weight is observed there.
    pub fn set_weight_observer(&mut self, path: &str, observer: impl Observer + 'static) -> Result<()> {
        let mut layers = self.network.layers.iter_mut().filter(|layer| layer.weight_observer.is_some());
        match layers.find(|layer| layer.path.as_deref() == Some(path)) {
            Some(layer) => {
                layer.weight_observer = Some(Box::new(observer));
                Ok(())
            }
            None => Err(Error::UnknownNames { names: vec![(path.to_owned(), None)] }),
        }
    }

    /// Puts `observer` in the place of the one that serves the edge `path`.
    ///
    /// # Errors
    /// When there is no such edge.
    pub fn set_observer(&mut self, path: &str, observer: impl Observer + 'static) -> Result<()> {
        let Some(index) = self.network.plan.observer_of(path) else {
            let near = nearest(path, self.network.plan.observed_paths());
            return Err(Error::UnknownNames { names: vec![(path.to_owned(), near)] });
        };
        self.network.observations.edges[index].observer = Box::new(observer);
        Ok(())
    }

    /// The parameters and statistics under the keys of the float model, for
    /// [`Module::load_state_dict`].
    pub fn state_dict(&self) -> StateDict {
        let mut state_dict = self.others.clone();
        for layer in &self.network.layers {
            if let Some(path) = &layer.path {
                layer.op.parameters(path, &mut |key, tensor| state_dict.insert(key, tensor.clone()));
            }
        }
        state_dict
    }

    /// Loads parameters and statistics by the keys of [`Trainable::state_dict`].
    ///
    /// # Errors
    /// When a key is missing or of another shape. The model is then as it was.
    pub fn load_state_dict(&mut self, state_dict: &StateDict) -> Result<()> {
        let mut loaded = BTreeMap::new();
        for (key, shape) in self.state_dict().shapes() {
            let tensor = state_dict.get(&key)?.ok_or_else(|| {
                Error::parameter("load_state_dict", format!("the state dict has no `{key}`"))
            })?;
            if tensor.shape() != shape {
                return Err(Error::shape(
                    "load_state_dict",
                    format!("`{key}` of shape {shape:?}"),
                    tensor.shape(),
                ));
            }
            loaded.insert(key, tensor);
        }
        for layer in &mut self.network.layers {
            let Some(path) = layer.path.clone() else { continue };
            set(&mut layer.op, &mut |name, tensor| {
                if let Some(new) = loaded.remove(&join(&path, name)) {
                    *tensor = new;
                }
            })?;
        }
        loaded.into_iter().for_each(|(key, tensor)| self.others.insert(key, tensor));
        Ok(())
    }

    /// The int8 model: as PyTorch's `convert`, batch norms are folded by their running statistics, and each weight is shown
    /// to its observer once more, whose scale it gets (NUMERICS section 14).
    ///
    /// # Errors
    /// As [`Prepared::convert`](crate::Prepared::convert).
    pub fn convert(&self) -> Result<Converted<M>> {
        self.convert_with(ConvertOptions::default())
    }

    /// [`Trainable::convert`] with settings.
    ///
    /// # Errors
    /// As [`Trainable::convert`].
    pub fn convert_with(&self, options: ConvertOptions) -> Result<Converted<M>> {
        let mut loaders = Loaders::new();
        M::loaders(&mut loaders);
        let plan = Plan { network: Arc::new(self.trained()), ..self.network.plan.clone() };
        let mut observations = self.network.observations.clone();
        observations.weights = self.network.weight_observers();
        convert(&plan, &observations, options, &loaders).map(Converted::new)
    }

    /// The network with the parameters as they are now.
    fn trained(&self) -> Network {
        let network = &self.network.plan.network;
        let nodes = network.nodes.iter().enumerate().map(|(index, node)| {
            let mut node: Node = node.clone();
            if let Some(call) = &mut node.call {
                for (member, op) in call.members.iter_mut().zip(self.network.ops_of(index)) {
                    member.op = op;
                }
            }
            node
        });
        network.with(nodes.collect(), network.values.clone())
    }
}

fn change(optimizer: &mut dyn Optimizer, key: &str, tensor: &mut Tensor, gradient: &Tensor) -> Result<()> {
    *tensor = std::mem::replace(tensor, Tensor::zeros(&[0])).contiguous();
    let gradient = gradient.clone().contiguous();
    match (tensor.as_slice_mut(), gradient.as_slice()) {
        (Some(values), Some(gradient)) if values.len() == gradient.len() => {
            optimizer.update(key, values, gradient)
        }
        _ => Err(Error::shape("step", format!("a gradient of `{key}`"), gradient.shape())),
    }
}

/// Trains the scale and zero point of a learned fake quantization.
fn learn(optimizer: &mut dyn Optimizer, path: &str, fake_quant: &mut FakeQuantize) -> Result<()> {
    let Some(gradients) = fake_quant.gradients().map(|gradients| gradients.map(<[f32]>::to_vec)) else {
        return Ok(());
    };
    let [scale, zero_point] = gradients;
    let grid = fake_quant.grid_mut();
    optimizer.update(&join(path, "scale"), &mut grid.scale, &scale)?;
    optimizer.update(&join(path, "zero_point"), &mut grid.zero_point, &zero_point)
}
