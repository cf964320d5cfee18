//! `CalibrationState`: the state of a prepared model's observers, for files and for other machines.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::{EdgeStatistics, Observations};
use crate::file::{HEADER_LIMIT, read_json, write_file};
use crate::model::{Module, Prepared};
use crate::network::NodeId;
use crate::{Error, Result};

/// The most edges that are read.
const MAX_EDGES: usize = 1 << 14;

/// The state of every observer of a prepared model. Serializes as JSON; every f32 survives exactly.
///
/// ```no_run
/// # use qcore::prelude::*;
/// # fn example<M: Module>(mut prepared: qcore::Prepared<M>) -> qcore::Result<()> {
/// prepared.calibration_state()?.save("calibration.json")?;
/// prepared.load_calibration_state(&qcore::CalibrationState::open("calibration.json")?)?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CalibrationState {
    /// The text of an [`EdgeState`], which is read when the edge is known.
    #[serde(deserialize_with = "edges")]
    edges: BTreeMap<String, Box<RawValue>>,
    /// A list of the layers whose batch norm runs apart, read when the model is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    apart: Option<Box<RawValue>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EdgeState<Name, State> {
    observer: Name,
    state: State,
    statistics: EdgeStatistics,
}

impl CalibrationState {
    /// Writes the state to a file, as [`write_file`] does.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let text = serde_json::to_vec(self).map_err(|error| Error::file(path, error.to_string()))?;
        write_file(path, text)
    }

    /// Reads a state from a file of at most 16 MB.
    ///
    /// # Errors
    /// When the file cannot be read, is longer, or is not the state of observers.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        Self::open_with(path, HEADER_LIMIT)
    }

    /// [`CalibrationState::open`] for a file of at most `limit` bytes.
    ///
    /// # Errors
    /// As [`CalibrationState::open`].
    pub fn open_with(path: impl AsRef<Path>, limit: usize) -> Result<Self> {
        let path = path.as_ref();
        let text = read_json(path, limit)?;
        serde_json::from_slice(&text)
            .map_err(|error| Error::file(path, format!("is not the state of a calibration: {error}")))
    }
}

fn edges<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<String, Box<RawValue>>, D::Error> {
    struct Edges;

    impl<'de> Visitor<'de> for Edges {
        type Value = BTreeMap<String, Box<RawValue>>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "at most {MAX_EDGES} edges by path")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            let mut found = BTreeMap::new();
            while let Some((path, state)) = map.next_entry()? {
                if found.len() == MAX_EDGES {
                    return Err(A::Error::invalid_length(MAX_EDGES + 1, &self));
                }
                if found.insert(path, state).is_some() {
                    return Err(A::Error::custom("an edge is there twice"));
                }
            }
            Ok(found)
        }
    }

    deserializer.deserialize_map(Edges)
}

impl<M: Module> Prepared<M> {
    /// The state of the observers so far.
    ///
    /// # Errors
    /// When an observer of the user's own has no state for files, or one that is no JSON.
    pub fn calibration_state(&self) -> Result<CalibrationState> {
        let Observations { edges, apart, .. } = &self.observations;
        let edges = edges.iter().map(|edge| {
            let broken =
                |error: serde_json::Error| edge.observer.refusal(&format!("cannot be saved: {error}"));
            let text = || {
                let state = EdgeState {
                    observer: edge.observer.name(),
                    state: RawValue::from_string(edge.observer.state()?).map_err(broken)?,
                    statistics: edge.statistics.clone(),
                };
                serde_json::value::to_raw_value(&state).map_err(broken)
            };
            Ok((edge.path.clone(), text().map_err(|error| error.in_layer(&edge.path))?))
        });
        let edges = edges.collect::<Result<_>>()?;
        let apart: BTreeSet<&str> = apart.iter().map(|&node| self.plan.node(node).path()).collect();
        let text = (!apart.is_empty()).then(|| serde_json::value::to_raw_value(&apart)).transpose();
        let apart = text.map_err(|error| Error::parameter("calibration_state", error.to_string()))?;
        Ok(CalibrationState { edges, apart })
    }

    /// Replaces the state of the observers by `state`. To add to it, load it into a clone and
    /// [`Prepared::merge`] that.
    ///
    /// # Errors
    /// When it comes from a model with other edges or other observers, or makes no sense. The observers are then as they
    /// were.
    pub fn load_calibration_state(&mut self, state: &CalibrationState) -> Result<()> {
        let Observations { mut edges, .. } = self.observations.clone();
        if state.edges.len() != edges.len() {
            let (found, expected) = (state.edges.len(), edges.len());
            let message = format!("the state has {found} edges, the model {expected}");
            return Err(Error::parameter("load_calibration_state", message));
        }
        for edge in &mut edges {
            let Some(text) = state.edges.get(&edge.path) else {
                let message = format!("the state has no edge `{}`", edge.path);
                return Err(Error::parameter("load_calibration_state", message));
            };
            let fail = |message: String| {
                Err(Error::parameter("load_calibration_state", message).in_layer(&edge.path))
            };
            let saved: EdgeState<&RawValue, &RawValue> = match serde_json::from_str(text.get()) {
                Ok(saved) => saved,
                Err(error) => return fail(format!("a state that makes no sense: {error}")),
            };
            let (found, expected) = (saved.observer.get().trim_matches('"'), edge.observer.name());
            if found != expected {
                let found: String = found.chars().take(80).collect();
                return fail(format!("the state is of a {found}, not of a {expected}"));
            }
            edge.observer.load_state(saved.state.get()).map_err(|error| error.in_layer(&edge.path))?;
            edge.statistics = saved.statistics;
        }
        let apart = self.apart(state)?;
        self.observations = Observations { edges, apart, ..self.observations.clone() };
        Ok(())
    }

    /// The nodes whose batch norm runs apart.
    fn apart(&self, state: &CalibrationState) -> Result<BTreeSet<NodeId>> {
        let Some(text) = &state.apart else { return Ok(BTreeSet::new()) };
        let fail = |message: String| Error::parameter("load_calibration_state", message);
        // No longer than if it named every node.
        let most: usize = self.plan.nodes().map(|node| 2 * node.path().len() + 8).sum();
        if text.get().len() > most {
            return Err(fail("names more layers than the model has".into()));
        }
        let paths: Vec<String> = serde_json::from_str(text.get()).map_err(|error| fail(error.to_string()))?;
        let node = |path: &String| {
            let known = self.plan.nodes().position(|node| node.path() == path);
            known.ok_or_else(|| fail(format!("the model has no layer `{path}`")))
        };
        paths.iter().map(node).collect()
    }
}
