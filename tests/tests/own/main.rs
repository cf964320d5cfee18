//! Layers and operations of the user's own, in a crate that is not qcore: in a `#[quantizable]` body they go through
//! everything that qcore's do.

mod exchange;
mod glu;
mod parts;
mod snake;

use exchange::Exchange;
use parts::Parts;
use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, LoadOptions, Loaders, Network, Prepared};
use snake::Snake;
use tests::tensors::{largest_difference, noise};

/// The byte nearest to a value. Conversion to `u8` saturates.
fn nearest(value: f32, qparams: qcore::qkernels::QParams) -> u8 {
    ((value / qparams.scale).round_ties_even() + qparams.zero_point as f32) as u8
}

#[quantizable]
struct Net {
    conv: Conv2d,
    snake: Snake,
    exchange: Exchange,
    fc: Linear,
}

#[quantizable]
impl Net {
    fn new() -> Self {
        let snake = |alpha| Snake { alpha: Tensor::zeros(&[1]).map(|_| alpha) };
        Self {
            conv: Conv2d::new(3, 8, 3),
            snake: snake(2.0),
            exchange: Exchange { snake: snake(0.5) },
            fc: Linear::new(8, 5),
        }
    }

    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.snake(self.conv(x));
        let (left, right) = y.chunk(2, 1);
        let (gated, sum) = self.exchange(left, right);
        self.fc(cat([gated, sum], 1).mean((2, 3)))
    }
}

fn input() -> Tensor {
    noise(&[2, 3, 9, 7], 1)
}

fn calibrated<M: Module>(model: &M, mapping: &QConfigMapping, input: M::Input) -> Prepared<M>
where
    M::Input: qcore::IntoInput<M::Input>,
{
    let mut prepared = model.prepare(mapping).unwrap();
    prepared.calibrate_with([input], CalibrationOptions { progress: false }).unwrap();
    prepared
}

fn native() -> QConfigMapping {
    QConfigMapping::for_backend(Backend::Native)
}

/// Asserts that `found` is `expected` up to a share of its largest value.
#[track_caller]
fn assert_close(found: &Tensor, expected: &Tensor, share: f32) {
    let largest = expected.view().iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    let difference = largest_difference(found, expected);
    assert!(difference <= share * largest, "{difference}, values go to {largest}");
}

fn snake_of(x: f32, alpha: f32) -> f32 {
    let (x, alpha) = (f64::from(x), f64::from(alpha));
    (x + (alpha * x).sin().powi(2) / alpha) as f32
}

#[test]
fn a_layer_of_ones_own_is_a_module_by_itself() {
    let (snake, x) = (Net::new().snake, noise(&[4, 5], 2));
    let expected = x.clone().map(|x| snake_of(x, 2.0));
    assert_close(&snake.run(x.clone()).unwrap(), &expected, 1e-6);
    let prepared = calibrated(&snake, &native(), x.clone());
    assert_close(&prepared.forward(&x).unwrap(), &expected, 1e-6);
    assert_close(&prepared.convert().unwrap().forward(&x).unwrap(), &expected, 0.01);
}

#[test]
fn several_inputs_and_outputs_go_through_every_precision() {
    let (exchange, a, b) = (Net::new().exchange, noise(&[2, 3, 5, 4], 3), noise(&[2, 3, 5, 4], 4));
    let expected = {
        let bent: Vec<f32> = b.view().iter().map(|&b| snake_of(b, 0.5)).collect();
        let of = |f: fn(f32, f32) -> f32| {
            let values = a.view().iter().zip(&bent).map(|(&a, &b)| f(a, b)).collect();
            Tensor::from_vec(a.shape(), values).unwrap()
        };
        [of(|a, b| (f64::from(a) / (1.0 + f64::from(-b).exp())) as f32), of(|a, b| a + b)]
    };
    let input = (a, b);
    let assert_is = |(gated, sum): (Tensor, Tensor), share| {
        assert_close(&gated, &expected[0], share);
        assert_close(&sum, &expected[1], share);
    };
    assert_is(exchange.run(input.clone()).unwrap(), 1e-6);
    for (mapping, share) in [(native(), 0.02), (QConfigMapping::new(), 1e-6)] {
        let prepared = calibrated(&exchange, &mapping, input.clone());
        assert_is(prepared.forward(input.clone()).unwrap(), 1e-6);
        assert_is(prepared.convert().unwrap().forward(input.clone()).unwrap(), share);
    }
}

#[test]
fn they_stand_in_a_body_like_any_layer() {
    let model = Net::new();
    let float = model.forward(input()).unwrap();
    let prepared = calibrated(&model, &native(), input());
    assert_close(&prepared.forward(input()).unwrap(), &float, 1e-6);
    let int8 = prepared.convert().unwrap();
    assert_close(&int8.forward(input()).unwrap(), &float, 0.05);
    let nodes: Vec<(&str, &str, &str)> = int8
        .network()
        .nodes()
        .iter()
        .map(|node| (node.path(), node.operation(), node.precision().name()))
        .collect();
    let own = [
        ("snake", "snake", "static"),
        ("exchange.snake", "snake", "static"),
        ("exchange.glu", "glu", "static"),
        ("exchange.sum", "add", "static"),
    ];
    assert!(own.iter().all(|node| nodes.contains(node)), "{nodes:?}");
    // Their outputs are observed.
    for path in ["snake", "exchange.snake", "exchange.glu"] {
        assert!(prepared.observer(path).unwrap().has_observed(), "{path}");
    }
    let steps = int8.profile(&input()).unwrap().steps;
    assert!(steps.iter().all(|step| step.domain != "float"), "{steps:?}");
}

