//! `Module`: a model or a layer whose body can be traced, and its methods.

use super::parameters::check_parameters;
use super::{Parameters, Prepared, StateDict, StateDictMismatch, Values};
use crate::inspect::Graph;
use crate::network::{Loaders, Trace, Tracer, Value};
use crate::program::release;
use crate::quantize::{Observations, check_entries, decide};
use crate::train::Trainable;
use crate::{Error, QConfig, QConfigMapping, Result, Tensor};

/// A model or a layer of your own: its tensors have names, and its body can be traced.
///
/// `#[quantizable]` on a struct and on the impl with its `forward` implements it for a model. By hand it takes an
/// operation ([`Op`](crate::ops::Op)) and [`Tracer::call`]; the module can then stand in a `#[quantizable]` body like
/// any layer. The provided methods are what users call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a layer that `#[quantizable]` knows nor a `#[quantizable]` model",
    note = "a model of your own needs `#[quantizable]` on its struct and on the `impl` block with its `forward`",
    note = "an enum whose variants each hold a layer or a model needs `#[quantizable]`, too"
)]
pub trait Module: Parameters + Sized + 'static {
    /// The name of the type.
    const NAME: &'static str;

    /// `Tensor`, or a tuple of as many as `forward` takes.
    type Input: Values;
    /// `Tensor`, or a tuple of as many as `forward` returns.
    type Output: Values;

    /// The graph that the macro parsed: operations, fused groups, stubs. Printing it shows the default plan. It is
    /// empty for a module that the macro has not read.
    const GRAPH: &'static Graph =
        &Graph { model: Self::NAME, inputs: &[], values: &[], nodes: &[], outputs: &[] };
    /// The fused groups, as PyTorch's `fuse_modules` takes them.
    const FUSIONS: &'static [&'static [&'static str]] = &[];

    /// Traces the body: with tensors it computes, with symbolic values it is recorded.
    ///
    /// # Errors
    /// When an input does not fit a layer, or a layer's parameters do not fit together.
    fn trace(
        &self,
        tracer: &mut Tracer<'_>,
        input: <Self::Input as Values>::Of<Value>,
    ) -> Result<<Self::Output as Values>::Of<Value>>;

    /// Adds the operations of another crate's that the body calls, so that files with them can be loaded.
    fn loaders(loaders: &mut Loaders) {
        let _ = loaders;
    }

    /// A field, as it is called from the body of another model: `self.backbone.stem(x)`.
    #[doc(hidden)]
    fn field(&self, name: &'static str) -> Field {
        Field::new(name)
    }

    /// Runs the float model as written.
    ///
    /// # Errors
    /// When the input does not fit a layer.
    fn run(&self, input: Self::Input) -> Result<Self::Output> {
        let mut tensors = Self::Input::into_vec(input.into_tensors()).into_iter();
        let input = Self::Input::build(|_| tensors.next().map(Value::from).ok_or_else(too_few))?;
        let output = self.trace(&mut Tracer::running(), input)?;
        let mut values = Self::Output::into_vec(output).into_iter();
        let tensors =
            Self::Output::build(|_| Ok(release(values.next().ok_or_else(too_few)?.into_tensor()?)))?;
        Ok(Self::Output::from_tensors(tensors))
    }

    /// The model with batch norms folded, and observers placed by `mapping`. The float model stays as it is.
    ///
    /// # Errors
    /// When an entry of the mapping decides for no operation, as it names what the model does not have, or nearer ones
    /// decide; when a qconfig asks for something that no kernel runs; when a parameter is NaN, infinite or a variance
    /// by which nothing can be divided; when two tensors have one key.
    fn prepare(&self, mapping: &QConfigMapping) -> Result<Prepared<Self>> {
        check_parameters(self)?;
        let trace = record(self, mapping)?;
        check_entries(mapping, &trace)?;
        let plan = decide(trace.network, &trace.settings, mapping.mode())?;
        let observations = Observations::new(&plan);
        Ok(Prepared::new(plan, observations))
    }

    /// The model ready to be trained, with the fake quantization that the qconfigs of `mapping` have
    /// ([`QConfigMapping::for_qat`]); without any, [`QConfigMapping::new`], in float. The float model stays as it is.
    ///
    /// # Errors
    /// As [`Module::prepare`].
    fn prepare_qat(&self, mapping: &QConfigMapping) -> Result<Trainable<Self>> {
        check_parameters(self)?;
        let trace = record(self, mapping)?;
        check_entries(mapping, &trace)?;
        let plan = decide(trace.network, &trace.settings, mapping.mode())?;
        Ok(Trainable::new(plan, StateDict::of(self)))
    }

    /// Loads weights and statistics by PyTorch's key names. `num_batches_tracked` is accepted and
    /// ignored.
    ///
    /// # Errors
    /// When a key is missing, unexpected or of another shape (the error names those that are most alike, or the prefix
    /// that is too much), a tensor's type is not a float type, or a value is NaN, infinite or a variance by which
    /// nothing can be divided. The model is then as it was.
    fn load_state_dict(&mut self, state_dict: &StateDict) -> Result<()> {
        self.load_state_dict_with(state_dict, LoadStateDictOptions::default()).map(drop)
    }

    /// [`Module::load_state_dict`] with settings; gives the keys that were missing and unexpected, which only without
    /// `strict` are any.
    ///
    /// ```
    /// use qcore::prelude::*;
    /// use qcore::LoadStateDictOptions;
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
    /// let checkpoint = StateDict::from_iter([("fc.bias", Tensor::zeros(&[3]))]);
    /// let mut model = Net { fc: Linear::new(4, 3) };
    /// let keys = model.load_state_dict_with(&checkpoint, LoadStateDictOptions { strict: false })?;
    /// assert_eq!(keys.missing, ["fc.weight"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Module::load_state_dict`], but without `strict` neither for missing nor for unexpected keys.
    fn load_state_dict_with(
        &mut self,
        state_dict: &StateDict,
        options: LoadStateDictOptions,
    ) -> Result<StateDictMismatch> {
        state_dict.load_into(self, options.strict)
    }

    /// The weights and statistics, by PyTorch's key names. If two tensors have one key, reading or saving it is an error.
    fn state_dict(&self) -> StateDict {
        StateDict::of(self)
    }
}

