//! Scale moves between layers; the function stays.

use qcore::prelude::*;
use qcore::{EqualizationOptions, Error, equivalence};

use super::{batches, calibrate, error, uneven};

fn qnnpack() -> QConfigMapping {
    QConfigMapping::for_backend(Backend::Qnnpack)
}

#[test]
fn uneven_channels_lose_less_and_the_function_stays() {
    let model = uneven();
    let mut plain = model.prepare(&qnnpack()).unwrap();
    let mut equalized = plain.clone();
    let report = equalized.equalize().unwrap();
    let pairs: Vec<_> = report.pairs.iter().map(|pair| (pair.first.as_str(), pair.second.as_str())).collect();
    let expected = [
        ("stem.0", "depthwise.0"),
        ("depthwise.0", "project.0"),
        ("project.0", "expand.0"),
        ("expand.0", "fc"),
    ];
    assert_eq!(pairs, expected, "{report}");
    assert!(report.pairs.iter().all(|pair| pair.precision_after > 2.0 * pair.precision_before), "{report}");

    let same = equivalence(&model, &equalized, batches(), 0.0).unwrap();
    assert!(same.largest_difference <= 1e-5 * same.largest_output, "{same}");
    calibrate(&mut plain);
    calibrate(&mut equalized);
    let [before, after] = [&plain, &equalized].map(|prepared| error(&model, prepared));
    println!("small MobileNet, qnnpack: error {before:.4}, equalized {after:.4}");
    assert!(after < before / 3.0, "{before} {after}");
}

#[test]
fn an_equalized_model_is_saved_and_loaded() {
    let mut prepared = uneven().prepare(&qnnpack()).unwrap();
    prepared.equalize().unwrap();
    calibrate(&mut prepared);
    let int8 = prepared.convert().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("int8.safetensors");
    int8.save(&path).unwrap();
    let loaded = qcore::Converted::<super::Mobile>::load(&path).unwrap();
    let x = &batches()[0];
    assert_eq!(loaded.forward(x).unwrap(), int8.forward(x).unwrap());
}

/// One input channel to two, and those to one.
#[quantizable]
struct Two {
    first: Conv2d,
    second: Conv2d,
}

#[quantizable]
impl Two {
    fn forward(&self, x: Tensor) -> Tensor {
        self.second(relu6(self.first(x)))
    }
}

fn two() -> Two {
    let weight = |shape: &[usize], values: &[f32]| Tensor::from_vec(shape, values.to_vec()).unwrap();
    Two {
        first: Conv2d::new(1, 2, 1).bias(false).with_weight(weight(&[2, 1, 1, 1], &[8.0, -0.5])).unwrap(),
        second: Conv2d::new(2, 1, 1).bias(false).with_weight(weight(&[1, 2, 1, 1], &[-0.5, 2.0])).unwrap(),
    }
}

#[test]
fn factors_are_those_of_the_formula() {
    let mut prepared = two().prepare(&qnnpack()).unwrap();
    let report = prepared.equalize_with(EqualizationOptions { replace_relu6: true }).unwrap();
    // sqrt(8 * 0.5) / 0.5 and sqrt(0.5 * 2) / 2, after which nothing is left to do.
    assert_eq!((report.pairs[0].factors, report.passes), ([0.5, 4.0], 2));
    assert_eq!(report.replaced_relu6, ["relu6"]);
    let pair = &report.pairs[0];
    let before = (1.0 + 0.5 / 8.0) / 2.0 * ((1.0 + 0.5 / 2.0) / 2.0);
    let after = ((2.0 + 1.0) / 2.0 / 2.0_f64).powi(2);
    assert!((pair.precision_before - before).abs() < 1e-6 && (pair.precision_after - after).abs() < 1e-6);
}

#[test]
fn relu6_stays_unless_the_user_says_otherwise() {
    let model = two();
    let mut prepared = model.prepare(&qnnpack()).unwrap();
    let report = prepared.equalize().unwrap();
    assert_eq!((report.pairs.len(), report.kept_relu6), (0, vec!["relu6".to_owned()]));
    let x = Tensor::from_vec(&[1, 1, 1, 2], vec![3.0, 0.25]).unwrap();
    assert_eq!(prepared.forward(&x).unwrap(), model.forward(&x).unwrap());
    let mut replaced = model.prepare(&qnnpack()).unwrap();
    replaced.equalize_with(EqualizationOptions { replace_relu6: true }).unwrap();
    // 24 instead of 6, times -0.5.
    assert_eq!(replaced.forward(&x).unwrap().into_array().into_raw_vec_and_offset().0, [-12.0, -1.0]);
}

#[test]
fn what_was_calibrated_is_not_equalized() {
    let mut prepared = uneven().prepare(&qnnpack()).unwrap();
    calibrate(&mut prepared);
    assert!(matches!(prepared.equalize().unwrap_err(), Error::Parameter { operation: "equalize", .. }));
}

/// What reads a value twice, returns it, or mixes its channels keeps its layers from being paired.
#[quantizable]
struct Unpaired {
    a: Conv2d,
    b: Conv2d,
    c: Conv2d,
    d: Linear,
}

#[quantizable]
impl Unpaired {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let x = relu(self.a(x));
        let y = self.b(x.clone()) + x;
        let z = sigmoid(self.c(y));
        let w = self.d(z.clone());
        (w, z)
    }
}

#[test]
fn a_value_with_other_readers_is_left_alone() {
    let model = Unpaired {
        a: Conv2d::new(2, 2, 1),
        b: Conv2d::new(2, 2, 1),
        c: Conv2d::new(2, 2, 1),
        d: Linear::new(2, 2),
    };
    let mut prepared = model.prepare(&qnnpack()).unwrap();
    assert!(prepared.equalize().unwrap().pairs.is_empty());
}
