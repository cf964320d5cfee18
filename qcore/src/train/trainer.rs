//! `Trainer`: epochs of steps, with evaluation, checkpoints and metrics.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Instant;

use serde::Serialize;

use super::{Checkpoint, Optimizer, Progress, Random, Schedule, Trainable};
use crate::model::Module;
use crate::progress_bar::ProgressBar;
use crate::{Error, Result};

/// The file of the last checkpoint in the folder of a [`Trainer`].
pub const LAST: &str = "last.safetensors";
/// The file of the best checkpoint.
pub const BEST: &str = "best.safetensors";
/// The file of the metrics, a line of JSON an epoch: [`EpochMetrics`].
pub const METRICS: &str = "metrics.jsonl";

/// Trains a model: epochs over batches that are made in the background, evaluation after each, checkpoints, early stopping.
///
/// With a folder, [`Trainer::checkpoints`], the last and the best state are kept in files, and [`Trainer::resume`] goes on
/// from the last to the same bytes as if training had not stopped.
///
/// ```
/// use qcore::prelude::*;
/// use qcore::train::{CosineAnnealing, Score, Sgd, Trainer, cross_entropy};
///
/// # fn main() -> qcore::Result<()> {
/// let x = Tensor::from_vec(&[2, 2], vec![1.0, 0.0, 0.0, 1.0])?;
/// let model = Linear::new(2, 2).prepare_qat(&QConfigMapping::for_qat(Backend::Native))?;
/// let mut trainer = Trainer::new(model, Sgd::new(0.5).momentum(0.9))
///     .schedule(CosineAnnealing { learning_rate: 0.5, minimum: 0.0, steps: 20 })
///     .progress(false);
/// let outcome = trainer.fit(
///     5,
///     // The batches of an epoch: pictures from a file, shuffled by `epoch.random`.
///     |_epoch| (0..4).map(|_| Ok((x.clone(), [1, 0]))),
///     // What a step does with a batch.
///     |model, (x, labels)| {
///         let logits = model.forward(&x)?;
///         let loss = cross_entropy(&logits, &labels, 0.0)?;
///         let score = Score::of_classes(&loss, &logits, &labels);
///         model.backward(loss.gradient)?;
///         Ok(score)
///     },
///     // How good the model is, on data that training does not see; larger is better.
///     |model| Ok(f64::from(model.forward(&x)?.view()[[0, 1]])),
/// )?;
/// assert_eq!(outcome.metrics.len(), 5);
/// let int8 = trainer.into_model().convert()?;
/// # Ok(())
/// # }
/// ```
pub struct Trainer<M: Module> {
    model: Trainable<M>,
    optimizer: Box<dyn Optimizer>,
    progress: Progress,
    schedule: Option<Box<dyn Schedule>>,
    accumulated: usize,
    max_norm: Option<f32>,
    patience: Option<usize>,
    folder: Option<PathBuf>,
    prefetched: usize,
    stop: Arc<AtomicBool>,
    is_shown: bool,
    best: Option<Checkpoint>,
}

/// The loss of a batch, and how many of its examples were right.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Score {
    /// Sum of the losses of the examples.
    pub loss: f64,
    /// How many were classified rightly.
    pub correct: usize,
    /// How many examples there were.
    pub examples: usize,
}

impl Score {
    /// Of logits `[N, classes]`: those with the largest logit at their label are right.
    pub fn of_classes(loss: &super::Loss, logits: &crate::Tensor, labels: &[usize]) -> Self {
        let rows = logits.view();
        let is_right = |(row, label): &(ndarray::ArrayViewD<'_, f32>, &usize)| {
            row.get(**label).is_some_and(|value| row.iter().all(|other| other <= value))
        };
        let correct = rows.outer_iter().zip(labels).filter(is_right).count();
        Self { loss: f64::from(loss.value) * labels.len() as f64, correct, examples: labels.len() }
    }

    /// Of a loss alone.
    pub fn of_loss(loss: &super::Loss, examples: usize) -> Self {
        Self { loss: f64::from(loss.value) * examples as f64, correct: 0, examples }
    }

    fn add(&mut self, other: Self) {
        self.loss += other.loss;
        self.correct += other.correct;
        self.examples += other.examples;
    }

    fn mean_loss(&self) -> f64 {
        self.loss / self.examples.max(1) as f64
    }

    fn accuracy(&self) -> f64 {
        self.correct as f64 / self.examples.max(1) as f64
    }
}

