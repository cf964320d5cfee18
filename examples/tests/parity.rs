//! Networks trained in PyTorch give PyTorch's logits, and int8 stays close to them.

use std::path::{Path, PathBuf};

use examples::data::{Normalization, Pictures, labels};
use examples::models::digits::DigitsNet;
use examples::models::resnet::resnet18;
use examples::scoring::classes;
use qcore::prelude::*;
use qcore::{CalibrationOptions, StateDict};

/// The largest absolute difference to the tensor `logits` of a file.
fn largest_difference(found: &[Tensor], reference: &Path) -> f32 {
    let expected = StateDict::open(reference).unwrap().get("logits").unwrap().unwrap();
    let found: Vec<f32> =
        found.iter().flat_map(|batch| batch.view().iter().copied().collect::<Vec<_>>()).collect();
    assert_eq!(found.len(), expected.len());
    found.iter().zip(expected.view().iter()).fold(0.0, |largest, (a, b)| largest.max((a - b).abs()))
}

#[test]
fn the_digits_network_gives_pytorchs_logits() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/digits");
    let mut model = DigitsNet::new();
    model.load_state_dict(&StateDict::open(folder.join("model.safetensors")).unwrap()).unwrap();
    let normalization = Normalization { mean: vec![0.0], std: vec![16.0 / 255.0] };
    let digits = Pictures::open(&folder.join("digits.safetensors"), &normalization).unwrap();
    let held_out = model.forward(digits.batch(1437..1797).unwrap()).unwrap();
    let difference = largest_difference(&[held_out], &folder.join("expected_logits.safetensors"));
    assert!(difference < 1e-4, "{difference}");
}

/// CIFAR-10 and a ResNet-18, where they are; they are too large for the repository.
fn cifar10() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data/cifar10");
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!("SKIPPED: {} is not there, so ResNet-18 is not compared on CIFAR-10", folder.display());
    None
}

#[test]
fn resnet18_gives_pytorchs_logits_and_int8_agrees_with_it() {
    let Some(folder) = cifar10() else { return };
    let mut model = resnet18(10);
    model.load_state_dict(&StateDict::open(folder.join("resnet18.safetensors")).unwrap()).unwrap();
    let imagenet = Normalization::imagenet();
    let test = Pictures::open(&folder.join("test.safetensors"), &imagenet).unwrap();
    let calibration = Pictures::open(&folder.join("calibration.safetensors"), &imagenet).unwrap();
    let test: Vec<Tensor> = test.batches(64).take(4).map(Result::unwrap).collect();
    let float: Vec<Tensor> = test.iter().map(|x| model.forward(x).unwrap()).collect();
    let reference = folder.join("resnet18_float_logits_first64.safetensors");
    let difference = largest_difference(&float[..1], &reference);
    assert!(difference < 1e-3, "{difference}");

    let labels = labels(&folder.join("test.safetensors")).unwrap();
    let right = |logits: &[Tensor]| {
        logits.iter().flat_map(classes).zip(&labels).filter(|(class, label)| class == *label).count()
    };
    for backend in [Backend::Native, Backend::Fbgemm] {
        let mut prepared = model.prepare(&QConfigMapping::for_backend(backend)).unwrap();
        prepared.calibrate_with(calibration.batches(32), CalibrationOptions { progress: false }).unwrap();
        let int8 = prepared.convert().unwrap();
        let quantized: Vec<Tensor> = test.iter().map(|x| int8.forward(x).unwrap()).collect();
        let pairs = float.iter().flat_map(classes).zip(quantized.iter().flat_map(classes));
        let same = pairs.filter(|(a, b)| a == b).count();
        assert!(same >= 246, "{backend}: int8 agrees with float on {same} of 256 pictures");
        assert!(right(&quantized) + 4 >= right(&float), "{backend}: {} right", right(&quantized));
    }
}
