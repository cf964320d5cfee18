//! Operations that move, cut, join and reduce.

use ndarray::Axis;
use qcore::prelude::*;

use crate::by_hand::{apply, array, clamp, columns, concatenate, rectify, reshaped};
use crate::{assert_variants, eighths, linear};

#[quantizable]
struct Shapes {
    fc: Linear,
    groups: usize,
}

#[quantizable]
impl Shapes {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor, Tensor) {
        let y = self.fc(x);
        let a = y.reshape((x.size(0), self.groups, -1)).permute((0, 2, 1));
        let b = y.view((-1, 2)).transpose(0, 1);
        let c = a.flatten(1).view((x.size(0), x.size(1)));
        (a, b, c)
    }
}

#[test]
fn shapes_follow_fields_and_sizes_that_are_known_late() {
    for (batch, groups) in [(3, 2), (1, 4), (5, 8)] {
        let model = Shapes { fc: linear(8, 8, 0), groups };
        let x = eighths(&[batch, 8], 5);
        let y = apply(&model.fc, &array(&x));
        let a = reshaped(&y, &[batch, groups, 8 / groups]).permuted_axes(vec![0, 2, 1]);
        let b = reshaped(&y, &[4 * batch, 2]).reversed_axes();
        let c = reshaped(&a, &[batch, 8]);
        let int8 = assert_variants(&model, &x, &[a, b, c]);
        // Another batch than the one of calibration.
        assert_eq!(int8.forward(eighths(&[7, 8], 1)).unwrap().1.shape(), [2, 28]);
    }
}

#[quantizable]
struct Pieces {
    fc: Linear,
}

#[quantizable]
impl Pieces {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor, Tensor) {
        let (a, b) = self.fc(x).chunk(2, 1);
        let (c, d, e) = split(x, 3, 1);
        let first = cat([a + c, relu(b), e], 1);
        let second = cat((a, d, a), -1);
        let third = cat(&[d, c], 0);
        (first, second, third)
    }
}

#[test]
fn tensors_are_cut_and_joined_in_every_spelling() {
    let model = Pieces { fc: linear(8, 6, 0) };
    let x = eighths(&[2, 8], 5);
    let (y, x_) = (apply(&model.fc, &array(&x)), array(&x));
    let (a, b) = (columns(&y, 0, 3), columns(&y, 3, 6));
    let (c, d, e) = (columns(&x_, 0, 3), columns(&x_, 3, 6), columns(&x_, 6, 8));
    let first = concatenate(1, &[&(&a + &c), &rectify(&b), &e]);
    let second = concatenate(1, &[&a, &d, &a]);
    let third = concatenate(0, &[&d, &c]);
    assert_variants(&model, &x, &[first, second, third]);
}

#[quantizable]
struct Reductions {
    fc: Linear,
    drop: Dropout,
}

#[quantizable]
impl Reductions {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor, Tensor) {
        let y = dropout(self.drop(self.fc(x)), 0.5).clamp(-0.5, 1.5);
        (mean(y, 1), y.mean(-1).relu(), relu6(y))
    }
}

#[test]
fn means_clamps_and_dropouts_are_those_of_evaluation() {
    let model = Reductions { fc: linear(4, 4, 0), drop: Dropout::new(0.3) };
    let x = eighths(&[3, 4], 5);
    let y = clamp(&apply(&model.fc, &array(&x)), -0.5, 1.5);
    let mean = y.sum_axis(Axis(1)) / 4.0;
    assert_variants(&model, &x, &[mean.clone(), rectify(&mean), clamp(&y, 0.0, 6.0)]);
}

#[quantizable]
struct Images {
    conv: Conv2d,
    pool: MaxPool2d,
}

#[quantizable]
impl Images {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let y = relu(self.conv(x));
        let pooled = avg_pool2d(self.pool(y), 2);
        (pooled, adaptive_avg_pool2d(y, (1, 1)).flatten(1))
    }
}

#[test]
fn images_are_filtered_and_pooled() {
    // One channel, one tap of weight 2 and bias 1/8: the filter is `2 x + 1/8`.
    let conv = Conv2d::new(1, 1, 1).with_weight(Tensor::from_vec(&[1, 1, 1, 1], vec![2.0]).unwrap()).unwrap();
    let conv = conv.with_bias(Tensor::from_vec(&[1], vec![0.125]).unwrap()).unwrap();
    let model = Images { conv, pool: MaxPool2d::new(2) };
    let x = eighths(&[1, 1, 4, 4], 3);
    let y = rectify(&(array(&x) * 2.0 + 0.125));
    let mut largest = [0.0_f32; 4];
    for ((_, value), index) in y.indexed_iter().zip(0..) {
        let (row, column): (usize, usize) = (index / 4, index % 4);
        let window = &mut largest[row / 2 * 2 + column / 2];
        *window = window.max(*value);
    }
    let pooled = ndarray::arr1(&[largest.iter().sum::<f32>() / 4.0]).into_dyn();
    let mean = ndarray::arr1(&[y.sum() / 16.0]).into_dyn();
    assert_variants(&model, &x, &[reshaped(&pooled, &[1, 1, 1, 1]), reshaped(&mean, &[1, 1])]);
}
