//! Merging what cannot be merged changes nothing.

use qcore::observer::{MinMaxObserver, default_per_channel_weight_observer};
use qcore::prelude::*;
use qcore::{CalibrationState, Error, Prepared};
use tests::networks::Network;
use tests::tensors::noise;

use crate::{assert_contains, calibrate, calibrated, location, message};

fn prepared(mapping: &QConfigMapping) -> Prepared<Network> {
    let mut prepared = Network::small().prepare(mapping).unwrap();
    calibrate(&mut prepared, [noise(&[1, 3, 12, 12], 4)]).unwrap();
    prepared
}

fn min_max() -> QConfigMapping {
    let qconfig = QConfig::new(MinMaxObserver::new(), default_per_channel_weight_observer());
    QConfigMapping::for_backend(Backend::Native).global(qconfig)
}

#[test]
fn models_that_observe_other_edges_are_not_merged() {
    let mut all = prepared(&min_max());
    let before = format!("{all:?}");
    for mapping in [min_max().module("fc", None), min_max().module("layers", None)] {
        let error = all.merge(&prepared(&mapping)).unwrap_err();
        assert_contains(&error.to_string(), &["different edges"]);
        assert_eq!(format!("{all:?}"), before);
    }
}

#[test]
fn observers_that_depend_on_the_order_of_batches_are_not_merged() {
    let (_, mut first) = calibrated();
    let before = format!("{first:?}");
    let (layer, error) = location(first.merge(&calibrated().1));
    assert_eq!(layer, "x");
    assert_contains(
        &error.to_string(),
        &["HistogramObserver", "order of batches", "ExponentHistogramObserver"],
    );
    assert_eq!(format!("{first:?}"), before);
}

#[test]
fn observers_of_other_settings_are_not_merged_and_the_first_edges_stay() {
    let other = QConfig::new(MinMaxObserver::new().reduce_range(true), default_per_channel_weight_observer());
    let mut all = prepared(&min_max());
    let before = format!("{all:?}");
    let (layer, error) = location(all.merge(&prepared(&min_max().module("fc", other))));
    assert!(layer.contains("flatten") || layer.starts_with("fc"), "{layer}");
    assert_contains(&error.to_string(), &["MinMaxObserver", "settings"]);
    assert_eq!(format!("{all:?}"), before);
    let (_, error) = location(all.merge(&calibrated().1));
    assert_contains(&error.to_string(), &["HistogramObserver"]);
    assert_eq!(format!("{all:?}"), before);
}

#[test]
fn a_calibration_state_of_another_model_is_refused() {
    let mut all = prepared(&min_max());
    let before = format!("{all:?}");
    let fewer = prepared(&min_max().module("fc", None)).calibration_state().unwrap();
    assert_contains(&message(all.load_calibration_state(&fewer)), &["edges"]);
    let other = calibrated().1.calibration_state().unwrap();
    let (_, error) = location(all.load_calibration_state(&other));
    assert_contains(&error.to_string(), &["HistogramObserver", "MinMaxObserver"]);
    assert_eq!(format!("{all:?}"), before);
}

#[test]
fn a_damaged_calibration_state_is_refused() {
    let all = prepared(&min_max());
    let text = serde_json::to_string(&all.calibration_state().unwrap()).unwrap();
    let mut damaged = 0;
    // Ranges upside down, of another form, or gone.
    for (from, to) in
        [("\"range\":[", "\"range\":[9e9,"), ("\"range\":", "\"rang\":"), ("MinMaxO", "MaxMinO")]
    {
        assert!(text.contains(from));
        let state = serde_json::from_str::<CalibrationState>(&text.replace(from, to));
        let result = state.map_err(|error| error.to_string()).and_then(|state| {
            let mut copy = all.clone();
            let before = format!("{copy:?}");
            let result = copy.load_calibration_state(&state).map_err(|error| error.to_string());
            assert_eq!(format!("{copy:?}"), before);
            result
        });
        damaged += usize::from(result.is_err());
    }
    assert_eq!(damaged, 3);
    assert!(matches!(
        Network::small().prepare(&min_max()).unwrap().convert(),
        Err(Error::NotCalibrated { .. })
    ));
}
