//! NaN, infinity, and no data at all.

use qcore::observer::FixedQParamsObserver;
use qcore::prelude::*;
use qcore::{Error, Prepared, Result};
use tests::networks::Network;
use tests::tensors::{noise, noise_with};

use crate::{assert_contains, calibrate, calibrated, converted, location};

const SHAPE: [usize; 4] = [2, 3, 12, 12];

#[test]
fn a_batch_that_is_not_finite_names_the_edge_and_leaves_no_trace() {
    let (_, mut prepared) = calibrated();
    let before = format!("{prepared:?}");
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let batches = [noise(&SHAPE, 7), noise_with(&SHAPE, 100, bad)];
        let (layer, error) = location(calibrate(&mut prepared, batches));
        assert_eq!(layer, "x");
        assert!(
            matches!(error, Error::NotFinite { index: 100, value, .. } if value.to_bits() == bad.to_bits())
        );
        assert_eq!(format!("{prepared:?}"), before);
    }
}

#[test]
fn a_value_that_becomes_infinite_inside_names_the_edge_where_it_does() {
    let mut model = Network::small();
    model.fc = Linear::new(16, 5).with_weight(noise(&[5, 16], 0).map(|_| f32::MAX)).unwrap();
    model.layers.truncate(2);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    let before = format!("{prepared:?}");
    let loud = noise(&SHAPE, 0).map(|value| value * 1e3);
    let (layer, error) = location(calibrate(&mut prepared, [&loud]));
    assert_eq!(layer, "fc");
    assert_contains(&error.to_string(), &["inf"]);
    assert_eq!(format!("{prepared:?}"), before);
}

/// Fixed scales on all edges: convertible without data.
fn with_fixed_scales(model: &Network) -> Prepared<Network> {
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    let paths: Vec<String> = prepared.observed_paths().map(str::to_owned).collect();
    for path in paths {
        prepared.set_observer(&path, FixedQParamsObserver::new(0.1, 128)).unwrap();
    }
    prepared
}

#[test]
fn weights_and_biases_that_are_not_finite_are_refused_by_name() {
    assert!(with_fixed_scales(&Network::small()).convert().is_ok());
    for bad in [f32::NAN, f32::INFINITY] {
        let mut model = Network::small();
        let conv = Conv2d::new(8, 8, 3).padding(1).bias(false);
        model.layers[0].conv2 = conv.with_weight(noise_with(&[8, 8, 3, 3], 5, bad)).unwrap();
        let (layer, error) = location(with_fixed_scales(&model).convert());
        assert_eq!(layer, "layers.0.conv2");
        assert_contains(&error.to_string(), &["weight"]);
        assert!(matches!(error, Error::NotFinite { .. }), "{error}");

        let mut model = Network::small();
        model.fc = Linear::new(16, 5).with_bias(noise_with(&[5], 3, bad)).unwrap();
        let (layer, error) = location(with_fixed_scales(&model).convert());
        assert_eq!(layer, "fc");
        assert!(matches!(&error, Error::NotFinite { index: 3, what, .. } if what == "the bias"), "{error}");
    }
}

#[test]
fn statistics_that_are_not_finite_are_refused_by_name() {
    let mut model = Network::small();
    let norm = BatchNorm2d::new(8);
    model.bn1 = norm.with_statistics(noise(&[8], 0), noise_with(&[8], 2, f32::NAN)).unwrap();
    let (layer, error) = location(with_fixed_scales(&model).convert());
    assert_eq!(layer, "conv1");
    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
}

#[test]
fn calibration_without_batches_is_an_error() {
    let (_, mut prepared) = calibrated();
    let before = format!("{prepared:?}");
    let error = calibrate(&mut prepared, Vec::<Tensor>::new()).unwrap_err();
    assert!(matches!(error, Error::EmptyCalibration), "{error}");
    assert_contains(&error.to_string(), &["no batches", "at least one"]);
    assert_eq!(format!("{prepared:?}"), before);
}

#[test]
fn an_error_of_the_data_loader_comes_through_and_leaves_no_trace() {
    let (_, mut prepared) = calibrated();
    let before = format!("{prepared:?}");
    let batches: [Result<Tensor>; 2] =
        [Ok(noise(&SHAPE, 9)), Err(Error::Unsupported("a torn picture".into()))];
    let error = calibrate(&mut prepared, batches).unwrap_err();
    assert_contains(&error.to_string(), &["a torn picture"]);
    assert_eq!(format!("{prepared:?}"), before);
}

#[test]
fn convert_names_every_edge_that_never_saw_data() {
    let model = Network::small();
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    let all: Vec<String> =
        prepared.calibration_report().edges.into_iter().flat_map(|edge| edge.paths).collect();
    let error = prepared.convert().unwrap_err();
    assert_contains(&error.to_string(), &["never saw data", "`calibrate`", "conv1", "layers.1.conv2", "fc"]);
    let Error::NotCalibrated { edges } = error else { panic!("{error}") };
    assert_eq!(edges, all);

    let report = prepared.calibration_report().to_string();
    assert_contains(&report, &["never saw data"]);

    // An empty batch shows nothing.
    calibrate(&mut prepared, [Tensor::zeros(&[0, 3, 12, 12])]).unwrap();
    assert!(matches!(prepared.convert(), Err(Error::NotCalibrated { edges }) if edges == all));
}

#[test]
fn a_converted_model_takes_values_that_are_not_finite_without_a_panic() {
    let int8 = converted();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX] {
        let y = int8.forward(noise_with(&SHAPE, 3, bad)).unwrap();
        assert!(y.view().iter().all(|value| value.is_finite()), "{bad}");
    }
}
