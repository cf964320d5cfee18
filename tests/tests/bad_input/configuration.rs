//! Mappings, qconfigs and observers that ask for the impossible.

use qcore::observer::{
    HistogramObserver, MinMaxObserver, MovingAverageMinMaxObserver, default_per_channel_weight_observer,
    default_weight_observer,
};
use qcore::prelude::*;
use qcore::{DType, Error, ObjectType, QScheme};
use tests::networks::{Network, Upsampling};
use tests::tensors::noise;

use crate::{assert_contains, calibrate, calibrated, location, message};

fn mapping() -> QConfigMapping {
    QConfigMapping::for_backend(Backend::Native)
}

#[test]
fn names_that_the_model_does_not_have_come_back_with_the_nearest_ones() {
    let wrong = mapping()
        .module("layers.0.conv9", None)
        .module("layers.1", None)
        .module("zebra.crossing", None)
        .module_name_object_type_order("layer.0", "add", 0, None);
    let error = Network::small().prepare(&wrong).unwrap_err();
    let text = error.to_string();
    let Error::UnknownNames { names } = error else { panic!("{error}") };
    let near = |name: Option<&str>| name.map(str::to_owned);
    assert_eq!(
        names,
        [
            ("layers.0.conv9".to_owned(), near(Some("layers.0.conv1"))),
            ("zebra.crossing".to_owned(), None),
            ("layer.0".to_owned(), near(Some("layers.0"))),
        ]
    );
    assert_contains(&text, &["no `layers.0.conv9` (did you mean `layers.0.conv1`?)", "no `zebra.crossing`"]);
}

#[test]
fn a_position_that_no_call_has_is_an_unknown_name() {
    let wrong = mapping()
        .module_name_object_type_order("layers.0", "add", 1, None)
        .module_name_object_type_order("layers.1.downsample", "Conv2D", 0, None)
        .module_name_object_type_order("", "Linear", 1, None);
    let error = Network::small().prepare(&wrong).unwrap_err();
    let text = error.to_string();
    assert_contains(&text, &["no `add 1 in layers.0` (did you mean `add 0 in layers.0`?)"]);
    assert_contains(&text, &["no `Conv2D 0 in layers.1.downsample` (did you mean `Conv2d 0 in"]);
    assert_contains(&text, &["no `Linear 1` (did you mean `Linear 0`?)"]);
    assert!(matches!(error, Error::UnknownNames { names } if names.len() == 3));
    let right = mapping().module_name_object_type_order("layers.0", "add", 0, None);
    assert!(Network::small().prepare(&right).is_ok());
}

#[test]
fn transposed_convolutions_have_one_weight_scale() {
    let wrong = QConfigMapping::new().global(QConfig::get_default_qconfig(Backend::X86));
    let error = Upsampling::small().prepare(&wrong).unwrap_err();
    assert_contains(&error.to_string(), &["`up`", "scale for each channel", "default_weight_observer()"]);
    assert!(Upsampling::small().prepare(&QConfigMapping::for_backend(Backend::X86)).is_ok());
    assert!(Upsampling::small().prepare_qat(&QConfigMapping::for_qat(Backend::X86)).is_ok());
}

#[test]
fn a_broken_pattern_is_shown() {
    let error = mapping().module_name_regex("layers.(", None).unwrap_err();
    assert_contains(&error.to_string(), &["QConfigMapping", "`layers.(`", "not a regular expression"]);
}

#[test]
fn a_qconfig_that_no_kernel_runs_is_refused_on_a_weighted_layer() {
    let refused_by_all = [
        QConfig::float16_static_qconfig(),
        QConfig::default_debug_qconfig(),
        QConfig::default_symmetric_qnnpack_qconfig(),
    ];
    let of_tables = QConfig::float_qparams_weight_only_qconfig();
    assert_refused::<Conv2d>("conv1", "^conv.", &of_tables);
    let error = Network::small().prepare(&mapping().module("fc", of_tables)).unwrap_err();
    assert_contains(&error.to_string(), &["`fc`", "float zero points"]);
    let dynamic =
        [QConfig::dynamic(), QConfig::per_channel_dynamic_qconfig(), QConfig::float16_dynamic_qconfig()];
    for qconfig in refused_by_all.iter().chain(&dynamic) {
        assert_refused::<Conv2d>("conv1", "^conv.", qconfig);
    }
    for qconfig in &refused_by_all {
        assert_refused::<Linear>("fc", "^f.", qconfig);
    }
    for qconfig in dynamic {
        assert!(Network::small().prepare(&mapping().module("fc", qconfig)).is_ok());
    }
}

