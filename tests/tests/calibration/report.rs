//! The report's numbers are those of the data.

use qcore::observer::{FixedQParamsObserver, HistogramObserver};
use qcore::prelude::*;
use qcore::{Error, IntoInput, Result};
use tests::networks::{Network, TwoWays};
use tests::tensors::noise;

use crate::{One, calibrate, edge, json, one, rows};

fn mapping() -> QConfigMapping {
    QConfigMapping::for_backend(Backend::Native)
}

#[test]
fn the_report_counts_values_and_has_the_observers_numbers() {
    for backend in Backend::ALL {
        let mut prepared = Network::small().prepare(&QConfigMapping::for_backend(backend)).unwrap();
        let report = calibrate(&mut prepared, [noise(&[2, 3, 8, 8], 0), noise(&[1, 3, 8, 8], 1)]);
        assert_eq!(report.batches, 2);
        assert_eq!(report.edges.len(), prepared.observed_paths().count());
        for (edge, path) in report.edges.iter().zip(prepared.observed_paths()) {
            assert_eq!(edge.paths[0], path);
            let observer = prepared.observer(path).unwrap();
            assert_eq!(edge.observer, observer.name());
            assert_eq!(edge.range, observer.range());
            assert_eq!(edge.qparams, Some(observer.calculate_qparams().unwrap().over_full_range()));
        }
        let x = edge(&report, "x");
        assert_eq!((x.values, x.paths.as_slice()), (3 * 3 * 64, &["x".to_owned()][..]));
        assert!(x.range.unwrap().0 >= -1.0 && x.range.unwrap().1 <= 1.0);
        assert_eq!(edge(&report, "conv1").values, 3 * 8 * 36);
        assert_eq!(edge(&report, "fc").values, 3 * 5);
        let int8 = prepared.convert().unwrap();
        for summary in &int8.summary().edges {
            assert_eq!(summary.qparams, edge(&report, &summary.path).qparams, "{}", summary.path);
        }
    }
}

#[test]
fn the_clipped_share_is_that_of_the_values_outside() {
    let mut prepared = one().prepare(&mapping()).unwrap();
    // 0 ..= 25.5 can be represented.
    prepared.set_observer("x", FixedQParamsObserver::new(0.1, 0)).unwrap();
    let mut values = vec![1.0; 900];
    values.extend([-5.0; 60]);
    values.extend([50.0; 40]);
    let report = calibrate(&mut prepared, [rows(&values)]);
    assert_eq!(edge(&report, "x").clipped, 0.1);
    assert_eq!(edge(&report, "x").range, Some((-5.0, 50.0)));

    // Half a step beyond either end still rounds to it.
    let mut prepared = one().prepare(&mapping()).unwrap();
    prepared.set_observer("x", FixedQParamsObserver::new(1.0, 100)).unwrap();
    let report = calibrate(&mut prepared, [rows(&[-99.75, 154.75, 0.0, 1.0])]);
    assert_eq!(edge(&report, "x").clipped, 0.0);
    let report = calibrate(&mut prepared, [rows(&[-110.0, 170.0, 0.0, 1.0])]);
    assert_eq!(edge(&report, "x").clipped, 0.25);
}

#[test]
fn a_histogram_gives_up_outliers_and_the_report_says_how_many() {
    let mut prepared = one().prepare(&mapping()).unwrap();
    prepared.set_observer("x", HistogramObserver::new()).unwrap();
    let mut values: Vec<f32> = noise(&[20_000], 0).view().iter().copied().collect();
    values[77] = 60.0;
    values[78] = -60.0;
    let report = calibrate(&mut prepared, [rows(&values)]);
    let x = edge(&report, "x");
    assert_eq!(x.range, Some((-60.0, 60.0)));
    let qparams = x.qparams.as_ref().unwrap();
    let (scale, zero) = (qparams.tensor_scale(), qparams.tensor_zero_point());
    let steps = |value: &&f32| (**value / scale).round() as i32 + zero;
    let outside = values.iter().filter(|value| !(0..=255).contains(&steps(value))).count();
    assert!((1..=2).contains(&outside), "{x:?}");
    assert_eq!(x.clipped, outside as f64 / 20_000.0);
    assert!(report.to_string().contains(&format!("{:.3}%", 100.0 * x.clipped)), "{report}");
}

