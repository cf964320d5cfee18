//! What a run allocates from the second one on: nothing where a model is int8 throughout.

use allocation_counter::measure;
use qcore::Converted;
use qcore::prelude::*;
use tests::tensors::noise;

use super::{converted, residual, with_num_threads};

/// What the second run on `input` allocates, counted on the calling thread: how often, and bytes.
fn allocated<M: Quantizable<Input = Tensor, Output = Tensor>>(
    model: &Converted<M>,
    input: &Tensor,
) -> (u64, u64) {
    let expected = model.forward(input).unwrap();
    let mut output = Tensor::zeros(expected.shape());
    let counted = measure(|| model.forward_into(input, &mut output).unwrap());
    assert_eq!(output, expected);
    (counted.count_total, counted.bytes_total)
}

#[test]
fn a_steady_state_allocates_nothing() {
    let input = noise(&[1, 3, 32, 32], 20);
    for backend in Backend::ALL {
        let model = converted(&residual(), backend, &[1, 3, 32, 32]);
        assert_eq!(with_num_threads(1, || allocated(&model, &input)), (0, 0), "{backend}");
    }
}

/// Waking a helper thread may allocate; while helpers are at hand, no run does.
#[test]
fn two_threads_allocate_nothing_while_they_are_at_hand() {
    let input = noise(&[1, 3, 64, 64], 20);
    let model = converted(&residual(), Backend::Native, &[1, 3, 64, 64]);
    let expected = model.forward(&input).unwrap();
    let mut output = Tensor::zeros(&[1, 10]);
    let counted = with_num_threads(2, || {
        let run = |_| measure(|| model.forward_into(&input, &mut output).unwrap()).count_total;
        (0..70).map(run).collect::<Vec<u64>>()
    });
    assert_eq!(output, expected);
    assert_eq!(counted.iter().min(), Some(&0), "{counted:?}");
}

/// Everything that only moves values, in one model.
#[quantizable]
struct Moving {
    conv: Conv2d,
    fc: Linear,
}

#[quantizable]
impl Moving {
    fn forward(&self, x: Tensor) -> Tensor {
        let (a, b) = relu(self.conv(x)).chunk(2, 1);
        let y = cat([b, a], 2).permute((0, 2, 3, 1)).reshape((x.size(0), -1, 8)).transpose(1, 2);
        let (y, z) = split(self.fc(y), 4, -1);
        cat([z, y], 0).flatten(1)
    }
}

#[test]
fn values_are_moved_without_an_allocation() {
    let input = noise(&[2, 3, 6, 5], 20);
    let model = Moving {
        conv: Conv2d::new(3, 8, 1).with_weight(noise(&[8, 3, 1, 1], 1)).unwrap(),
        fc: Linear::new(30, 8).with_weight(noise(&[8, 30], 2)).unwrap(),
    };
    let model = converted(&model, Backend::Native, &[2, 3, 6, 5]);
    assert_eq!(with_num_threads(1, || allocated(&model, &input)), (0, 0));
}

/// A layer in float between two in int8.
#[quantizable]
struct Mixed {
    first: Linear,
    #[quantizable(skip)]
    float: Linear,
    last: Linear,
}

#[quantizable]
impl Mixed {
    fn forward(&self, x: Tensor) -> Tensor {
        self.last(relu(self.float(relu(self.first(x)))))
    }
}

/// The layer alone.
#[quantizable]
struct Alone {
    float: Linear,
}

#[quantizable]
impl Alone {
    fn forward(&self, x: Tensor) -> Tensor {
        relu(self.float(x))
    }
}

#[test]
fn a_layer_in_float_allocates_what_it_does_alone_and_its_input() {
    let linear = |seed| Linear::new(64, 64).with_weight(noise(&[64, 64], seed)).unwrap();
    let input = noise(&[8, 64], 4);
    let alone = Alone { float: linear(2) };
    let model = Mixed { first: linear(1), float: linear(2), last: linear(3) };
    let model = converted(&model, Backend::Native, &[8, 64]);
    let (counted, bytes) = with_num_threads(1, || {
        alone.forward(&input).unwrap();
        (measure(|| drop(alone.forward(&input).unwrap())), allocated(&model, &input).1)
    });
    let (input_bytes, bookkeeping) = (4 * 8 * 64, 1024);
    assert!(bytes < counted.bytes_total + input_bytes + bookkeeping, "{bytes} bytes, alone {counted:?}");
}

#[test]
fn an_output_that_does_not_fit_is_replaced() {
    let input = noise(&[2, 3, 32, 32], 20);
    let model = converted(&residual(), Backend::Native, &[1, 3, 32, 32]);
    let mut output = Tensor::zeros(&[7]);
    let shared = output.clone();
    model.forward_into(&input, &mut output).unwrap();
    assert_eq!(output, model.forward(&input).unwrap());
    assert_eq!(shared, Tensor::zeros(&[7]));
    let kept = output.clone();
    model.forward_into(&noise(&[2, 3, 32, 32], 21), &mut output).unwrap();
    assert_ne!(output, kept);
    assert_eq!(kept, model.forward(&input).unwrap());
}
