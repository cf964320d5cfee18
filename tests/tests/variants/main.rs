//! Every part of the language of `forward` runs in all three variants: in float exactly as computed by hand, in
//! int8 up to the rounding of quantization, and the same again after a file.

mod boundaries;
mod by_hand;
mod containers;
mod expressions;
mod language;
mod layouts;
mod loops;
mod places;
mod structures;

use by_hand::Array;
use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, IntoInput, Prepared, Values};
use tests::tensors::{largest_difference, noise};

/// A multiple of 1/8 between -1 and 1 everywhere: sums and products of such values are exact in f32, in whatever
/// order they are taken.
fn eighths(shape: &[usize], seed: u64) -> Tensor {
    noise(shape, seed).map(|value| (value * 8.0).round() / 8.0)
}

/// A layer from `inputs` to `outputs` features with such weights.
fn linear(inputs: usize, outputs: usize, seed: u64) -> Linear {
    let layer = Linear::new(inputs, outputs).with_weight(eighths(&[outputs, inputs], seed)).unwrap();
    layer.with_bias(eighths(&[outputs], seed + 1)).unwrap()
}

/// Checks all variants on `input`, whose outputs must be `expected`; gives the converted model.
#[track_caller]
fn assert_variants<M: Module>(
    model: &M,
    input: impl IntoInput<M::Input> + Clone,
    expected: &[Array],
) -> Converted<M> {
    let mapping = QConfigMapping::for_backend(Backend::Native);
    assert_variants_with(model, &mapping, input, expected).convert().unwrap()
}

#[track_caller]
fn assert_variants_with<M: Module>(
    model: &M,
    mapping: &QConfigMapping,
    input: impl IntoInput<M::Input> + Clone,
    expected: &[Array],
) -> Prepared<M> {
    let expected: Vec<Tensor> = expected.iter().cloned().map(Tensor::from).collect();
    let float = M::Output::into_vec(model.run(input.clone().into_input().unwrap()).unwrap().into_tensors());
    assert_eq!(float, expected, "float");

    let mut prepared = model.prepare(mapping).unwrap();
    prepared.calibrate_with([input.clone()], CalibrationOptions { progress: false }).unwrap();
    let fused = M::Output::into_vec(prepared.forward(input.clone()).unwrap().into_tensors());
    assert_eq!(fused, expected, "prepared");

    let int8 = prepared.convert().unwrap();
    let rounded = M::Output::into_vec(int8.forward(input.clone()).unwrap().into_tensors());
    for (rounded, expected) in rounded.iter().zip(&expected) {
        let largest = expected.view().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let difference = largest_difference(rounded, expected);
        assert!(difference < 0.05 * largest + 0.01, "int8 is off by {difference}, values go to {largest}");
    }

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    int8.save(&path).unwrap();
    let loaded = Converted::<M>::load(&path).unwrap();
    assert_eq!(M::Output::into_vec(loaded.forward(input).unwrap().into_tensors()), rounded, "from a file");
    prepared
}

/// The paths of all values but the inputs, in the order in which they are made.
fn paths<M: Module>(int8: &Converted<M>) -> Vec<&str> {
    let edges = int8.summary().edges.iter().filter(|edge| edge.operation != "input");
    edges.map(|edge| edge.path.as_str()).collect()
}
