//! `Tracer`: walks a model with symbolic values and names every call.

use std::collections::HashMap;
use std::sync::Arc;

use super::{DeriveOutput, NodeId, Site};
use crate::op::{Op, OutputRule};
use crate::parameters::join;
use crate::prepared_op::PreparedOp;
use crate::qconfig_mapping::NodeKey;
use crate::{QConfig, QConfigMapping, Result};

/// A value while tracing.
#[derive(Clone, Copy, Debug)]
pub struct Edge(pub(crate) NodeId);

/// A call of an operation in the body of `forward`.
#[derive(Debug)]
pub struct OpSite<'a> {
    /// Path within the model: `conv1`, `layers.0`, `y_plus_identity`.
    pub name: &'a str,
    /// The fused group in the order in which it runs.
    pub members: &'a [Member<'a>],
    /// `#[quantizable(skip)]`.
    pub skip: bool,
    /// `#[quantizable(qconfig = path)]`.
    pub qconfig: Option<QConfig>,
}

/// One layer or function of a fused group.
#[derive(Clone, Copy, Debug)]
pub struct Member<'a> {
    /// Path within the model, `None` for a function.
    pub path: Option<&'a str>,
    /// `Conv2d`, `relu`, `add`: what mappings by type speak of.
    pub object_type: &'a str,
}

/// The model that is being walked, and what the attributes of the field in which it lives say.
#[derive(Clone, Debug, Default)]
struct Scope {
    path: String,
    skip: bool,
    qconfig: Option<QConfig>,
}

/// Collects the flat graph of a model instance.
#[derive(Debug)]
pub struct Tracer {
    mapping: QConfigMapping,
    pub(crate) sites: Vec<Site>,
    /// The model that is being walked.
    scope: Scope,
    /// How often each path was used.
    calls: HashMap<String, usize>,
    /// How often each type was called within each module, for mappings by position.
    positions: HashMap<(String, String), usize>,
    /// Every path that a mapping may name.
    known_paths: Vec<String>,
}

impl Tracer {
    pub(crate) fn new(mapping: &QConfigMapping) -> Self {
        Self {
            mapping: mapping.clone(),
            sites: Vec::new(),
            scope: Scope::default(),
            calls: HashMap::new(),
            positions: HashMap::new(),
            known_paths: Vec::new(),
        }
    }

    pub(crate) fn input(&mut self, name: &str) -> Edge {
        let path = self.unique(name);
        self.push(Site {
            path,
            operation: "input".to_owned(),
            rule: None,
            members: Vec::new(),
            inputs: Vec::new(),
            skip: false,
            qconfig: None,
            derive: None,
        })
    }

    /// Records a call of `op` on `inputs`.
    ///
    /// # Errors
    /// None at present; what is wrong with a plan is found when the whole graph is known.
    pub fn op<O: Op>(&mut self, site: OpSite<'_>, op: O, inputs: &[Edge]) -> Result<(PreparedOp<O>, Edge)> {
        let path = self.unique(&join(&self.scope.path, site.name));
        let qconfig = self.qconfig(&site, &path);
        let members: Vec<String> =
            site.members.iter().filter_map(|member| Some(join(&self.scope.path, member.path?))).collect();
        self.known_paths.extend(members.iter().cloned());
        self.known_paths.push(path.clone());
        let edge = self.push(Site {
            path: path.clone(),
            operation: op.name().to_owned(),
            rule: Some(op.output_rule()),
            members,
            inputs: inputs.iter().map(|edge| edge.0).collect(),
            skip: site.skip || self.scope.skip,
            qconfig,
            derive: (op.output_rule() == OutputRule::Derived).then(|| DeriveOutput::of(&op)),
        });
        Ok((PreparedOp::new(op, edge.0, Arc::from(path)), edge))
    }

    /// Walks a nested model whose path within the current one is `path`.
    ///
    /// # Errors
    /// Those of `walk`.
    pub fn scope<T>(&mut self, path: &str, walk: impl FnOnce(&mut Self) -> Result<T>) -> Result<T> {
        self.scope_with(path, false, None, walk)
    }

    /// [`Tracer::scope`] for a model in a field marked `#[quantizable(skip)]` or `qconfig = path`, which hold
    /// for all that is inside.
    ///
    /// # Errors
    /// Those of `walk`.
    pub fn scope_with<T>(
        &mut self,
        path: &str,
        skip: bool,
        qconfig: Option<QConfig>,
        walk: impl FnOnce(&mut Self) -> Result<T>,
    ) -> Result<T> {
        let inner = Scope {
            path: join(&self.scope.path, path),
            skip: skip || self.scope.skip,
            qconfig: qconfig.or_else(|| self.scope.qconfig.clone()),
        };
        self.known_paths.push(inner.path.clone());
        let outer = std::mem::replace(&mut self.scope, inner);
        let result = walk(self);
        self.scope = outer;
        result
    }

    pub(crate) fn known_paths(&self) -> &[String] {
        &self.known_paths
    }

    /// The module and type of every call, with how many there are.
    pub(crate) fn known_positions(&self) -> impl Iterator<Item = (&str, &str, usize)> {
        self.positions
            .iter()
            .map(|((module, object_type), &count)| (module.as_str(), object_type.as_str(), count))
    }

    fn push(&mut self, site: Site) -> Edge {
        self.sites.push(site);
        Edge(self.sites.len() - 1)
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
    fn qconfig(&mut self, site: &OpSite<'_>, path: &str) -> Option<QConfig> {
        let first = site.members.first()?;
        let module_path = match first.path {
            Some(path) => join(&self.scope.path, path),
            None => self.scope.path.clone(),
        };
        let mut key = NodeKey { module_path: &module_path, object_type: first.object_type, index: 0 };
        let position =
            self.positions.entry((key.scope().to_owned(), key.object_type.to_owned())).or_insert(0);
        key.index = *position;
        *position += 1;
        if let Some(qconfig) = self.mapping.of_call(path) {
            return qconfig.clone();
        }
        if let Some(qconfig) = site.qconfig.as_ref().or(self.scope.qconfig.as_ref())
            && !self.mapping.names_module(&key)
        {
            return Some(qconfig.clone());
        }
        self.mapping.resolve(&key)
    }
}
