//! Every network gives PyTorch's output, and its int8 model stays close to them and survives a file.

use std::path::Path;

use examples::models::efficientnet::efficientnet_b0;
use examples::models::encoder::Encoder;
use examples::models::googlenet::googlenet;
use examples::models::inception::inception_v3;
use examples::models::mobilenet_v2::mobilenet_v2;
use examples::models::mobilenet_v3::{mobilenet_v3_large, mobilenet_v3_small};
use examples::models::resnet::{resnet18, resnet34, resnet50, resnext50_32x4d};
use examples::models::shufflenet_v2::{shufflenet_v2_x0_5, shufflenet_v2_x1_0};
use examples::models::vgg::Vgg;
use examples::models::word_model::WordModel;
use examples::synthetic;
use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, StateDict};

/// The length of the difference, as a share of the length of `expected`.
fn relative_difference(found: &Tensor, expected: &Tensor) -> f32 {
    assert_eq!(found.shape(), expected.shape());
    let squares = |values: &mut dyn Iterator<Item = f32>| values.map(|value| value * value).sum::<f32>();
    let difference = squares(&mut found.view().iter().zip(&expected.view()).map(|(a, b)| a - b));
    (difference / squares(&mut expected.view().iter().copied())).sqrt()
}

/// Checks a network with the weights that `data/torchvision/expected_logits.py` gives torchvision's `name`.
fn assert_is_torchvisions<M>(name: &str, model: M, int8_tolerance: f32)
where
    M: Module<Input = Tensor, Output = Tensor>,
{
    let size = if name == "inception_v3" { 80 } else { 32 };
    assert_is_pytorchs(name, model, synthetic::pictures("x", 2, size).unwrap(), int8_tolerance);
}

/// The same with any input.
fn assert_is_pytorchs<M>(name: &str, mut model: M, x: Tensor, int8_tolerance: f32)
where
    M: Module<Input = Tensor, Output = Tensor>,
{
    synthetic::fill(&mut model).unwrap();
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/torchvision/expected_logits.safetensors");
    let expected = StateDict::open(golden).unwrap().get(name).unwrap().unwrap();
    let float = model.run(x.clone()).unwrap();
    let difference = relative_difference(&float, &expected);
    assert!(difference < 1e-5, "float differs by {difference}");

    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    prepared.calibrate_with([&x], CalibrationOptions { progress: false }).unwrap();
    let int8 = prepared.convert().unwrap();
    let logits = int8.forward(&x).unwrap();
    let difference = relative_difference(&logits, &expected);
    assert!(difference < int8_tolerance, "int8 differs by {difference}");

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("int8.safetensors");
    int8.save(&path).unwrap();
    assert_eq!(Converted::<M>::load(&path).unwrap().forward(&x).unwrap(), logits);
}

#[test]
fn resnet18_is_torchvisions() {
    assert_is_torchvisions("resnet18", resnet18(10), 0.05);
}

#[test]
fn resnet34_is_torchvisions() {
    assert_is_torchvisions("resnet34", resnet34(10), 0.06);
}

#[test]
fn resnet50_is_torchvisions() {
    assert_is_torchvisions("resnet50", resnet50(10), 0.08);
}

#[test]
fn mobilenet_v2_is_torchvisions() {
    assert_is_torchvisions("mobilenet_v2", mobilenet_v2(10), 0.25);
}

#[test]
fn resnext50_32x4d_is_torchvisions() {
    assert_is_torchvisions("resnext50_32x4d", resnext50_32x4d(10), 0.1);
}

#[test]
fn mobilenet_v3_large_is_torchvisions() {
    assert_is_torchvisions("mobilenet_v3_large", mobilenet_v3_large(10), 0.3);
}

#[test]
fn mobilenet_v3_small_is_torchvisions() {
    assert_is_torchvisions("mobilenet_v3_small", mobilenet_v3_small(10), 0.3);
}

#[test]
fn shufflenet_v2_x0_5_is_torchvisions() {
    assert_is_torchvisions("shufflenet_v2_x0_5", shufflenet_v2_x0_5(10), 0.1);
}

#[test]
fn shufflenet_v2_x1_0_is_torchvisions() {
    assert_is_torchvisions("shufflenet_v2_x1_0", shufflenet_v2_x1_0(10), 0.1);
}

#[test]
fn efficientnet_b0_is_torchvisions() {
    assert_is_torchvisions("efficientnet_b0", efficientnet_b0(10), 0.3);
}

#[test]
fn googlenet_is_torchvisions() {
    assert_is_torchvisions("googlenet", googlenet(10), 0.1);
}

#[test]
fn inception_v3_is_torchvisions() {
    assert_is_torchvisions("inception_v3", inception_v3(10), 0.1);
}

/// Of every depth, with 64 hidden features in place of 4096, which make up nine tenths of the weights.
#[test]
fn vggs_are_torchvisions() {
    for (depth, convolutions) in
        [(11, [1, 1, 2, 2, 2]), (13, [2, 2, 2, 2, 2]), (16, [2, 2, 3, 3, 3]), (19, [2, 2, 4, 4, 4])]
    {
        assert_is_torchvisions(&format!("vgg{depth}"), Vgg::new(convolutions, false, 64, 10), 0.03);
        assert_is_torchvisions(&format!("vgg{depth}_bn"), Vgg::new(convolutions, true, 64, 10), 0.05);
    }
}

/// The layers of a list fuse as those of a sequence do.
#[test]
fn a_vgg_runs_in_one_step_a_convolution() {
    let mut model = Vgg::new([1, 1, 2, 2, 2], true, 64, 10);
    synthetic::fill(&mut model).unwrap();
    let x = synthetic::pictures("x", 1, 32).unwrap();
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    prepared.calibrate_with([&x], CalibrationOptions { progress: false }).unwrap();
    let steps = prepared.convert().unwrap().profile(&x).unwrap().steps;
    // The input's quantization, 8 convolutions, 5 pools, the adaptive one, 3 linear layers, and the output's.
    assert!(steps.len() <= 19, "{steps:?}");
}

#[test]
fn encoder_is_pytorchs() {
    let x = synthetic::uniform("x", &[2, 9, 32], (-2.0, 2.0)).unwrap();
    assert_is_pytorchs("encoder", Encoder::new(2, 32, 4, 64), x, 0.05);
}

#[test]
fn word_model_is_pytorchs() {
    let ids = synthetic::uniform("x", &[2, 7], (0.0, 50.0)).unwrap().map(f32::floor);
    assert_is_pytorchs("word_model", WordModel::new(50, 16, 2), ids, 0.02);
}
