//! `Converted`: the integer model, which runs, saves and loads on its own.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::prepared::outputs;
use super::{IntoInput, Module, Values, tensors};
use crate::file::LoadOptions;
use crate::network::{Loaders, Network, summary};
use crate::program::{MemoryReport, NonFinite, Profile, ProgramOutput};
use crate::{Backend, Error, QParams, QTensor, Result};

/// A converted model: a [`Network`] of int8 weights and kernels, and of float operations where the plan left them, with
/// the model's types.
///
/// Made by [`Prepared::convert`](super::Prepared::convert), or from a file by [`Converted::load`]. It takes and gives
/// float tensors of the shapes of the model's `forward`. `Send + Sync`; one instance serves any number of threads.
///
/// ```
/// use qcore::prelude::*;
///
/// #[quantizable]
/// struct Classifier {
///     fc: Linear,
/// }
///
/// #[quantizable]
/// impl Classifier {
///     fn forward(&self, x: Tensor) -> Tensor {
///         self.fc(x)
///     }
/// }
///
/// # fn main() -> qcore::Result<()> {
/// let x = Tensor::from_vec(&[2, 4], (0..8).map(|i| i as f32).collect())?;
/// let mut prepared = Classifier { fc: Linear::new(4, 3) }.prepare(&QConfigMapping::default())?;
/// prepared.observe(&x)?;
/// let int8 = prepared.convert()?;
/// assert_eq!(int8.forward(&x)?.shape(), [2, 3]);
/// assert_eq!(int8.summary().edges.len(), 2); // `x` and `fc`
/// # Ok(())
/// # }
/// ```
pub struct Converted<M: Module> {
    network: Network,
    summary: ModelSummary,
    model: PhantomData<fn() -> M>,
}

/// Shares the weights, and plans and keeps its memory for itself.
impl<M: Module> Clone for Converted<M> {
    fn clone(&self) -> Self {
        let (nodes, values) = (self.network.nodes.clone(), self.network.values.clone());
        let network = self.network.with(nodes, values);
        Self { network, summary: self.summary.clone(), model: PhantomData }
    }
}

/// The description of a converted model; stored in its file, and readable without knowing its type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelSummary {
    /// The name of the model's struct.
    pub model: String,
    /// Whose numerics it follows.
    pub backend: Backend,
    /// The user's metadata: class names, normalization, the variant of an architecture.
    pub metadata: BTreeMap<String, String>,
    /// Of each input, how to quantize it, if an int8 operation reads it.
    pub inputs: Vec<Option<QParams>>,
    /// Every value, in the order in which they are made.
    pub edges: Vec<EdgeSummary>,
}

impl ModelSummary {
    /// Reads the summary from a file of [`Converted::save`].
    ///
    /// # Errors
    /// When the file is missing, is damaged where it describes the network, or is not that of a converted model.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        summary(path.as_ref(), LoadOptions::default().header_limit)
    }

    fn of_network(network: &Network) -> Self {
        let edges = network
            .nodes
            .iter()
            .flat_map(|node| node.outputs.iter().map(move |&output| (node, output)))
            .map(|(node, output)| EdgeSummary {
                path: node.path().to_owned(),
                operation: node.operation().to_owned(),
                precision: node.precision().name().to_owned(),
                qparams: network.values[output].qparams.as_deref().cloned(),
            })
            .collect();
        Self::new(&network.model, network.backend, network.metadata.clone(), edges)
    }

    pub(crate) fn new(
        model: &str,
        backend: Backend,
        metadata: BTreeMap<String, String>,
        edges: Vec<EdgeSummary>,
    ) -> Self {
        let inputs = edges.iter().take_while(|edge| edge.operation == "input");
        let inputs = inputs.map(|edge| edge.qparams.clone()).collect();
        Self { model: model.to_owned(), backend, metadata, inputs, edges }
    }
}

/// One value of a converted model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EdgeSummary {
    /// `layers.0.conv2`; a parameter of `forward` has its own name.
    pub path: String,
    /// PyTorch's name of the operation that makes the value.
    pub operation: String,
    /// How that operation computes: the name of a [`Precision`](crate::ops::Precision).
    pub precision: String,
    /// Scale and zero point, if the value is, or becomes, int8.
    pub qparams: Option<QParams>,
}

impl<M: Module> fmt::Debug for Converted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Converted").field("model", &self.summary.model).finish_non_exhaustive()
    }
}

impl<M: Module> Converted<M> {
    pub(crate) fn new(network: Network) -> Self {
        let summary = ModelSummary::of_network(&network);
        Self { network, summary, model: PhantomData }
    }

    /// Runs the model. Float in, float out; in between integers wherever the plan says so.
    ///
    /// The first run with inputs of a new shape plans its memory, later ones only compute.
    ///
    /// # Errors
    /// When the input does not fit a layer; the error names the layer. When the input, or a value on the way, is NaN or
    /// infinite where it becomes an integer: [`Error::NotFinite`] with the index, unless
    /// [`Converted::set_non_finite`] says otherwise.
    pub fn forward(&self, input: impl IntoInput<M::Input>) -> Result<M::Output> {
        outputs::<M>(self.network.forward(&tensors(input.into_input()?))?)
    }