#[test]
fn mappings_know_them_by_path_and_type() {
    let float_nodes = |mapping: &QConfigMapping| {
        let prepared = Net::new().prepare(mapping).unwrap();
        let nodes = prepared.plan().nodes().filter(|node| node.float_reason().is_some());
        nodes.map(|node| node.path().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(float_nodes(&native()), [""; 0]);
    assert_eq!(float_nodes(&native().module("snake", None)), ["snake"]);
    let exchange = ["exchange.snake", "exchange.glu", "exchange.sum"];
    assert_eq!(float_nodes(&native().module("exchange", None)), exchange);
    assert_eq!(float_nodes(&native().object_type("glu", None)), ["exchange.glu"]);
    // The half that goes from one to the other stays in float with them.
    assert_eq!(float_nodes(&native().object_type("snake", None)), ["snake", "chunk_1", "exchange.snake"]);
    let error = Net::new().prepare(&native().module("exchange.snak", None)).unwrap_err().to_string();
    assert!(error.contains("did you mean `exchange.snake`"), "{error}");
}

#[test]
fn a_state_dict_has_their_tensors() {
    let mut model = Net::new();
    let keys: Vec<String> = model.state_dict().shapes().into_keys().collect();
    let expected =
        ["conv.bias", "conv.weight", "exchange.snake.alpha", "fc.bias", "fc.weight", "snake.alpha"];
    assert_eq!(keys, expected);
    let mut other = Net::new();
    other.snake.alpha = Tensor::zeros(&[1]).map(|_| 3.0);
    model.load_state_dict(&other.state_dict()).unwrap();
    assert_eq!(model.snake.alpha, other.snake.alpha);
}

#[test]
fn a_file_gives_them_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    for mapping in [native(), native().module("snake", None), QConfigMapping::new()] {
        let int8 = calibrated(&Net::new(), &mapping, input()).convert().unwrap();
        let expected = int8.forward(input()).unwrap();
        int8.save(&path).unwrap();
        let loaded = Converted::<Net>::load(&path).unwrap();
        assert_eq!(loaded.forward(input()).unwrap(), expected);

        // Without the model's type somebody must say how they are made.
        let error = Network::load(&path).unwrap_err().to_string();
        assert!(error.contains("`snake`") && error.contains("model.safetensors"), "{error}");
        let mut loaders = Loaders::new();
        Net::loaders(&mut loaders);
        let untyped = Network::load_with(&path, &loaders, LoadOptions::default()).unwrap();
        assert_eq!(untyped.forward(&[input()]).unwrap(), [expected]);

        let bytes = std::fs::read(&path).unwrap();
        untyped.save(&path).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), bytes);
    }
}

#[test]
fn what_does_not_fit_is_an_error_of_the_operation_that_names_its_place() {
    let mut model = Net::new();
    let prepared = calibrated(&model, &native(), input());
    model.exchange.snake.alpha = Tensor::zeros(&[2]);
    let error = model.forward(input()).unwrap_err().to_string();
    assert!(error.contains("`exchange.snake`") && error.contains("alpha is one number"), "{error}");
    let exchange = &Net::new().exchange;
    let error = exchange.run((noise(&[1, 2], 0), noise(&[2, 1], 0))).unwrap_err().to_string();
    assert!(error.contains("`glu`") && error.contains("[1, 2] and [2, 1]"), "{error}");
    assert!(prepared.convert().unwrap().forward(noise(&[2, 4, 9, 7], 0)).is_err());
}

/// Two outputs of one call, one of them read again.
#[quantizable]
struct Sides {
    fc: Linear,
    parts: Parts,
}

#[quantizable]
impl Sides {
    fn forward(&self, x: Tensor) -> (Tensor, Tensor) {
        let (positive, negative) = self.parts(x);
        (self.fc(positive), negative)
    }
}

#[test]
fn an_operation_makes_several_outputs() {
    let model = Sides { fc: Linear::new(5, 3), parts: Parts };
    let x = noise(&[4, 5], 7);
    let (left, right) = model.forward(&x).unwrap();
    assert_eq!(right, x.clone().map(|x| (-x).max(0.0)));
    assert_eq!(left, qcore::Layer::forward(&model.fc, x.clone().map(|x| x.max(0.0))).unwrap());
    let prepared = calibrated(&model, &native(), x.clone());
    let int8 = prepared.convert().unwrap();
    let (found_left, found_right) = int8.forward(&x).unwrap();
    assert_close(&found_left, &left, 0.02);
    assert_close(&found_right, &right, 0.005);
    // Each output has a scale of its own.
    let scales: Vec<f32> = int8
        .summary()
        .edges
        .iter()
        .filter(|edge| edge.path == "parts")
        .map(|edge| edge.qparams.as_ref().unwrap().tensor_scale())
        .collect();
    assert!(scales.len() == 2 && scales[0] != scales[1], "{scales:?}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    int8.save(&path).unwrap();
    let loaded = Converted::<Sides>::load(&path).unwrap();
    assert_eq!(loaded.forward(&x).unwrap(), (found_left, found_right));
}
