//! `ConvertedOp`: one call of an operation in a converted model, in int8 or in float.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::archive::{Archive, ArchiveWriter, Record};
use crate::graph::Domain;
use crate::op::{Op, QuantizedOp, Reshape};
use crate::parameters::join;
use crate::value::Value;
use crate::{QParams, QTensor, Result};

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
    Float {
        op: O,
        output: Option<QParams>,
    },
}

impl<O: Op> ConvertedOp<O> {
    pub(crate) fn new(
        quantized: Option<O::Quantized>,
        op: &O,
        path: Arc<str>,
        output: Option<QParams>,
    ) -> Self {
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
    pub fn visit_weights(&self, visit: &mut dyn FnMut(&str, &QTensor)) {
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

impl ConvertedOp<Reshape> {
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
