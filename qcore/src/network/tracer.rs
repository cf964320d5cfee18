//! `Tracer`: walks the body of a model once, with tensors or with symbolic values.
//!
//! The same walk runs the float model ([`Module::run`](crate::Module::run)) and records its [`Network`]: with tensors
//! every call computes at once; with symbolic values every call becomes a node, and its path, its qconfig and its
//! position are determined.

use std::fmt;

use super::ValueId;
use super::recording::{Recording, Trace};
use crate::model::Field;
use crate::ops::{Lowering, Op};
use crate::program::{evaluate_floats, evaluate_within, recycle};
use crate::{Error, QConfig, QConfigMapping, Result, Tensor};

/// A value in the body of a model: a tensor, or while the model is recorded a symbol of one.
#[derive(Clone, Debug)]
pub struct Value(Form);

#[derive(Clone, Debug)]
enum Form {
    Tensor(Tensor),
    Symbol(ValueId),
}

impl From<Tensor> for Value {
    fn from(tensor: Tensor) -> Self {
        Self(Form::Tensor(tensor))
    }
}

impl Value {
    pub(crate) fn symbol(id: ValueId) -> Self {
        Self(Form::Symbol(id))
    }

    /// The tensor.
    ///
    /// # Errors
    /// When the value is of a recording.
    pub(crate) fn into_tensor(mut self) -> Result<Tensor> {
        match self.take_form() {
            Form::Tensor(tensor) => Ok(tensor),
            Form::Symbol(_) => Err(Error::Unsupported("a symbolic value where a tensor is needed".into())),
        }
    }

    /// The symbol.
    ///
    /// # Errors
    /// When the value is a tensor.
    pub(crate) fn id(&self) -> Result<ValueId> {
        match &self.0 {
            Form::Symbol(id) => Ok(*id),
            Form::Tensor(_) => Err(Error::Unsupported("a tensor in the recording of a model".into())),
        }
    }

    /// Takes the value out of its place, so that nobody else holds its data.
    fn take(&mut self) -> Self {
        Self(self.take_form())
    }

    fn take_form(&mut self) -> Form {
        std::mem::replace(&mut self.0, Form::Symbol(usize::MAX))
    }
}

/// A tensor that no operation takes leaves its memory to the next ones, as those do that are taken.
impl Drop for Value {
    fn drop(&mut self) {
        if let Form::Tensor(tensor) = self.take_form() {
            recycle(tensor);
        }
    }
}

/// A call of an operation or of a nested model, as the body has it.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Path within the model: `conv1`, `layers.0`, `y_plus_identity`. Empty for a layer that is a module by itself.
    pub path: fmt::Arguments<'a>,
    /// `#[quantizable(skip)]`.
    pub skip: bool,
    /// `#[quantizable(qconfig = path)]`.
    pub qconfig: Option<fn() -> QConfig>,
}

impl<'a> Site<'a> {
    /// A call without attributes.
    pub fn new(path: fmt::Arguments<'a>) -> Self {
        Self { path, skip: false, qconfig: None }
    }
}

/// One of the operations that run as one.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Of a layer its path within the model, of a function the name that its call would have alone.
    pub(super) path: fmt::Arguments<'a>,
    /// `Conv2d`, `relu`, `add`: the name in mappings by type.
    pub(super) object_type: &'static str,
    pub(super) is_layer: bool,
    pub(super) op: &'a dyn Op,
}

impl<'a> Member<'a> {
    /// A layer in a field.
    pub fn layer(path: fmt::Arguments<'a>, op: &'a dyn Op) -> Self {
        let layer = qcatalogue::operation(op.name()).and_then(|row| row.layer);
        Self { path, object_type: layer.unwrap_or(op.name()), is_layer: true, op }
    }

    /// A function, by the name under which mappings know it.
    pub fn function(path: fmt::Arguments<'a>, object_type: &'static str, op: &'a dyn Op) -> Self {
        Self { path, object_type, is_layer: false, op }
    }
}

/// Traces a model: every call of its body is a call of [`Tracer::call`], which computes it or records it as a node.
///
/// [`Module::trace`](crate::Module::trace) is given one; `tests/tests/own` has examples of bodies written by hand.
#[derive(Debug)]
pub struct Tracer<'a>(Walk<'a>);

#[derive(Debug)]
enum Walk<'a> {
    Run,
    Record(Box<Recording<'a>>),
}

impl<'a> Tracer<'a> {
    /// A walk that computes.
    pub(crate) fn running() -> Self {
        Self(Walk::Run)
    }

    /// A walk that records, with the qconfigs of `mapping`.
    pub(crate) fn recording(mapping: &'a QConfigMapping) -> Self {
        Self(Walk::Record(Box::new(Recording::new(mapping))))
    }

