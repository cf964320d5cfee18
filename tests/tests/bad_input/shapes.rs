//! Inputs of another shape than the model takes.

use qcore::prelude::*;
use qcore::{Error, Result, functional};
use tests::networks::{Network, TwoWays};
use tests::tensors::noise;

use crate::{assert_contains, calibrate, calibrated, converted, location, message};

#[test]
fn an_input_that_does_not_fit_names_the_layer_in_every_variant() {
    let (model, mut prepared) = calibrated();
    let int8 = converted();
    let before = format!("{prepared:?}");
    let cases: [(&[usize], &str); 6] = [
        (&[3, 12, 12], "[N, 3, H, W]"),
        (&[2, 3, 12, 12, 1], "[N, 3, H, W]"),
        (&[2, 4, 12, 12], "[N, 3, H, W]"),
        (&[2, 3, 2, 12], "the filter covers 3 of the height"),
        (&[2, 3, 12, 0], "with pixels"),
        (&[], "[N, 3, H, W]"),
    ];
    for (shape, expected) in cases {
        let x = Tensor::zeros(shape);
        let results = [
            model.forward(x.clone()),
            prepared.forward(x.clone()),
            calibrate(&mut prepared, [x.clone()]).map(|_| x.clone()),
            int8.forward(x.clone()),
        ];
        for result in results {
            let (layer, error) = location(result);
            assert_eq!(layer, "conv1", "{shape:?}");
            assert_contains(&error.to_string(), &["Conv2d", expected, &format!("{shape:?}")]);
            let is_typed = match &error {
                Error::Shape { found, .. } => found == shape,
                error => matches!(error, Error::Parameter { operation: "Conv2d", .. }),
            };
            assert!(is_typed, "{error:?}");
        }
    }
    assert_eq!(format!("{prepared:?}"), before, "a batch that does not fit leaves no trace");
}

#[test]
fn a_batch_of_no_pictures_gives_no_logits() {
    let (model, prepared) = calibrated();
    let x = Tensor::zeros(&[0, 3, 12, 12]);
    for y in [model.forward(&x), prepared.forward(&x), converted().forward(&x)] {
        assert_eq!(y.unwrap().shape(), [0, 5]);
    }
}

#[quantizable]
struct Head {
    fc: Linear,
}

#[quantizable]
impl Head {
    fn forward(&self, x: Tensor) -> Tensor {
        self.fc(x.flatten(1))
    }
}

#[quantizable]
struct Flat {
    stem: Sequential<(Conv2d, ReLU)>,
    heads: Vec<Head>,
}

#[quantizable]
impl Flat {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut y = self.stem(x);
        for head in &self.heads {
            y = head(y);
        }
        y
    }
}

fn flat() -> Flat {
    let heads = vec![Head { fc: Linear::new(32, 8) }, Head { fc: Linear::new(8, 8) }];
    Flat { stem: Sequential((Conv2d::new(1, 2, 3), ReLU)), heads }
}

#[test]
fn an_error_deep_inside_has_the_whole_path() {
    let model = flat();
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Fbgemm)).unwrap();
    let (good, bad) = (noise(&[1, 1, 6, 6], 0), noise(&[1, 1, 7, 7], 0));
    calibrate(&mut prepared, [&good]).unwrap();
    let before = format!("{prepared:?}");
    let int8 = prepared.convert().unwrap();
    let during = calibrate(&mut prepared, [&good, &bad]).map(|_| good.clone());
    for result in [model.forward(&bad), prepared.forward(&bad), int8.forward(&bad), during] {
        let (layer, error) = location(result);
        assert_eq!(layer, "heads.0.fc");
        assert_contains(&error.to_string(), &["Linear", "[.., 32]", "[1, 50]"]);
    }
    assert_eq!(format!("{prepared:?}"), before);
    let (layer, error) = location(model.forward(noise(&[1, 2, 6, 6], 0)));
    assert_eq!(layer, "stem.0");
    assert_contains(&error.to_string(), &["[N, 1, H, W]"]);
}

#[test]
fn inputs_that_do_not_fit_each_other_name_the_addition() {
    let model = TwoWays::new(true);
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    let good = || (noise(&[4, 8], 0), noise(&[4, 8], 1));
    calibrate(&mut prepared, [good()]).unwrap();
    let int8 = prepared.convert().unwrap();
    let bad = || (noise(&[4, 8], 0), noise(&[3, 8], 1));
    let during = calibrate(&mut prepared, [bad()]).map(|_| bad());
    for result in [model.run(bad()), prepared.forward(bad()), int8.forward(bad()), during] {
        let (layer, error) = location(result);
        assert_eq!(layer, "a_plus_b");
        assert_contains(&error.to_string(), &["add", "[4, 8]", "[3, 8]"]);
    }
}

#[quantizable]
struct Reshaped {
    rows: usize,
}

#[quantizable]
impl Reshaped {
    fn forward(&self, x: Tensor) -> Tensor {
        relu(x.reshape((x.size(0), self.rows, -1)))
    }
}

#[test]
fn extents_whose_product_overflows_are_errors() {
    for rows in [usize::MAX, usize::MAX / 2, 1 << 62, 1 << 32] {
        let error = Reshaped { rows }.forward(noise(&[4, 8], 0)).unwrap_err();
        assert_contains(&error.to_string(), &["reshape"]);
        assert!(Tensor::from_vec(&[rows, 4, rows], Vec::new()).is_err());
        assert!(Tensor::from_vec(&[rows, 0, rows], Vec::new()).is_err() || rows == 1 << 32);
    }
    let wide = Linear::new(usize::MAX, usize::MAX);
    let (layer, error) = location(Head { fc: wide }.forward(noise(&[1, 4], 0)));
    assert_eq!(layer, "fc");
    assert_contains(&error.to_string(), &["Linear"]);
}

