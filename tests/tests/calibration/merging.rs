//! Calibration in parts, and models that are or are not the same function.

use qcore::observer::{
    ExponentHistogramObserver, MinMaxObserver, Observer, default_per_channel_weight_observer,
};
use qcore::prelude::*;
use qcore::{CalibrationState, Error, Prepared, equivalence};
use tests::networks::Network;
use tests::tensors::noise;

use crate::calibrate;

fn mapping(activation: impl Observer + 'static) -> QConfigMapping {
    let qconfig = QConfig::new(activation, default_per_channel_weight_observer());
    QConfigMapping::for_backend(Backend::Native).global(qconfig)
}

fn batches() -> Vec<Tensor> {
    (0..6).map(|seed| noise(&[2, 3, 8, 8], seed)).collect()
}

fn states(prepared: &Prepared<Network>) -> Vec<String> {
    prepared.observed_paths().map(|path| prepared.observer(path).unwrap().state().unwrap()).collect()
}

#[test]
fn clones_calibrated_apart_and_merged_are_one_calibrated_on_all() {
    for mapping in [mapping(MinMaxObserver::new()), mapping(ExponentHistogramObserver::new())] {
        let fresh = Network::small().prepare(&mapping).unwrap();
        let mut all = fresh.clone();
        calibrate(&mut all, batches());
        for order in [[0, 1, 2], [2, 0, 1]] {
            let mut parts: Vec<Prepared<Network>> = order
                .iter()
                .map(|&part| {
                    let mut clone = fresh.clone();
                    calibrate(&mut clone, &batches()[2 * part..2 * part + 2]);
                    clone
                })
                .collect();
            let mut merged = parts.remove(0);
            for part in &parts {
                merged.merge(part).unwrap();
            }
            assert_eq!(states(&merged), states(&all));
            let (merged_report, report) = (merged.calibration_report(), all.calibration_report());
            assert_eq!(merged_report.batches, 6);
            for (merged, all) in merged_report.edges.iter().zip(&report.edges) {
                assert_eq!(
                    (merged.values, merged.range, merged.clipped),
                    (all.values, all.range, all.clipped)
                );
                assert_eq!(merged.qparams, all.qparams);
            }
            let x = noise(&[1, 3, 8, 8], 99);
            let int8 = [merged, all.clone()].map(|prepared| prepared.convert().unwrap().forward(&x).unwrap());
            assert_eq!(int8[0], int8[1]);
        }
        assert!(matches!(fresh.convert(), Err(Error::NotCalibrated { .. })), "clones observe for themselves");
    }
}

#[test]
fn a_calibration_is_kept_in_a_file_and_taken_up_again() {
    let mapping = QConfigMapping::for_backend(Backend::Fbgemm);
    let mut all = Network::small().prepare(&mapping).unwrap();
    calibrate(&mut all, batches());
    let mut first = Network::small().prepare(&mapping).unwrap();
    calibrate(&mut first, &batches()[..4]);
    let text = serde_json::to_string(&first.calibration_state().unwrap()).unwrap();
    let mut second = Network::small().prepare(&mapping).unwrap();
    second.load_calibration_state(&serde_json::from_str::<CalibrationState>(&text).unwrap()).unwrap();
    calibrate(&mut second, &batches()[4..]);
    assert_eq!(format!("{second:?}"), format!("{all:?}"));
}

#[test]
fn the_fused_model_is_the_same_function_until_a_weight_changes() {
    let mut model = Network::small();
    let statistics = (noise(&[8], 1), noise(&[8], 2).map(|value| value.abs() + 0.5));
    model.bn1 = BatchNorm2d::new(8).with_statistics(statistics.0, statistics.1).unwrap();
    let prepared = model.prepare(&mapping(MinMaxObserver::new())).unwrap();
    let same = equivalence(&model, &prepared, batches(), 1e-4).unwrap();
    assert!(same.holds(), "{same}");
    assert_eq!(same.inputs, 6);
    assert!(same.largest_output > 0.0 && same.to_string().starts_with("the same function"), "{same}");
    assert!(!equivalence(&model, &prepared, batches(), -1.0).unwrap().holds());

    model.fc = Linear::new(16, 5).with_weight(noise(&[5, 16], 3)).unwrap();
    let other = equivalence(&model, &prepared, batches(), 1e-4).unwrap();
    assert!(!other.holds(), "{other}");
    assert!(other.to_string().starts_with("not the same function"), "{other}");

    assert!(equivalence(&model, &prepared, Vec::<Tensor>::new(), 1e-4).is_err(), "without inputs");
    model.fc = Linear::new(16, 5).with_bias(noise(&[5], 3).map(|_| f32::NAN)).unwrap();
    let error = equivalence(&model, &prepared, batches(), 1e-4).unwrap_err();
    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
}

#[test]
fn preparing_leaves_the_float_model_as_it_was() {
    let model = Network::small();
    let x = noise(&[1, 3, 8, 8], 5);
    let (before, shown) = (model.forward(&x).unwrap(), format!("{model:?}"));
    for backend in Backend::ALL {
        let mut prepared = model.prepare(&QConfigMapping::for_backend(backend)).unwrap();
        calibrate(&mut prepared, batches());
        prepared.convert().unwrap();
    }
    assert_eq!(format!("{model:?}"), shown);
    assert_eq!(model.forward(&x).unwrap(), before);
}
