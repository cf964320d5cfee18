//! Calibration data that says little: a single value, one batch, channels that never move.

use qcore::observer::FixedQParamsObserver;
use qcore::prelude::*;
use qcore::{ConvertOptions, Error, Prepared};
use tests::networks::Network;
use tests::tensors::noise;

use crate::{calibrate, edge};

fn prepared() -> Prepared<Network> {
    Network::small().prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap()
}

const ALLOWED: ConvertOptions = ConvertOptions { allow_constant: true };

#[test]
fn data_of_a_single_value_is_marked_and_refused() {
    for value in [0.0, 0.5, -3.0] {
        let mut prepared = prepared();
        let report = calibrate(&mut prepared, [Tensor::zeros(&[2, 3, 12, 12]).map(|_| value)]);
        assert!(edge(&report, "x").constant);
        assert!(report.to_string().contains("a single value"), "{report}");
        assert!(report.to_string().contains("1 batch alone"), "{report}");
        let error = prepared.convert().unwrap_err();
        assert!(error.to_string().contains("ConvertOptions"), "{error}");
        let Error::ConstantEdges { edges } = error else { panic!("{error}") };
        assert_eq!(edges[0], ("x".to_owned(), value));
        assert!(prepared.convert_with(ALLOWED).is_ok());
        // A scale that is known needs no data that varies.
        let constant: Vec<String> = edges.into_iter().map(|(path, _)| path).collect();
        for path in constant {
            prepared.set_observer(&path, FixedQParamsObserver::new(0.1, 100)).unwrap();
        }
        assert!(prepared.convert().is_ok());
    }
}

#[test]
fn data_that_varies_takes_the_mark_away() {
    let mut prepared = prepared();
    calibrate(&mut prepared, [Tensor::zeros(&[2, 3, 12, 12]), noise(&[2, 3, 12, 12], 0)]);
    assert!(prepared.calibration_report().edges.iter().all(|edge| !edge.constant));
    prepared.convert().unwrap();
}

#[quantizable]
struct Made {
    fc: Linear,
    silent: Linear,
}

#[quantizable]
impl Made {
    fn new() -> Self {
        let silent = Linear::new(4, 4).with_weight(Tensor::zeros(&[4, 4])).unwrap();
        let silent = silent.with_bias(Tensor::zeros(&[4]).map(|_| 5.0)).unwrap();
        Self { fc: Linear::new(4, 4), silent }
    }

    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.fc(x);
        let zero = y - y;
        let limited = clamp(self.fc(y), 0.25, 0.25);
        relu(zero + self.silent(y) * 0.0) + self.silent(limited)
    }
}

#[test]
fn a_constant_that_the_graph_makes_is_no_fault_of_the_data() {
    // Qnnpack adds no values whose scales are that far apart.
    for backend in Backend::ALL.into_iter().filter(|&backend| backend != Backend::Qnnpack) {
        let mut prepared = Made::new().prepare(&QConfigMapping::for_backend(backend)).unwrap();
        let report = calibrate(&mut prepared, [noise(&[16, 4], 0), noise(&[16, 4], 1)]);
        // PyTorch's other backends show the observer the product with 0 too.
        assert_eq!(edge(&report, "silent").constant, backend == Backend::Native);
        let y = prepared.convert().unwrap().forward(noise(&[16, 4], 2)).unwrap();
        assert!(y.view().iter().all(|value| (value - 5.0).abs() < 0.05), "{backend}: {y:?}");
    }
}

#[test]
fn channels_that_never_move_are_counted() {
    let mut prepared = prepared();
    let still = |seed| {
        let mut image = noise(&[2, 3, 12, 12], seed).into_array();
        image.index_axis_mut(ndarray::Axis(1), 1).fill(0.25);
        Tensor::from(image)
    };
    let report = calibrate(&mut prepared, [still(0), still(1)]);
    let x = edge(&report, "x");
    assert_eq!((x.constant_channels, x.channels), (1, 3));
    assert!(report.to_string().contains("1 of 3 channels never moved"), "{report}");
    assert_eq!(edge(&report, "fc").constant_channels, 0);
    prepared.convert().unwrap();

    let mut other = Network::small().prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    other.load_calibration_state(&prepared.calibration_state().unwrap()).unwrap();
    assert_eq!(edge(&other.calibration_report(), "x").constant_channels, 1);
}

#[test]
fn a_bias_that_i32_cannot_hold_is_no_other_value() {
    for weight in [0.0, 1e-9, -1e-7] {
        for backend in Backend::ALL {
            let mut model = Made::new();
            model.silent = model.silent.with_weight(noise(&[4, 4], 0).map(|v| v * weight)).unwrap();
            let model = Deep { fc: model.silent };
            let mut prepared = model.prepare(&QConfigMapping::for_backend(backend)).unwrap();
            // Small inputs make the steps of the sums small too.
            let x = noise(&[16, 4], 0).map(|v| v * 1e-4);
            calibrate(&mut prepared, [&x]);
            let y = prepared.convert_with(ALLOWED).unwrap().forward(&x).unwrap();
            assert!(y.view().iter().all(|value| (value - 5.0).abs() < 0.05), "{backend} {weight}: {y:?}");
        }
    }
}

#[quantizable]
struct Deep {
    fc: Linear,
}

#[quantizable]
impl Deep {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x)
    }
}

/// One output is all bias, the other one has weights that count: per tensor they share a scale.
#[test]
fn the_other_channels_keep_their_weights() {
    let weight = Tensor::from(ndarray::arr2(&[[1e-9, -1e-9], [0.5, 0.25]]));
    let bias = Tensor::from(ndarray::arr1(&[3e5, 0.125]));
    let fc = Linear::new(2, 2).with_weight(weight).unwrap().with_bias(bias).unwrap();
    let mut prepared = Deep { fc }.prepare(&QConfigMapping::for_backend(Backend::Qnnpack)).unwrap();
    let x = noise(&[64, 2], 0).map(|v| v * 1e-5);
    calibrate(&mut prepared, [&x]);
    prepared.set_observer("fc", FixedQParamsObserver::new(2000.0, 0)).unwrap();
    let y = prepared.convert().unwrap().forward(&x).unwrap();
    assert!(y.view().iter().step_by(2).all(|value| (value - 3e5).abs() <= 1000.0), "{y:?}");
}