/// Asserts that the layer `name`, the first of its type, is refused with `qconfig`, by whatever entry it gets it.
#[track_caller]
fn assert_refused<L: ObjectType>(name: &str, pattern: &str, qconfig: &QConfig) {
    let observer = qconfig.activation_observer();
    for mapping in [
        mapping().module(name, qconfig.clone()),
        mapping().module_type::<L>(qconfig.clone()),
        mapping().module_name_regex(pattern, qconfig.clone()).unwrap(),
    ] {
        let error = Network::small().prepare(&mapping).unwrap_err();
        assert!(matches!(error, Error::Unsupported(_)), "{error}");
        let path = format!("`{name}`");
        assert_contains(
            &error.to_string(),
            &[&path, observer.name(), observer.dtype().name(), "static", "None"],
        );
    }
}

#[test]
fn a_weight_that_no_kernel_takes_is_refused_when_converted() {
    let weights = [
        (MinMaxObserver::new(), "quint8"),
        (default_weight_observer().quant_min(5).quant_max(-5), "5..=-5"),
        (default_weight_observer().dtype(DType::Float16), "float16"),
    ];
    for (weight, part) in weights {
        let qconfig = QConfig::get_default_qconfig(Backend::Native).with_weight(weight);
        let mut prepared = Network::small().prepare(&mapping().module("layers.1.conv1", qconfig)).unwrap();
        calibrate(&mut prepared, [noise(&[1, 3, 12, 12], 0)]).unwrap();
        let (layer, error) = location(prepared.convert());
        assert_eq!(layer, "layers.1.conv1");
        assert_contains(&error.to_string(), &[part]);
    }
}

#[test]
fn observers_whose_settings_contradict_each_other_are_refused_at_their_edge() {
    let contradictions = [
        (MinMaxObserver::new().quant_min(10).quant_max(-10), "10..=-10"),
        (MinMaxObserver::new().quant_min(0), "quant_min and quant_max"),
        (MinMaxObserver::new().quant_min(0).quant_max(256), "0..=256"),
        (MinMaxObserver::new().qscheme(QScheme::PerTensorSymmetric).reduce_range(true), "reduce_range"),
        (MinMaxObserver::new().qscheme(QScheme::PerChannelAffine), "per_channel"),
        (MinMaxObserver::new().eps(0.0), "eps"),
        (MinMaxObserver::new().eps(f32::NAN), "eps"),
    ];
    for (observer, part) in contradictions {
        let qconfig = QConfig::new(observer, default_per_channel_weight_observer());
        let mapping = QConfigMapping::new().module("fc", qconfig);
        let mut prepared = Network::small().prepare(&mapping).unwrap();
        let x = [noise(&[1, 3, 12, 12], 0)];
        let before = format!("{prepared:?}");
        let (layer, error) = match calibrate(&mut prepared, x) {
            Ok(_) => location(prepared.convert()),
            failed => {
                assert_eq!(format!("{prepared:?}"), before);
                location(failed)
            }
        };
        assert!(
            ["flatten", "adaptive_avg_pool2d", "layers.1"].iter().any(|edge| layer.starts_with(edge)),
            "{layer}"
        );
        assert_contains(&error.to_string(), &["MinMaxObserver", part]);
    }
}

#[test]
fn an_observer_for_an_unknown_edge_is_refused_with_a_suggestion() {
    let (_, mut prepared) = calibrated();
    let before = format!("{prepared:?}");
    let text = message(prepared.set_observer("layers.0.conv3", HistogramObserver::new()));
    assert_contains(&text, &["`layers.0.conv3`", "did you mean `layers.0.conv"]);
    assert_eq!(format!("{prepared:?}"), before);
    assert!(prepared.observer("layers.0.conv3").is_none());
    // A new observer has seen nothing: the edge must be calibrated again.
    prepared.set_observer("fc", MovingAverageMinMaxObserver::new()).unwrap();
    assert!(matches!(prepared.convert(), Err(Error::NotCalibrated { edges }) if edges == ["fc"]));
}

#[test]
fn an_observer_of_another_type_than_quint8_is_refused_when_converted() {
    let (_, mut prepared) = calibrated();
    prepared.set_observer("layers.0.conv1", MinMaxObserver::new().dtype(DType::QInt8)).unwrap();
    calibrate(&mut prepared, [noise(&[1, 3, 12, 12], 0)]).unwrap();
    let text = message(prepared.convert());
    assert_contains(&text, &["layers.0.conv1", "qint8"]);
}

#[test]
fn an_unknown_backend_lists_the_known_ones() {
    let text = message("cuda".parse::<Backend>());
    assert_contains(&text, &["`cuda`", "native", "fbgemm", "x86", "qnnpack", "onednn"]);
}
