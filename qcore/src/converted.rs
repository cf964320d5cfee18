//! `Converted`: the integer model, which runs, saves and loads on its own.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::archive::{Archive, ArchiveWriter, Record};
use crate::graph::Domain;
use crate::model::{ConvertedNetwork, Quantizable};
use crate::op::{Op, QuantizedOp};
use crate::parameters::join;
use crate::plan::{Conversion, Plan};
use crate::value::Value;
use crate::values::{IntoInput, Values};
use crate::{Backend, QParams, Result};

/// A converted model: int8 weights and kernels, and float operations where the plan left them.
///
/// `Send + Sync`; one instance serves any number of threads.
pub struct Converted<M: Quantizable> {
    network: M::Converted,
    summary: ModelSummary,
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
        let summary =
            ModelSummary { model, backend: plan.backend, metadata: BTreeMap::new(), inputs, edges };
        Self { network, summary }
    }

    /// Runs the model. Float in, float out; in between integers wherever the plan says so.
    ///
    /// # Errors
    /// When the input does not fit a layer; the error names the layer.
    pub fn forward(&self, input: impl IntoInput<M::Input>) -> Result<M::Output> {
        let mut inputs = M::Input::into_vec(input.into_input()?.into_tensors()).into_iter();
        let mut qparams = self.summary.inputs.iter();
        let values = M::Input::build(|_| {
            let missing = || crate::Error::Unsupported("fewer inputs than the model takes".into());
            let (input, qparams) = inputs.next().zip(qparams.next()).ok_or_else(missing)?;
            Ok(Value::float(input, qparams.clone()))
        })?;
        let mut outputs = M::Output::into_vec(self.network.run(values)?).into_iter();
        let tensors = M::Output::build(|_| {
            let missing = || crate::Error::Unsupported("fewer outputs than the model gives".into());
            outputs.next().ok_or_else(missing)?.into_float()
        })?;
        Ok(M::Output::from_tensors(tensors))
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
            return Err(archive.error(format!("holds the model `{}`, not `{}`", summary.model, M::GRAPH.model)));
        }
        if summary.inputs.len() != M::Input::COUNT {
            let found = summary.inputs.len();
            return Err(archive.error(format!("has {found} inputs, the model takes {}", M::Input::COUNT)));
        }
        let network = M::Converted::load(&archive, "network")?;
        Ok(Self { network, summary })
    }

    /// Each quantized weight with the path of its layer.
    pub fn visit_weights(&self, visit: &mut dyn FnMut(&str, &crate::QTensor)) {
        self.network.visit_weights(visit);
    }
}

/// One call of an operation in a converted model.
#[derive(Debug)]
pub struct ConvertedOp<O: Op> {
    path: Arc<str>,
    form: Form<O>,
}

/// Where the call runs, and what it needs there.
#[derive(Debug)]
enum Form<O: Op> {
    Int8(O::Quantized),
    /// The output's parameters are there if an int8 operation follows.
    Float { op: O, output: Option<QParams> },
}

impl<O: Op> ConvertedOp<O> {
    pub(crate) fn new(quantized: Option<O::Quantized>, op: &O, path: Arc<str>, output: Option<QParams>) -> Self {
        let form = match quantized {
            Some(quantized) => Form::Int8(quantized),
            None => Form::Float { op: op.clone(), output },
        };
        Self { path, form }
    }

    /// Runs in the domain that the plan chose; inputs that come in the other one are converted.
    ///
    /// # Errors
    /// When a shape does not fit.
    pub fn run<const N: usize>(&self, inputs: [Value; N]) -> Result<Value> {
        match &self.form {
            Form::Int8(op) => collect(inputs, Value::into_quantized)
                .and_then(|mut inputs| op.forward(&mut inputs))
                .map(Value::quantized),
            Form::Float { op, output } => collect(inputs, Value::into_float)
                .and_then(|mut inputs| op.forward(&mut inputs))
                .map(|result| Value::float(result, output.clone())),
        }
        .map_err(|error| error.in_layer(&self.path))
    }

    /// Shows the quantized weight, if there is one, with the path of the call.
    pub fn visit_weights(&self, visit: &mut dyn FnMut(&str, &crate::QTensor)) {
        if let Form::Int8(op) = &self.form
            && let Some(weight) = op.weight()
        {
            visit(&self.path, weight);
        }
    }
}

fn collect<T, const N: usize>(inputs: [Value; N], convert: fn(Value) -> Result<T>) -> Result<Vec<T>> {
    inputs.into_iter().map(convert).collect()
}

impl ConvertedOp<crate::op::Reshape> {
    /// [`ConvertedOp::run`], with the sizes that the user took from tensors.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn run_sized(&self, input: Value, sizes: &[usize]) -> Result<Value> {
        match &self.form {
            Form::Int8(op) => {
                input.into_quantized().and_then(|input| op.forward_sized(input, sizes)).map(Value::quantized)
            }
            Form::Float { op, output } => input
                .into_float()
                .and_then(|input| op.forward_sized(input, sizes))
                .map(|result| Value::float(result, output.clone())),
        }
        .map_err(|error| error.in_layer(&self.path))
    }
}

/// What the file says of a call besides its operation.
#[derive(Serialize, Deserialize)]
struct OpRecord {
    path: String,
    domain: Domain,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    output: Option<QParams>,
}

impl<O: Op> Record for ConvertedOp<O> {
    fn save(&self, archive: &mut ArchiveWriter, path: &str) -> Result<()> {
        let (domain, output) = match &self.form {
            Form::Int8(_) => (Domain::Int8, None),
            Form::Float { output, .. } => (Domain::Float, output.clone()),
        };
        archive.put(path, &OpRecord { path: self.path.to_string(), domain, output })?;
        let inner = join(path, "op");
        match &self.form {
            Form::Int8(op) => op.save(archive, &inner),
            Form::Float { op, .. } => op.save(archive, &inner),
        }
    }

    fn load(archive: &Archive, path: &str) -> Result<Self> {
        let record: OpRecord = archive.get(path)?;
        let inner = join(path, "op");
        if let Some(output) = &record.output {
            output.validate()?;
        }
        let form = match record.domain {
            Domain::Int8 => Form::Int8(O::Quantized::load(archive, &inner)?),
            Domain::Float => Form::Float { op: O::load(archive, &inner)?, output: record.output },
        };
        Ok(Self { path: Arc::from(record.path), form })
    }
}
