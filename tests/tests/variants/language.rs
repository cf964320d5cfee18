//! What models are written with beside layers and operations: functions of the impl, config, loops over numbers,
//! sizes, pointers. Float is compared with what is computed by hand, the rest with float.

use std::sync::Arc;

use qcore::prelude::*;

use crate::by_hand::{Array, apply, array, concatenate, rectify, reshaped};
use crate::{assert_variants, eighths, linear, paths};

/// The keys of the weights.
fn keys(model: &impl Module) -> Vec<String> {
    let shapes = model.state_dict().shapes();
    shapes.into_keys().filter(|key| key.ends_with("weight")).collect()
}

#[quantizable]
struct Methods {
    first: Linear,
    second: Linear,
    classifier: Linear,
}

#[quantizable]
impl Methods {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let (features, skip) = self.features(x, 0.5);
        (self.head(features, &self.classifier), Self::halved(skip))
    }

    /// A function that calls another one, and ends in a tuple.
    fn features(&self, mut x: Tensor, scale: f32) -> (Tensor, Tensor) {
        let skip = self.act(self.first(x));
        x = self.second(skip) * scale;
        return (self.act(x), skip);
    }

    fn act(&self, x: Tensor) -> Tensor {
        relu(x)
    }

    fn head(&self, features: Tensor, layer: &Linear) -> Tensor {
        layer(features)
    }

    fn halved(x: Tensor) -> Tensor {
        x / 2.0
    }

    fn new() -> Self {
        Self { first: linear(4, 4, 1), second: linear(4, 4, 3), classifier: linear(4, 2, 5) }
    }
}

#[test]
fn functions_of_the_impl_are_read_where_they_are_called() {
    let model = Methods::new();
    let x = eighths(&[2, 4], 9);
    let skip = rectify(&apply(&model.first, &array(&x)));
    let features = rectify(&(apply(&model.second, &skip) * 0.5));
    assert_variants(&model, &x, &[apply(&model.classifier, &features), &skip / 2.0]);
    assert_eq!(Methods::FUSIONS[0], ["first", "relu"]);
    assert_eq!(keys(&model), ["classifier.weight", "first.weight", "second.weight"]);
}

#[derive(Clone, Copy)]
enum Act {
    Relu,
    Clamp { max: f32 },
    Scaled(f32),
    None,
}

#[quantizable]
struct Config {
    layers: Vec<Linear>,
    act: Act,
    name: String,
    sizes: Vec<usize>,
    last: Option<f32>,
}

const DEPTH: usize = 2;

#[quantizable]
impl Config {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = self.layers(x);
        if self.layers.len() > DEPTH && !self.sizes.is_empty() {
            x = x + 1.0;
        }
        if self.name.starts_with("wide") || matches!(self.act, Act::None) || self.is_named("narrow") {
            x = x * 2.0;
        }
        let scale = if self.layers.len() > 1 { 0.5 } else { 0.25 };
        x = match self.act {
            Act::Relu => relu(x * scale),
            Act::Clamp { max } if max > 1.0 => clamp(x, -1.0, max),
            Act::Clamp { max } => clamp(x, 0.0, max),
            Act::None => x,
            Act::Scaled(factor) => x * factor,
        };
        if let Act::Scaled(factor) = self.act {
            x = x + factor;
        }
        match &self.last {
            Some(last) => x * *last,
            None => x,
        }
    }

    fn is_named(&self, name: &str) -> bool {
        self.name == name
    }
}

#[test]
fn any_expression_without_tensors_decides() {
    let x = eighths(&[2, 4], 9);
    let cases = [
        (Act::Relu, "wide net", 3, None),
        (Act::Clamp { max: 2.0 }, "narrow", 1, Some(0.5)),
        (Act::Clamp { max: 0.5 }, "other", 3, None),
        (Act::None, "other", 2, Some(2.0)),
        (Act::Scaled(0.5), "other", 3, None),
    ];
    for (act, name, depth, last) in cases {
        let layers: Vec<Linear> = (0..depth).map(|index| linear(4, 4, index)).collect();
        let model = Config { layers, act, name: name.to_owned(), sizes: vec![1], last };
        let mut y = model.layers.iter().fold(array(&x), |y, layer| apply(layer, &y));
        if depth > 2 {
            y += 1.0;
        }
        if name.starts_with("wide") || matches!(act, Act::None) || name == "narrow" {
            y *= 2.0;
        }
        y = match act {
            Act::Relu => rectify(&(y * if depth > 1 { 0.5 } else { 0.25 })),
            Act::Clamp { max } if max > 1.0 => y.mapv(|value| value.clamp(-1.0, max)),
            Act::Clamp { max } => y.mapv(|value| value.clamp(0.0, max)),
            Act::None => y,
            Act::Scaled(factor) => y * factor + factor,
        };
        if let Some(last) = last {
            y *= last;
        }
        assert_variants(&model, &x, &[y]);
    }
}

