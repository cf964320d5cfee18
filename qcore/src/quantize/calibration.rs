//! `calibrate`: runs batches through the observers and reports their statistics.

use std::fmt;

use serde::Serialize;

use super::{ObservedEdge, Plan};
use crate::model::{IntoInput, Module, Prepared};
use crate::{Error, QParams, Result};

/// Settings of [`Prepared::calibrate_with`].
#[derive(Clone, Copy, Debug)]
pub struct CalibrationOptions {
    /// Whether to draw a progress bar on standard error (needs the feature `progress`, and a terminal).
    pub progress: bool,
}

impl Default for CalibrationOptions {
    fn default() -> Self {
        Self { progress: true }
    }
}

/// Statistics of a calibration, edge by edge: the answer to "was it calibrated?". Printing it gives a table.
#[derive(Clone, Debug, Serialize)]
pub struct CalibrationReport {
    /// How many batches there were.
    pub batches: usize,
    /// One entry for each observer.
    pub edges: Vec<EdgeReport>,
}

/// Statistics of one observer.
#[derive(Clone, Debug, Serialize)]
pub struct EdgeReport {
    /// The edges that the observer serves, in the order in which they run.
    pub paths: Vec<String>,
    /// The observer's name.
    pub observer: &'static str,
    /// How many values it saw.
    pub values: u64,
    /// The smallest and largest of them.
    pub range: Option<(f32, f32)>,
    /// Scale and zero point that it chose; `None` if it cannot give any, or saw nothing.
    pub qparams: Option<QParams>,
    /// The share of values outside the range of the chosen scale, counted on a grid of
    /// relative width 1/128 ([`ValueGrid`](crate::observer::ValueGrid)).
    pub clipped: f64,
    /// Whether the range still grew in the last tenth of the batches: then more data may widen it further.
    pub still_growing: bool,
}

impl<M: Module> Prepared<M> {
    /// Shows every batch to the observers, with a progress bar.
    ///
    /// A batch is whatever the model takes (`&Tensor`, `Tensor`, a tuple of them for several inputs) or a
    /// `Result` of it.
    ///
    /// # Errors
    /// When there is no batch, an input does not fit a layer, or a value is NaN or infinite. The observers
    /// are then as they were before the call.
    pub fn calibrate<B: IntoInput<M::Input>>(
        &mut self,
        batches: impl IntoIterator<Item = B>,
    ) -> Result<CalibrationReport> {
        self.calibrate_with(batches, CalibrationOptions::default())
    }

    /// [`Prepared::calibrate`] with settings.
    ///
    /// # Errors
    /// As [`Prepared::calibrate`].
    pub fn calibrate_with<B: IntoInput<M::Input>>(
        &mut self,
        batches: impl IntoIterator<Item = B>,
        options: CalibrationOptions,
    ) -> Result<CalibrationReport> {
        let before = self.edges.clone();
        let result = self.observe_all(batches, options);
        if result.is_err() {
            self.edges = before;
        }
        result
    }

    fn observe_all<B: IntoInput<M::Input>>(
        &mut self,
        batches: impl IntoIterator<Item = B>,
        options: CalibrationOptions,
    ) -> Result<CalibrationReport> {
        let batches = batches.into_iter();
        let progress = Progress::new(options.progress, batches.size_hint().1);
        let mut count = 0;
        for batch in batches {
            self.observe(batch)?;
            count += 1;
            progress.advance();
        }
        progress.finish();
        if count == 0 {
            return Err(Error::EmptyCalibration);
        }
        Ok(self.calibration_report())
    }

    /// The statistics of the observers so far.
    pub fn calibration_report(&self) -> CalibrationReport {
        let batches = self.edges.iter().map(|edge| edge.statistics.batches()).max().unwrap_or(0);
        let edges =
            self.edges.iter().enumerate().map(|(index, edge)| report(edge, index, &self.plan)).collect();
        CalibrationReport { batches, edges }
    }
}

fn report(edge: &ObservedEdge, index: usize, plan: &Plan) -> EdgeReport {
    let seen = edge.observer.has_observed() && edge.observer.gives_qparams();
    let qparams =
        if seen { edge.observer.calculate_qparams().ok().map(QParams::over_full_range) } else { None };
    let clipped = qparams.as_ref().map_or(0.0, |qparams| {
        let (scale, zero) = (qparams.tensor_scale(), qparams.tensor_zero_point());
        // A value that rounds to an integer inside the range is not clipped: half a step on either side.
        let low = (f64::from(qparams.quant_min - zero) - 0.5) * f64::from(scale);
        let high = (f64::from(qparams.quant_max - zero) + 0.5) * f64::from(scale);
        edge.statistics.fraction_outside(low as f32, high as f32)
    });
    EdgeReport {
        paths: plan.observers[index].values.iter().map(|&value| plan.path(value).to_owned()).collect(),
        observer: edge.observer.name(),
        values: edge.statistics.values(),
        range: edge.statistics.range(),
        qparams,
        clipped,
        still_growing: edge.statistics.still_growing(),
    }
}

impl fmt::Display for CalibrationReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<String> = self
            .edges
            .iter()
            .map(|edge| match edge.paths.as_slice() {
                [] => String::new(),
                [only] => only.clone(),
                [first, rest @ ..] => format!("{first} (+{})", rest.len()),
            })
            .collect();
        let width = names.iter().map(String::len).max().unwrap_or(0).max("edge".len());
        writeln!(
            f,
            "{:width$}  {:>12}  {:>22}  {:>10}  {:>5}  {:>8}",
            "edge", "values", "range", "scale", "zero", "clipped"
        )?;
        for (edge, name) in self.edges.iter().zip(&names) {
            let range = edge
                .range
                .map_or("never saw data".to_owned(), |(low, high)| format!("{low:.4} .. {high:.4}"));
            write!(f, "{name:width$}  {:>12}  {range:>22}", edge.values)?;
            if let Some(qparams) = &edge.qparams {
                write!(
                    f,
                    "  {:>10.3e}  {:>5}  {:>7.3}%",
                    qparams.tensor_scale(),
                    qparams.tensor_zero_point(),
                    100.0 * edge.clipped
                )?;
            }
            if edge.still_growing {
                write!(f, "  range still growing")?;
            }
            writeln!(f)?;
        }
        write!(f, "{} batches", self.batches)
    }
}

#[cfg(feature = "progress")]
struct Progress(Option<indicatif::ProgressBar>);

#[cfg(feature = "progress")]
impl Progress {
    fn new(shown: bool, length: Option<usize>) -> Self {
        Self(shown.then(|| {
            let bar = match length {
                Some(length) => indicatif::ProgressBar::new(length as u64),
                None => indicatif::ProgressBar::new_spinner(),
            };
            bar.with_message("calibrating")
        }))
    }

    fn advance(&self) {
        if let Some(bar) = &self.0 {
            bar.inc(1);
        }
    }

    fn finish(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}

#[cfg(not(feature = "progress"))]
struct Progress;

#[cfg(not(feature = "progress"))]
impl Progress {
    fn new(_shown: bool, _length: Option<usize>) -> Self {
        Self
    }

    fn advance(&self) {}

    fn finish(&self) {}
}
