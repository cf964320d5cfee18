//! Values: bindings, operators, numbers, tuples.

use qcore::prelude::*;
use qcore::{functional, functional as F};

use crate::by_hand::{apply, array, rectify};
use crate::{assert_variants, eighths, linear, paths};

#[quantizable]
struct Bindings {
    fc: Linear,
}

#[quantizable]
impl Bindings {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut y = self.fc(x);
        y += x;
        let x = relu(y);
        let mut z = x;
        z = z + y;
        y -= z;
        {
            let z = y * x;
            y = z - y;
        }
        y * 0.5 + z
    }
}

#[test]
fn names_are_bound_shadowed_and_assigned_again() {
    let model = Bindings { fc: linear(4, 4, 0) };
    let x = eighths(&[3, 4], 5);
    let a = array(&x);
    let y = apply(&model.fc, &a) + &a;
    let x2 = rectify(&y);
    let z = &x2 + &y;
    let y = &y - &z;
    let y = &y * &x2 - &y;
    assert_variants(&model, &x, &[y * 0.5 + z]);
}

#[quantizable]
struct Numbers {
    fc: Linear,
    scale: f32,
    count: usize,
}

#[quantizable]
impl Numbers {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let y = 2.0 * self.fc(x) + 1;
        let z = 1.0 - y * self.scale;
        (-(z / 2.0) - x * (self.count as f32), 0.25 + y - 3.0)
    }
}

#[test]
fn numbers_stand_on_either_side_and_come_from_fields() {
    for (scale, count) in [(0.5, 2), (-0.25, 1)] {
        let model = Numbers { fc: linear(4, 4, 0), scale, count };
        let x = eighths(&[3, 4], 5);
        let y = apply(&model.fc, &array(&x)) * 2.0 + 1.0;
        let z = &y * -scale + 1.0;
        let first = z * -0.5 - array(&x) * (count as f32);
        assert_variants(&model, &x, &[first, y + 0.25 - 3.0]);
    }
}

#[quantizable]
struct Three {
    left: Linear,
    right: Linear,
}

#[quantizable]
impl Three {
    fn forward(&self, a: Tensor, b: Tensor, c: Tensor) -> (Tensor, Tensor, Tensor) {
        let (a, b) = (self.left(b), self.right.forward(a));
        let pair = (a + c, b * c);
        (pair.0, pair.1, a)
    }
}

#[test]
fn several_tensors_come_in_and_go_out() {
    let model = Three { left: linear(4, 4, 0), right: linear(4, 4, 7) };
    let inputs = [eighths(&[2, 4], 1), eighths(&[2, 4], 2), eighths(&[2, 4], 3)];
    let [a, b, c] = [0, 1, 2].map(|index| array(&inputs[index]));
    let (left, right) = (apply(&model.left, &b), apply(&model.right, &a));
    let [x, y, z] = inputs;
    assert_variants(&model, (x, y, z), &[&left + &c, right * c, left]);
}

#[quantizable]
struct Spellings {
    fc: Linear,
    act: ReLU,
}

#[quantizable]
impl Spellings {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.act(self.fc.forward(&x));
        let y = add(functional::relu6(y.clone()), F::relu(&x));
        mul(y, x.relu()).sub(y)
    }
}

#[test]
fn operations_are_functions_or_methods() {
    let model = Spellings { fc: linear(4, 4, 0), act: ReLU };
    let x = eighths(&[3, 4], 5);
    let a = array(&x);
    let y = rectify(&apply(&model.fc, &a)).mapv(|value| value.min(6.0)) + rectify(&a);
    assert_variants(&model, &x, &[&y * rectify(&a) - &y]);
}

#[quantizable]
struct Shared {
    fc: Linear,
}

#[quantizable]
impl Shared {
    fn forward(&self, x: Tensor) -> Tensor {
        relu(self.fc(self.fc(x)))
    }
}

#[test]
fn a_layer_called_twice_has_two_names_and_two_scales() {
    let model = Shared { fc: linear(4, 4, 0) };
    let x = eighths(&[3, 4], 5);
    let once = apply(&model.fc, &array(&x));
    let int8 = assert_variants(&model, &x, &[rectify(&apply(&model.fc, &once))]);
    assert_eq!(paths(&int8), ["fc", "fc#1"]);
    let scales: Vec<f32> =
        int8.summary().edges.iter().map(|edge| edge.qparams.as_ref().unwrap().tensor_scale()).collect();
    assert_ne!(scales[1], scales[2]);
    let mut weights = Vec::new();
    int8.visit_weights(&mut |path, weight| weights.push((path.to_owned(), weight.clone())));
    assert_eq!((weights[0].0.as_str(), weights[1].0.as_str()), ("fc", "fc#1"));
    assert_eq!(weights[0].1, weights[1].1);
}
