//! `Converted`: the integer model, which runs, saves and loads on its own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::archive::{Archive, ArchiveWriter, Record};
use crate::graph::Domain;
use crate::model::{ConvertedNetwork, Quantizable};
use crate::plan::{Conversion, Plan};
use crate::program::{Answer, MemoryReport, Profile, Program, Programs};
use crate::values::{IntoInput, Values};
use crate::{Backend, Error, QParams, Result};

/// A converted model: int8 weights and kernels, and float operations where the plan left them.
///
/// `Send + Sync`; one instance serves any number of threads.
pub struct Converted<M: Quantizable> {
    network: M::Converted,
    summary: ModelSummary,
    programs: Programs,
}

/// What a converted model says of itself; stored in its file, and readable without knowing its type.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelSummary {
    /// The name of the model's struct.
    pub model: String,
    /// Whose numerics it follows.
    pub backend: Backend,
    /// What the user put beside it: class names, normalization, the variant of an architecture.
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
    /// When the file is not there or is not such a file.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::read(&Archive::open(path.as_ref())?)
    }

    fn read(archive: &Archive) -> Result<Self> {
        let summary: Self = archive.get("")?;
        for qparams in summary.inputs.iter().chain(summary.edges.iter().map(|edge| &edge.qparams)).flatten() {
            qparams.validate().map_err(|error| archive.error(error.to_string()))?;
        }
        Ok(summary)
    }
}

/// One value of a converted model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EdgeSummary {
    /// `layers.0.conv2`; a parameter of `forward` has its own name.
    pub path: String,
    /// PyTorch's name of the operation that makes the value.
    pub operation: String,
    /// Where that operation runs.
    pub domain: Domain,
    /// Scale and zero point, if the value is, or becomes, int8.
    pub qparams: Option<QParams>,
}

impl<M: Quantizable> fmt::Debug for Converted<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Converted").field("model", &self.summary.model).finish_non_exhaustive()
    }
}

impl<M: Quantizable> Converted<M> {
    pub(crate) fn new(network: M::Converted, plan: &Plan, conversion: &Conversion<'_>) -> Self {
        let edges = plan
            .nodes
            .iter()
            .enumerate()
            .map(|(id, node)| EdgeSummary {
                path: node.site.path.clone(),
                operation: node.site.operation.clone(),
                domain: node.domain,
                qparams: conversion.value(id).cloned(),
            })
            .collect();
        let inputs = (0..M::Input::COUNT).map(|id| conversion.value(id).cloned()).collect();
        let model = M::GRAPH.model.to_owned();
        let summary = ModelSummary { model, backend: plan.backend, metadata: BTreeMap::new(), inputs, edges };
        Self { network, summary, programs: Programs::default() }
    }

    /// Runs the model. Float in, float out; in between integers wherever the plan says so.
    ///
    /// The first run with inputs of a new shape plans its memory, later ones only compute.
    ///
    /// # Errors
    /// When the input does not fit a layer; the error names the layer.
    pub fn forward(&self, input: impl IntoInput<M::Input>) -> Result<M::Output> {
        let input = input.into_input()?;
        let mut outputs = Vec::with_capacity(M::Output::COUNT);
        self.run(&input, &mut |_, answer| {
            outputs.push(answer.into_tensor()?);
            Ok(())
        })?;
        let mut outputs = outputs.into_iter();
        let tensors = M::Output::build(|_| {
            let missing = || Error::Unsupported("fewer outputs than the model gives".into());
            outputs.next().ok_or_else(missing)
        })?;
        Ok(M::Output::from_tensors(tensors))
    }

    /// [`Converted::forward`] into tensors that are there already: where an output has the right shape and its
    /// memory is not shared, it is written in place. From the second run on, a model that is int8 throughout then
    /// allocates nothing; of one with a part in float, only that part does, for its inputs and what it computes.
    ///
    /// # Errors
    /// As [`Converted::forward`]; the outputs are then unspecified.
    pub fn forward_into(&self, input: &M::Input, output: &mut M::Output) -> Result<()> {
        self.run(input, &mut |index, answer| match output.get_mut(index) {
            Some(tensor) => answer.write_to(tensor),
            None => Err(Error::Unsupported("more outputs than the model gives".into())),
        })
    }

    /// How much memory the activations of a run on inputs like `input` take.
    ///
    /// # Errors
    /// When the input does not fit a layer.
    pub fn memory(&self, input: &M::Input) -> Result<MemoryReport> {
        self.with_program(input, |program| Ok(program.memory()))
    }

    /// Runs the model once and tells where the time went.
    ///
    /// # Errors
    /// As [`Converted::forward`].
    pub fn profile(&self, input: &M::Input) -> Result<Profile> {
        self.with_program(input, |program| program.profile(tensors(input)))
    }

    fn run(&self, input: &M::Input, take: &mut dyn FnMut(usize, Answer<'_>) -> Result<()>) -> Result<()> {
        self.with_program(input, |program| program.run(tensors(input), take))
    }

    fn with_program<T>(&self, input: &M::Input, run: impl FnOnce(&Program) -> Result<T>) -> Result<T> {
        let record = || Program::record::<M>(&self.network, input, &self.summary.inputs);
        self.programs.with(input, record, run)
    }

    /// What the model says of itself: its backend, and every value with its scale and zero point.
    pub fn summary(&self) -> &ModelSummary {
        &self.summary
    }

    /// Puts something beside the model that its file shall carry.
    pub fn set_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.summary.metadata.insert(key.into(), value.into());
    }

    /// Writes the model to one safetensors file, atomically: the file is complete or not there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let mut archive = ArchiveWriter::new();
        archive.put("", &self.summary)?;
        self.network.save(&mut archive, "network")?;
        archive.write(path.as_ref())
    }

    /// Reads a model from a file of [`Converted::save`]: no float weights, no constructor.
    ///
    /// # Errors
    /// When the file is not there, truncated, corrupt, of another version or of another model.
    pub fn load(path: impl AsRef<Path>) -> Result<Self> {
        let archive = Archive::open(path.as_ref())?;
        let summary = ModelSummary::read(&archive)?;
        if summary.model != M::GRAPH.model {
            return Err(archive.error(format!(
                "holds the model `{}`, not `{}`",
                summary.model,
                M::GRAPH.model
            )));
        }
        if summary.inputs.len() != M::Input::COUNT {
            let found = summary.inputs.len();
            return Err(archive.error(format!("has {found} inputs, the model takes {}", M::Input::COUNT)));
        }
        let network = M::Converted::load(&archive, "network").map_err(|error| match error {
            named @ Error::File { .. } => named,
            other => archive.error(other.to_string()),
        })?;
        Ok(Self { network, summary, programs: Programs::default() })
    }

    /// Each quantized weight with the path of its layer.
    pub fn visit_weights(&self, visit: &mut dyn FnMut(&str, &crate::QTensor)) {
        self.network.visit_weights(visit);
    }
}

/// The tensors of an input, in order.
fn tensors<I: Values>(input: &I) -> impl Iterator<Item = &crate::Tensor> {
    (0..I::COUNT).filter_map(|index| input.get(index))
}