/// An epoch that begins.
#[derive(Clone, Debug)]
pub struct Epoch {
    /// Counted from 0.
    pub index: usize,
    /// Numbers of this epoch, to shuffle and to augment: the same when it is trained again.
    pub random: Random,
}

/// What an epoch came to: a line of the metrics.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EpochMetrics {
    /// Counted from 1.
    pub epoch: usize,
    /// Steps so far, in all epochs.
    pub step: usize,
    /// Mean over the examples; of an epoch that was resumed over those since.
    pub loss: f64,
    /// The share of the examples that was right while training.
    pub accuracy: f64,
    /// What the evaluation gave.
    pub evaluation: f64,
    /// Whether it is the best so far.
    pub is_best: bool,
    /// Of the last step.
    pub learning_rate: f64,
    /// For training, without evaluation.
    pub seconds: f64,
}

/// How training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// After all epochs.
    Completed,
    /// Evaluation was no better for as many epochs as [`Trainer::early_stopping`] says.
    NoImprovement,
    /// [`Trainer::stop_on`]; a checkpoint was written, if there is a folder.
    Stopped,
}

/// What [`Trainer::fit`] did.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// Why it ended.
    pub end: End,
    /// Of each epoch that was completed in this call.
    pub metrics: Vec<EpochMetrics>,
}

impl<M: Module> fmt::Debug for Trainer<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model, optimizer, progress, schedule, .. } = self;
        f.debug_struct("Trainer")
            .field("model", model)
            .field("optimizer", optimizer)
            .field("progress", progress)
            .field("schedule", schedule)
            .finish_non_exhaustive()
    }
}

impl<M: Module> Trainer<M> {
    /// Without schedule, checkpoints and early stopping.
    pub fn new(model: Trainable<M>, optimizer: impl Optimizer + 'static) -> Self {
        Self {
            model,
            optimizer: Box::new(optimizer),
            progress: Progress::default(),
            schedule: None,
            accumulated: 1,
            max_norm: None,
            patience: None,
            folder: None,
            prefetched: 2,
            stop: Arc::default(),
            is_shown: true,
            best: None,
        }
    }

    /// Sets the learning rate before each step.
    #[must_use]
    pub fn schedule(self, schedule: impl Schedule + 'static) -> Self {
        Self { schedule: Some(Box::new(schedule)), ..self }
    }

