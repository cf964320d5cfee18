//! `Checkpoint`: all that training needs to go on as if it had not stopped, in one file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use ndarray::ArrayD;
use serde::{Deserialize, Serialize};

use super::{Optimizer, Trainable};
use crate::model::Module;
use crate::{Error, Observer, Result, StateDict, StateTensor, join};

const NAME: &str = "a checkpoint";
/// What stands before the keys of each part.
const MODEL: &str = "model.";
const OPTIMIZER: &str = "optimizer.";
/// The [`Record`] as the bytes of its JSON.
const RECORD: &str = "training";

/// Parameters, statistics of batch norms, observers and fake quantization of a [`Trainable`], the state of its
/// [`Optimizer`], and how far training has come.
///
/// Training goes on from it to the same bytes. Gradients are not in it: it is taken between steps. Schedules are functions
/// of the step, and what is random in the [`Trainer`](super::Trainer) one of the seed and the step, so that they need no more.
///
/// ```
/// use qcore::prelude::*;
/// use qcore::train::{Checkpoint, Progress, Sgd};
///
/// # fn main() -> qcore::Result<()> {
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("last.safetensors");
/// let mapping = QConfigMapping::for_qat(Backend::Native);
/// let (mut model, mut sgd) = (Linear::new(4, 2).prepare_qat(&mapping)?, Sgd::new(0.1).momentum(0.9));
/// let progress = Progress { epoch: 3, step: 120, ..Progress::default() };
/// Checkpoint::of(&model, &sgd, &progress)?.save(&path)?;
/// // Later, with a model and an optimizer made as those were:
/// let progress = Checkpoint::open(&path)?.restore(&mut model, &mut sgd)?;
/// assert_eq!(progress.step, 120);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Checkpoint {
    tensors: StateDict,
}

/// How far training has come.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// Epochs that are complete.
    pub epoch: usize,
    /// Steps of the optimizer, in all epochs.
    pub step: usize,
    /// Batches of the epoch that comes that were trained on already.
    pub batch: usize,
    /// What all that is random follows from.
    pub seed: u64,
    /// The best result of an evaluation so far.
    pub best: Option<f64>,
    /// Evaluations since then.
    pub since_best: usize,
}

/// What is no tensor.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Record {
    optimizer: String,
    learning_rate: f64,
    progress: Progress,
    /// State of the observers, by PyTorch's path of each.
    observers: BTreeMap<String, String>,
    /// Layers that keep their statistics.
    frozen: BTreeSet<String>,
    /// Paths of the nodes whose batch norm runs apart.
    apart: BTreeSet<String>,
}

impl Checkpoint {
    /// Of a model and its optimizer as they are.
    ///
    /// # Errors
    /// When an observer of the user's own has no state for files.
    pub fn of<M: Module>(
        model: &Trainable<M>,
        optimizer: &dyn Optimizer,
        progress: &Progress,
    ) -> Result<Self> {
        let mut tensors = model.state_dict().map_keys(|key| format!("{MODEL}{key}"))?;
        tensors.append(optimizer.state_dict().map_keys(|key| format!("{OPTIMIZER}{key}"))?)?;
        let record = Record {
            optimizer: optimizer.name().to_owned(),
            learning_rate: optimizer.learning_rate(),
            progress: progress.clone(),
            observers: model.observer_states()?,
            frozen: model.frozen_layers(),
            apart: model.nodes_apart(),
        };
        let text = serde_json::to_vec(&record).map_err(|error| Error::parameter(NAME, error.to_string()))?;
        let text: Vec<i64> = text.into_iter().map(i64::from).collect();
        tensors.insert(RECORD, ndarray::Array1::from(text).into_dyn());
        Ok(Self { tensors })
    }

