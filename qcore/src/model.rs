//! `Quantizable`: what `#[quantizable]` generates for a model, and what a model can do with it.

use std::sync::Arc;

use crate::archive::Record;
use crate::graph::Graph;
use crate::observation::{EdgeStatistics, Observation, ObservedEdge};
use crate::parameters::Parameters;
use crate::plan::{Conversion, Edge, Tracer, decide};
use crate::prepared::Prepared;
use crate::program::Value;
use crate::state_dict::StateDict;
use crate::suggest;
use crate::values::Values;
use crate::{Error, QConfigMapping, QTensor, Result, Tensor};

/// A float model that can be prepared, calibrated and converted.
///
/// `#[quantizable]` on a struct and on the impl with its `forward` writes the required items; the provided
/// ones are what users call.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a layer that `#[quantizable]` knows nor a `#[quantizable]` model",
    note = "put `#[quantizable]` on the struct `{Self}` and on the impl block with its `forward`"
)]
pub trait Quantizable: Parameters + Sized + 'static {
    /// `Tensor`, or a tuple of as many as `forward` takes.
    type Input: Values;
    /// `Tensor`, or a tuple of as many as `forward` returns.
    type Output: Values;
    /// The network of the prepared model, one field for each fused group or wrapped operation.
    type Prepared: PreparedNetwork<Self>;
    /// The network of the converted model, likewise.
    type Converted: ConvertedNetwork<Self>;

    /// What the macro understood: operations, fused groups, stubs. Printing it shows the plan.
    const GRAPH: &'static Graph;
    /// The fused groups, as PyTorch's `fuse_modules` takes them.
    const FUSIONS: &'static [&'static [&'static str]];

    /// Runs the float model as written.
    ///
    /// # Errors
    /// When the input does not fit a layer.
    fn run(&self, input: <Self::Input as Values>::Of<Tensor>)
    -> Result<<Self::Output as Values>::Of<Tensor>>;

    /// Walks `forward` with symbolic values.
    ///
    /// # Errors
    /// When a layer's parameters do not fit together.
    #[expect(clippy::type_complexity)]
    fn trace(
        &self,
        tracer: &mut Tracer,
        input: <Self::Input as Values>::Of<Edge>,
    ) -> Result<(Self::Prepared, <Self::Output as Values>::Of<Edge>)>;

    /// Fuses, wraps and observes, as `mapping` says. The float model stays as it is.
    ///
    /// # Errors
    /// When the mapping names a layer that the model does not have, or a qconfig asks for something that no
    /// kernel runs.
    fn prepare(&self, mapping: &QConfigMapping) -> Result<Prepared<Self>> {
        let mut tracer = Tracer::new(mapping);
        let names = Self::GRAPH.inputs;
        let input = Self::Input::build(|index| Ok(tracer.input(names.get(index).unwrap_or(&"input"))))?;
        let (network, outputs) = self.trace(&mut tracer, input)?;
        refuse_unknown_names(mapping, &tracer)?;
        let outputs = Self::Output::into_vec(outputs).into_iter().map(|edge| edge.0).collect();
        let plan = decide(tracer.sites, outputs, mapping.backend(), mapping.mode())?;
        let edges = plan
            .observers
            .iter()
            .map(|observer| ObservedEdge {
                path: plan.nodes[observer.nodes[0]].site.path.clone(),
                observer: observer.qconfig.activation_observer(),
                statistics: EdgeStatistics::default(),
            })
            .collect();
        Ok(Prepared { network, plan: Arc::new(plan), edges })
    }

    /// Takes over weights and statistics by PyTorch's key names. `num_batches_tracked` is accepted and
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

/// The generated network of a prepared model.
pub trait PreparedNetwork<M: Quantizable>: Clone + Send + Sync + 'static {
    /// Runs in float and shows values to their observers.
    ///
    /// # Errors
    /// When the input does not fit a layer, or a value is not finite.
    fn run(
        &self,
        observation: &mut Observation<'_>,
        input: <M::Input as Values>::Of<Tensor>,
    ) -> Result<<M::Output as Values>::Of<Tensor>>;

    /// The network of the converted model.
    ///
    /// # Errors
    /// When a weight is not finite or the backend refuses a scale.
    fn convert(&self, conversion: &Conversion<'_>) -> Result<M::Converted>;
}

/// The generated network of a converted model.
pub trait ConvertedNetwork<M: Quantizable>: Record + Send + Sync + 'static {
    /// Walks the network with symbolic values, which record every call.
    ///
    /// # Errors
    /// When the input does not fit a layer.
    fn run(&self, input: <M::Input as Values>::Of<Value>) -> Result<<M::Output as Values>::Of<Value>>;

    /// Shows each quantized weight with the path of its layer.
    fn visit_weights(&self, visit: &mut dyn FnMut(&str, &QTensor));
}

fn refuse_unknown_names(mapping: &QConfigMapping, tracer: &Tracer) -> Result<()> {
    let known = tracer.known_paths();
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
    names.extend(unknown_positions(mapping, tracer, is_known));
    if names.is_empty() { Ok(()) } else { Err(Error::UnknownNames { names }) }
}

/// Entries by position, in modules that are there, that no call has; each with the nearest that there is.
fn unknown_positions(
    mapping: &QConfigMapping,
    tracer: &Tracer,
    is_known_module: impl Fn(&str) -> bool,
) -> Vec<(String, Option<String>)> {
    let spelled = |module: &str, object_type: &str, index: usize| match module {
        "" => format!("{object_type} {index}"),
        module => format!("{object_type} {index} in {module}"),
    };
    let mut known: Vec<_> = tracer.known_positions().collect();
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
