//! `Network`: the flat graph of one model instance, whose nodes own their operations.
//!
//! [`Tracer`] walks a model once and records it. Every later thing is a walk over the nodes: deciding precisions,
//! observing, converting, saving and loading, running.

mod file;
mod fuse;
mod loaders;
mod node;
mod recording;
mod tracer;
mod verify;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::file::{LoadOptions, RegularFile};
use crate::ops::Precision;
use crate::program::{MemoryReport, NonFinite, Profile, ProgramOutput, Programs};
use crate::{Backend, Error, QParams, QTensor, Result, Tensor};

pub use file::{StoredTensors, TensorWriter};
pub use loaders::Loaders;
pub use node::{Call, Node, NodeMember};
pub use tracer::{Member, Site, Tracer, Value};

pub(crate) use file::{FORMAT, formats, summary};
pub(crate) use node::{folded, lower};
pub(crate) use recording::{RecordedMember, Settings, Trace};

/// Index of a node in a [`Network`].
pub(crate) type NodeId = usize;
/// Index of a value in a [`Network`].
pub(crate) type ValueId = usize;

/// A model instance as a flat graph, ready to run: each node owns its operation, lowered to some precision.
///
/// Its inputs and outputs are float tensors, in the order of `forward`'s parameters and results.
/// A converted model is one with its types ([`Converted`](crate::Converted)). Without them, for programs that do not
/// know the model, a file loads by [`Network::load`].
#[derive(Debug)]
pub struct Network {
    /// The name of the model's type.
    pub(crate) model: String,
    /// The lines of the signature of its body; [`Graph::signature`](crate::Graph::signature).
    pub(crate) signature: String,
    pub(crate) backend: Backend,
    /// The user's metadata.
    pub(crate) metadata: BTreeMap<String, String>,
    /// In the order in which they run; first the parameters of `forward`.
    pub(crate) nodes: Vec<Node>,
    pub(crate) values: Vec<NetworkValue>,
    pub(crate) outputs: Vec<ValueId>,
    pub(crate) non_finite: NonFinite,
    /// The file whose map the weights lie in.
    pub(crate) mapped: Option<Arc<RegularFile>>,
    pub(crate) programs: Programs,
}

/// A value of a network.
#[derive(Clone, Debug)]
pub(crate) struct NetworkValue {
    /// The node that makes it.
    pub(crate) node: NodeId,
    /// Scale and zero point where it is integers.
    pub(crate) qparams: Option<Arc<QParams>>,
}

