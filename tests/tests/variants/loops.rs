//! `Vec` fields: loops with and without operations of their own, loops in loops, direct calls.

use qcore::prelude::*;

use crate::by_hand::{Array, apply, array, rectify};
use crate::{assert_variants, eighths, linear, paths};

#[quantizable]
struct Looped {
    stack: Vec<Linear>,
    direct: Vec<Linear>,
}

#[quantizable]
impl Looped {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let mut y = x;
        let mut sum = x;
        for layer in &self.stack {
            y = relu(layer(y) * 0.5 + x);
            sum += y;
        }
        (self.direct(y), sum)
    }
}

#[test]
fn a_loop_may_hold_operations_and_a_list_may_be_called() {
    for (stack, direct) in [(0, 1), (1, 2), (3, 1), (2, 0)] {
        let layers = |count: u64, seed| (0..count).map(|index| linear(4, 4, seed + 2 * index)).collect();
        let model = Looped { stack: layers(stack, 0), direct: layers(direct, 30) };
        let x = eighths(&[2, 4], 50);
        let mut y = array(&x);
        let mut sum = array(&x);
        for layer in &model.stack {
            y = rectify(&(apply(layer, &y) * 0.5 + array(&x)));
            sum += &y;
        }
        let out = model.direct.iter().fold(y, |y, layer| apply(layer, &y));
        let int8 = assert_variants(&model, &x, &[out, sum]);
        for index in 0..direct {
            let path = format!("direct.{index}");
            assert!(paths(&int8).contains(&path.as_str()), "{:?}", paths(&int8));
        }
    }
}

#[quantizable]
struct Block {
    fc: Linear,
    shortcut: Option<Linear>,
}

#[quantizable]
impl Block {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.fc(x);
        let identity = match &self.shortcut {
            Some(shortcut) => shortcut(x),
            None => x,
        };
        relu(y + identity)
    }
}

impl Block {
    fn by_hand(&self, x: &Array) -> Array {
        let identity = self.shortcut.as_ref().map_or_else(|| x.clone(), |shortcut| apply(shortcut, x));
        rectify(&(apply(&self.fc, x) + identity))
    }
}

#[quantizable]
struct Stages {
    stages: Vec<Vec<Block>>,
    last: Vec<Block>,
}

#[quantizable]
impl Stages {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut y = x;
        for stage in &self.stages {
            for block in stage {
                y = block(y);
            }
            y = y * 0.5;
        }
        self.last(y)
    }
}

#[test]
fn loops_in_loops_run_blocks_of_different_forms() {
    let block = |seed: u64, wide: bool| Block {
        fc: linear(4, 4, seed),
        shortcut: wide.then(|| linear(4, 4, seed + 100)),
    };
    let model = Stages {
        stages: vec![vec![block(0, true), block(2, false)], Vec::new()],
        last: vec![block(4, false)],
    };
    let x = eighths(&[2, 4], 50).map(|value| value.abs());
    let mut y = array(&x);
    for stage in &model.stages {
        y = stage.iter().fold(y, |y, block| block.by_hand(&y)) * 0.5;
    }
    let expected = model.last[0].by_hand(&y);
    let int8 = assert_variants(&model, &x, &[expected]);
    for path in ["stages.0.0.fc", "stages.0.0.shortcut", "stages.0.1.fc", "last.0.fc"] {
        assert!(paths(&int8).contains(&path), "{:?}", paths(&int8));
    }
    assert!(Stages::GRAPH.to_string().contains("Block"));
}
