//! NaN, infinity, and no data at all.

use qcore::observer::FixedQParamsObserver;
use qcore::prelude::*;
use qcore::{Error, NonFinite, Prepared, Result};
use tests::networks::{Network, TwoWays};
use tests::tensors::{noise, noise_with};

use crate::{assert_contains, calibrate, calibrated, converted, location, message};

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

/// The message of the refusal of `model`, by `prepare` and when its parameters are loaded.
#[track_caller]
fn refused(model: &Network, parts: &[&str]) {
    assert_contains(&message(model.prepare(&QConfigMapping::for_backend(Backend::Native))), parts);
    assert_contains(&message(model.prepare(&QConfigMapping::new())), parts);
}

#[track_caller]
fn refused_when_loaded(model: &Network, parts: &[&str]) {
    let mut loaded = Network::small();
    let before = format!("{loaded:?}");
    assert_contains(&message(loaded.load_state_dict(&model.state_dict())), parts);
    assert_eq!(format!("{loaded:?}"), before);
}

#[test]
fn parameters_that_are_not_finite_are_refused_by_key_index_and_value() {
    assert!(with_fixed_scales(&Network::small()).convert().is_ok());
    for (bad, name) in [(f32::NAN, "NaN"), (f32::INFINITY, "inf"), (f32::NEG_INFINITY, "-inf")] {
        let mut model = Network::small();
        let conv = Conv2d::new(8, 8, 3).padding(1).bias(false);
        model.layers[0].conv2 = conv.with_weight(noise_with(&[8, 8, 3, 3], 5, bad)).unwrap();
        let parts = ["`layers.0.conv2.weight`", name, "index 5"];
        refused(&model, &parts);
        refused_when_loaded(&model, &parts);

        let mut model = Network::small();
        model.fc = Linear::new(16, 5).with_bias(noise_with(&[5], 3, bad)).unwrap();
        let parts = ["`fc.bias`", name, "index 3"];
        refused(&model, &parts);
        refused_when_loaded(&model, &parts);

        let mut model = Network::small();
        let variance = noise(&[8], 0).map(f32::abs);
        model.bn1 = BatchNorm2d::new(8).with_statistics(noise_with(&[8], 2, bad), variance).unwrap();
        let parts = ["`bn1.running_mean`", name, "index 2"];
        refused(&model, &parts);
        refused_when_loaded(&model, &parts);
    }
}

#[test]
fn a_variance_that_is_none_is_refused_by_key_index_and_value() {
    let with_variance = |index, value: f32, eps: f64| {
        let variance =
            noise_with(&[8], index, value).map(|value| if value == -1.0 { value } else { value.abs() });
        let mut model = Network::small();
        model.bn1 = BatchNorm2d::new(8).eps(eps).with_statistics(noise(&[8], 0), variance).unwrap();
        model
    };
    refused(&with_variance(3, -1.0, 1e-5), &["`bn1.running_var`", "-1", "index 3"]);
    refused_when_loaded(&with_variance(3, -1.0, 1e-5), &["`bn1.running_var`", "-1", "index 3"]);
    refused(&with_variance(4, 0.0, 0.0), &["`bn1.running_var` is 0", "index 4", "eps 0"]);
    assert!(with_variance(4, 0.0, 1e-5).prepare(&QConfigMapping::new()).is_ok());
    // Whether a variance of 0 is one is the layer's to say, not the file's.
    let mut loaded = with_variance(4, 1.0, 0.0);
    let before = format!("{loaded:?}");
    let zero = with_variance(4, 0.0, 1e-5).state_dict();
    let parts = ["`bn1.running_var` is 0", "index 4", "eps 0"];
    assert_contains(&message(loaded.load_state_dict(&zero)), &parts);
    assert_eq!(format!("{loaded:?}"), before);
    assert!(Network::small().load_state_dict(&zero).is_ok());
    // Alone, not behind a convolution, too.
    let mut alone = TwoWays::new(true);
    alone.norm = BatchNorm1d::new(4).eps(0.0);
    alone.norm = alone.norm.with_statistics(noise(&[4], 0), Tensor::zeros(&[4])).unwrap();
    assert_contains(&message(alone.prepare(&QConfigMapping::new())), &["`norm.running_var` is 0", "index 0"]);
}