#[quantizable]
struct Loops {
    convs: Vec<Linear>,
    norms: [Linear; 2],
    scales: Vec<f32>,
    repeat: usize,
    shared: Linear,
}

#[quantizable]
impl Loops {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = self.norms[1](self.convs[0](x));
        for i in 1..self.convs.len() {
            x = self.convs[i](x) * self.scales[i - 1];
        }
        for (i, conv) in self.convs.iter().enumerate().rev() {
            let j = i + 1;
            for _ in 0..j {
                x = x * 0.5;
            }
            x = conv(x) + j as f32;
        }
        for (conv, norm) in self.convs.iter().zip(&self.norms) {
            x = norm(conv(x));
        }
        for conv in self.convs.iter().skip(1) {
            x = conv(x);
        }
        for &scale in &self.scales {
            x = x * scale;
        }
        for _ in 0..self.repeat {
            x = self.shared(x);
        }
        x
    }
}

#[test]
fn loops_go_through_layers_and_numbers() {
    let x = eighths(&[2, 2], 9);
    let halved = |seed| {
        let weight = eighths(&[2, 2], seed).map(|value| (value * 4.0).round() / 4.0);
        Linear::new(2, 2).with_weight(weight).unwrap().with_bias(Tensor::zeros(&[2])).unwrap()
    };
    let convs: Vec<Linear> = (0..3).map(halved).collect();
    let norms = [halved(11), halved(12)];
    let model = Loops { convs, norms, scales: vec![0.5, 1.0], repeat: 2, shared: halved(14) };
    let mut y = apply(&model.norms[1], &apply(&model.convs[0], &array(&x)));
    for i in 1..3 {
        y = apply(&model.convs[i], &y) * model.scales[i - 1];
    }
    for (i, conv) in model.convs.iter().enumerate().rev() {
        for _ in 0..=i {
            y *= 0.5;
        }
        y = apply(conv, &y) + (i + 1) as f32;
    }
    for (conv, norm) in model.convs.iter().zip(&model.norms) {
        y = apply(norm, &apply(conv, &y));
    }
    for conv in model.convs.iter().skip(1) {
        y = apply(conv, &y);
    }
    y *= 0.5;
    for _ in 0..2 {
        y = apply(&model.shared, &y);
    }
    let int8 = assert_variants(&model, &x, &[y]);
    for path in ["norms.1", "convs.0", "convs.2", "shared"] {
        assert!(paths(&int8).contains(&path), "{:?}", paths(&int8));
    }
    let weights = keys(&model);
    assert_eq!(weights[..3], ["convs.0.weight", "convs.1.weight", "convs.2.weight"]);
    assert_eq!(weights[3..], ["norms.0.weight", "norms.1.weight", "shared.weight"]);
}

#[test]
fn an_element_that_is_not_there_is_an_error() {
    let model = Loops {
        convs: vec![],
        norms: [linear(2, 2, 1), linear(2, 2, 2)],
        scales: vec![],
        repeat: 0,
        shared: linear(2, 2, 3),
    };
    let message = model.forward(eighths(&[1, 2], 0)).unwrap_err().to_string();
    assert!(message.contains("`self.convs`") && message.contains("no element 0"), "{message}");
}

#[quantizable]
struct Shuffle {
    groups: usize,
    fc: Linear,
}

#[quantizable]
impl Shuffle {
    fn forward(&self, x: Tensor) -> Tensor {
        let (n, c, h, w) = x.shape();
        let x = x.view((n, self.groups, c / self.groups, h, w));
        let x = x.transpose(1, 2).contiguous().view((n, c, h, w));
        let [n, c, _, _] = x.shape();
        self.fc(x.reshape((n, c * x.shape()[2] * x.size(-1))))
    }
}

#[test]
fn sizes_are_calculated_with() {
    let model = Shuffle { groups: 2, fc: linear(8, 3, 1) };
    let x = eighths(&[2, 4, 1, 2], 9);
    let grouped = reshaped(&array(&x), &[2, 2, 2, 1, 2]);
    let shuffled: Array = grouped.permuted_axes(vec![0, 2, 1, 3, 4]).as_standard_layout().into_owned();
    let y = apply(&model.fc, &reshaped(&shuffled, &[2, 8]));
    assert_variants(&model, &x, &[y]);
}

