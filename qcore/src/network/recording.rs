//! `Recording`: the calls of a model as its walk meets them, and the network that they make.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::fuse::fuse;
use super::node::{Call, Node, NodeMember, lower};
use super::tracer::{Member, Site};
use super::{Network, NetworkValue, ValueId};
use crate::model::join;
use crate::ops::{Lowering, Precision};
use crate::program::Programs;
use crate::quantize::{EntryId, NodeKey};
use crate::{QConfig, QConfigMapping, Result};

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
pub(super) struct Scope {
    path: String,
    attributes: Settings,
}

/// A parameter of `forward`, or a call.
#[derive(Debug)]
pub(super) struct RecordedNode {
    /// As the body has it; a layer that is called twice gives it to two.
    path: String,
    pub(super) inputs: Vec<ValueId>,
    pub(super) outputs: Vec<ValueId>,
    /// What the fields say in which the layer is.
    pub(super) attributes: Settings,
    /// The operations that run as one; none for a parameter of `forward`.
    pub(super) members: Vec<CalledMember>,
}

#[derive(Debug)]
pub(super) struct CalledMember {
    pub(super) operation: NodeMember,
    module_path: String,
    object_type: &'static str,
}

#[derive(Debug)]
pub(super) struct Recording<'a> {
    mapping: &'a QConfigMapping,
    nodes: Vec<RecordedNode>,
    values: usize,
    scope: Scope,
    /// The paths of the models inside.
    models: Vec<String>,
}

impl<'a> Recording<'a> {
    pub(super) fn new(mapping: &'a QConfigMapping) -> Self {
        Self { mapping, nodes: Vec::new(), values: 0, scope: Scope::default(), models: Vec::new() }
    }

    pub(super) fn input(&mut self, name: &str) -> ValueId {
        self.push(name.to_owned(), Vec::new(), 1, Settings::default(), Vec::new()).start
    }

    /// Records a call, and gives its outputs.
    pub(super) fn call(
        &mut self,
        site: &Site<'_>,
        member: &Member<'_>,
        inputs: Vec<ValueId>,
    ) -> Range<ValueId> {
        let own_path = || join(&self.scope.path, &member.path.to_string());
        let called = CalledMember {
            operation: NodeMember { path: member.is_layer.then(own_path), op: member.op.shared() },
            module_path: if member.is_layer { own_path() } else { self.scope.path.clone() },
            object_type: member.object_type,
        };
        let path = join(&self.scope.path, &site.path.to_string());
        self.push(path, inputs, member.op.output_count(), self.attributes(site), vec![called])
    }

    fn push(
        &mut self,
        path: String,
        inputs: Vec<ValueId>,
        count: usize,
        attributes: Settings,
        members: Vec<CalledMember>,
    ) -> Range<ValueId> {
        let outputs = self.values..self.values + count;
        self.values = outputs.end;
        self.nodes.push(RecordedNode {
            path,
            inputs,
            outputs: outputs.clone().collect(),
            attributes,
            members,
        });
        outputs
    }

    /// Enters a nested model, and gives the scope to return to.
    pub(super) fn enter(&mut self, site: &Site<'_>) -> Scope {
        let path = join(&self.scope.path, &site.path.to_string());
        self.models.push(path.clone());
        let inner = Scope { path, attributes: self.attributes(site) };
        std::mem::replace(&mut self.scope, inner)
    }

    pub(super) fn leave(&mut self, outer: Scope) {
        self.scope = outer;
    }

    /// What the fields say around a call and at it.
    fn attributes(&self, site: &Site<'_>) -> Settings {
        let around = &self.scope.attributes;
        Settings {
            skip: site.skip || around.skip,
            qconfig: site.qconfig.map(|qconfig| qconfig()).or_else(|| around.qconfig.clone()),
        }
    }

