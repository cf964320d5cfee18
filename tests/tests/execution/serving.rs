//! One model, many threads, many shapes.

use std::thread;

use qcore::prelude::*;
use tests::tensors::noise;

use super::{converted, residual, with_num_threads};

/// Every thread brings every shape, each in another order; large ones are worth several threads of their own.
#[test]
fn threads_share_one_model() {
    let shapes = [[1, 3, 16, 16], [1, 3, 64, 48], [3, 3, 33, 41], [2, 3, 8, 9]];
    let inputs: Vec<Tensor> = shapes.iter().zip(0..).map(|(shape, seed)| noise(shape, seed)).collect();
    for backend in Backend::ALL {
        let model = || converted(&residual(), backend, &[1, 3, 16, 16]);
        let alone = model();
        let expected: Vec<Tensor> =
            with_num_threads(1, || inputs.iter().map(|input| alone.forward(input).unwrap()).collect());
        for num_threads in [1, 2] {
            let shared = model();
            let serve = |offset: usize| {
                for index in (0..12).map(|index| (index * (offset + 1) + offset) % inputs.len()) {
                    let found = shared.forward(&inputs[index]).unwrap();
                    assert_eq!(found, expected[index], "{backend}, {num_threads} threads a call");
                }
            };
            with_num_threads(num_threads, || {
                thread::scope(|scope| (0..4).for_each(|offset| drop(scope.spawn(move || serve(offset)))));
            });
        }
    }
}

/// More shapes than a model remembers, from several threads, so that they also race for the places.
#[test]
fn every_shape_gets_its_own_output() {
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

/// A clone has plans and memory of its own; arrays of ndarray go in as they are.
#[test]
fn a_clone_gives_the_same_bytes_for_the_same_values_however_they_come() {
    let model = converted(&residual(), Backend::Native, &[1, 3, 16, 16]);
    let clone = model.clone();
    let input = noise(&[2, 3, 9, 11], 5);
    let expected = model.forward(&input).unwrap();
    assert_eq!(clone.forward(&input).unwrap(), expected);
    let array = input.into_array().into_dimensionality::<ndarray::Ix4>().unwrap();
    assert_eq!(clone.forward(array.view()).unwrap(), expected);
    assert_eq!(clone.forward(&array).unwrap(), expected);
    // A view of a part, whose rows are not next to each other.
    let part = array.slice_axis(ndarray::Axis(2), ndarray::Slice::new(0, None, 2));
    assert_eq!(clone.forward(part).unwrap(), model.forward(part.to_owned()).unwrap());
}
