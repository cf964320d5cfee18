//! Where this project decides otherwise than PyTorch FX, and how far each is from float on such a network
//! (`tests/golden/fx_differences.py`); README has the table.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use qcore::prelude::*;
use safetensors::SafeTensors;

#[quantizable]
struct ConvBnBn {
    conv: Conv2d,
    bn1: BatchNorm2d,
    bn2: BatchNorm2d,
    last: Conv2d,
}

#[quantizable]
impl ConvBnBn {
    fn forward(&self, x: Tensor) -> Tensor {
        self.last(self.bn2(self.bn1(self.conv(x))))
    }
}

#[quantizable]
struct AloneBatchNorm1d {
    fc1: Linear,
    bn: BatchNorm1d,
    fc2: Linear,
}

#[quantizable]
impl AloneBatchNorm1d {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc2(self.bn(relu(self.fc1(x))))
    }
}

#[quantizable]
struct PoolBehindFloat {
    conv: Conv2d,
    pool: AvgPool2d,
}

#[quantizable]
impl PoolBehindFloat {
    fn forward(&self, x: Tensor) -> Tensor {
        self.pool(self.conv(x))
    }
}

#[quantizable]
struct FloatSibling {
    conv: Conv2d,
    fc: Linear,
    plain: Linear,
}

#[quantizable]
impl FloatSibling {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.conv(x).flatten(1);
        self.fc(y) + self.plain(y)
    }
}

#[quantizable]
struct Chunked {
    conv: Conv2d,
    left: Conv2d,
    right: Conv2d,
}

#[quantizable]
impl Chunked {
    fn forward(&self, x: Tensor) -> Tensor {
        let (a, b) = self.conv(x).chunk(2, 1);
        self.left(a) + self.right(b)
    }
}

fn tensors() -> HashMap<String, Tensor> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden/fx_differences.safetensors");
    let bytes = fs::read(path).unwrap();
    let file = SafeTensors::deserialize(&bytes).unwrap();
    let tensors = file.tensors().into_iter().map(|(name, view)| {
        let values = view.data().as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        (name, Tensor::from_vec(view.shape(), values).unwrap())
    });
    tensors.collect()
}

/// The ratio of signal to quantization noise, in decibels.
fn sqnr(float: &Tensor, int8: &Tensor) -> f64 {
    let square = |value: f32| f64::from(value) * f64::from(value);
    let signal: f64 = float.view().iter().map(|&value| square(value)).sum();
    let noise: f64 = float.view().iter().zip(int8.view()).map(|(float, int8)| square(float - int8)).sum();
    10.0 * (signal / noise).log10()
}

/// The distances from float of PyTorch FX and of ours, and our plan.
fn distances<M: Module<Input = Tensor, Output = Tensor>>(
    name: &str,
    mut model: M,
    mapping: &QConfigMapping,
) -> ([f64; 2], String) {
    let tensors = tensors();
    let get = |key: &str| tensors[&format!("{name}/{key}")].clone();
    model.parameters_mut("", &mut |key, tensor| *tensor = get(&format!("state/{key}")));
    let (x, float, fx) = (get("x"), get("float"), get("fx"));
    let ours = model.run(x.clone()).unwrap();
    assert!(sqnr(&float, &ours) > 100.0, "{name} is the same network");
    let mut prepared = model.prepare(mapping).unwrap();
    prepared.observe(get("calibration")).unwrap();
    let int8 = prepared.convert().unwrap().forward(&x).unwrap();
    let found = [sqnr(&float, &fx), sqnr(&float, &int8)];
    println!("{name}: FX {:.1} dB, ours {:.1} dB", found[0], found[1]);
    (found, prepared.plan().to_string())
}

fn mapping() -> QConfigMapping {
    QConfigMapping::for_backend(Backend::Fbgemm)
}

#[test]
fn a_second_batch_norm_runs_in_int8_behind_an_int8_convolution() {
    let model = ConvBnBn {
        conv: Conv2d::new(3, 8, 3),
        bn1: BatchNorm2d::new(8),
        bn2: BatchNorm2d::new(8),
        last: Conv2d::new(8, 4, 1),
    };
    let ([fx, ours], plan) = distances("conv_bn_bn", model, &mapping());
    assert!(!plan.contains("float because"), "{plan}");
    assert!(ours > fx - 6.0, "{ours} {fx}");
}

#[test]
fn a_batch_norm_of_features_runs_in_int8() {
    let model =
        AloneBatchNorm1d { fc1: Linear::new(16, 32), bn: BatchNorm1d::new(32), fc2: Linear::new(32, 8) };
    let ([fx, ours], plan) = distances("alone_batch_norm1d", model, &mapping());
    assert!(!plan.contains("float because"), "{plan}");
    assert!(ours > fx - 3.0, "{ours} {fx}");
}

#[test]
fn a_pool_behind_a_float_layer_stays_in_float() {
    let model = PoolBehindFloat { conv: Conv2d::new(3, 8, 3), pool: AvgPool2d::new(3) };
    let mapping = mapping().module("conv", None);
    let ([fx, ours], _) = distances("pool_behind_float", model, &mapping);
    assert!(ours > fx && ours > 100.0, "{ours} {fx}");
}

#[test]
fn a_reshape_between_int8_and_float_moves_integers() {
    let model =
        FloatSibling { conv: Conv2d::new(3, 8, 3), fc: Linear::new(288, 8), plain: Linear::new(288, 8) };
    let ([fx, ours], _) = distances("float_sibling", model, &mapping().module("plain", None));
    assert!((ours - fx).abs() < 0.5, "{ours} {fx}");
}

#[test]
fn the_pieces_of_a_chunk_keep_its_scale() {
    let model =
        Chunked { conv: Conv2d::new(3, 8, 3), left: Conv2d::new(4, 8, 1), right: Conv2d::new(4, 8, 1) };
    let ([fx, ours], plan) = distances("chunked", model, &mapping());
    assert!(!plan.contains("float because"), "{plan}");
    assert!(ours > fx - 1.0, "{ours} {fx}");
}