    /// The network of all calls: what runs as one is joined, then each node gets its name and its qconfig.
    ///
    /// # Errors
    /// When a parameter of an operation makes no sense; the error names the layer.
    pub(super) fn finish(self, model: &str, signature: &[String], outputs: Vec<ValueId>) -> Result<Trace> {
        let mut naming = Naming { known_paths: self.models, ..Naming::new(self.mapping) };
        let (mut nodes, mut values, mut settings) = (Vec::new(), Vec::new(), Vec::new());
        // Values inside of a group are gone: the others have smaller numbers.
        let mut numbers = vec![0; self.values];
        for recorded in fuse(self.nodes, &outputs) {
            let (path, own) = naming.node(&recorded);
            let RecordedNode { path: place, inputs, outputs, members, .. } = recorded;
            let members: Vec<NodeMember> = members.into_iter().map(|member| member.operation).collect();
            let call = (!members.is_empty()).then(|| float_call(members, &place)).transpose()?;
            for &output in &outputs {
                numbers[output] = values.len();
                values.push(NetworkValue { node: nodes.len(), qparams: None });
            }
            let [inputs, outputs] =
                [inputs, outputs].map(|values| values.iter().map(|&value| numbers[value]).collect());
            nodes.push(Node { path, inputs, outputs, call });
            settings.push(own);
        }
        let network = Network {
            model: model.to_owned(),
            signature: signature.join("\n"),
            backend: self.mapping.backend(),
            metadata: Default::default(),
            nodes,
            values,
            outputs: outputs.iter().map(|&output| numbers[output]).collect(),
            non_finite: Default::default(),
            mapped: None,
            programs: Programs::default(),
        };
        let Naming { positions, known_paths, members, deciding, .. } = naming;
        Ok(Trace { network, settings, positions, known_paths, members, deciding })
    }
}

/// The members as one call in float.
fn float_call(members: Vec<NodeMember>, place: &str) -> Result<Call> {
    for member in &members {
        if let Some(batch_norm) = member.op.as_batch_norm() {
            let path = member.path.as_deref().unwrap_or(place);
            batch_norm.check(member.op.name()).map_err(|error| error.in_layer(path))?;
        }
    }
    let executable = lower(&members, Lowering::float()).map_err(|error| error.in_layer(place))?;
    Ok(Call { members, precision: Precision::Float, executable })
}

/// Gives nodes their names and their settings, in the order in which they run.
struct Naming<'a> {
    mapping: &'a QConfigMapping,
    /// How often each path was used.
    calls: HashMap<String, usize>,
    positions: HashMap<(String, String), usize>,
    known_paths: Vec<String>,
    members: Vec<RecordedMember>,
    deciding: BTreeSet<EntryId>,
}

impl<'a> Naming<'a> {
    fn new(mapping: &'a QConfigMapping) -> Self {
        Self {
            mapping,
            calls: HashMap::new(),
            positions: HashMap::new(),
            known_paths: Vec::new(),
            members: Vec::new(),
            deciding: BTreeSet::new(),
        }
    }

    fn node(&mut self, node: &RecordedNode) -> (String, Settings) {
        // A layer that is prepared by itself has no path, and a node needs one.
        let alone = node.members.first().filter(|_| node.path.is_empty()).map(|member| member.object_type);
        let path = self.unique(alone.unwrap_or(&node.path));
        let Some(first) = node.members.first() else { return (path, Settings::default()) };
        self.known_paths.extend(node.members.iter().filter_map(|member| member.operation.path.clone()));
        self.known_paths.push(path.clone());
        self.members.extend(node.members.iter().enumerate().map(|(index, member)| RecordedMember {
            module_path: member.module_path.clone(),
            object_type: member.object_type,
            call: path.clone(),
            is_first: index == 0,
        }));
        let qconfig = self.qconfig(&node.attributes, first, &path);
        (path, Settings { skip: node.attributes.skip, qconfig })
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
    fn qconfig(&mut self, attributes: &Settings, first: &CalledMember, path: &str) -> Option<QConfig> {
        let mut key = NodeKey { module_path: &first.module_path, object_type: first.object_type, index: 0 };
        let position =
            self.positions.entry((key.scope().to_owned(), key.object_type.to_owned())).or_insert(0);
        key.index = *position;
        *position += 1;
        let named = self.mapping.of_call(path).or_else(|| self.mapping.naming(&key));
        let entry = match (named, &attributes.qconfig) {
            (None, Some(attribute)) => return Some(attribute.clone()),
            (named, _) => named.or_else(|| self.mapping.deciding(&key)),
        };
        match entry {
            Some(entry) => {
                if !attributes.skip {
                    self.deciding.insert(entry);
                }
                self.mapping.qconfig(entry).clone()
            }
            None => self.mapping.otherwise(&key).clone(),
        }
    }
}