impl Network {
    /// Reads a converted model from a file of [`Converted::save`](crate::Converted::save), whatever its type.
    /// Operations of another crate's must be known to `loaders`, see [`Network::load_with`].
    ///
    /// ```no_run
    /// # fn main() -> qcore::Result<()> {
    /// let network = qcore::Network::load("resnet18.int8.safetensors")?;
    /// let logits = network.forward(&[qcore::Tensor::zeros(&[1, 3, 224, 224])])?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// When the file is not there, truncated, damaged, of another version, or holds an operation that is not known.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        Self::load_with(path, &Loaders::new(), LoadOptions::default())
    }

    /// [`Network::load`] with the operations that `loaders` knows, into memory of its own or mapped.
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn load_with(path: impl AsRef<Path>, loaders: &Loaders, options: LoadOptions) -> Result<Self> {
        file::load(path.as_ref(), loaders, options)
    }

    /// Writes the network to one safetensors file, as [`write_file`](crate::write_file) does.
    ///
    /// # Errors
    /// When the file cannot be written, or a map that the weights lie in has changed.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.check_file()?;
        file::save(self, path.as_ref())
    }

    /// Runs the network. Float in, float out.
    ///
    /// The first run with inputs of a new shape plans its memory, later ones only compute.
    ///
    /// # Errors
    /// When there are more or fewer inputs than [`Network::input_count`], or one does not fit a layer; the error names
    /// the layer. When a value that becomes an integer is NaN or infinite, unless [`Network::set_non_finite`] says
    /// otherwise. When the network lies in a map of a file ([`LoadOptions::mapped`]) that has changed.
    pub fn forward(&self, inputs: &[Tensor]) -> Result<Vec<Tensor>> {
        let mut outputs = Vec::with_capacity(self.outputs.len());
        let inputs: Vec<&Tensor> = inputs.iter().collect();
        self.run(&inputs, &mut |_, output| {
            outputs.push(output.to_tensor()?);
            Ok(())
        })?;
        Ok(outputs)
    }

    /// Sets what becomes of NaN and infinity where floats become integers; [`NonFinite::Refuse`] if not set. It is not
    /// written to files.
    pub fn set_non_finite(&mut self, non_finite: NonFinite) {
        self.non_finite = non_finite;
        // Those that are there were made for the other.
        self.programs = Programs::default();
    }

    /// How many tensors [`Network::forward`] takes.
    pub fn input_count(&self) -> usize {
        self.nodes.iter().take_while(|node| node.call.is_none()).count()
    }

    /// The name of the model's type.
    pub fn model(&self) -> &str {
        &self.model
    }

    /// The nodes in the order in which they run; first the parameters of `forward`.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// How much memory the activations of a run on such inputs take.
    ///
    /// # Errors
    /// As [`Network::forward`]; of memory, when one value alone is larger than a call may be.
    pub fn memory(&self, inputs: &[&Tensor]) -> Result<MemoryReport> {
        Ok(self.programs.get(self, inputs)?.memory())
    }

    /// Runs the network once and tells where the time went.
    ///
    /// # Errors
    /// As [`Network::forward`].
    pub fn profile(&self, inputs: &[&Tensor]) -> Result<Profile> {
        self.check_file()?;
        self.programs.profile(self, inputs)
    }

    /// Sets how many shapes of inputs are remembered, 64 if not set: for one that is not, the next run plans its memory
    /// anew, and the shape that was not used for longest is forgotten for it. With 0 every run plans.
    pub fn set_remembered_shapes(&self, shapes: usize) {
        self.programs.set_shapes(shapes);
    }

    /// Frees the memory of past runs, which is kept for the next ones: as much as the largest remembered shape takes,
    /// for each run that there has been at the same time. Dropping the network frees it too.
    pub fn release_memory(&self) {
        self.programs.release_memory();
    }

    /// Bytes that [`Network::release_memory`] would free now.
    pub fn held_memory(&self) -> usize {
        self.programs.held_bytes()
    }

    /// Runs on `inputs`; `take` gets the outputs one by one where the program left them.
    pub(crate) fn run(
        &self,
        inputs: &[&Tensor],
        take: &mut dyn FnMut(usize, ProgramOutput<'_>) -> Result<()>,
    ) -> Result<()> {
        self.check_file()?;
        if self.non_finite == NonFinite::Refuse && self.is_dynamic() {
            // A dynamic layer's scale would be NaN or infinite, and with it all of its output.
            self.check_finite(inputs)?;
        }
        let result = self.programs.run(self, inputs, take);
        result.or_else(|error| {
            let is_not_finite = match &error {
                Error::InLayer { source, .. } => matches!(**source, Error::NotFinite { .. }),
                _ => false,
            };
            if is_not_finite {
                self.check_finite(inputs)?;
            }
            Err(error)
        })
    }

    fn is_dynamic(&self) -> bool {
        self.nodes.iter().any(|node| node.precision() == Precision::Dynamic)
    }

    /// An error if an input has a value that is NaN or infinite.
    fn check_finite(&self, inputs: &[&Tensor]) -> Result<()> {
        for (input, node) in inputs.iter().zip(&self.nodes) {
            if let Some((index, value)) = input.first_non_finite() {
                return Err(Error::NotFinite { what: format!("the input `{}`", node.path), value, index });
            }
        }
        Ok(())
    }

    /// An error if the weights lie in a map of a file that somebody has written to.
    fn check_file(&self) -> Result<()> {
        self.mapped.as_ref().map_or(Ok(()), |file| file.check_unchanged())
    }

    /// Each quantized weight with the path of its layer.
    pub fn visit_weights(&self, visit: &mut dyn FnMut(&str, &QTensor)) {
        for node in &self.nodes {
            if let Some(weight) = node.call.as_ref().and_then(|call| call.executable.weight()) {
                visit(&node.path, &weight);
            }
        }
    }

    /// An error unless there are as many inputs as the network takes.
    pub(crate) fn check_inputs(&self, found: usize) -> Result<()> {
        let expected = self.input_count();
        if found == expected {
            return Ok(());
        }
        Err(Error::Unsupported(format!("{found} inputs for `{}`, which takes {expected}", self.model)))
    }

    /// The same nodes with calls in other precisions and values of other kinds.
    pub(crate) fn with(&self, nodes: Vec<Node>, values: Vec<NetworkValue>) -> Self {
        Self {
            model: self.model.clone(),
            signature: self.signature.clone(),
            backend: self.backend,
            metadata: self.metadata.clone(),
            nodes,
            values,
            outputs: self.outputs.clone(),
            non_finite: self.non_finite,
            mapped: self.mapped.clone(),
            programs: Programs::default(),
        }
    }
}

/// Whether an operation in this precision reads integers.
pub(crate) fn reads_integers(call: &Call) -> bool {
    call.precision == Precision::Static && !call.is_quantize()
}