/// A field of a model: what its attributes say.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// The beginning of its keys in the state dict.
    pub key: &'static str,
    /// `#[quantizable(skip)]`.
    pub skip: bool,
    /// `#[quantizable(qconfig = path)]`.
    pub qconfig: Option<fn() -> QConfig>,
}

impl Field {
    /// A field without attributes.
    pub fn new(key: &'static str) -> Self {
        Self { key, skip: false, qconfig: None }
    }
}

/// Settings of [`Module::load_state_dict_with`].
#[derive(Clone, Copy, Debug)]
pub struct LoadStateDictOptions {
    /// Whether the keys must be exactly those of the model; true if not set, as in PyTorch.
    pub strict: bool,
}

impl Default for LoadStateDictOptions {
    fn default() -> Self {
        Self { strict: true }
    }
}

/// Traces a model with symbolic values.
fn record<M: Module>(model: &M, mapping: &QConfigMapping) -> Result<Trace> {
    let mut tracer = Tracer::recording(mapping);
    let names = M::GRAPH.inputs;
    let input = M::Input::build(|index| Ok(tracer.input(names.get(index).unwrap_or(&"input"))))?;
    let outputs = M::Output::into_vec(model.trace(&mut tracer, input)?);
    tracer.finish(M::NAME, &M::GRAPH.signature(), &outputs)
}

fn too_few() -> Error {
    Error::Unsupported("fewer values than the model has".into())
}

/// The tensors of an input, in order.
pub(crate) fn tensors<V: Values>(values: V) -> Vec<Tensor> {
    V::into_vec(values.into_tensors())
}
