//! A batch norm behind a linear layer is of axis 1, the features are the last axis: the same in `[N, C]`, another in
//! `[N, C, L]`.

use qcore::prelude::*;
use qcore::{Converted, Error, Precision, Prepared};
use tests::tensors::noise;

use crate::calibrate;

/// `[N, 6]` or `[N, 8, 6]` to 8 features; ReLU behind it.
#[quantizable]
struct Normed {
    fc: Linear,
    norm: BatchNorm1d,
}

#[quantizable]
impl Normed {
    fn new() -> Self {
        let norm = BatchNorm1d::new(8).eps(1e-3);
        let norm = norm.with_affine(noise(&[8], 3).map(|v| 1.5 + v), noise(&[8], 4)).unwrap();
        let variance = noise(&[8], 6).map(|v| 0.6 + 0.5 * v);
        Self {
            fc: Linear::new(6, 8).with_weight(noise(&[8, 6], 1)).unwrap().with_bias(noise(&[8], 2)).unwrap(),
            norm: norm.with_statistics(noise(&[8], 5), variance).unwrap(),
        }
    }

    fn forward(&self, x: Tensor) -> Tensor {
        relu(self.norm(self.fc(x)))
    }
}

#[quantizable]
struct Skipped {
    #[quantizable(skip)]
    inner: Normed,
    last: Linear,
}

#[quantizable]
impl Skipped {
    fn forward(&self, x: Tensor) -> Tensor {
        self.last(self.inner(x))
    }
}

/// The output by its definition, in f64.
fn expected(model: &Normed, x: &Tensor) -> Vec<f64> {
    let all = |tensor: &Tensor| tensor.view().iter().copied().map(f64::from).collect::<Vec<f64>>();
    let (weight, bias) = (all(model.fc.weight()), all(model.fc.bias_tensor().unwrap()));
    let (gamma, beta) = (all(model.norm.weight().unwrap()), all(model.norm.bias().unwrap()));
    let (mean, variance) = (all(model.norm.running_mean()), all(model.norm.running_var()));
    let mut outputs = Vec::new();
    for (row, values) in all(x).chunks(6).enumerate() {
        for feature in 0..8 {
            let channel = if x.rank() == 3 { row % 8 } else { feature };
            let sum: f64 = (0..6).map(|i| values[i] * weight[feature * 6 + i]).sum::<f64>() + bias[feature];
            let y =
                (sum - mean[channel]) / (variance[channel] + 1e-3).sqrt() * gamma[channel] + beta[channel];
            outputs.push(y.max(0.0));
        }
    }
    outputs
}

#[track_caller]
fn assert_near(found: &Tensor, expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (index, (found, expected)) in found.view().iter().zip(expected).enumerate() {
        assert!((f64::from(*found) - expected).abs() <= tolerance, "{index}: {found} for {expected}");
    }
}

fn prepared(mapping: &QConfigMapping) -> Prepared<Normed> {
    Normed::new().prepare(mapping).unwrap()
}

/// Converted, written and read again.
fn converted(prepared: &Prepared<Normed>) -> [Converted<Normed>; 2] {
    let converted = prepared.convert().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("model.safetensors");
    converted.save(&path).unwrap();
    let loaded = Converted::<Normed>::load(&path).unwrap();
    [converted, loaded]
}

const SHAPES: [&[usize]; 3] = [&[5, 6], &[3, 8, 6], &[1, 8, 6]];

#[test]
fn in_float_every_shape_is_normalized_along_axis_1() {
    let model = Normed::new();
    for mapping in [QConfigMapping::new(), QConfigMapping::for_backend(Backend::Fbgemm)] {
        let prepared = model.prepare(&mapping).unwrap();
        for shape in SHAPES {
            let x = noise(shape, 7);
            assert_near(&model.run(x.clone()).unwrap(), &expected(&model, &x), 1e-5);
            assert_near(&prepared.forward(&x).unwrap(), &expected(&model, &x), 1e-5);
        }
    }
    for int8 in converted(&prepared(&QConfigMapping::new())) {
        for shape in SHAPES {
            let x = noise(shape, 7);
            assert_near(&int8.forward(&x).unwrap(), &expected(&model, &x), 1e-5);
        }
    }
}