    /// Writes a safetensors file, as [`write_file`](crate::write_file) does: one that was there stays until the new one is
    /// complete.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        self.tensors.save(path)
    }

    /// Opens a file of [`Checkpoint::save`].
    ///
    /// # Errors
    /// As [`StateDict::open`]; when it is not the checkpoint of a training.
    pub fn open(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let checkpoint = Self { tensors: StateDict::open(path)? };
        match checkpoint.record() {
            Ok(_) => Ok(checkpoint),
            Err(error @ (Error::Io { .. } | Error::Memory { .. })) => Err(error),
            Err(error) => Err(Error::file(path, error.to_string())),
        }
    }

    /// How far training had come.
    ///
    /// # Errors
    /// When the file cannot be read or has changed.
    pub fn progress(&self) -> Result<Progress> {
        Ok(self.record()?.progress)
    }

    /// The parameters and statistics, for [`Module::load_state_dict`].
    pub fn state_dict(&self) -> Result<StateDict> {
        self.part(MODEL)
    }

    /// Puts a model and an optimizer into this state; gradients are forgotten.
    ///
    /// # Errors
    /// When it is of another model, of other observers or of another optimizer. Both are then as they were.
    pub fn restore<M: Module>(
        &self,
        model: &mut Trainable<M>,
        optimizer: &mut dyn Optimizer,
    ) -> Result<Progress> {
        let record = self.record()?;
        if record.optimizer != optimizer.name() {
            let message = format!("is of {}, not of {}", record.optimizer, optimizer.name());
            return Err(Error::parameter(NAME, message));
        }
        let state_dict = self.state_dict()?;
        let known = model.state_dict();
        if let Some(key) = state_dict.keys().find(|key| !known.keys().any(|known| known == *key)) {
            return Err(Error::parameter(NAME, format!("is of another model: this one has no `{key}`")));
        }
        let observers = model.observers_of(&record.observers)?;
        let (frozen, apart) = (model.known_layers(&record.frozen)?, model.known_nodes(&record.apart)?);
        let before = optimizer.state_dict();
        optimizer.load_state_dict(&self.part(OPTIMIZER)?)?;
        let is_of_model =
            known.shapes().iter().try_for_each(|(key, shape)| optimizer.check(key, shape.iter().product()));
        if let Err(error) = is_of_model.and_then(|()| model.load_state_dict(&state_dict)) {
            optimizer.load_state_dict(&before)?;
            return Err(error);
        }
        model.set_training_state(observers, &frozen, apart);
        optimizer.set_learning_rate(record.learning_rate);
        Ok(record.progress)
    }

    fn part(&self, prefix: &str) -> Result<StateDict> {
        let mut part = self.tensors.clone();
        let others: Vec<String> =
            part.keys().filter(|key| !key.starts_with(prefix)).map(str::to_owned).collect();
        others.iter().for_each(|key| {
            part.remove(key);
        });
        part.strip_prefix(prefix)
    }

    fn record(&self) -> Result<Record> {
        let not_one = || Error::parameter(NAME, format!("has no `{RECORD}`, so it is not one of a training"));
        let text: ArrayD<i64> = match self.tensors.tensor(RECORD)? {
            Some(StateTensor::Integer(text)) => text,
            _ => return Err(not_one()),
        };
        let text: Vec<u8> =
            text.iter().map(|&byte| u8::try_from(byte).map_err(|_| not_one())).collect::<Result<_>>()?;
        let record: Record = serde_json::from_slice(&text)
            .map_err(|error| Error::parameter(NAME, format!("`{RECORD}` makes no sense: {error}")))?;
        if record.learning_rate.is_finite() && record.learning_rate >= 0.0 {
            Ok(record)
        } else {
            Err(Error::parameter(NAME, format!("a learning rate of {}", record.learning_rate)))
        }
    }
}

/// The observers of a [`Trainable`] in another state.
struct Observers {
    weights: Vec<Option<Box<dyn Observer>>>,
    edges: Vec<Box<dyn Observer>>,
}

