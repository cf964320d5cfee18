//! From the second run on, a model that is int8 throughout allocates nothing.

use allocation_counter::measure;
use qcore::prelude::*;
use tests::tensors::noise;

use super::{converted, residual};

#[test]
fn a_steady_state_allocates_nothing() {
    qcore::set_num_threads(1);
    let input = noise(&[1, 3, 32, 32], 20);
    for backend in Backend::ALL {
        let model = converted(&residual(), backend, &[1, 3, 32, 32]);
        let expected = model.forward(&input).unwrap();
        let mut output = Tensor::zeros(&[1, 10]);
        let first = measure(|| model.forward_into(&input, &mut output).unwrap());
        assert_eq!((first.count_total, first.bytes_total), (0, 0), "{backend}");
        assert_eq!(output, expected, "{backend}");
    }
    qcore::set_num_threads(0);
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
