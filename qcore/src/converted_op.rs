//! `ConvertedOp`: one call of an operation in a converted model, in int8 or in float.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::archive::{Archive, ArchiveWriter, Record};
use crate::graph::Domain;
use crate::op::{Op, QuantizedOp, Reshape};
use crate::parameters::join;
use crate::program::Value;
use crate::{QParams, QTensor, Result};

/// One call of an operation in a converted model.
#[derive(Debug)]
pub struct ConvertedOp<O: Op> {
    path: Arc<str>,
    form: Form<O>,
}

/// Where the call runs, and what it needs there; shared with the programs of the model.
#[derive(Debug)]
enum Form<O: Op> {
    Int8(Arc<O::Quantized>),
    /// The output's parameters are there if an int8 operation follows.
    Float {
        op: Arc<O>,
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
            Some(quantized) => Form::Int8(Arc::new(quantized)),
            None => Form::Float { op: Arc::new(op.clone()), output },
        };
        Self { path, form }
    }

    /// Records the call, in the domain that the model's plan chose.
    ///
    /// # Errors
    /// When a shape does not fit.
    pub fn run<const N: usize>(&self, inputs: [Value; N]) -> Result<Value> {
        Value::record(inputs, |recorder, ids| match &self.form {
            Form::Int8(op) => {
                let shared = Arc::clone(op);
                recorder.int8(&self.path, ids, |specs| op.plan(specs), move |inputs| shared.forward(inputs))
            }
            Form::Float { op, output } => {
                let op = Arc::clone(op);
                recorder.float(&self.path, ids, output.as_ref(), move |inputs| op.forward(inputs))
            }
        })
    }

    /// Shows the quantized weight, if there is one, with the path of the call.
    pub fn visit_weights(&self, visit: &mut dyn FnMut(&str, &QTensor)) {
        if let Form::Int8(op) = &self.form
            && let Some(weight) = op.weight()
        {
            visit(&self.path, &weight);
        }
    }
}

impl ConvertedOp<Reshape> {
    /// [`ConvertedOp::run`], with the sizes that the user took from tensors.
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn run_sized(&self, input: Value, sizes: &[usize]) -> Result<Value> {
        Value::record([input], |recorder, ids| match &self.form {
            Form::Int8(op) => {
                let (shared, known) = (Arc::clone(op), sizes.to_vec());
                recorder.int8(
                    &self.path,
                    ids,
                    |specs| op.plan_sized(specs, sizes),
                    move |inputs| shared.forward_sized(inputs, &known),
                )
            }
            Form::Float { op, output } => {
                let (op, known) = (Arc::clone(op), sizes.to_vec());
                recorder
                    .float(&self.path, ids, output.as_ref(), move |inputs| op.forward_sized(inputs, &known))
            }
        })
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
            Domain::Int8 => Form::Int8(Arc::new(O::Quantized::load(archive, &inner)?)),
            Domain::Float => Form::Float { op: Arc::new(O::load(archive, &inner)?), output: record.output },
        };
        Ok(Self { path: Arc::from(record.path), form })
    }
}
