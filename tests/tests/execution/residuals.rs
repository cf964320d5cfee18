//! The additions that `GRAPH` names as fused are those that the instances of a model fuse.

use qcore::prelude::*;
use qcore::{Graph, GraphNodeKind};
use tests::tensors::noise;

use super::{converted, paths};

/// A ResNet's block.
#[quantizable]
struct Block {
    conv1: Conv2d,
    conv2: Conv2d,
    downsample: Option<Sequential<(Conv2d, BatchNorm2d)>>,
}

#[quantizable]
impl Block {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.conv2(relu(self.conv1(x)));
        let identity = match &self.downsample {
            Some(downsample) => downsample(x),
            None => x,
        };
        relu(y + identity)
    }
}

/// The same with the shortcut first.
#[quantizable]
struct ShortcutFirst {
    conv1: Conv2d,
    conv2: Conv2d,
    downsample: Option<Conv2d>,
}

#[quantizable]
impl ShortcutFirst {
    fn forward(&self, x: Tensor) -> Tensor {
        let identity = match &self.downsample {
            Some(downsample) => downsample(x),
            None => x,
        };
        relu(self.conv2(relu(self.conv1(x))) + identity)
    }
}

#[quantizable]
struct Filter {
    conv: Conv2d,
}

#[quantizable]
impl Filter {
    fn forward(&self, x: Tensor) -> Tensor {
        relu6(self.conv(x))
    }
}

/// A MobileNet's block.
#[quantizable]
struct InvertedResidual {
    conv: Sequential<(Filter, Filter, Conv2d)>,
    adds_input: bool,
}

#[quantizable]
impl InvertedResidual {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.conv(x);
        if self.adds_input { x + y } else { y }
    }
}

/// A chain, two sums that cannot be in a convolution, and a loop.
#[quantizable]
struct Several {
    a: Conv2d,
    b: Conv2d,
    c: Conv2d,
    d: Conv2d,
    e: Conv2d,
    layers: Vec<Conv2d>,
}

#[quantizable]
impl Several {
    fn forward(&self, x: Tensor) -> Tensor {
        let a = self.a(x);
        let b = self.b(x);
        let c = self.c(x);
        let chain = a + b + c;
        let pooled = self.d(chain) + max_pool2d(chain, 3, 1, 1);
        let shared = self.e(pooled);
        let mut y = shared + relu6(shared);
        for layer in &self.layers {
            y = layer(y) + y;
        }
        y
    }
}

#[quantizable]
struct Network {
    stem: Conv2d,
    blocks: Vec<Block>,
}

#[quantizable]
impl Network {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = relu(self.stem(x));
        for block in &self.blocks {
            x = block(x);
        }
        x
    }
}

const SHAPE: [usize; 4] = [1, 8, 6, 5];

fn conv(seed: u64) -> Conv2d {
    Conv2d::new(8, 8, 3).padding(1).with_weight(noise(&[8, 8, 3, 3], seed)).unwrap()
}

fn block(is_widened: bool) -> Block {
    let downsample = is_widened.then(|| Sequential((conv(3), BatchNorm2d::new(8))));
    Block { conv1: conv(1), conv2: conv(2), downsample }
}

fn several() -> Several {
    Several { a: conv(1), b: conv(2), c: conv(3), d: conv(4), e: conv(5), layers: vec![conv(6), conv(7)] }
}

fn steps<M: Module<Input = Tensor>>(model: &M, backend: Backend) -> Vec<String> {
    paths(&converted(model, backend, &SHAPE), &noise(&SHAPE, 20))
}

/// The steps among these that compute the additions of `graph`, the model's own or that of its part at `prefix`:
/// as they are, and as the graph foresees them.
fn additions(graph: &Graph, prefix: &str, steps: &[String]) -> (Vec<String>, Vec<String>) {
    let step_of = |path: &str| steps.iter().position(|step| step.split(" + ").any(|call| call == path));
    let mut found = Vec::new();
    let mut foreseen = Vec::new();
    for node in graph.all_nodes() {
        let GraphNodeKind::Operation { operation: "add" | "add_relu", computed_with, .. } = node.kind else {
            continue;
        };
        let addition = format!("{prefix}{}", node.path);
        let Some(step) = step_of(&addition) else { continue };
        found.push(steps[step].clone());
        let convolutions = computed_with.iter().map(|path| format!("{prefix}{}", path.replace("{i}", "0")));
        let last = convolutions.max_by_key(|path| step_of(path));
        foreseen.push(last.map_or(addition.clone(), |last| format!("{last} + {addition}")));
    }
    (found, foreseen)
}

/// How many additions run in a convolution.
#[track_caller]
fn assert_foreseen(graph: &Graph, prefix: &str, steps: &[String]) -> usize {
    let (found, foreseen) = additions(graph, prefix, steps);
    assert_eq!(found, foreseen, "{graph}\n{steps:#?}");
    found.iter().filter(|step| step.contains(" + ")).count()
}

#[test]
fn a_block_adds_in_its_last_convolution() {
    for is_widened in [false, true] {
        let model = block(is_widened);
        assert_eq!(assert_foreseen(Block::GRAPH, "", &steps(&model, Backend::Native)), 1);
        let model = ShortcutFirst { conv1: conv(1), conv2: conv(2), downsample: is_widened.then(|| conv(3)) };
        assert_eq!(assert_foreseen(ShortcutFirst::GRAPH, "", &steps(&model, Backend::Native)), 1);
    }
}

#[test]
fn nested_blocks_do_as_their_own_graph_says() {
    let model = Network { stem: conv(4), blocks: vec![block(false), block(true)] };
    let steps = steps(&model, Backend::Native);
    for prefix in ["blocks.0.", "blocks.1."] {
        assert_eq!(assert_foreseen(Block::GRAPH, prefix, &steps), 1);
    }
}

#[test]
fn an_addition_may_stand_in_an_arm() {
    for adds_input in [false, true] {
        let sequence = Sequential((Filter { conv: conv(1) }, Filter { conv: conv(2) }, conv(3)));
        let steps = steps(&InvertedResidual { conv: sequence, adds_input }, Backend::Native);
        assert_eq!(assert_foreseen(InvertedResidual::GRAPH, "", &steps), usize::from(adds_input));
    }
}

#[test]
fn chains_loops_and_what_stays_alone() {
    assert_eq!(assert_foreseen(Several::GRAPH, "", &steps(&several(), Backend::Native)), 3);
}

#[test]
fn qnnpack_adds_in_steps_of_its_own() {
    let steps = steps(&several(), Backend::Qnnpack);
    let (found, foreseen) = additions(Several::GRAPH, "", &steps);
    assert!(foreseen.iter().any(|step| step.contains(" + ")));
    assert!(found.iter().all(|step| !step.contains(" + ")), "{found:?}");
}
