//! Layers behind other names: aliases, type parameters, pointers and lists of them. The macro does not see which they
//! are; they fuse all the same when the model is prepared.

use std::sync::Arc;

use qcore::prelude::*;
use qcore::{Layer, Module};

use crate::by_hand::{apply, array, rectify};
use crate::{assert_variants, eighths, linear, paths};

type LinearRelu = Sequential<(Linear, ReLU)>;
type Shared = Arc<Linear>;
type Stages = Vec<LinearRelu>;
type Pair = [Linear; 2];

#[quantizable]
struct Aliases {
    block: LinearRelu,
    shared: Shared,
    stages: Stages,
    pair: Pair,
    maybe: Option<LinearRelu>,
    blocks: Vec<LinearRelu>,
}

#[quantizable]
impl Aliases {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = relu(self.shared(self.block(x)));
        x = self.pair(self.stages(x));
        if let Some(maybe) = &self.maybe {
            x = maybe(x);
        }
        for block in &self.blocks {
            x = block(x);
        }
        x
    }
}

/// Sums of few terms, so that a chain of layers stays exact.
fn short(seed: usize) -> Linear {
    let weights = [[1.0, 0.5, -0.5, 1.0], [0.5, 1.0, 1.0, 0.0], [0.0, -0.5, 1.0, 0.5]];
    let weight = Tensor::from_vec(&[2, 2], weights[seed % 3].to_vec()).unwrap();
    let bias = Tensor::from_vec(&[2], vec![0.5, 0.25]).unwrap();
    Linear::new(2, 2).with_weight(weight).unwrap().with_bias(bias).unwrap()
}

#[test]
fn layers_behind_aliases_fuse_and_keep_their_names() {
    let block = |seed| Sequential((short(seed), ReLU));
    let model = Aliases {
        block: block(0),
        shared: Arc::new(short(1)),
        stages: vec![block(2), block(3)],
        pair: [short(4), short(5)],
        maybe: Some(block(6)),
        blocks: vec![block(7)],
    };
    let x = eighths(&[3, 2], 9);
    let run = |block: &LinearRelu, x| rectify(&apply(&block.0.0, &x));
    let mut y = run(&model.block, array(&x));
    y = rectify(&apply(&model.shared, &y));
    y = model.stages.iter().fold(y, |y, block| run(block, y));
    y = model.pair.iter().fold(y, |y, layer| apply(layer, &y));
    y = run(model.maybe.as_ref().unwrap(), y);
    y = run(&model.blocks[0], y);
    let int8 = assert_variants(&model, &x, &[y]);
    let expected =
        ["block.0", "shared", "stages.0.0", "stages.1.0", "pair.0", "pair.1", "maybe.0", "blocks.0.0"];
    assert_eq!(paths(&int8), expected);
    let keys: Vec<String> =
        model.state_dict().shapes().into_keys().filter(|key| key.ends_with("weight")).collect();
    let of_layers: Vec<String> = expected.iter().map(|path| format!("{path}.weight")).collect();
    assert!(of_layers.iter().all(|key| keys.contains(key)) && keys.len() == of_layers.len(), "{keys:?}");
}

#[quantizable]
struct Head<A: Layer, B> {
    fc: Linear,
    act: A,
    body: B,
}

#[quantizable]
impl<A: Layer, B> Head<A, B> {
    fn forward(&self, x: Tensor) -> Tensor {
        self.body(self.act(self.fc(x)))
    }
}

#[test]
fn models_are_generic_over_layers() {
    let x = eighths(&[3, 4], 9);
    let model = Head { fc: linear(4, 4, 0), act: ReLU, body: Sequential((linear(4, 2, 3), ReLU)) };
    let y = rectify(&apply(&model.body.0.0, &rectify(&apply(&model.fc, &array(&x)))));
    let int8 = assert_variants(&model, &x, &[y]);
    assert_eq!(paths(&int8), ["fc", "body.0"]);

    let model = Head { fc: linear(4, 4, 0), act: Identity, body: Box::new(linear(4, 2, 3)) };
    let y = apply(&model.body, &apply(&model.fc, &array(&x)));
    assert_variants(&model, &x, &[y]);
}

type ConvBn = Sequential<(Conv2d, BatchNorm2d)>;

#[quantizable]
struct Residual<A: Layer> {
    conv: ConvBn,
    act: A,
    #[quantizable(skip)]
    skipped: ConvBn,
    skipped_act: A,
}

#[quantizable]
impl<A: Layer> Residual<A> {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.act(self.conv(x));
        let z = self.skipped_act(self.skipped(y));
        self.act(y + z)
    }
}

#[test]
fn the_plan_shows_what_is_fused_and_what_its_field_sets_apart() -> qcore::Result<()> {
    let block = || Sequential((Conv2d::new(2, 2, 1), BatchNorm2d::new(2)));
    let model = Residual { conv: block(), act: ReLU, skipped: block(), skipped_act: ReLU };
    let plan = model.prepare(&QConfigMapping::for_backend(Backend::Native))?.plan().to_string();
    let row = |path: &str| {
        plan.lines().find(|line| line.split_whitespace().next() == Some(path)).unwrap_or_default()
    };
    assert!(
        row("conv.0").contains("ConvReLU2d") && row("conv.0").contains("fused conv.0+conv.1+act"),
        "{plan}"
    );
    assert!(row("skipped.0").contains("fused skipped.0+skipped.1 "), "{plan}");
    assert!(row("skipped_act").contains(" relu "), "{plan}");
    assert!(row("y_plus_z").contains("add_relu"), "{plan}");
    Ok(())
}

#[test]
fn a_layer_alone_is_a_model() {
    let layer = linear(4, 2, 3);
    let x = eighths(&[3, 4], 9);
    assert_variants(&layer, &x, &[apply(&layer, &array(&x))]);
}
