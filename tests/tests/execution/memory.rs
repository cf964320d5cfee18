//! How much memory the activations of a run take.

use qcore::prelude::*;
use tests::tensors::noise;

use super::{converted, residual};

#[test]
fn buffers_that_never_meet_share_their_memory() {
    let input = noise(&[1, 3, 64, 64], 20);
    let model = converted(&residual(), Backend::Native, &[1, 3, 64, 64]);
    let memory = model.memory(&input).unwrap();
    // The stem's output and the pooled one.
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

/// GoogLeNet's module: four branches side by side, two of them with a layer between.
#[quantizable]
struct Inception {
    one: Conv2d,
    before_three: Conv2d,
    three: Conv2d,
    before_five: Conv2d,
    five: Conv2d,
    pooled: Conv2d,
}

#[quantizable]
impl Inception {
    fn forward(&self, x: Tensor) -> Tensor {
        let one = relu(self.one(x));
        let three = relu(self.three(relu(self.before_three(x))));
        let five = relu(self.five(relu(self.before_five(x))));
        let pooled = relu(self.pooled(max_pool2d(x, 3, 1, 1)));
        cat([one, three, five, pooled], 1)
    }
}

/// VGG's layers at one size, and the pool behind them.
#[quantizable]
struct Stage {
    layers: Vec<Conv2d>,
}

#[quantizable]
impl Stage {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        for layer in &self.layers {
            x = relu(layer(x));
        }
        max_pool2d(x, 2)
    }
}

#[quantizable]
struct Chain<M> {
    parts: Vec<M>,
}

#[quantizable]
impl<M> Chain<M> {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        for part in &self.parts {
            x = part(x);
        }
        x
    }
}

fn conv(inputs: usize, outputs: usize, size: usize) -> Conv2d {
    let weight = noise(&[outputs, inputs, size, size], (inputs + outputs + size) as u64);
    Conv2d::new(inputs, outputs, size).padding(size / 2).with_weight(weight).unwrap()
}

/// Asserts that the buffers of `model` take at most a twentieth more than the buffers that live at the same time.
#[track_caller]
fn assert_dense<M: Module<Input = Tensor>>(model: &M, shape: &[usize]) {
    let memory = converted(model, Backend::Native, shape).memory(&noise(shape, 20)).unwrap();
    assert!(memory.peak_bytes <= memory.lower_bound_bytes + memory.lower_bound_bytes / 20, "{memory:?}");
}

#[test]
fn branches_and_chains_are_placed_densely() {
    // A quarter of GoogLeNet's channels: the input's, and the layers' of each module.
    let modules = [
        (28, vec![[48, 16, 24, 32, 4, 8, 8], [64, 32, 32, 48, 8, 24, 16]]),
        (
            14,
            vec![
                [120, 48, 24, 52, 4, 12, 16],
                [128, 40, 28, 56, 6, 16, 16],
                [128, 32, 32, 64, 6, 16, 16],
                [128, 28, 36, 72, 8, 16, 16],
                [132, 64, 40, 80, 8, 32, 32],
            ],
        ),
        (7, vec![[208, 64, 40, 80, 8, 32, 32], [208, 96, 48, 96, 12, 32, 32]]),
    ];
    for (size, channels) in modules {
        let inputs = channels[0][0];
        let module = |[input, one, before_three, three, before_five, five, pooled]: [usize; 7]| Inception {
            one: conv(input, one, 1),
            before_three: conv(input, before_three, 1),
            three: conv(before_three, three, 3),
            before_five: conv(input, before_five, 1),
            five: conv(before_five, five, 5),
            pooled: conv(input, pooled, 1),
        };
        let model = Chain { parts: channels.into_iter().map(module).collect() };
        assert_dense(&model, &[1, inputs, size, size]);
    }
    // A quarter of VGG16's, at a quarter of its size.
    let stages = [(3, 16, 2), (16, 32, 2), (32, 64, 3), (64, 128, 3)];
    let stage = |(inputs, outputs, layers)| Stage {
        layers: (0..layers)
            .map(|layer| conv(if layer == 0 { inputs } else { outputs }, outputs, 3))
            .collect(),
    };
    assert_dense(&Chain { parts: stages.map(stage).into_iter().collect() }, &[1, 3, 56, 56]);
}
