//! `Report`: what a conversion did to a model, measured.

mod histogram;
mod latency;
mod weight_channels;

#[cfg(feature = "report")]
mod html;

use std::path::Path;

use serde::Serialize;

pub use histogram::Histogram;
pub use latency::{Latency, StepLatency};
pub use weight_channels::WeightChannels;

use super::numeric_suite::{Comparison, ComparisonKind, ErrorMetrics, compare, compare_weights};
use crate::model::{Converted, IntoInput, Module, Prepared};
use crate::quantize::CalibrationReport;
use crate::{Backend, Error, Result};

/// What a conversion did to a model: each operation's error, what calibration saw, weights channel by channel, and,
/// where they were measured, latency, file sizes and accuracy. It has no number that was not measured.
///
/// It is data for `serde`; with the feature `report`, `to_html` makes a page of it that needs no network.
///
/// ```
/// use qcore::prelude::*;
/// use qcore::Report;
///
/// #[quantizable]
/// struct Net { fc: Linear }
/// #[quantizable]
/// impl Net { fn forward(&self, x: Tensor) -> Tensor { self.fc(x) } }
///
/// # fn main() -> qcore::Result<()> {
/// let batches = [Tensor::from_vec(&[2, 4], (0..8).map(|i| i as f32).collect())?];
/// let mut prepared = Net { fc: Linear::new(4, 3) }.prepare(&QConfigMapping::for_backend(Backend::Native))?;
/// prepared.calibrate(&batches)?;
/// let int8 = prepared.convert()?;
///
/// let report = Report::measure(&prepared, &int8, &batches)?.with_latency(&prepared, &int8, &batches[0])?;
/// let worst = report.worst().next().expect("an operation in int8");
/// assert_eq!(worst.path, "fc");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The name of the model's type.
    pub model: String,
    /// Whose numerics it follows.
    pub backend: Backend,
    /// How many batches the errors are of.
    pub batches: usize,
    /// In the order in which they run; first the parameters of `forward`.
    pub operations: Vec<OperationReport>,
    /// The operations whose outputs the model returns, as indices of `operations`.
    pub outputs: Vec<usize>,
    /// What the observers saw.
    pub calibration: CalibrationReport,
    /// The values that each observer saw, as `calibration.edges`.
    pub activations: Vec<Histogram>,
    /// Of each weight that became integers.
    pub weights: Vec<WeightChannels>,
    /// See [`Report::with_latency`].
    pub latency: Option<Latency>,
    /// See [`Report::with_file_sizes`].
    pub file_sizes: Option<Compared<u64>>,
    /// See [`Report::with_score`].
    pub scores: Vec<Score>,
}

/// One operation.
#[derive(Clone, Debug, Serialize)]
pub struct OperationReport {
    /// `layers.0.conv2`; of a parameter of `forward` its name.
    pub path: String,
    /// PyTorch's name of the operation.
    pub operation: String,
    /// The name of a [`Precision`](crate::ops::Precision).
    pub precision: String,
    /// The operations whose outputs it reads, as indices of [`Report::operations`].
    pub inputs: Vec<usize>,
    /// The error of its output beside the float model's, of all operations so far.
    pub accumulated: Option<ErrorMetrics>,
    /// Its own error, on the float model's values; none where it runs in float.
    pub own: Option<ErrorMetrics>,
    /// Of its weight, if that became integers.
    pub weight: Option<ErrorMetrics>,
}

/// A number of the float model beside that of the converted one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Compared<T> {
    /// Of the float model.
    pub float: T,
    /// Of the converted model.
    pub converted: T,
}

/// A score that the user measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Score {
    /// `top-1`.
    pub name: String,
    /// Both models' scores.
    pub value: Compared<f64>,
}

impl Report {
    /// Runs both models on the same batches and collects what calibration saw. Memory does not grow with the number of
    /// batches.
    ///
    /// # Errors
    /// When the two are not of one model, there is no batch, one does not fit, or a value is NaN or infinite.
    pub fn measure<M: Module, B: IntoInput<M::Input>>(
        prepared: &Prepared<M>,
        converted: &Converted<M>,
        batches: impl IntoIterator<Item = B>,
    ) -> Result<Self> {
        let kinds = [ComparisonKind::Activations, ComparisonKind::Shadow];
        let [accumulated, own] = compare(prepared, converted, batches, kinds)?;
        let weight = compare_weights(prepared, converted)?;

        let network = converted.network();
        let error = |comparison: &Comparison, path| comparison.row(path).map(|row| row.error);
        let operations = network.nodes().iter().map(|node| OperationReport {
            path: node.path().to_owned(),
            operation: node.operation().to_owned(),
            precision: node.precision().name().to_owned(),
            inputs: node.inputs.iter().map(|&value| network.values[value].node).collect(),
            accumulated: error(&accumulated, node.path()),
            own: error(&own, node.path()),
            weight: error(&weight, node.path()),
        });
        let edges = &prepared.observations.edges;
        Ok(Self {
            model: network.model().to_owned(),
            backend: converted.summary().backend,
            batches: accumulated.batches,
            operations: operations.collect(),
            outputs: network.outputs.iter().map(|&value| network.values[value].node).collect(),
            calibration: prepared.calibration_report(),
            activations: edges.iter().map(|edge| edge.statistics.histogram()).collect(),
            weights: weight_channels::of(prepared, converted)?,
            latency: None,
            file_sizes: None,
            scores: Vec::new(),
        })
    }

    /// Adds the latency of one call with `input`, of both models and step by step: medians of calls that take turns,
    /// for a second or three rounds.
    ///
    /// # Errors
    /// When the input does not fit.
    pub fn with_latency<M: Module>(
        mut self,
        prepared: &Prepared<M>,
        converted: &Converted<M>,
        input: impl IntoInput<M::Input>,
    ) -> Result<Self> {
        self.latency = Some(latency::measure(prepared, converted, input)?);
        Ok(self)
    }

    /// Adds the sizes of the files of both models, in bytes.
    ///
    /// # Errors
    /// When one is not there.
    pub fn with_file_sizes(mut self, float: impl AsRef<Path>, converted: impl AsRef<Path>) -> Result<Self> {
        let size = |path: &Path| {
            let metadata = std::fs::metadata(path);
            metadata.map(|metadata| metadata.len()).map_err(|error| Error::file(path, error.to_string()))
        };
        self.file_sizes =
            Some(Compared { float: size(float.as_ref())?, converted: size(converted.as_ref())? });
        Ok(self)
    }

    /// Adds a score that you measured on both models, `report.with_score("top-1", 0.93, 0.92)`.
    ///
    /// # Errors
    /// When one is NaN or infinite.
    pub fn with_score(mut self, name: impl Into<String>, float: f64, converted: f64) -> Result<Self> {
        let name = name.into();
        for (index, score) in [float, converted].into_iter().enumerate() {
            if !score.is_finite() {
                let what = format!("the score `{name}`");
                return Err(Error::NotFinite { what, value: score as f32, index });
            }
        }
        self.scores.push(Score { name, value: Compared { float, converted } });
        Ok(self)
    }

    /// The operations that became integers, the largest error of their own first.
    pub fn worst(&self) -> impl Iterator<Item = &OperationReport> {
        let sqnr = |row: &&OperationReport| row.own.map_or(f64::INFINITY, |own| own.sqnr);
        let mut rows: Vec<_> = self.operations.iter().filter(|row| row.own.is_some()).collect();
        rows.sort_by(|a, b| sqnr(a).total_cmp(&sqnr(b)));
        rows.into_iter()
    }
}