#[test]
fn a_weight_that_folding_makes_infinite_is_refused() {
    let mut model = Network::small();
    let tiny = Tensor::zeros(&[8]).map(|_| 1e-30);
    let huge = Tensor::zeros(&[8]).map(|_| 1e30);
    let norm = BatchNorm2d::new(8).eps(0.0).with_affine(huge, noise(&[8], 0)).unwrap();
    model.bn1 = norm.with_statistics(noise(&[8], 0), tiny).unwrap();
    refused(&model, &["`conv1`", "with its batch norm folded in", "inf"]);
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
fn a_converted_model_refuses_values_that_are_not_finite_unless_told_otherwise() {
    let mut int8 = converted();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let x = noise_with(&SHAPE, 100, bad);
        let error = int8.forward(&x).unwrap_err();
        assert_contains(&error.to_string(), &["the input `x`", "index 100"]);
        assert!(
            matches!(error, Error::NotFinite { index: 100, value, .. } if value.to_bits() == bad.to_bits())
        );
        let mut y = int8.forward(noise(&SHAPE, 0)).unwrap();
        assert!(int8.forward_into(&x, &mut y).is_err());
    }
    assert!(int8.forward(noise_with(&SHAPE, 3, f32::MAX)).is_ok());
    let finite = int8.forward(noise(&SHAPE, 0)).unwrap();

    int8.set_non_finite(NonFinite::Saturate);
    // PyTorch: an infinity is the largest integer.
    let saturated = int8.forward(noise_with(&SHAPE, 3, f32::INFINITY)).unwrap();
    assert_eq!(saturated, int8.forward(noise_with(&SHAPE, 3, f32::MAX)).unwrap());
    assert!(int8.forward(noise_with(&SHAPE, 3, f32::NAN)).unwrap().view().iter().all(|y| y.is_finite()));
    assert_eq!(int8.forward(noise(&SHAPE, 0)).unwrap(), finite);
    int8.set_non_finite(NonFinite::Refuse);
    assert!(int8.forward(noise_with(&SHAPE, 3, f32::NAN)).is_err());
}

#[test]
fn a_value_that_a_float_layer_makes_infinite_names_the_layer() {
    let mut model = Network::small();
    model.fc = Linear::new(16, 5).with_weight(noise(&[5, 16], 0)).unwrap();
    let mapping = QConfigMapping::for_backend(Backend::Native).module("conv1", None);
    let mut prepared = model.prepare(&mapping).unwrap();
    calibrate(&mut prepared, [noise(&SHAPE, 0)]).unwrap();
    let int8 = prepared.convert().unwrap();
    // The products overflow f32 in the convolution that is left in float.
    let (layer, error) = location(int8.forward(noise(&SHAPE, 0).map(|value| value.signum() * f32::MAX)));
    assert_eq!(layer, "conv1");
    assert!(matches!(error, Error::NotFinite { .. }), "{error}");
    assert_contains(&message(int8.forward(noise_with(&SHAPE, 7, f32::NAN))), &["the input `x`", "index 7"]);
}

#[test]
fn a_dynamic_layer_refuses_values_that_are_not_finite() {
    let mapping = QConfigMapping::new().module("fc", QConfig::dynamic());
    let int8 = Network::small().prepare(&mapping).unwrap().convert().unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        assert_contains(&message(int8.forward(noise_with(&SHAPE, 7, bad))), &["the input `x`", "index 7"]);
    }
    assert!(int8.forward(noise(&SHAPE, 0)).is_ok());
}
