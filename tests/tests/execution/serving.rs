//! One model, many threads, many shapes.

use std::thread;

use qcore::prelude::*;
use tests::tensors::noise;

use super::{converted, residual};

#[test]
fn threads_share_one_model() {
    let model = converted(&residual(), Backend::Native, &[1, 3, 16, 16]);
    let inputs: Vec<Tensor> = (0..8).map(|seed| noise(&[1, 3, 16, 16], seed)).collect();
    let expected: Vec<Tensor> = inputs.iter().map(|input| model.forward(input).unwrap()).collect();
    thread::scope(|scope| {
        for offset in 0..4 {
            let (model, inputs, expected) = (&model, &inputs, &expected);
            scope.spawn(move || {
                for index in (0..8).map(|index| (index + offset) % 8) {
                    assert_eq!(model.forward(&inputs[index]).unwrap(), expected[index]);
                }
            });
        }
    });
}

/// More shapes than a model remembers, from several threads, so that they also race for the places.
#[test]
fn every_shape_gets_its_own_answer() {
    let model = converted(&residual(), Backend::Native, &[1, 3, 16, 16]);
    let inputs: Vec<Tensor> = (1..=24).map(|size| noise(&[1, 3, 8 + size, 32 - size], 1)).collect();
    let alone: Vec<Tensor> = inputs
        .iter()
        .map(|input| converted(&residual(), Backend::Native, &[1, 3, 16, 16]).forward(input).unwrap())
        .collect();
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                for _ in 0..2 {
                    let found: Vec<Tensor> =
                        inputs.iter().map(|input| model.forward(input).unwrap()).collect();
                    assert_eq!(found, alone);
                }
            });
        }
    });
}

#[test]
fn the_memory_order_of_the_input_makes_no_difference() {
    let model = converted(&residual(), Backend::Native, &[1, 3, 16, 16]);
    let input = noise(&[2, 3, 16, 16], 3);
    let nhwc = input.view().permuted_axes(vec![0, 2, 3, 1]).as_standard_layout().into_owned();
    let channels_last = Tensor::from(nhwc.permuted_axes(vec![0, 3, 1, 2]));
    assert_eq!(model.forward(&channels_last).unwrap(), model.forward(&input).unwrap());
}