    /// What all that is random follows from; 0 if not set. A checkpoint brings its own.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.progress.seed = seed;
        self
    }

    /// Makes a step of the mean gradient of this many batches; 1 if not set. The last step of an epoch may have fewer.
    #[must_use]
    pub fn accumulate(self, batches: usize) -> Self {
        Self { accumulated: batches.max(1), ..self }
    }

    /// Scales gradients down to this norm before a step, if theirs is larger.
    #[must_use]
    pub fn clip_grad_norm(self, max_norm: f32) -> Self {
        Self { max_norm: Some(max_norm), ..self }
    }

    /// Ends training when this many evaluations in a row were not better than the best.
    #[must_use]
    pub fn early_stopping(self, patience: usize) -> Self {
        Self { patience: Some(patience), ..self }
    }

    /// Keeps [`LAST`], [`BEST`] and [`METRICS`] in this folder, which is made if it is not there.
    #[must_use]
    pub fn checkpoints(self, folder: impl AsRef<Path>) -> Self {
        Self { folder: Some(folder.as_ref().to_owned()), ..self }
    }

    /// How many batches are made ahead, in a thread of their own; 2 if not set.
    #[must_use]
    pub fn prefetch(self, batches: usize) -> Self {
        Self { prefetched: batches, ..self }
    }

    /// Finishes the step, writes a checkpoint and returns as soon as this is true, as a handler of Ctrl-C may set it.
    #[must_use]
    pub fn stop_on(self, stop: Arc<AtomicBool>) -> Self {
        Self { stop, ..self }
    }

    /// Whether to draw a bar with loss and accuracy on standard error (needs the feature `progress`, and a terminal); true
    /// if not set.
    #[must_use]
    pub fn progress(self, is_shown: bool) -> Self {
        Self { is_shown, ..self }
    }

    /// Goes on from the last checkpoint in the folder; tells whether there was one.
    ///
    /// # Errors
    /// When there is no folder, the file cannot be read, or it is of another model or optimizer.
    pub fn resume(&mut self) -> Result<bool> {
        let Some(folder) = &self.folder else {
            return Err(Error::parameter("Trainer::resume", "there is no folder of checkpoints"));
        };
        let [last, best] = [LAST, BEST].map(|name| folder.join(name));
        if !last.exists() {
            return Ok(false);
        }
        self.progress = Checkpoint::open(last)?.restore(&mut self.model, self.optimizer.as_mut())?;
        self.best = best.exists().then(|| Checkpoint::open(best)).transpose()?;
        Ok(true)
    }

    /// Puts the model into the state that evaluated best; tells whether there was an evaluation.
    ///
    /// # Errors
    /// When its file cannot be read or has changed.
    pub fn restore_best(&mut self) -> Result<bool> {
        let Some(best) = &self.best else { return Ok(false) };
        self.progress = best.restore(&mut self.model, self.optimizer.as_mut())?;
        Ok(true)
    }

    /// How far training has come.
    pub fn done(&self) -> &Progress {
        &self.progress
    }

    /// The model.
    pub fn model(&mut self) -> &mut Trainable<M> {
        &mut self.model
    }

    /// The model, in evaluation.
    pub fn into_model(mut self) -> Trainable<M> {
        self.model.eval();
        self.model
    }

    /// Trains until `epochs` are complete, those before a [`Trainer::resume`] among them.
    ///
    /// `batches` gives the batches of an epoch, which another thread takes ahead. `step` runs the model forward and
    /// backward on one, and `evaluate` tells how good the model is after an epoch, in evaluation. A batch that was used before a
    /// resumed checkpoint is made again and left out.
    ///
    /// # Errors
    /// [`Error::Diverged`] when a loss, a value or a gradient is NaN or infinite; [`Error::EmptyEpoch`] of an epoch without
    /// batches; what a batch, `step` and `evaluate` fail with, in the batch; when a checkpoint or the metrics cannot be written.
    pub fn fit<B, I>(
        &mut self,
        epochs: usize,
        mut batches: impl FnMut(Epoch) -> I,
        mut step: impl FnMut(&mut Trainable<M>, B) -> Result<Score>,
        mut evaluate: impl FnMut(&mut Trainable<M>) -> Result<f64>,
    ) -> Result<Outcome>
    where
        I: IntoIterator<Item = Result<B>>,
        I::IntoIter: Send,
        B: Send,
    {
        if let Some(folder) = &self.folder {
            std::fs::create_dir_all(folder).map_err(|error| Error::io(folder, error))?;
        }
        let mut metrics = Vec::new();
        while self.progress.epoch < epochs {
            if self.has_no_improvement() {
                return Ok(Outcome { end: End::NoImprovement, metrics });
            }
            let start = Instant::now();
            let index = self.progress.epoch;
            let random = Random::new(self.progress.seed).fork(index as u64);
            let Some(score) = self.run_epoch(batches(Epoch { index, random }).into_iter(), &mut step)? else {
                self.save(LAST)?;
                return Ok(Outcome { end: End::Stopped, metrics });
            };
            let seconds = start.elapsed().as_secs_f64();
            self.model.eval();
            let evaluation = evaluate(&mut self.model)?;
            let is_best = self.progress.best.is_none_or(|best| evaluation > best);
            self.progress.since_best = if is_best { 0 } else { self.progress.since_best + 1 };
            if is_best {
                self.progress.best = Some(evaluation);
                self.best = Some(self.save(BEST)?);
            }
            self.save(LAST)?;
            let line = EpochMetrics {
                epoch: index + 1,
                step: self.progress.step,
                loss: score.mean_loss(),
                accuracy: score.accuracy(),
                evaluation,
                is_best,
                learning_rate: self.optimizer.learning_rate(),
                seconds,
            };
            self.write_metrics(&line)?;
            metrics.push(line);
            if self.stop.load(Ordering::Relaxed) && self.progress.epoch < epochs {
                return Ok(Outcome { end: End::Stopped, metrics });
            }
        }
        Ok(Outcome { end: End::Completed, metrics })
    }

    fn has_no_improvement(&self) -> bool {
        self.patience.is_some_and(|patience| self.progress.since_best >= patience.max(1))
    }

    /// The rest of an epoch; `None` if it was stopped.
    fn run_epoch<B: Send>(
        &mut self,
        batches: impl Iterator<Item = Result<B>> + Send,
        step: &mut impl FnMut(&mut Trainable<M>, B) -> Result<Score>,
    ) -> Result<Option<Score>> {
        let epoch = self.progress.epoch;
        let length = match batches.size_hint() {
            (lower, Some(upper)) if lower == upper => Some(lower.saturating_sub(self.progress.batch)),
            _ => None,
        };
        let bar = ProgressBar::new(self.is_shown, length, format!("epoch {}", epoch + 1));
        let used = self.progress.batch;
        let (sender, receiver) = sync_channel(self.prefetched);
        let ended = thread::scope(|scope| {
            scope.spawn(move || {
                // The receiver is gone when training stops early.
                let _ = batches.enumerate().skip(used).try_for_each(|batch| sender.send(batch));
            });
            self.model.train();
            self.model.zero_grad();
            let mut score = Score::default();
            let mut waiting = 0;
            let mut receiver = receiver.into_iter().peekable();
            if receiver.peek().is_none() && used == 0 {
                return Err(Error::EmptyEpoch { epoch });
            }
            while let Some((index, batch)) = receiver.next() {
                let in_batch = |error| Error::InBatch { batch: index, source: Box::new(error) };
                let found = batch.and_then(|batch| step(&mut self.model, batch));
                score.add(found.map_err(|error| self.diverged(error).unwrap_or_else(in_batch))?);
                waiting += 1;
                let is_last = receiver.peek().is_none();
                if waiting == self.accumulated || is_last {
                    self.step(waiting).map_err(|error| self.diverged(error).unwrap_or_else(in_batch))?;
                    waiting = 0;
                    self.progress.batch = index + 1;
                    if self.stop.load(Ordering::Relaxed) && !is_last {
                        return Ok(None);
                    }
                }
                bar.advance();
                let text = || {
                    let (loss, accuracy) = (score.mean_loss(), 100.0 * score.accuracy());
                    format!("epoch {} loss {loss:.4} right {accuracy:.1}%", epoch + 1)
                };
                bar.say(text);
            }
            (self.progress.epoch, self.progress.batch) = (epoch + 1, 0);
            Ok(Some(score))
        });
        bar.finish();
        ended
    }

    /// A step of the optimizer, of the gradients of so many batches.
    fn step(&mut self, batches: usize) -> Result<()> {
        if batches > 1 {
            self.model.scale_gradients(1.0 / batches as f32);
        }
        if let Some(max_norm) = self.max_norm {
            self.model.clip_grad_norm(max_norm)?;
        }
        if let Some(schedule) = &self.schedule {
            self.optimizer.set_learning_rate(schedule.learning_rate(self.progress.step));
        }
        self.model.step(self.optimizer.as_mut())?;
        self.progress.step += 1;
        Ok(())
    }

    /// [`Error::Diverged`] if `error` says that something is NaN or infinite; else `error` itself.
    fn diverged(&self, error: Error) -> Result<Error, Error> {
        let (mut source, mut layer) = (&error, None);
        while let Error::InLayer { layer: path, source: inner } = source {
            layer = layer.or(Some(path.clone()));
            source = inner;
        }
        if !matches!(source, Error::NotFinite { .. }) {
            return Err(error);
        }
        let last = self.folder.as_ref().map(|folder| folder.join(LAST)).filter(|path| path.exists());
        Ok(Error::Diverged {
            step: self.progress.step,
            layer: layer.or_else(|| self.model.first_non_finite()),
            checkpoint: last,
            source: Box::new(error),
        })
    }

    /// Writes a checkpoint, if there is a folder.
    fn save(&self, name: &str) -> Result<Checkpoint> {
        let checkpoint = Checkpoint::of(&self.model, self.optimizer.as_ref(), &self.progress)?;
        let Some(folder) = &self.folder else { return Ok(checkpoint) };
        let path = folder.join(name);
        checkpoint.save(&path)?;
        // Its tensors are in the file now, and need not be in memory.
        Checkpoint::open(path)
    }

    fn write_metrics(&self, line: &EpochMetrics) -> Result<()> {
        let Some(path) = self.folder.as_ref().map(|folder| folder.join(METRICS)) else { return Ok(()) };
        let text = serde_json::to_string(line).map_err(|error| Error::file(&path, error.to_string()))?;
        let append = || -> std::io::Result<()> {
            let mut file: File = OpenOptions::new().create(true).append(true).open(&path)?;
            file.write_all(format!("{text}\n").as_bytes())
        };
        append().map_err(|error| Error::io(&path, error))
    }
}
