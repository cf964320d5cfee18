//! Layers whose parameters make no sense: said when the model is used, with the layer's name.

use qcore::prelude::*;
use tests::networks::Network;
use tests::tensors::noise;

use crate::{assert_contains, location};

#[quantizable]
struct Stack {
    conv: Conv2d,
    norm: Option<BatchNorm2d>,
    max: MaxPool2d,
    mean: AvgPool2d,
    all: AdaptiveAvgPool2d,
}

#[quantizable]
impl Stack {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = self.conv(x);
        let y = match &self.norm {
            Some(norm) => norm(y),
            None => y,
        };
        let y = self.mean(self.max(y));
        self.all(y)
    }
}

fn stack() -> Stack {
    Stack {
        conv: Conv2d::new(4, 4, 3),
        norm: None,
        max: MaxPool2d::new(2).stride(1),
        mean: AvgPool2d::new(2).stride(1),
        all: AdaptiveAvgPool2d::new(1),
    }
}

#[test]
fn a_layer_that_makes_no_sense_is_named_by_forward_and_by_prepare() {
    let conv = |conv: Conv2d| Stack { conv, ..stack() };
    let max = |max: MaxPool2d| Stack { max, ..stack() };
    let mean = |mean: AvgPool2d| Stack { mean, ..stack() };
    let cases: Vec<(Stack, &str, &[&str])> = vec![
        (conv(Conv2d::new(4, 6, 3).groups(4)), "conv", &["Conv2d", "groups 4", "out_channels 6"]),
        (conv(Conv2d::new(4, 4, 3).groups(0)), "conv", &["Conv2d", "groups 0"]),
        (conv(Conv2d::new(4, 4, 3).stride(0)), "conv", &["Conv2d", "stride"]),
        (conv(Conv2d::new(4, 4, 3).dilation(0)), "conv", &["Conv2d", "dilation"]),
        (conv(Conv2d::new(4, 4, 0)), "conv", &["Conv2d", "kernel"]),
        (conv(Conv2d::new(4, 0, 3)), "conv", &["Conv2d", "channels"]),
        (conv(Conv2d::new(4, 4, (3, usize::MAX))), "conv", &["Conv2d"]),
        (max(MaxPool2d::new(0)), "max", &["max_pool2d", "kernel"]),
        (max(MaxPool2d::new(3).stride(0)), "max", &["max_pool2d", "stride"]),
        (max(MaxPool2d::new(3).padding(2)), "max", &["max_pool2d", "padding"]),
        (max(MaxPool2d::new(3).dilation(0)), "max", &["max_pool2d", "dilation"]),
        (mean(AvgPool2d::new((2, 0))), "mean", &["avg_pool2d", "kernel"]),
        (mean(AvgPool2d::new(2).stride((0, 1))), "mean", &["avg_pool2d", "stride"]),
        (mean(AvgPool2d::new(2).padding(2)), "mean", &["avg_pool2d", "padding"]),
        (Stack { all: AdaptiveAvgPool2d::new(0), ..stack() }, "all", &["adaptive_avg_pool2d", "output"]),
        (Stack { norm: Some(BatchNorm2d::new(0)), ..stack() }, "norm", &["BatchNorm2d"]),
        (Stack { norm: Some(BatchNorm2d::new(4).eps(-1.0)), ..stack() }, "norm", &["eps"]),
    ];
    let x = noise(&[1, 4, 8, 8], 0);
    assert!(stack().forward(&x).is_ok());
    for (model, name, parts) in cases {
        let (layer, error) = location(model.forward(&x));
        assert_eq!(layer, name, "{error}");
        assert_contains(&error.to_string(), parts);
        let (layer, error) = location(model.prepare(&QConfigMapping::for_backend(Backend::Native)));
        assert!(layer == name || (name == "norm" && layer == "conv"), "`{layer}` is not `{name}`: {error}");
        assert_contains(&error.to_string(), parts);
    }
}

#[test]
fn a_batch_norm_of_other_channels_than_its_convolution_is_named() {
    let mut model = Network::small();
    model.layers[0].bn2 = BatchNorm2d::new(5);
    let (layer, error) = location(model.forward(noise(&[1, 3, 8, 8], 0)));
    assert_eq!(layer, "layers.0.bn2");
    assert_contains(&error.to_string(), &["BatchNorm2d", "5"]);
    let (layer, error) = location(model.prepare(&QConfigMapping::for_backend(Backend::Native)));
    assert_eq!(layer, "layers.0.conv2", "whose weights it is folded into");
    assert_contains(&error.to_string(), &["5", "8"]);
}

#[test]
fn layers_refuse_tensors_of_another_shape() {
    let text = Conv2d::new(3, 4, 3).with_weight(noise(&[4, 3, 3, 1], 0)).unwrap_err().to_string();
    assert_contains(&text, &["Conv2d", "[4, 3, 3, 3]", "[4, 3, 3, 1]"]);
    let text = Linear::new(3, 4).with_bias(noise(&[3], 0)).unwrap_err().to_string();
    assert_contains(&text, &["Linear", "[4]", "[3]"]);
    let text = BatchNorm2d::new(2).with_affine(noise(&[2], 0), noise(&[1], 0)).unwrap_err().to_string();
    assert_contains(&text, &["BatchNorm2d", "[2]", "[1]"]);
}
