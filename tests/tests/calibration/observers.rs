//! How many observers there are, and observers of the user's own.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use qcore::observer::{MinMaxObserver, Observer, ObserverSettings, default_per_channel_weight_observer};
use qcore::prelude::*;
use qcore::{DType, Mode, QParams, Result};
use tests::tensors::{largest_difference, noise};

use crate::{calibrate, edge, one, rows};

/// A pool, which keeps its input's scale, and a `cat`, whose inputs share one.
#[quantizable]
struct Pooled {
    conv: Conv2d,
    pool: MaxPool2d,
    other: Conv2d,
}

#[quantizable]
impl Pooled {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.pool(self.conv(x));
        let z = self.pool(self.other(x));
        cat([y, z], 1)
    }
}

#[test]
fn eager_mode_places_fewer_observers_on_values_that_keep_a_scale() {
    let model = Pooled {
        conv: Conv2d::new(2, 4, 3),
        pool: MaxPool2d::new(2),
        other: Conv2d::new(2, 4, 3).padding(0),
    };
    let x = noise(&[1, 2, 6, 6], 0);
    let reports = [Mode::Graph, Mode::Eager].map(|mode| {
        let mapping = QConfigMapping::for_backend(Backend::Native).with_mode(mode);
        let mut prepared = model.prepare(&mapping).unwrap();
        let report = calibrate(&mut prepared, [&x]);
        let int8 = prepared.convert().unwrap();
        let difference = largest_difference(&int8.forward(&x).unwrap(), &model.forward(&x).unwrap());
        assert!(difference < 0.05, "{difference}");
        report
    });
    let (conv, pool) = (4 * 16, 4 * 4);
    // Graph mode: one observer for both convolutions, their pools and the result.
    assert_eq!(reports[0].edges.len(), 2);
    assert_eq!(edge(&reports[0], "conv").paths.len(), 5);
    assert_eq!(edge(&reports[0], "conv").values, 2 * (conv + pool) + 2 * pool);
    // Eager mode: the convolutions and `cat`, and the pools are not shown.
    assert_eq!(reports[1].edges.len(), 4);
    for path in ["conv", "other"] {
        assert_eq!(edge(&reports[1], path).values, conv);
        assert_eq!(edge(&reports[1], path).paths.len(), 2, "the pool has the same scale");
    }
    assert_eq!(edge(&reports[1], "x").values, 72);
}

/// Takes the range of the last batch only, and counts how many it saw in all its copies.
#[derive(Clone, Debug, Default)]
struct LastBatch {
    seen: Arc<AtomicUsize>,
    range: Option<(f32, f32)>,
}

impl Observer for LastBatch {
    fn name(&self) -> &'static str {
        "LastBatch"
    }
    fn observe(&mut self, x: &Tensor) -> Result<()> {
        self.seen.fetch_add(1, Ordering::Relaxed);
        let extremes = x.view().iter().fold((0.0_f32, 0.0_f32), |(low, high), &v| (low.min(v), high.max(v)));
        self.range = Some(extremes);
        Ok(())
    }
    fn calculate_qparams(&self) -> Result<QParams> {
        let (low, high) = self.range.ok_or_else(|| self.refusal("never saw data"))?;
        ObserverSettings::default().per_tensor_qparams(self.name(), low, high)
    }
    fn has_observed(&self) -> bool {
        self.range.is_some()
    }
    fn reset(&mut self) {
        self.range = None;
    }
    fn dtype(&self) -> DType {
        DType::QUInt8
    }
    fn boxed_clone(&self) -> Box<dyn Observer> {
        Box::new(self.clone())
    }
    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[test]
fn an_observer_of_ones_own_watches_every_edge() {
    let observer = LastBatch::default();
    let seen = Arc::clone(&observer.seen);
    let qconfig = QConfig::new(observer, default_per_channel_weight_observer());
    let mut prepared = one().prepare(&QConfigMapping::new().global(qconfig)).unwrap();
    let report = calibrate(&mut prepared, [rows(&[-9.0, 9.0]), rows(&[0.0, 2.55])]);
    assert_eq!(seen.load(Ordering::Relaxed), 4);
    for path in ["x", "fc"] {
        let edge = edge(&report, path);
        assert_eq!(edge.observer, "LastBatch");
        // The report counts for itself.
        assert_eq!((edge.values, edge.range), (4, Some((-9.0, 9.0))));
        // 2.55 shares its bucket of the grid with values beyond the range.
        assert!((0.5..0.63).contains(&edge.clipped), "{edge:?}");
        let scale = edge.qparams.as_ref().unwrap().tensor_scale();
        assert!((scale - 0.01).abs() < 1e-6, "{scale}");
    }
    let y = prepared.convert().unwrap().forward(rows(&[1.0, 2.0])).unwrap();
    assert!(largest_difference(&y, &rows(&[1.0, 2.0])) < 0.011);
    // A method that it does not implement is an error, and changes nothing.
    let error = prepared.calibration_state().unwrap_err().to_string();
    assert!(error.contains("LastBatch") && error.contains("`x`"), "{error}");
    let error = prepared.clone().merge(&prepared).unwrap_err().to_string();
    assert!(error.contains("LastBatch") && error.contains("cannot be merged"), "{error}");
}

#[test]
fn an_edge_may_get_another_observer() {
    let mut prepared = one().prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    prepared.set_observer("fc", MinMaxObserver::new().quant_min(0).quant_max(127)).unwrap();
    let report = calibrate(&mut prepared, [rows(&[0.0, 127.0])]);
    let fc = edge(&report, "fc").qparams.clone().unwrap();
    assert_eq!((fc.tensor_scale(), fc.quant_max), (1.0, 255));
    assert_eq!(edge(&report, "fc").observer, "MinMaxObserver");
    assert_eq!(edge(&report, "x").observer, "HistogramObserver");
}
