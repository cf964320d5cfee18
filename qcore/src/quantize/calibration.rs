//! `calibrate`: runs batches through the observers and reports their statistics.

use std::fmt;

use serde::Serialize;

use super::{ObservedEdge, Plan};
use crate::model::{IntoInput, Module, Prepared};
use crate::progress_bar::ProgressBar;
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
    /// Whether all values were the same. [`Prepared::convert`] refuses such an edge, see [`ConvertOptions`].
    ///
    /// [`ConvertOptions`]: crate::ConvertOptions
    pub constant: bool,
    /// How many channels, along axis 1 of the first of the values, were seen more than once with one value alone.
    pub constant_channels: usize,
    /// How many channels there are; 0 if their number changes, or they are too many to be looked at.
    pub channels: usize,
    /// What the sharing of the observer costs, if several values that need a scale of their own share it.
    pub shared: Option<SharedScale>,
}

/// The value that loses most by sharing its observer with values of wider ranges, as PyTorch FX's rules have it for
/// operations with a number (`x * 8`) and for `cat`. [`Backend::Native`](crate::Backend::Native) shares none with the
/// former.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SharedScale {
    /// The edge.
    pub path: String,
    /// How many times wider its steps are than its own range needs.
    pub times: f64,
}

impl<M: Module> Prepared<M> {
    /// Shows every batch to the observers, with a progress bar.
    ///
    /// A batch is whatever the model takes (`&Tensor`, `Tensor`, a tuple of them for several inputs) or a
    /// `Result` of it.
    ///
    /// # Errors
    /// When there is no batch, an input does not fit a layer, or a value is NaN or infinite; the error says in which
    /// batch. The observers are then as they were before the call.
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
        // A copy, so that neither an error nor a panic, of the user's iterator or observer, leaves a part of it.
        let mut observations = self.observations.clone();
        let batches = batches.into_iter();
        let progress = ProgressBar::new(options.progress, batches.size_hint().1, "calibrating");
        let mut count = 0;
        for batch in batches {
            self.observe_into(batch, &mut observations)
                .map_err(|error| Error::InBatch { batch: count, source: Box::new(error) })?;
            count += 1;
            progress.advance();
        }
        progress.finish();
        if count == 0 {
            return Err(Error::EmptyCalibration);
        }
        self.observations = observations;
        Ok(self.calibration_report())
    }

    /// The statistics of the observers so far.
    pub fn calibration_report(&self) -> CalibrationReport {
        let edges = &self.observations.edges;
        let batches = edges.iter().map(|edge| edge.statistics.batches()).max().unwrap_or(0);
        let edges = edges.iter().enumerate().map(|(index, edge)| report(edge, index, &self.plan)).collect();
        CalibrationReport { batches, edges }
    }
}

fn report(edge: &ObservedEdge, index: usize, plan: &Plan) -> EdgeReport {
    let seen = edge.observer.has_observed() && edge.observer.gives_qparams();
    let qparams = seen.then(|| edge.observer.calculate_qparams().ok()).flatten();
    let qparams = qparams.filter(|qparams| qparams.validate().is_ok()).map(QParams::over_full_range);
    let (constant_channels, channels) = edge.statistics.constant_channels();
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
        constant: edge.statistics.range().is_some_and(|(low, high)| low == high),
        constant_channels,
        channels,
        shared: shared(edge, index, plan),
    }
}

/// Of several values with scales of their own the one of the narrowest range.
fn shared(edge: &ObservedEdge, index: usize, plan: &Plan) -> Option<SharedScale> {
    // Zero has an integer in every range.
    let width = |(low, high): (f32, f32)| f64::from(high.max(0.0)) - f64::from(low.min(0.0));
    let whole = width(edge.statistics.range()?);
    let served = &plan.observers[index].values;
    let narrowest = served
        .iter()
        .enumerate()
        .filter(|&(_, &value)| plan.has_own_scale(value))
        .filter_map(|(position, &value)| Some((value, width(edge.statistics.range_of(position)?.into()))))
        .filter(|(_, width)| *width > 0.0)
        .min_by(|(_, a), (_, b)| a.total_cmp(b));
    let (value, width) = narrowest.filter(|(_, width)| *width < whole)?;
    Some(SharedScale { path: plan.path(value).to_owned(), times: whole / width })
}

/// From here on the report's text mentions what sharing costs: less than half a bit is no news.
const WORTH_MENTION: f64 = 1.4;

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
            if edge.constant {
                write!(f, "  a single value")?;
            } else if edge.constant_channels > 0 {
                write!(f, "  {} of {} channels never moved", edge.constant_channels, edge.channels)?;
            }
            if let Some(SharedScale { path, times }) =
                edge.shared.as_ref().filter(|shared| shared.times >= WORTH_MENTION)
            {
                write!(f, "  steps {times:.1} times as wide as `{path}` needs, which shares this observer")?;
            }
            writeln!(f)?;
        }
        match self.batches {
            1 => write!(f, "1 batch alone, whose range others may exceed"),
            batches => write!(f, "{batches} batches"),
        }
    }
}