impl<M: Module> Trainable<M> {
    /// State of the observers, by PyTorch's path of each.
    fn observer_states(&self) -> Result<BTreeMap<String, String>> {
        let edges = self.network.observations.edges.iter();
        let edges = edges.map(|edge| (edge_path(&edge.path), edge.observer.as_ref()));
        let weights = self.network.layers.iter().filter_map(|layer| {
            let path = layer.path.as_deref().unwrap_or_default();
            Some((weight_path(path), layer.weight_observer.as_deref()?))
        });
        let states = edges.chain(weights).map(|(path, observer)| {
            let state = observer.state().map_err(|error| error.in_layer(&path))?;
            Ok((path, state))
        });
        states.collect()
    }

    /// The observers with these states.
    fn observers_of(&self, states: &BTreeMap<String, String>) -> Result<Observers> {
        let mut loaded = 0;
        let mut load = |path: String, observer: &dyn Observer| {
            let missing = || Error::parameter(NAME, format!("has no state of the observer `{path}`"));
            let mut observer = observer.boxed_clone();
            observer
                .load_state(states.get(&path).ok_or_else(missing)?)
                .map_err(|error| error.in_layer(&path))?;
            loaded += 1;
            Ok(observer)
        };
        let edges = self.network.observations.edges.iter();
        let edges = edges.map(|edge| load(edge_path(&edge.path), edge.observer.as_ref()));
        let edges = edges.collect::<Result<_>>()?;
        let weights = self.network.layers.iter().map(|layer| {
            let path = weight_path(layer.path.as_deref().unwrap_or_default());
            layer.weight_observer.as_deref().map(|observer| load(path, observer)).transpose()
        });
        let observers = Observers { edges, weights: weights.collect::<Result<_>>()? };
        match loaded == states.len() {
            true => Ok(observers),
            false => {
                let message = format!("has {} observers, the model {loaded}", states.len());
                Err(Error::parameter(NAME, message))
            }
        }
    }

    fn frozen_layers(&self) -> BTreeSet<String> {
        let frozen = self.network.layers.iter().filter(|layer| layer.has_frozen_statistics);
        frozen.filter_map(|layer| layer.path.clone()).collect()
    }

    fn nodes_apart(&self) -> BTreeSet<String> {
        let apart = self.network.observations.apart.iter();
        apart.map(|&node| self.network.plan.node(node).path().to_owned()).collect()
    }

    fn known_layers(&self, paths: &BTreeSet<String>) -> Result<BTreeSet<String>> {
        match paths.iter().find(|path| !self.network.layers.iter().any(|l| l.path.as_ref() == Some(path))) {
            Some(path) => Err(Error::parameter(NAME, format!("the model has no layer `{path}`"))),
            None => Ok(paths.clone()),
        }
    }

    fn known_nodes(&self, paths: &BTreeSet<String>) -> Result<BTreeSet<usize>> {
        let node = |path: &String| {
            let known = self.network.plan.nodes().position(|node| node.path() == path);
            known.ok_or_else(|| Error::parameter(NAME, format!("the model has no layer `{path}`")))
        };
        paths.iter().map(node).collect()
    }

    fn set_training_state(
        &mut self,
        observers: Observers,
        frozen: &BTreeSet<String>,
        apart: BTreeSet<usize>,
    ) {
        for (edge, observer) in self.network.observations.edges.iter_mut().zip(observers.edges) {
            edge.observer = observer;
        }
        for (layer, observer) in self.network.layers.iter_mut().zip(observers.weights) {
            layer.weight_observer = observer;
            layer.has_frozen_statistics = layer.path.as_ref().is_some_and(|path| frozen.contains(path));
        }
        self.network.observations.apart = apart;
        self.zero_grad();
    }
}

fn edge_path(path: &str) -> String {
    join(path, "activation_post_process")
}

fn weight_path(path: &str) -> String {
    join(path, "weight_fake_quant")
}
