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

#[quantizable]
struct Stem {
    #[quantizable(rename = "0")]
    fc: Linear,
    #[quantizable(skip)]
    skipped: Linear,
    inner: LinearRelu,
}

#[quantizable]
impl Stem {
    fn forward(&self, x: Tensor) -> Tensor {
        self.inner(self.skipped(self.fc(x)))
    }
}

#[quantizable]
struct Backbone {
    #[quantizable(rename = "features")]
    stem: Box<Stem>,
}

#[quantizable]
impl Backbone {
    fn forward(&self, x: Tensor) -> Tensor {
        self.stem(x)
    }
}

#[quantizable]
struct Parts {
    backbone: Backbone,
    blocks: Vec<Stem>,
    pair: (Linear, LinearRelu),
}

#[quantizable]
impl Parts {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = relu(self.backbone.stem.fc(x));
        x = self.backbone.stem.skipped.forward(x);
        for block in &self.blocks {
            x = block.inner(x);
        }
        let x = self.pair.1(self.pair.0(x));
        self.backbone(x)
    }
}

#[test]
fn a_layer_of_another_model_has_its_name_and_its_attributes() {
    let stem =
        |seed| Stem { fc: short(seed), skipped: short(seed + 1), inner: Sequential((short(seed + 2), ReLU)) };
    let model = Parts {
        backbone: Backbone { stem: Box::new(stem(0)) },
        blocks: vec![stem(4)],
        pair: (short(1), Sequential((short(2), ReLU))),
    };
    let run = |layer, y| apply(layer, &y);
    let stem = &model.backbone.stem;
    let x = eighths(&[3, 2], 9);
    let mut y = run(&stem.skipped, rectify(&run(&stem.fc, array(&x))));
    y = rectify(&run(&model.blocks[0].inner.0.0, y));
    y = rectify(&run(&model.pair.1.0.0, run(&model.pair.0, y)));
    y = rectify(&run(&stem.inner.0.0, run(&stem.skipped, run(&stem.fc, y))));
    let int8 = assert_variants(&model, &x, &[y]);
    let expected = [
        "backbone.features.0",
        "backbone.features.skipped",
        "blocks.0.inner.0",
        "pair.0",
        "pair.1.0",
        "backbone.features.0#1",
        "backbone.features.skipped#1",
        "backbone.features.inner.0",
    ];
    assert_eq!(paths(&int8), expected);
    let is_float = |path: &str| {
        let nodes = int8.network().nodes();
        nodes.iter().any(|node| node.path() == path && node.precision() == qcore::ops::Precision::Float)
    };
    assert!(is_float("backbone.features.skipped") && !is_float("backbone.features.0"));
    let keys: Vec<String> =
        model.state_dict().shapes().into_keys().filter(|key| key.starts_with("pair")).collect();
    assert_eq!(keys, ["pair.0.bias", "pair.0.weight", "pair.1.0.bias", "pair.1.0.weight"]);
}

/// As torchvision's `features` of a MobileNet.
#[quantizable]
struct Features {
    #[quantizable(rename = "features.0")]
    stem: LinearRelu,
    #[quantizable(rename = "features", first = 1)]
    blocks: Vec<LinearRelu>,
    #[quantizable(rename = "features", first = 3)]
    more: [Linear; 2],
    #[quantizable(rename = "features.5")]
    last: Linear,
}

#[quantizable]
impl Features {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = self.stem(x);
        for block in &self.blocks {
            x = block(x);
        }
        for i in 0..1 {
            x = self.more[i](x);
        }
        self.last(self.more[1](x))
    }
}

#[test]
fn a_list_begins_where_the_state_dict_has_it() -> qcore::Result<()> {
    let block = |seed| Sequential((short(seed), ReLU));
    let mut model = Features {
        stem: block(0),
        blocks: vec![block(1), block(2)],
        more: [short(3), short(4)],
        last: short(5),
    };
    let x = eighths(&[3, 2], 9);
    let mut y = rectify(&apply(&model.stem.0.0, &array(&x)));
    y = model.blocks.iter().fold(y, |y, block| rectify(&apply(&block.0.0, &y)));
    y = [&model.more[0], &model.more[1], &model.last].into_iter().fold(y, |y, layer| apply(layer, &y));
    let int8 = assert_variants(&model, &x, &[y]);
    let expected = ["features.0.0", "features.1.0", "features.2.0", "features.3", "features.4", "features.5"];
    assert_eq!(paths(&int8), expected);
    let weights = model.state_dict();
    let keys: Vec<String> = weights.shapes().into_keys().filter(|key| key.ends_with("weight")).collect();
    assert_eq!(keys, expected.map(|path| format!("{path}.weight")));
    model.load_state_dict(&weights)?;
    model.more[1] = Linear::new(2, 2).with_weight(Tensor::from_vec(&[2, 2], vec![f32::NAN; 4])?)?;
    let message = model.prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap_err().to_string();
    assert!(message.contains("features.4.weight"), "{message}");
    Ok(())
}

#[quantizable]
enum Block<A> {
    Plain(Linear),
    /// With a layer of its own.
    Activated(Sequential<(Linear, A)>),
    Model(Box<Stem>),
    Pass(Identity),
}

#[quantizable]
struct Choices {
    #[quantizable(rename = "")]
    first: Block<ReLU>,
    blocks: Vec<Block<ReLU>>,
}

#[quantizable]
impl Choices {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = relu(self.first(x));
        for block in &self.blocks {
            x = block(x);
        }
        x
    }
}

#[test]
fn an_enum_of_blocks_runs_as_the_block_that_it_holds() -> qcore::Result<()> {
    let stem = Stem { fc: short(3), skipped: short(4), inner: Sequential((short(5), ReLU)) };
    let activated = Sequential((short(1), ReLU));
    let x = eighths(&[3, 2], 9);
    let run = |layer, y| apply(layer, &y);
    let plain = short(0);
    let mut y = rectify(&run(&activated.0.0, rectify(&run(&plain, array(&x)))));
    y = run(&stem.inner.0.0, run(&stem.skipped, run(&stem.fc, y)));
    let model = Choices {
        first: Block::Plain(plain),
        blocks: vec![Block::Activated(activated), Block::Pass(Identity), Block::Model(Box::new(stem))],
    };
    let int8 = assert_variants(&model, &x, &[rectify(&y)]);
    let operations = ["blocks.0.0", "blocks.1", "blocks.2.0", "blocks.2.skipped", "blocks.2.inner.0"];
    assert_eq!(paths(&int8)[1..], operations);
    let keys: Vec<String> =
        model.state_dict().shapes().into_keys().filter(|key| key.ends_with("weight")).collect();
    let expected = [
        "blocks.0.0.weight",
        "blocks.2.0.weight",
        "blocks.2.inner.0.weight",
        "blocks.2.skipped.weight",
        "weight",
    ];
    assert_eq!(keys, expected);
    assert!(
        model
            .prepare(&QConfigMapping::for_backend(Backend::Native))?
            .plan()
            .to_string()
            .contains("LinearReLU")
    );
    Ok(())
}
