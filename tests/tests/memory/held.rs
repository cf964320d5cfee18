//! What a model keeps from one run for the next.

use std::thread;

use qcore::prelude::*;
use tests::tensors::noise;

use crate::{alone, converted, net};

/// Inputs of so many shapes.
fn inputs(count: usize) -> Vec<Tensor> {
    (0..count).map(|index| noise(&[1, 3, 8 + index, 9], index as u64)).collect()
}

#[test]
fn more_shapes_than_a_few_are_planned_once() {
    let _alone = alone();
    let model = converted(&net()).unwrap();
    let inputs = inputs(40);
    let mut y = Tensor::zeros(&[1, 4]);
    let mut allocations = || {
        let mut all = || inputs.iter().for_each(|x| model.forward_into(x, &mut y).unwrap());
        allocation_counter::measure(&mut all).count_total
    };
    assert!(allocations() > 0);
    assert_eq!(allocations(), 0, "40 shapes are remembered");
    model.set_remembered_shapes(39);
    assert!(allocations() > 0, "each is forgotten just before it comes again");
    model.set_remembered_shapes(40);
    allocations();
    assert_eq!(allocations(), 0);
}

#[test]
fn the_shape_that_was_not_used_for_longest_is_forgotten() {
    let _alone = alone();
    let model = converted(&net()).unwrap();
    model.set_remembered_shapes(2);
    let inputs = inputs(3);
    let mut y = Tensor::zeros(&[1, 4]);
    let mut is_planned = |index: usize| {
        allocation_counter::measure(|| model.forward_into(&inputs[index], &mut y).unwrap()).count_total > 0
    };
    // The first one is used again before the third comes.
    assert_eq!([0, 1, 0, 2, 0, 1, 0].map(&mut is_planned), [true, true, false, true, false, true, false]);
}

#[test]
fn any_number_of_remembered_shapes_gives_the_same_outputs() {
    let _alone = alone();
    let model = converted(&net()).unwrap();
    let inputs = inputs(5);
    let expected: Vec<Tensor> = inputs.iter().map(|x| model.forward(x).unwrap()).collect();
    for shapes in [0, 1, 3, 5, usize::MAX] {
        model.set_remembered_shapes(shapes);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for (x, expected) in inputs.iter().zip(&expected) {
                        assert_eq!(model.forward(x).unwrap(), *expected);
                    }
                });
            }
        });
    }
}

#[test]
fn the_memory_of_a_large_picture_is_given_back() {
    let _alone = alone();
    let model = converted(&net()).unwrap();
    let (small, large) = (noise(&[1, 3, 16, 16], 0), noise(&[1, 3, 400, 400], 1));
    let expected = model.forward(&small).unwrap();
    let held = || model.network().held_memory();
    let of_small = held();
    model.forward(&large).unwrap();
    assert!(held() > 8 * 400 * 400, "{}", held());
    model.release_memory();
    assert_eq!(held(), 0);
    assert_eq!(model.forward(&small).unwrap(), expected);
    assert_eq!(held(), of_small);

    // By itself, when the shape has been forgotten.
    model.forward(&large).unwrap();
    model.set_remembered_shapes(1);
    assert!(held() > 8 * 400 * 400);
    assert_eq!(model.forward(&small).unwrap(), expected);
    assert!(held() <= of_small);
    assert_eq!(model.forward(&small).unwrap(), expected);
    assert_eq!(held(), of_small);
}

#[test]
fn threads_that_come_and_go_leave_no_memory_behind() {
    let _alone = alone();
    let model = converted(&net()).unwrap();
    let x = noise(&[1, 3, 32, 32], 0);
    let expected = model.forward(&x).unwrap();
    let of_one = model.network().held_memory();
    for _ in 0..20 {
        thread::scope(|scope| {
            scope.spawn(|| assert_eq!(model.forward(&x).unwrap(), expected));
        });
    }
    assert_eq!(model.network().held_memory(), of_one);
}
