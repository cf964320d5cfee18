//! `CalibrationState`: the state of a prepared model's observers, for files and for other machines.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{EdgeStatistics, Observations};
use crate::model::{Module, Prepared};
use crate::{Error, Result};

/// The state of every observer of a prepared model. Serializes with serde; every f32 survives exactly.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CalibrationState {
    edges: BTreeMap<String, EdgeState>,
    /// The layers whose batch norm runs apart.
    #[serde(default)]
    apart: BTreeSet<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct EdgeState {
    observer: String,
    state: serde_json::Value,
    statistics: EdgeStatistics,
}

impl<M: Module> Prepared<M> {
    /// The state of the observers so far.
    ///
    /// # Errors
    /// When an observer of the user's own has no state for files.
    pub fn calibration_state(&self) -> Result<CalibrationState> {
        let Observations { edges, apart } = &self.observations;
        let edges = edges
            .iter()
            .map(|edge| {
                let state = EdgeState {
                    observer: edge.observer.name().to_owned(),
                    state: edge.observer.state().map_err(|error| error.in_layer(&edge.path))?,
                    statistics: edge.statistics.clone(),
                };
                Ok((edge.path.clone(), state))
            })
            .collect::<Result<_>>()?;
        let apart = apart.iter().map(|&node| self.plan.node(node).path().to_owned()).collect();
        Ok(CalibrationState { edges, apart })
    }

    /// Replaces the state of the observers by `state`. To add to it, load it into a clone and
    /// [`Prepared::merge`] that.
    ///
    /// # Errors
    /// When it comes from a model with other edges or other observers. The observers are then as they were.
    pub fn load_calibration_state(&mut self, state: &CalibrationState) -> Result<()> {
        let Observations { mut edges, .. } = self.observations.clone();
        if state.edges.len() != edges.len() {
            let (found, expected) = (state.edges.len(), edges.len());
            let message = format!("the state has {found} edges, the model {expected}");
            return Err(Error::parameter("load_calibration_state", message));
        }
        for edge in &mut edges {
            let Some(saved) = state.edges.get(&edge.path) else {
                let message = format!("the state has no edge `{}`", edge.path);
                return Err(Error::parameter("load_calibration_state", message));
            };
            if saved.observer != edge.observer.name() {
                let message =
                    format!("the state is of a {}, not of a {}", saved.observer, edge.observer.name());
                return Err(Error::parameter("load_calibration_state", message).in_layer(&edge.path));
            }
            edge.observer.load_state(saved.state.clone()).map_err(|error| error.in_layer(&edge.path))?;
            edge.statistics = saved.statistics.clone();
        }
        let node = |path: &String| {
            let known = self.plan.nodes().position(|node| node.path() == path);
            known.ok_or_else(|| {
                Error::parameter("load_calibration_state", format!("the model has no layer `{path}`"))
            })
        };
        let apart = state.apart.iter().map(node).collect::<Result<_>>()?;
        self.observations = Observations { edges, apart };
        Ok(())
    }
}