#[quantizable]
struct Inner {
    fc: Linear,
    #[quantizable(rename = "norm")]
    other: Linear,
}

#[quantizable]
impl Inner {
    fn forward(&self, x: Tensor) -> Tensor {
        self.other(relu(self.fc(x)))
    }
}

#[quantizable]
struct Pointers {
    boxed: Box<Linear>,
    shared: Arc<Sequential<(Linear, ReLU)>>,
    #[allow(clippy::vec_box)]
    blocks: Vec<Box<Inner>>,
    maybe: Option<Box<Linear>>,
    pair: [Inner; 2],
    #[quantizable(rename = "")]
    flat: Inner,
}

#[quantizable]
impl Pointers {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = self.shared(self.boxed(x));
        for block in &self.blocks {
            x = block(x);
        }
        if let Some(maybe) = &self.maybe {
            x = maybe(x);
        }
        x = self.pair(x);
        self.flat(x)
    }
}

/// Of positive values it makes positive ones, a bit longer each.
fn positive(seed: usize) -> Linear {
    let weights = [[1.0, 0.5, 0.5, 1.0], [0.5, 1.0, 1.0, 0.0], [0.0, 0.5, 1.0, 0.5]];
    let weight = Tensor::from_vec(&[2, 2], weights[seed % 3].to_vec()).unwrap();
    Linear::new(2, 2).with_weight(weight).unwrap().with_bias(Tensor::zeros(&[2])).unwrap()
}

fn inner(seed: usize) -> Inner {
    Inner { fc: positive(seed), other: positive(seed + 1) }
}

#[test]
fn pointers_arrays_and_flattened_models_hold_layers() {
    let x = eighths(&[2, 2], 9).map(|value| value.abs() + 0.125);
    let model = Pointers {
        boxed: Box::new(positive(1)),
        shared: Arc::new(Sequential((positive(3), ReLU))),
        blocks: vec![Box::new(inner(5))],
        maybe: Some(Box::new(inner(7).fc)),
        pair: [inner(9), inner(11)],
        flat: inner(13),
    };
    let run = |inner: &Inner, x: &Array| apply(&inner.other, &rectify(&apply(&inner.fc, x)));
    let mut y = rectify(&apply(&model.shared.0.0, &apply(&model.boxed, &array(&x))));
    y = run(&model.blocks[0], &y);
    y = apply(model.maybe.as_ref().unwrap(), &y);
    y = run(&model.flat, &run(&model.pair[1], &run(&model.pair[0], &y)));
    assert_variants(&model, &x, &[y]);
    let weights = keys(&model);
    let expected = [
        "blocks.0.fc.weight",
        "blocks.0.norm.weight",
        "boxed.weight",
        "fc.weight",
        "maybe.weight",
        "norm.weight",
        "pair.0.fc.weight",
        "pair.0.norm.weight",
        "pair.1.fc.weight",
        "pair.1.norm.weight",
        "shared.0.weight",
    ];
    assert_eq!(weights, expected);
}

#[quantizable]
struct UNet {
    downs: [Linear; 2],
    ups: [Linear; 2],
}

#[quantizable]
impl UNet {
    fn forward(&self, x: Tensor) -> Tensor {
        let mut x = x;
        let mut skips = Vec::new();
        for down in &self.downs {
            skips.push(x);
            x = relu(down(x));
        }
        for (i, up) in self.ups.iter().enumerate() {
            let skip = skips.pop().unwrap();
            x = up(cat([x, skip], 1)) * (0.5 / (i + 1) as f32);
        }
        let mut features = vec![x];
        for i in 0..2 {
            features.push(features[i] * 2.0);
        }
        cat(features, 1)
    }
}

#[test]
fn lists_hold_tensors() {
    let x = eighths(&[2, 2], 9);
    let model = UNet { downs: [linear(2, 2, 1), linear(2, 2, 3)], ups: [linear(4, 2, 5), linear(4, 2, 7)] };
    let first = rectify(&apply(&model.downs[0], &array(&x)));
    let second = rectify(&apply(&model.downs[1], &first));
    let y = apply(&model.ups[0], &concatenate(1, &[&second, &first])) * 0.5;
    let y = apply(&model.ups[1], &concatenate(1, &[&y, &array(&x)])) * 0.25;
    assert_variants(&model, &x, &[concatenate(1, &[&y, &(&y * 2.0), &(&y * 4.0)])]);
    assert_eq!(keys(&model), ["downs.0.weight", "downs.1.weight", "ups.0.weight", "ups.1.weight"]);
}
