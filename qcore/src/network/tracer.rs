//! `Tracer`: walks the body of a model once, with tensors or with symbolic values.
//!
//! The same walk runs the float model ([`Module::run`](crate::Module::run)) and records its [`Network`]: with tensors
//! every call computes at once; with symbolic values every call becomes a node, and its path, its qconfig and its
//! position are determined.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;

use super::node::{Call, Node, NodeMember, lower};
use super::{Network, NetworkValue, ValueId};
use crate::model::join;
use crate::ops::{Lowering, Op, Precision};
use crate::program::{Programs, evaluate_floats, evaluate_within, recycle};
use crate::quantize::{EntryId, NodeKey};
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
    path: fmt::Arguments<'a>,
    /// `Conv2d`, `relu`, `add`: the name in mappings by type.
    object_type: &'static str,
    is_layer: bool,
    op: &'a dyn Op,
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
            Walk::Record(recording) => recording.call(site, members, inputs),
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
        let outputs = match &mut self.0 {
            Walk::Run => {
                let lowered = member.op.lower(&Lowering::float());
                let results = lowered
                    .and_then(|lowered| evaluate_floats(lowered.as_ref(), take_tensors(inputs)?))
                    .map_err(|error| in_site(error, site.path))?;
                results.into_iter().map(Value::from).collect()
            }
            Walk::Record(recording) => {
                let inputs = inputs.iter().map(Value::id).collect::<Result<_>>()?;
                recording.node(&site, site.path, &[member], inputs)?
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
        let outer = recording.enter(site);
        let result = walk(self).map_err(|error| in_site(error, site.path));
        if let Walk::Record(recording) = &mut self.0 {
            recording.scope = outer;
        }
        result
    }

    /// A parameter of `forward`, of a recording.
    pub(crate) fn input(&mut self, name: &str) -> Value {
        match &mut self.0 {
            Walk::Run => Value::symbol(usize::MAX),
            Walk::Record(recording) => recording.input(name),
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
        let outputs = outputs.iter().map(Value::id).collect::<Result<_>>()?;
        let Recording { mapping, nodes, values, settings, positions, known_paths, members, deciding, .. } =
            *recording;
        let network = Network {
            model: model.to_owned(),
            signature: signature.join("\n"),
            backend: mapping.backend(),
            metadata: Default::default(),
            nodes,
            values,
            outputs,
            non_finite: Default::default(),
            mapped: None,
            programs: Programs::default(),
        };
        Ok(Trace { network, settings, positions, known_paths, members, deciding })
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

/// A recorded model, with the settings and names of its calls.
#[derive(Debug)]
pub(crate) struct Trace {
    pub(crate) network: Network,
    /// Of each node.
    pub(crate) settings: Vec<Settings>,
    /// How often each type was called within each module.
    positions: HashMap<(String, String), usize>,
    /// Every path that a mapping may name.
    pub(crate) known_paths: Vec<String>,
    pub(crate) members: Vec<RecordedMember>,
    /// The entries of the mapping that have decided for an operation.
    pub(crate) deciding: BTreeSet<EntryId>,
}

/// An operation as the mapping knows it.
#[derive(Debug)]
pub(crate) struct RecordedMember {
    /// Of a layer its path, of a function that of the module that calls it.
    pub(crate) module_path: String,
    pub(crate) object_type: &'static str,
    /// The path of the call in which it runs.
    pub(crate) call: String,
    /// Whether it is the first of that call, by which the mapping goes.
    pub(crate) is_first: bool,
}

impl Trace {
    /// The module and type of every call, with how many there are.
    pub(crate) fn known_positions(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.positions
            .iter()
            .map(|((module, object_type), &count)| (module.as_str(), object_type.as_str(), count))
    }
}

/// The user's settings for a node.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    pub(crate) skip: bool,
    pub(crate) qconfig: Option<QConfig>,
}

/// The model that is being walked, and the attributes of the field in which it is.
#[derive(Clone, Debug, Default)]
struct Scope {
    path: String,
    skip: bool,
    qconfig: Option<QConfig>,
}

#[derive(Debug)]
struct Recording<'a> {
    mapping: &'a QConfigMapping,
    nodes: Vec<Node>,
    values: Vec<NetworkValue>,
    settings: Vec<Settings>,
    scope: Scope,
    /// How often each path was used.
    calls: HashMap<String, usize>,
    positions: HashMap<(String, String), usize>,
    known_paths: Vec<String>,
    members: Vec<RecordedMember>,
    deciding: BTreeSet<EntryId>,
}

impl<'a> Recording<'a> {
    fn new(mapping: &'a QConfigMapping) -> Self {
        Self {
            mapping,
            nodes: Vec::new(),
            values: Vec::new(),
            settings: Vec::new(),
            scope: Scope::default(),
            calls: HashMap::new(),
            positions: HashMap::new(),
            known_paths: Vec::new(),
            members: Vec::new(),
            deciding: BTreeSet::new(),
        }
    }

    fn input(&mut self, name: &str) -> Value {
        let path = self.unique(name);
        Value::symbol(self.push(path, Vec::new(), 1, None, Settings::default()).start)
    }

    fn call(&mut self, site: Site<'_>, members: &[Member<'_>], inputs: &mut [Value]) -> Result<Value> {
        let mut inputs = inputs.iter().map(Value::id).collect::<Result<Vec<_>>>()?;
        let (mut path, mut rest) = (site.path, members);
        loop {
            let (group, others) = rest.split_at(fused_len(rest));
            let value = self.node(&site, path, group, inputs)?.into_iter().next();
            let value = value.ok_or_else(|| Error::Unsupported("an operation without a result".into()))?;
            let Some(next) = others.first() else { return Ok(value) };
            (path, rest, inputs) = (next.path, others, vec![value.id()?]);
        }
    }

    /// Records a node of members that run as one in every precision.
    fn node(
        &mut self,
        site: &Site<'_>,
        path: fmt::Arguments<'_>,
        group: &[Member<'_>],
        inputs: Vec<ValueId>,
    ) -> Result<Vec<Value>> {
        let path = self.unique(&join(&self.scope.path, &path.to_string()));
        let qconfig = self.qconfig(site, group, &path);
        let members: Vec<NodeMember> = group
            .iter()
            .map(|member| NodeMember {
                path: member.is_layer.then(|| join(&self.scope.path, &member.path.to_string())),
                op: member.op.shared(),
            })
            .collect();
        self.known_paths.extend(members.iter().filter_map(|member| member.path.clone()));
        self.known_paths.push(path.clone());
        for member in group {
            if let Some(batch_norm) = member.op.as_batch_norm() {
                batch_norm.check(member.op.name()).map_err(|error| in_site(error, member.path))?;
            }
        }
        let executable = lower(&members, Lowering::float()).map_err(|error| in_site(error, site.path))?;
        let call = Call { members, precision: Precision::Float, executable };
        let settings = Settings { skip: site.skip || self.scope.skip, qconfig };
        let count = group.first().map_or(1, |member| member.op.output_count());
        Ok(self.push(path, inputs, count, Some(call), settings).map(Value::symbol).collect())
    }

    /// Records a node of `count` outputs, and gives them.
    fn push(
        &mut self,
        path: String,
        inputs: Vec<ValueId>,
        count: usize,
        call: Option<Call>,
        settings: Settings,
    ) -> Range<ValueId> {
        let outputs = self.values.len()..self.values.len() + count;
        let node = self.nodes.len();
        self.values.extend(outputs.clone().map(|_| NetworkValue { node, qparams: None }));
        self.nodes.push(Node { path, inputs, outputs: outputs.clone().collect(), call });
        self.settings.push(settings);
        outputs
    }

    /// Enters a nested model, and gives the scope to return to.
    fn enter(&mut self, site: Site<'_>) -> Scope {
        let inner = Scope {
            path: join(&self.scope.path, &site.path.to_string()),
            skip: site.skip || self.scope.skip,
            qconfig: site.qconfig.map(|qconfig| qconfig()).or_else(|| self.scope.qconfig.clone()),
        };
        self.known_paths.push(inner.path.clone());
        std::mem::replace(&mut self.scope, inner)
    }

    /// `path`, or `path#1` on its second call.
    fn unique(&mut self, path: &str) -> String {
        let count = self.calls.entry(path.to_owned()).or_insert(0);
        let unique = if *count == 0 { path.to_owned() } else { format!("{path}#{count}") };
        *count += 1;
        unique
    }

    /// The qconfig of the group's first member, by whom FX looks it up too. An entry for this very call comes
    /// before, and the attribute on the field gives way to an entry that names the layer.
    fn qconfig(&mut self, site: &Site<'_>, group: &[Member<'_>], path: &str) -> Option<QConfig> {
        let first = group.first()?;
        let module_path = |member: &Member<'_>| match member.is_layer {
            true => join(&self.scope.path, &member.path.to_string()),
            false => self.scope.path.clone(),
        };
        let recorded = group.iter().enumerate().map(|(index, member)| RecordedMember {
            module_path: module_path(member),
            object_type: member.object_type,
            call: path.to_owned(),
            is_first: index == 0,
        });
        self.members.extend(recorded);
        let module_path = module_path(first);
        let mut key = NodeKey { module_path: &module_path, object_type: first.object_type, index: 0 };
        let position =
            self.positions.entry((key.scope().to_owned(), key.object_type.to_owned())).or_insert(0);
        key.index = *position;
        *position += 1;
        let attribute = || site.qconfig.map(|qconfig| qconfig()).or_else(|| self.scope.qconfig.clone());
        let named = self.mapping.of_call(path).or_else(|| self.mapping.naming(&key));
        let entry = match (named, attribute()) {
            (None, Some(attribute)) => return Some(attribute),
            (named, _) => named.or_else(|| self.mapping.deciding(&key)),
        };
        match entry {
            Some(entry) => {
                if !(site.skip || self.scope.skip) {
                    self.deciding.insert(entry);
                }
                self.mapping.qconfig(entry).clone()
            }
            None => self.mapping.otherwise(&key).clone(),
        }
    }
}

/// How many of the first members run as one in every precision.
fn fused_len(members: &[Member<'_>]) -> usize {
    let rows: Vec<_> = members.iter().map_while(|member| qcatalogue::operation(member.op.name())).collect();
    (2..=rows.len()).rev().find(|&len| qcatalogue::fusion(&rows[..len]).is_some()).unwrap_or(1)
}
