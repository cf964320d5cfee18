//! The numeric suite tells where a converted model departs from float.

use qcore::prelude::*;
use qcore::{
    CalibrationOptions, Comparison, Converted, Error, Prepared, compare_activations, compare_shadow,
    compare_weights, error_metrics,
};
use tests::tensors::noise;

#[quantizable]
struct Net {
    conv: Conv2d,
    bn: BatchNorm2d,
    fc: Linear,
}

#[quantizable]
impl Net {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.bn(self.conv(x.clone())));
        let y = y + x;
        self.fc(flatten(mean(y, (2, 3)), 1))
    }
}

fn batches() -> Vec<Tensor> {
    (0..3).map(|seed| noise(&[2, 4, 6, 6], seed)).collect()
}

fn variants(mapping: &QConfigMapping) -> (Prepared<Net>, Converted<Net>) {
    let net = Net { conv: Conv2d::new(4, 4, 3).padding(1), bn: BatchNorm2d::new(4), fc: Linear::new(4, 3) };
    let mut prepared = net.prepare(mapping).unwrap();
    prepared.calibrate_with(batches(), CalibrationOptions { progress: false }).unwrap();
    let converted = prepared.convert().unwrap();
    (prepared, converted)
}

/// Both models' outputs over all batches, one after the other.
fn outputs(prepared: &Prepared<Net>, converted: &Converted<Net>) -> [Tensor; 2] {
    let joined = |run: &dyn Fn(&Tensor) -> Tensor| {
        let values: Vec<f32> = batches().iter().flat_map(|batch| run(batch).into_array()).collect();
        Tensor::from_vec(&[values.len()], values).unwrap()
    };
    [joined(&|batch| prepared.forward(batch).unwrap()), joined(&|batch| converted.forward(batch).unwrap())]
}

fn paths(comparison: &Comparison) -> Vec<&str> {
    comparison.rows.iter().map(|row| row.path.as_str()).collect()
}

#[test]
fn errors_of_the_last_operation_are_those_of_the_model() {
    let (prepared, converted) = variants(&QConfigMapping::for_backend(Backend::X86));
    let comparison = compare_activations(&prepared, &converted, batches()).unwrap();
    let [float, integers] = outputs(&prepared, &converted);
    let expected = error_metrics(&float, &integers).unwrap();
    let found = comparison.row("fc").unwrap().error;
    // The same sums, a batch at a time.
    assert!((found.sqnr - expected.sqnr).abs() < 1e-9, "{found:?} {expected:?}");
    assert_eq!((found.max_error, found.values), (expected.max_error, expected.values));
    assert_eq!(comparison.batches, 3);
    assert_eq!(paths(&comparison)[0], "x");
    assert!(comparison.rows.iter().all(|row| row.error.clipped.is_some()));
}

#[test]
fn an_operation_alone_loses_less_than_the_whole_model() {
    let (prepared, converted) = variants(&QConfigMapping::for_backend(Backend::X86));
    let whole = compare_activations(&prepared, &converted, batches()).unwrap();
    let alone = compare_shadow(&prepared, &converted, batches()).unwrap();
    // The rounding of the input is nobody's own error, and moving values loses nothing.
    assert!(alone.row("x").is_none());
    assert_eq!(alone.row("flatten").unwrap().error.sqnr, f64::INFINITY);
    for path in ["conv", "fc"] {
        let [alone, whole] = [&alone, &whole].map(|comparison| comparison.row(path).unwrap().error.sqnr);
        assert!(alone > whole && whole > 20.0, "{path}: {alone} and {whole} dB");
    }
}

#[test]
fn a_layer_that_stays_in_float_has_no_error_of_its_own() {
    let mapping = QConfigMapping::for_backend(Backend::X86).module("conv", None);
    let (prepared, converted) = variants(&mapping);
    let whole = compare_activations(&prepared, &converted, batches()).unwrap();
    assert_eq!(whole.row("conv").unwrap().precision, "float");
    assert!(compare_shadow(&prepared, &converted, batches()).unwrap().row("conv").is_none());
    assert_eq!(paths(&compare_weights(&prepared, &converted).unwrap()), ["fc"]);
}

#[test]
fn weights_are_compared_with_their_batch_norm_folded_in() {
    let (prepared, converted) = variants(&QConfigMapping::for_backend(Backend::X86));
    let comparison = compare_weights(&prepared, &converted).unwrap();
    assert_eq!(paths(&comparison), ["conv", "fc"]);
    // Steps of a channel's largest weight over 127: half of one at most.
    assert!(
        comparison.rows.iter().all(|row| row.error.sqnr > 35.0 && row.error.max_error < 0.01),
        "{comparison}"
    );
}

#[test]
fn a_comparison_is_data() {
    let (prepared, converted) = variants(&QConfigMapping::for_backend(Backend::X86));
    let comparison = compare_shadow(&prepared, &converted, batches()).unwrap();
    let json = serde_json::to_string(&comparison).unwrap();
    assert_eq!(serde_json::from_str::<Comparison>(&json).unwrap(), comparison);
    let csv = comparison.to_csv();
    assert_eq!(csv.lines().count(), comparison.rows.len() + 1);
    assert!(csv.lines().all(|line| line.split(',').count() == 9), "{csv}");
    let worst: Vec<f64> = comparison.worst().iter().map(|row| row.error.sqnr).collect();
    assert!(worst.is_sorted());
    assert!(comparison.to_string().ends_with("each operation's own error, 3 batches"));
}

#[test]
fn bad_input_is_refused() {
    let (prepared, converted) = variants(&QConfigMapping::for_backend(Backend::X86));
    let none: [Tensor; 0] = [];
    assert!(matches!(compare_activations(&prepared, &converted, &none), Err(Error::EmptyCalibration)));
    let wrong = [noise(&[2, 4, 6, 6], 0), noise(&[2, 5, 6, 6], 0)];
    let error = compare_shadow(&prepared, &converted, &wrong).unwrap_err();
    assert!(matches!(error, Error::InBatch { batch: 1, .. }), "{error}");
}
