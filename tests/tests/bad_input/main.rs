//! Every mistake that a user can make is an error that says where it is, the expected and the found value.
//! Nothing panics, and the state before the error stays as it was.

mod configuration;
mod empty;
mod entries;
mod layers;
mod merging;
mod shapes;
mod values;

use qcore::prelude::*;
use qcore::{CalibrationOptions, CalibrationReport, Converted, Error, IntoInput, Prepared, Result};
use tests::networks::Network;
use tests::tensors::noise;

/// Calibration without the progress bar.
fn calibrate<M: Module, B: IntoInput<M::Input>>(
    prepared: &mut Prepared<M>,
    batches: impl IntoIterator<Item = B>,
) -> Result<CalibrationReport> {
    prepared.calibrate_with(batches, CalibrationOptions { progress: false })
}

/// A network, prepared and calibrated.
fn calibrated() -> (Network, Prepared<Network>) {
    let model = Network::small();
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    calibrate(&mut prepared, [noise(&[2, 3, 12, 12], 0), noise(&[2, 3, 12, 12], 1)]).unwrap();
    (model, prepared)
}

fn converted() -> Converted<Network> {
    calibrated().1.convert().unwrap()
}

/// The layer of an error, and its message.
#[track_caller]
fn location<T>(result: Result<T>) -> (String, Error) {
    match outside_of_batch(result.map(drop).expect_err("this is a mistake")) {
        Error::InLayer { layer, source } => (layer, *source),
        other => panic!("the error does not say where: {other}"),
    }
}

/// The error without the batch in which it came.
fn outside_of_batch(error: Error) -> Error {
    match error {
        Error::InBatch { source, .. } => *source,
        other => other,
    }
}

#[track_caller]
fn message<T>(result: Result<T>) -> String {
    result.map(drop).expect_err("this is a mistake").to_string()
}

#[track_caller]
fn assert_contains(message: &str, parts: &[&str]) {
    for part in parts {
        assert!(message.contains(part), "`{part}` is not in: {message}");
    }
}
