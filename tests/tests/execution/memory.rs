//! How much memory the activations of a run take.

use qcore::prelude::*;
use tests::tensors::noise;

use super::{converted, residual};

#[test]
fn buffers_that_never_meet_share_their_memory() {
    let input = noise(&[1, 3, 64, 64], 20);
    let model = converted(&residual(), Backend::Native, &[1, 3, 64, 64]);
    let memory = model.memory(&input).unwrap();
    // The stem's output and what it is pooled to.
    let worst = 16 * 64 * 64 + 16 * 32 * 32;
    assert_eq!(memory.lower_bound_bytes, (16 * 64 * 64 + 3 * 64 * 64).max(worst));
    assert!(memory.peak_bytes < memory.lower_bound_bytes + memory.lower_bound_bytes / 20, "{memory:?}");
}

#[test]
fn memory_grows_with_the_input() {
    let model = converted(&residual(), Backend::Native, &[1, 3, 16, 16]);
    let bytes = |shape: &[usize]| model.memory(&noise(shape, 1)).unwrap().peak_bytes;
    let (one, four) = (bytes(&[1, 3, 16, 16]), bytes(&[4, 3, 16, 16]));
    assert!(3 * one < four && four < 5 * one, "{one} {four}");
}

/// A layer in float in the middle.
#[quantizable]
struct Mixed {
    first: Linear,
    #[quantizable(skip)]
    second: Linear,
    third: Linear,
}

#[quantizable]
impl Mixed {
    fn forward(&self, x: Tensor) -> Tensor {
        self.third(self.second(self.first(x)))
    }
}

#[test]
fn tensors_of_float_layers_count_too() {
    let linear = |seed| Linear::new(64, 64).with_weight(noise(&[64, 64], seed)).unwrap();
    let model = Mixed { first: linear(1), second: linear(2), third: linear(3) };
    let int8 = converted(&model, Backend::Native, &[8, 64]);
    let memory = int8.memory(&noise(&[8, 64], 4)).unwrap();
    // The float layer's input and output at once.
    assert!(memory.lower_bound_bytes >= 2 * 4 * 8 * 64 && memory.peak_bytes >= memory.lower_bound_bytes);
    assert!(int8.forward(noise(&[8, 63], 4)).is_err());
    assert!(int8.memory(&noise(&[8, 63], 4)).unwrap_err().to_string().contains("first"));
}