#[test]
fn a_skipped_pair_is_normalized_along_axis_1() {
    let model = Skipped { inner: Normed::new(), last: Linear::new(8, 2) };
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    let x = noise(&[3, 8, 6], 7);
    calibrate(&mut prepared, [&x]);
    let float = model.run(x.clone()).unwrap();
    let largest = float.view().iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let float: Vec<f64> = float.view().iter().copied().map(f64::from).collect();
    let int8 = prepared.convert().unwrap().forward(&x).unwrap();
    assert_near(&int8, &float, f64::from(largest) * 0.03);
}

#[test]
fn in_int8_a_batch_norm_along_another_axis_runs_apart() {
    let model = Normed::new();
    let x = noise(&[3, 8, 6], 7);
    let largest = expected(&model, &x).into_iter().fold(0.0, f64::max);
    for backend in Backend::ALL {
        let mut prepared = prepared(&QConfigMapping::for_backend(backend));
        calibrate(&mut prepared, [&x]);
        // The decision comes along with the state of the observers.
        let mut other = Normed::new().prepare(&QConfigMapping::for_backend(backend)).unwrap();
        other.load_calibration_state(&prepared.calibration_state().unwrap()).unwrap();
        for int8 in converted(&other) {
            assert_near(&int8.forward(&x).unwrap(), &expected(&model, &x), largest * 0.03);
            let rows = noise(&[4, 6], 8);
            assert_near(&int8.forward(&rows).unwrap(), &expected(&model, &rows), largest * 0.25);
        }
    }
}

#[test]
fn calibrated_with_matrices_it_is_folded_and_takes_nothing_else() {
    let model = Normed::new();
    let mut prepared = prepared(&QConfigMapping::for_backend(Backend::Native));
    let rows = noise(&[20, 6], 7);
    calibrate(&mut prepared, [&rows]);
    for int8 in converted(&prepared) {
        let largest = expected(&model, &rows).into_iter().fold(0.0, f64::max);
        assert_near(&int8.forward(&rows).unwrap(), &expected(&model, &rows), largest * 0.03);
        let error = int8.forward(noise(&[3, 8, 6], 7)).unwrap_err().to_string();
        assert!(error.contains("`fc`") && error.contains("calibrate with such an input"), "{error}");
    }
    // One batch of the other shape is enough, also in another instance.
    let mut cubes = prepared.clone();
    cubes.set_observer("fc", qcore::observer::MinMaxObserver::new()).unwrap();
    cubes.observe(noise(&[3, 8, 6], 7)).unwrap();
    assert!(cubes.convert().unwrap().forward(noise(&[3, 8, 6], 7)).is_ok());
}

#[test]
fn a_dynamic_layer_does_the_same() {
    let model = Normed::new();
    let mapping = QConfigMapping::new().global(QConfig::per_channel_dynamic_qconfig());
    let (rows, cube) = (noise(&[20, 6], 7), noise(&[3, 8, 6], 7));
    let mut prepared = prepared(&mapping);
    assert!(prepared.plan().nodes().any(|node| node.precision() == Precision::Dynamic));
    for int8 in converted(&prepared) {
        assert_near(&int8.forward(&rows).unwrap(), &expected(&model, &rows), 0.1);
        assert!(matches!(int8.forward(&cube), Err(Error::InLayer { .. })));
    }
    prepared.observe(&cube).unwrap();
    for int8 in converted(&prepared) {
        assert_near(&int8.forward(&cube).unwrap(), &expected(&model, &cube), 0.1);
        assert_near(&int8.forward(&rows).unwrap(), &expected(&model, &rows), 0.1);
    }
}

#[test]
fn another_number_of_channels_is_refused() {
    for mapping in [QConfigMapping::new(), QConfigMapping::for_backend(Backend::Native)] {
        let mut prepared = prepared(&mapping);
        for shape in [&[3, 7, 6][..], &[6], &[2, 3, 8, 6]] {
            assert!(prepared.observe(noise(shape, 0)).is_err(), "{shape:?}");
        }
    }
}