#[test]
fn a_range_that_grows_at_the_end_is_said_to_grow() {
    let growing = |amplitudes: &[f32]| {
        let mut prepared = one().prepare(&mapping()).unwrap();
        let batches: Vec<Tensor> =
            amplitudes.iter().map(|&amplitude| rows(&[-amplitude, amplitude])).collect();
        let report = calibrate(&mut prepared, &batches);
        assert_eq!(report.to_string().contains("range still growing"), edge(&report, "x").still_growing);
        edge(&report, "x").still_growing
    };
    assert!(!growing(&[1.0; 20]));
    assert!(!growing(&[1.0]), "one batch says nothing");
    let mut last_grows = [1.0; 20];
    last_grows[19] = 1.5;
    assert!(growing(&last_grows));
    let mut grew_earlier = [1.5; 20];
    grew_earlier[0] = 1.0;
    assert!(!growing(&grew_earlier));
    assert!(growing(&[1.0, 2.0]));
}

#[test]
fn batches_come_as_tensors_references_or_results() {
    let batches = [noise(&[4, 2], 0), noise(&[4, 2], 1)];
    let calibrated = |run: &dyn Fn(&mut qcore::Prepared<One>) -> qcore::CalibrationReport| {
        let mut prepared = one().prepare(&mapping()).unwrap();
        json(&run(&mut prepared))
    };
    let expected = calibrated(&|prepared| calibrate(prepared, batches.clone()));
    assert_eq!(calibrated(&|prepared| calibrate(prepared, &batches)), expected);
    assert_eq!(calibrated(&|prepared| calibrate(prepared, batches.iter())), expected);
    assert_eq!(
        calibrated(&|prepared| calibrate(prepared, batches.iter().cloned().map(Ok::<_, Error>))),
        expected
    );
    assert_eq!(calibrated(&|prepared| calibrate(prepared, batches.iter().map(Ok::<_, Error>))), expected);
    assert_eq!(calibrated(&|prepared| prepared.calibrate(&batches).unwrap()), expected);
    // One by one, and in two calls.
    let in_steps = calibrated(&|prepared| {
        calibrate(prepared, &batches[..1]);
        calibrate(prepared, &batches[1..])
    });
    assert_eq!(in_steps, expected);
    let observed = calibrated(&|prepared| {
        for batch in &batches {
            prepared.observe(batch).unwrap();
        }
        prepared.calibration_report()
    });
    assert_eq!(observed, expected);
}

#[test]
fn batches_of_several_inputs_come_as_tuples() {
    fn seen<B: IntoInput<(Tensor, Tensor)>>(batch: B) -> serde_json::Value {
        let mut prepared = TwoWays::new(true).prepare(&mapping()).unwrap();
        json(&calibrate(&mut prepared, [batch]))
    }
    let (a, b) = (noise(&[4, 8], 0), noise(&[4, 8], 1));
    let expected = seen((a.clone(), b.clone()));
    assert_eq!(seen((&a, &b)), expected);
    assert_eq!(seen((&a, b.clone())), expected);
    let loaded: Result<_> = Ok((a.clone(), b.clone()));
    assert_eq!(seen(loaded), expected);
    assert_ne!(seen((b, a)), expected);
}

#[test]
fn running_without_observing_changes_nothing() {
    let mut prepared = Network::small().prepare(&mapping()).unwrap();
    let x = noise(&[1, 3, 8, 8], 0);
    let seen = json(&prepared.calibration_report());
    let float = prepared.forward(&x).unwrap();
    assert_eq!(json(&prepared.calibration_report()), seen);
    assert_eq!(prepared.observe(&x).unwrap(), float);
    assert_ne!(json(&prepared.calibration_report()), seen);
}