#[test]
fn functions_refuse_what_does_not_fit() -> Result<()> {
    let x = noise(&[1, 2, 4, 4], 0);
    assert_contains(&message(functional::add(&x, &noise(&[3], 0))), &["add", "[1, 2, 4, 4]", "[3]"]);
    assert_contains(&message(functional::cat(&[&x, &noise(&[1, 2, 4, 5], 0)], 1)), &["cat", "[1, 2, 4, 5]"]);
    assert_contains(&message(functional::cat(&[&x], 4)), &["cat", "axis 4"]);
    assert_contains(&message(functional::cat(&[], 0)), &["cat", "at least one"]);
    assert_contains(&message(functional::max_pool2d(&x, 0, 1, 0)), &["max_pool2d", "0"]);
    assert_contains(&message(functional::max_pool2d(&x, 2, 0, 0)), &["max_pool2d", "0"]);
    assert_contains(&message(functional::max_pool2d(&x, 2, 1, 2)), &["max_pool2d", "padding"]);
    assert_contains(&message(functional::avg_pool2d(&x, 9, 1, 0)), &["avg_pool2d", "[1, 2, 4, 4]"]);
    assert_contains(&message(functional::clamp(&x, 1.0, 0.0)), &["clamp"]);
    assert_contains(&message(functional::mul_scalar(&x, f64::NAN)), &["NaN"]);
    assert_eq!(x.size(-4)?, 1);
    assert_contains(&message(x.size(4)), &["size", "axis 4", "[1, 2, 4, 4]"]);
    Ok(())
}

#[test]
fn a_float_model_is_the_same_after_every_error() {
    let model = Network::small();
    let x = noise(&[1, 3, 9, 9], 3);
    let before = model.forward(&x).unwrap();
    assert!(model.forward(noise(&[1, 9, 9, 9], 3)).is_err());
    assert!(model.prepare(&QConfigMapping::for_backend(Backend::Native).module("conv9", None)).is_err());
    assert_eq!(model.forward(&x).unwrap(), before);
}

#[test]
fn a_picture_without_a_batch_axis_is_told_how_to_get_one() {
    let (model, prepared) = calibrated();
    let picture = noise(&[3, 12, 12], 0);
    let int8 = converted();
    for result in [model.forward(&picture), prepared.forward(&picture), int8.forward(&picture)] {
        assert_contains(&message(result), &["[N, 3, H, W]", "batch axis", "`x.unsqueeze(0)?`"]);
    }
    assert_eq!(int8.forward(picture.unsqueeze(0).unwrap()).unwrap().shape(), [1, 5]);
    let plane = || noise(&[4, 8, 8], 0);
    let results = [
        functional::max_pool2d(&plane(), 2, 2, 0),
        functional::avg_pool2d(&plane(), 2, 2, 0),
        functional::adaptive_avg_pool2d(&plane(), 1),
        qcore::Layer::forward(&BatchNorm2d::new(4), plane()),
    ];
    for result in results {
        assert_contains(&message(result), &["`x.unsqueeze(0)?`", "[4, 8, 8]"]);
    }
    // Where another axis is wrong too, that is not what is missing.
    for shape in [&[5, 12, 12][..], &[12, 12], &[1, 1, 3, 12, 12]] {
        let text = message(model.forward(noise(shape, 0)));
        assert!(!text.contains("unsqueeze"), "{text}");
    }
}

#[test]
fn an_axis_is_added_where_it_is_asked_for() {
    let x = noise(&[2, 3], 0);
    for (dim, shape) in [(0, [1, 2, 3]), (1, [2, 1, 3]), (2, [2, 3, 1]), (-1, [2, 3, 1]), (-3, [1, 2, 3])] {
        let y = x.clone().unsqueeze(dim).unwrap();
        assert_eq!((y.shape(), y.as_slice()), (&shape[..], x.as_slice()));
    }
    for dim in [3, -4, isize::MAX, isize::MIN] {
        assert_contains(&message(x.clone().unsqueeze(dim)), &["unsqueeze", "[2, 3]"]);
    }
}

#[test]
fn values_that_are_no_tensor_are_counted() {
    let text = message(Tensor::from_vec(&[2, 3], vec![0.0; 5]));
    assert_contains(&text, &["Tensor::from_vec", "[2, 3]", "6 values", "found 5"]);
    let text = message(Tensor::from_vec(&[usize::MAX, 2], vec![0.0; 5]));
    assert_contains(&text, &["more values than can be addressed", "found 5"]);
}

#[test]
fn an_error_of_calibration_says_in_which_batch() {
    let (_, mut prepared) = calibrated();
    let good = || noise(&[1, 3, 12, 12], 0);
    let error = calibrate(&mut prepared, [good(), good(), noise(&[1, 4, 12, 12], 0)]).unwrap_err();
    assert_contains(&error.to_string(), &["in batch 2: in `conv1`: ", "[1, 4, 12, 12]"]);
    assert!(matches!(error, Error::InBatch { batch: 2, .. }));
    let broken: [Result<Tensor>; 2] = [Ok(good()), Err(Error::Unsupported("a torn picture".into()))];
    assert_contains(
        &calibrate(&mut prepared, broken).unwrap_err().to_string(),
        &["in batch 1: ", "a torn picture"],
    );
}