    /// Calls the operations `members`, one after the other, on `inputs`, which are the first one's. The inputs are
    /// moved out: the caller must not use them again.
    ///
    /// # Errors
    /// When a shape or a parameter does not fit; the error names the layer.
    pub fn call(&mut self, site: Site<'_>, members: &[Member<'_>], inputs: &mut [Value]) -> Result<Value> {
        match &mut self.0 {
            Walk::Run => run(site, members, inputs).map(Value::from),
            Walk::Record(recording) => record(recording, &site, members, inputs),
        }
    }

    /// Calls an operation of `N` outputs.
    ///
    /// # Errors
    /// As [`Tracer::call`], and when the operation makes another number of outputs.
    pub fn call_several<const N: usize>(
        &mut self,
        site: Site<'_>,
        member: Member<'_>,
        inputs: &mut [Value],
    ) -> Result<[Value; N]> {
        let outputs: Vec<Value> = match &mut self.0 {
            Walk::Run => {
                let lowered = member.op.lower(&Lowering::float());
                let results = lowered
                    .and_then(|lowered| evaluate_floats(lowered.as_ref(), take_tensors(inputs)?))
                    .map_err(|error| in_site(error, site.path))?;
                results.into_iter().map(Value::from).collect()
            }
            Walk::Record(recording) => {
                let inputs = inputs.iter().map(Value::id).collect::<Result<_>>()?;
                recording.call(&site, &member, inputs).map(Value::symbol).collect()
            }
        };
        <[Value; N]>::try_from(outputs).map_err(|outputs| {
            let message = format!("{} outputs of `{}`, not {N}", outputs.len(), member.op.name());
            in_site(Error::Unsupported(message), site.path)
        })
    }

    /// Walks a nested model whose path within the current one is `site.path`.
    ///
    /// # Errors
    /// Those of `walk`; they name the model.
    pub fn scope<T>(&mut self, site: Site<'_>, walk: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let Walk::Record(recording) = &mut self.0 else {
            return walk(self).map_err(|error| in_site(error, site.path));
        };
        let outer = recording.enter(&site);
        let result = walk(self).map_err(|error| in_site(error, site.path));
        if let Walk::Record(recording) = &mut self.0 {
            recording.leave(outer);
        }
        result
    }

    /// Walks a field of a model whose own `forward` does not run.
    ///
    /// # Errors
    /// Those of `walk`; they name the field.
    #[doc(hidden)]
    pub fn field<T>(&mut self, field: &Field, walk: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        let Field { key, skip, qconfig } = *field;
        self.scope(Site { path: format_args!("{key}"), skip, qconfig }, walk)
    }

    /// A parameter of `forward`, of a recording.
    pub(crate) fn input(&mut self, name: &str) -> Value {
        match &mut self.0 {
            Walk::Run => Value::symbol(usize::MAX),
            Walk::Record(recording) => Value::symbol(recording.input(name)),
        }
    }

    /// The recorded network.
    ///
    /// # Errors
    /// When the walk computed.
    pub(crate) fn finish(self, model: &str, signature: &[String], outputs: &[Value]) -> Result<Trace> {
        let Walk::Record(recording) = self.0 else {
            return Err(Error::Unsupported("the network of a run".into()));
        };
        let outputs = outputs.iter().map(Value::id).collect::<Result<Vec<_>>>()?;
        recording.finish(model, signature, outputs)
    }
}

fn in_site(error: Error, path: fmt::Arguments<'_>) -> Error {
    match path.to_string() {
        path if path.is_empty() => error,
        path => error.in_layer(&path),
    }
}

fn take_tensors(inputs: &mut [Value]) -> Result<Vec<Tensor>> {
    inputs.iter_mut().map(|input| input.take().into_tensor()).collect()
}

/// Records the members one by one: which of them run as one is found when all calls are known.
fn record(
    recording: &mut Recording<'_>,
    site: &Site<'_>,
    members: &[Member<'_>],
    inputs: &[Value],
) -> Result<Value> {
    let mut inputs = inputs.iter().map(Value::id).collect::<Result<Vec<_>>>()?;
    for (index, member) in members.iter().enumerate() {
        let path = if index == 0 { site.path } else { member.path };
        let outputs = recording.call(&Site { path, ..*site }, member, inputs);
        inputs = outputs.take(1).collect();
    }
    match (members, inputs.as_slice()) {
        ([_, ..], [value]) => Ok(Value::symbol(*value)),
        _ => Err(Error::Unsupported("a call without an operation".into())),
    }
}

/// Computes in float: the first member with those that can follow it in its pass, then one after the other.
fn run(site: Site<'_>, members: &[Member<'_>], inputs: &mut [Value]) -> Result<Tensor> {
    let Some((first, mut rest)) = members.split_first() else {
        return Err(Error::Unsupported("a call without an operation".into()));
    };
    let tensors = take_tensors(inputs)?;
    let (mut batch_norm, mut activation) = (None, None);
    if first.op.takes_batch_norm()
        && let Some((member, others)) = rest.split_first()
        && let Some(found) = member.op.as_batch_norm()
    {
        (batch_norm, rest) = (Some((member.path, found)), others);
    }
    if let Some((member, others)) = rest.split_first()
        && let Some(found) = member.op.as_activation()
    {
        (activation, rest) = (Some(found), others);
    }
    let lowering =
        Lowering::float().with_batch_norm(batch_norm.map(|(_, found)| found)).with_activation(activation);
    let lowered = first.op.lower(&lowering).map_err(|error| match batch_norm {
        // A layer that lowers without its batch norm fails because of it.
        Some((path, _)) if first.op.lower(&Lowering::float()).is_ok() => in_site(error, path),
        _ => in_site(error, site.path),
    })?;
    let mut value = evaluate_within(lowered.as_ref(), tensors).map_err(|error| in_site(error, site.path))?;
    for member in rest {
        let lowered = member.op.lower(&Lowering::float());
        value = lowered
            .and_then(|lowered| evaluate_within(lowered.as_ref(), vec![value]))
            .map_err(|error| in_site(error, member.path))?;
    }
    Ok(value)
}
