//! Values that follow from others by arithmetic, `x * 8`, and what it costs that they share an observer.

use qcore::prelude::*;
use qcore::{Converted, IntoInput};
use tests::tensors::noise;

use crate::{calibrate, edge};

/// A layer whose values are those of its input, and arithmetic with numbers behind it.
#[quantizable]
struct Derived {
    conv: Conv2d,
}

#[quantizable]
impl Derived {
    fn new() -> Self {
        let unit = Tensor::from_vec(&[1, 1, 1, 1], vec![1.0]).unwrap();
        Self { conv: Conv2d::new(1, 1, 1).bias(false).with_weight(unit).unwrap() }
    }

    fn forward(&self, x: Tensor) -> (Tensor, Tensor, Tensor, Tensor) {
        let y = self.conv(x);
        (y, y * 1000.0, y * 100.0 + 5.0, (y * 8.0).max_pool2d(1))
    }
}

#[quantizable]
struct Joined {
    conv: Conv2d,
}

#[quantizable]
impl Joined {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let y = self.conv(x);
        (cat([y, y * 50.0], 1), y)
    }
}

fn input() -> Tensor {
    noise(&[1, 1, 32, 32], 1)
}

fn converted<M: Module>(model: &M, backend: Backend, x: impl IntoInput<M::Input>) -> Converted<M> {
    let mut prepared = model.prepare(&QConfigMapping::for_backend(backend)).unwrap();
    calibrate(&mut prepared, [x]);
    prepared.convert().unwrap()
}

/// The largest difference from `f(x)`, in steps of `width / 255`.
fn steps(found: &Tensor, x: &Tensor, width: f64, f: impl Fn(f64) -> f64) -> f64 {
    let differences = found
        .view()
        .iter()
        .zip(x.view())
        .map(|(found, x)| (f64::from(*found) - f(f64::from(*x))).abs())
        .collect::<Vec<_>>();
    differences.into_iter().fold(0.0, f64::max) / (width / 255.0)
}

#[test]
fn native_gives_a_derived_value_the_precision_of_its_input() {
    let x = input();
    let (y, thousand, offset, pooled) = converted(&Derived::new(), Backend::Native, &x).forward(&x).unwrap();
    assert!(steps(&y, &x, 2.0, |x| x) < 1.5);
    assert!(steps(&thousand, &x, 2000.0, |x| 1000.0 * x) < 1.5);
    assert!(steps(&offset, &x, 200.0, |x| 100.0 * x + 5.0) < 1.5);
    assert!(steps(&pooled, &x, 16.0, |x| 8.0 * x) < 1.5);
}

#[test]
fn fx_shares_the_observer_and_the_report_says_what_that_costs() {
    let x = input();
    let mut prepared = Derived::new().prepare(&QConfigMapping::for_backend(Backend::Qnnpack)).unwrap();
    let report = calibrate(&mut prepared, [&x]);
    let shared = edge(&report, "conv").shared.clone().unwrap();
    assert_eq!(shared.path, "conv");
    assert!((shared.times / 1000.0 - 1.0).abs() < 0.01, "{shared:?}");
    assert!(report.to_string().contains("times as wide as `conv` needs"), "{report}");
    assert_eq!(edge(&report, "x").shared, None);
    let (y, ..) = prepared.convert().unwrap().forward(&x).unwrap();
    assert!(steps(&y, &x, 2.0, |x| x) > 100.0, "as PyTorch has it");

    let mut native = Derived::new().prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    let report = calibrate(&mut native, [&x]);
    assert!(report.edges.iter().all(|edge| edge.shared.is_none()), "{report}");
    assert!(native.plan().to_string().contains("scale derived"), "{}", native.plan());
}

#[test]
fn a_concatenation_shares_the_scale_of_its_inputs_but_not_that_of_a_derived_one() {
    let unit = Tensor::from_vec(&[1, 1, 1, 1], vec![1.0]).unwrap();
    let model = Joined { conv: Conv2d::new(1, 1, 1).bias(false).with_weight(unit).unwrap() };
    let x = input();
    let mut prepared = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    let report = calibrate(&mut prepared, [&x]);
    let shared = edge(&report, "conv").shared.clone().unwrap();
    assert!((shared.times / 50.0 - 1.0).abs() < 0.01, "{shared:?}");
    let (joined, _) = prepared.convert().unwrap().forward(&x).unwrap();
    let half = joined.len() / 2;
    let wide = Tensor::from_vec(&[half], joined.view().iter().skip(half).copied().collect()).unwrap();
    assert!(steps(&wide, &x, 100.0, |x| 50.0 * x) < 26.0);
}
