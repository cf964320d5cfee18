//! The report of a calibration, and which operation gets which qconfig.

mod deep;
mod degenerate;
mod derived;
mod linear_batch_norm;
mod mapping;
mod merging;
mod numeric_suite;
mod observers;
mod panics;
mod portable;
mod report;

use qcore::prelude::*;
use qcore::{CalibrationOptions, CalibrationReport, EdgeReport, IntoInput, Prepared};

/// One layer, whose values are those of its input: the weight is the unit matrix.
#[quantizable]
pub struct One {
    pub fc: Linear,
}

#[quantizable]
impl One {
    pub fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

fn one() -> One {
    let unit = Tensor::from(ndarray::arr2(&[[1.0, 0.0], [0.0, 1.0]]));
    One { fc: Linear::new(2, 2).bias(false).with_weight(unit).unwrap() }
}

/// Values as a batch of rows for [`One`].
fn rows(values: &[f32]) -> Tensor {
    Tensor::from_vec(&[values.len() / 2, 2], values.to_vec()).unwrap()
}

fn calibrate<M: Module, B: IntoInput<M::Input>>(
    prepared: &mut Prepared<M>,
    batches: impl IntoIterator<Item = B>,
) -> CalibrationReport {
    prepared.calibrate_with(batches, CalibrationOptions { progress: false }).unwrap()
}

fn edge<'a>(report: &'a CalibrationReport, path: &str) -> &'a EdgeReport {
    report.edges.iter().find(|edge| edge.paths.iter().any(|known| known == path)).unwrap()
}

fn json(report: &CalibrationReport) -> serde_json::Value {
    serde_json::to_value(report).unwrap()
}
