//! `Module`: a model or a layer whose body can be traced, and its methods.

use super::{Parameters, Prepared, StateDict, Values};
use crate::inspect::Graph;
use crate::network::{Loaders, Trace, Tracer, Value};
use crate::quantize::{EdgeStatistics, ObservedEdge, decide};
use crate::{Error, QConfigMapping, Result, Tensor, suggest};

/// A model or a layer of your own: its tensors have names, and its body can be traced.
///
/// `#[quantizable]` on a struct and on the impl with its `forward` implements it for a model. By hand it takes an
/// operation ([`Op`](crate::ops::Op)) and [`Tracer::call`]; the module can then stand in a `#[quantizable]` body like
/// any layer. The provided methods are what users call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a layer that `#[quantizable]` knows nor a `#[quantizable]` model",
    note = "put `#[quantizable]` on the struct `{Self}` and on the impl block with its `forward`"
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

    /// Runs the float model as written.
    ///
    /// # Errors
    /// When the input does not fit a layer.
    fn run(&self, input: Self::Input) -> Result<Self::Output> {
        let mut tensors = Self::Input::into_vec(input.into_tensors()).into_iter();
        let input = Self::Input::build(|_| tensors.next().map(Value::from).ok_or_else(too_few))?;
        let output = self.trace(&mut Tracer::running(), input)?;
        let mut values = Self::Output::into_vec(output).into_iter();
        let tensors = Self::Output::build(|_| values.next().ok_or_else(too_few)?.into_tensor())?;
        Ok(Self::Output::from_tensors(tensors))
    }

    /// The model with batch norms folded, and observers placed by `mapping`. The float model stays as it is.
    ///
    /// # Errors
    /// When the mapping names a layer that the model does not have, or a qconfig asks for something that no
    /// kernel runs.
    fn prepare(&self, mapping: &QConfigMapping) -> Result<Prepared<Self>> {
        let trace = record(self, mapping)?;
        refuse_unknown_names(mapping, &trace)?;
        let plan = decide(trace.network, &trace.settings, mapping.mode())?;
        let edges = plan
            .observers
            .iter()
            .map(|observer| ObservedEdge {
                path: plan.path(observer.values[0]).to_owned(),
                observer: observer.qconfig.activation_observer(),
                statistics: EdgeStatistics::default(),
            })
            .collect();
        Ok(Prepared::new(plan, edges))
    }

    /// Loads weights and statistics by PyTorch's key names. `num_batches_tracked` is accepted and
    /// ignored.
    ///
    /// # Errors
    /// When a key is missing, unexpected or of another shape (all are named), or a tensor's type is not a
    /// float type. The model is then as it was.
    fn load_state_dict(&mut self, state_dict: &StateDict) -> Result<()> {
        state_dict.load_into(self)
    }

    /// The weights and statistics, by PyTorch's key names.
    fn state_dict(&self) -> StateDict {
        StateDict::of(self)
    }
}

/// Traces a model with symbolic values.
fn record<M: Module>(model: &M, mapping: &QConfigMapping) -> Result<Trace> {
    let mut tracer = Tracer::recording(mapping);
    let names = M::GRAPH.inputs;
    let input = M::Input::build(|index| Ok(tracer.input(names.get(index).unwrap_or(&"input"))))?;
    let outputs = M::Output::into_vec(model.trace(&mut tracer, input)?);
    tracer.finish(M::NAME, M::GRAPH.signature(), &outputs)
}

fn too_few() -> Error {
    Error::Unsupported("fewer values than the model has".into())
}

fn refuse_unknown_names(mapping: &QConfigMapping, trace: &Trace) -> Result<()> {
    let known = &trace.known_paths;
    let is_known = |name: &str| {
        known
            .iter()
            .any(|path| path == name || path.strip_prefix(name).is_some_and(|rest| rest.starts_with('.')))
    };
    let mut names: Vec<_> = mapping
        .module_names()
        .filter(|name| !is_known(name))
        .map(|name| (name.to_owned(), suggest::nearest(name, known.iter().map(String::as_str))))
        .collect();
    names.extend(unknown_positions(mapping, trace, is_known));
    if names.is_empty() { Ok(()) } else { Err(Error::UnknownNames { names }) }
}

/// Entries by position, in modules that are there, that no call has; each with the nearest that there is.
fn unknown_positions(
    mapping: &QConfigMapping,
    trace: &Trace,
    is_known_module: impl Fn(&str) -> bool,
) -> Vec<(String, Option<String>)> {
    let spelled = |module: &str, object_type: &str, index: usize| match module {
        "" => format!("{object_type} {index}"),
        module => format!("{object_type} {index} in {module}"),
    };
    let mut known: Vec<_> = trace.known_positions().collect();
    known.sort_unstable();
    let is_there = |module: &str| module.is_empty() || is_known_module(module);
    let has = |module: &str, object_type: &str, index: usize| {
        known.iter().any(|position| (position.0, position.1) == (module, object_type) && index < position.2)
    };
    mapping
        .positions()
        .filter(|&(module, object_type, index)| is_there(module) && !has(module, object_type, index))
        .map(|(module, object_type, index)| {
            let near = known.iter().filter(|position| position.0 == module);
            let near: Vec<_> =
                near.map(|&(module, object_type, count)| spelled(module, object_type, count - 1)).collect();
            let name = spelled(module, object_type, index);
            let nearest = suggest::nearest(&name, near.iter().map(String::as_str));
            (name, nearest)
        })
        .collect()
}

/// The tensors of an input, in order.
pub(super) fn tensors<V: Values>(values: V) -> Vec<Tensor> {
    V::into_vec(values.into_tensors())
}
