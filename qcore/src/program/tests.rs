//! Programs give what their operations give on tensors: random chains of those that move values.

use std::sync::Arc;

use super::{InputKey, Recorder};
use crate::observer::MinMaxObserver;
use crate::op::{self, Lowering, Op, QuantizedOp};
use crate::{Backend, DType, QParams, QTensor, Tensor};

/// Numbers that look random.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 8) as usize % limit
    }

    /// Extents whose product is `total`.
    fn factors(&mut self, mut total: usize) -> Vec<usize> {
        let mut factors = Vec::new();
        while total > 1 || self.below(3) == 0 {
            let divisors: Vec<usize> = (1..=total).filter(|&divisor| total.is_multiple_of(divisor)).collect();
            factors.push(divisors[self.below(divisors.len())]);
            total /= factors[factors.len() - 1];
        }
        factors
    }

    fn permutation(&mut self, len: usize) -> Vec<isize> {
        let mut order: Vec<isize> = (0..len as isize).collect();
        for index in (1..len).rev() {
            order.swap(index, self.below(index + 1));
        }
        order
    }
}

/// A chain of calls, recorded and run at once.
struct Chain {
    recorder: Recorder,
    value: usize,
    expected: QTensor,
    calls: Vec<String>,
}

impl Chain {
    fn call<O: QuantizedOp>(&mut self, operation: O) {
        self.call_with(operation, &[(self.value, self.expected.clone())]);
    }

    fn call_with<O: QuantizedOp>(&mut self, operation: O, inputs: &[(usize, QTensor)]) {
        self.calls.push(format!("{operation:?}"));
        let (values, mut tensors): (Vec<_>, Vec<_>) = inputs.iter().cloned().unzip();
        let operation = Arc::new(operation);
        self.expected = operation.forward(&mut tensors).unwrap();
        let path = Arc::from(format!("call {}", self.calls.len()));
        let shared = Arc::clone(&operation);
        let forward = move |inputs: &mut [QTensor]| shared.forward(inputs);
        self.value = self.recorder.int8(&path, &values, |specs| operation.plan(specs), forward).unwrap();
    }

    fn call_one(&mut self, numbers: &mut Numbers) {
        let shape = self.expected.shape().to_vec();
        let axis = |numbers: &mut Numbers| numbers.below(shape.len()) as isize;
        let one = (self.value, self.expected.clone());
        match numbers.below(if shape.is_empty() { 2 } else { 8 }) {
            0 => {
                let extents = numbers.factors(shape.iter().product());
                let reshape = op::reshape(extents.into_iter().map(op::Extent::from).collect()).unwrap();
                let lowering = Lowering::new(
                    Backend::Native,
                    &[],
                    self.expected.qparams(),
                    Box::new(MinMaxObserver::new()),
                );
                let reshape = reshape.lower(&lowering).unwrap();
                self.call(reshape);
            }
            1 => self.call(op::relu().unwrap()),
            2 => self.call(op::permute(numbers.permutation(shape.len())).unwrap()),
            3 => self.call(op::transpose(axis(numbers), axis(numbers)).unwrap()),
            4 if self.expected.len() < 2000 => {
                let cat = op::cat(Some(axis(numbers))).unwrap().quantized(self.expected.qparams());
                self.call_with(cat.unwrap(), &[one.clone(), one]);
            }
            5 => {
                // The first along an axis, added to all.
                self.call(op::split(1, Some(axis(numbers)), 0).unwrap());
                let first = (self.value, self.expected.clone());
                let output = QParams::per_tensor(0.2, 70, DType::QUInt8).unwrap();
                let add = op::add().unwrap().quantized(&output, Backend::Native);
                let operands = if numbers.below(2) == 0 { [one, first] } else { [first, one] };
                self.call_with(add.unwrap(), &operands);
            }
            6 => self.call(op::chunk(1 + numbers.below(3), Some(axis(numbers)), 0).unwrap()),
            _ => {
                let axis = axis(numbers);
                let extent = shape[axis as usize];
                let size = 1 + numbers.below(extent);
                let piece = numbers.below(extent.div_ceil(size));
                self.call(op::split(size, Some(axis), piece).unwrap());
            }
        }
    }
}

fn input(numbers: &mut Numbers) -> Tensor {
    let shape: Vec<usize> = (0..1 + numbers.below(5)).map(|_| 1 + numbers.below(6)).collect();
    let count = shape.iter().product();
    let values = (0..count).map(|_| numbers.below(256) as f32 / 10.0 - 4.0).collect();
    Tensor::from_vec(&shape, values).unwrap()
}

/// Records what `calls` does with `input`, and runs it.
#[track_caller]
fn assert_as_on_tensors(input: &Tensor, calls: impl FnOnce(&mut Chain)) {
    let qparams = QParams::per_tensor(0.1, 40, DType::QUInt8).unwrap();
    let mut recorder = Recorder::default();
    let value = recorder.input(input, Some(qparams.clone()));
    let expected = QTensor::quantize(input, &qparams).unwrap();
    let mut chain = Chain { recorder, value, expected, calls: vec![format!("{:?}", input.shape())] };
    calls(&mut chain);
    let Chain { recorder, value, expected, calls } = chain;
    let program = recorder.finish(vec![InputKey::of(input)], &[value]).unwrap();
    let profile = program.profile([input].into_iter()).unwrap();
    assert!(profile.steps.iter().all(|step| step.domain != "tensor"), "{calls:?}: {program:?}");
    let take = &mut |_, answer: super::Answer<'_>| {
        assert_eq!(answer.into_tensor()?, expected.dequantize(), "{calls:?}: {program:?}");
        Ok(())
    };
    program.run([input].into_iter(), take).unwrap();
}

#[test]
fn values_are_moved_as_on_tensors() {
    let mut numbers = Numbers(0x9E37_79B9_7F4A_7C15);
    for _ in 0..2000 {
        let input = input(&mut numbers);
        assert_as_on_tensors(&input, |chain| {
            for _ in 0..1 + numbers.below(6) {
                chain.call_one(&mut numbers);
            }
        });
    }
}

#[test]
fn means_over_any_axes_are_those_of_tensors() {
    let mut numbers = Numbers(0xD1B5_4A32_D192_ED03);
    for round in 0..1000 {
        let mut input = input(&mut numbers);
        if input.shape().len() == 4 && numbers.below(2) == 0 {
            // An image that lies channels-last.
            let order = ndarray::IxDyn(&[0, 2, 3, 1]);
            let pixels = input.view().permuted_axes(order).as_standard_layout().into_owned();
            input = Tensor::from(pixels.permuted_axes(ndarray::IxDyn(&[0, 3, 1, 2])));
        }
        let rank = input.shape().len();
        let order = numbers.permutation(rank);
        let mean = op::mean(&order[..1 + numbers.below(rank)], Some(round % 2 == 0)).unwrap();
        let backend = if numbers.below(2) == 0 { Backend::Native } else { Backend::Qnnpack };
        assert_as_on_tensors(&input, |chain| chain.call(mean.quantized(backend)));
    }
}