    /// [`Converted::forward`] into tensors that are there already: where an output has the right shape and its
    /// memory is not shared, it is written in place. From the second run on this allocates nothing.
    ///
    /// # Errors
    /// As [`Converted::forward`]; the outputs are then unspecified.
    pub fn forward_into(&self, input: &M::Input, output: &mut M::Output) -> Result<()> {
        let mut take = |index, found: ProgramOutput<'_>| match output.get_mut(index) {
            Some(tensor) => found.write_to(tensor),
            None => Err(Error::Unsupported("more outputs than the model gives".into())),
        };
        input.with_all(|input| self.network.run(input, &mut take))
    }

    /// Sets what becomes of NaN and infinity where floats become integers; [`NonFinite::Refuse`] if not set. It is not
    /// written to files.
    pub fn set_non_finite(&mut self, non_finite: NonFinite) {
        self.network.set_non_finite(non_finite);
    }

    /// How much memory the activations of a run on inputs like `input` take.
    ///
    /// # Errors
    /// When the input does not fit a layer, or one value alone is larger than a call may be.
    pub fn memory(&self, input: &M::Input) -> Result<MemoryReport> {
        input.with_all(|input| self.network.memory(input))
    }

    /// Sets how many shapes of inputs are remembered, 64 if not set; see [`Network::set_remembered_shapes`].
    pub fn set_remembered_shapes(&self, shapes: usize) {
        self.network.set_remembered_shapes(shapes);
    }

    /// Frees the memory of past runs, which is kept for the next ones; see [`Network::release_memory`].
    pub fn release_memory(&self) {
        self.network.release_memory();
    }

    /// Runs the model once and tells where the time went.
    ///
    /// # Errors
    /// As [`Converted::forward`].
    pub fn profile(&self, input: &M::Input) -> Result<Profile> {
        input.with_all(|input| self.network.profile(input))
    }

    /// The description of the model: its backend, and every value with its scale and zero point.
    pub fn summary(&self) -> &ModelSummary {
        &self.summary
    }

    /// The flat graph that runs.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// Puts something beside the model that its file shall carry.
    pub fn set_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        let (key, value) = (key.into(), value.into());
        self.network.metadata.insert(key.clone(), value.clone());
        self.summary.metadata.insert(key, value);
    }

    /// Writes the model to one safetensors file, atomically: the file is complete or not there. Symbolic links are
    /// followed, owner and permissions of an existing file kept ([`write_file`](crate::write_file)).
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.network.save(path)
    }

    /// Reads a model from a file of [`Converted::save`]: no float weights, no constructor. The file may change
    /// afterwards.
    ///
    /// # Errors
    /// When the file is not there, truncated, damaged, of another version, of another model, or of another version of
    /// this model's body; then the error says where the two part.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(path, LoadOptions::default())
    }

    /// [`Converted::load`] with the weights in memory of their own or in a map of the file, which then must not change:
    /// see [`LoadOptions::mapped`].
    ///
    /// # Errors
    /// As [`Converted::load`].
    pub fn load_with(path: impl AsRef<Path>, options: LoadOptions) -> Result<Self> {
        let path = path.as_ref();
        let mut loaders = Loaders::new();
        M::loaders(&mut loaders);
        let network = Network::load_with(path, &loaders, options)?;
        check_model::<M>(&network).map_err(|message| Error::file(path, message))?;
        Ok(Self::new(network))
    }

    /// Each quantized weight with the path of its layer.
    pub fn visit_weights(&self, visit: &mut dyn FnMut(&str, &QTensor)) {
        self.network.visit_weights(visit);
    }
}

/// Whether a network was recorded from the model `M` as it is now; if not, what differs.
fn check_model<M: Module>(network: &Network) -> Result<(), String> {
    if network.model != M::NAME {
        return Err(format!("holds the model `{}`, not `{}`", network.model, M::NAME));
    }
    let counts = [
        ("inputs", network.input_count(), M::Input::COUNT),
        ("outputs", network.outputs.len(), M::Output::COUNT),
    ];
    if let Some((what, found, expected)) = counts.into_iter().find(|(_, found, expected)| found != expected) {
        let name = M::NAME;
        return Err(format!(
            "is of another version of `{name}`, whose number of {what} is {found}, not {expected}"
        ));
    }
    let expected = M::GRAPH.signature();
    let found: Vec<&str> = network.signature.lines().collect();
    if found == expected {
        return Ok(());
    }
    let differs = found.iter().zip(&expected).position(|(found, expected)| found != expected);
    let line = differs.unwrap_or(found.len().min(expected.len()));
    let text = |line: Option<&str>| line.map_or("nothing more".to_owned(), |line| format!("`{line}`"));
    Err(format!(
        "is of another version of `{}`: where the file has {}, the model has {}",
        M::NAME,
        text(found.get(line).copied()),
        text(expected.get(line).map(String::as_str))
    ))
}
