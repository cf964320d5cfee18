//! A converted model comes back from its file with the same bytes.

use qcore::prelude::*;
use qcore::{Converted, IntoInput, ModelSummary, QTensor, Values};
use tests::networks::{Network, TwoWays, Upsampling, Video};
use tests::tensors::noise;

use crate::{converted, converted_network, scratch};

/// `int8` from a file, with its type, after a comparison of the model loaded with its type and without.
fn reloaded<M: Module>(int8: &Converted<M>, input: M::Input) -> Converted<M>
where
    M::Input: Clone + IntoInput<M::Input>,
{
    let (_folder, path) = scratch("model.int8.safetensors");
    int8.save(&path).unwrap();
    let loaded = Converted::<M>::load(&path).unwrap();
    let untyped = qcore::Network::load(&path).unwrap();
    let again = path.with_file_name("again.safetensors");
    for save in [loaded.save(&again), untyped.save(&again)] {
        save.unwrap();
        assert_eq!(
            std::fs::read(&again).unwrap(),
            std::fs::read(&path).unwrap(),
            "saved again, the same bytes"
        );
    }
    assert_eq!(summary(&loaded), summary(int8));
    assert_eq!(weights(loaded.network()), weights(int8.network()));
    assert_eq!(weights(&untyped), weights(int8.network()));
    assert_eq!((untyped.model(), untyped.input_count()), (M::NAME, M::Input::COUNT));

    let expected = M::Output::into_vec(int8.forward(input.clone()).unwrap().into_tensors());
    let typed = M::Output::into_vec(loaded.forward(input.clone()).unwrap().into_tensors());
    assert_eq!(typed, expected);
    assert_eq!(untyped.forward(&M::Input::into_vec(input.into_tensors())).unwrap(), expected, "untyped");
    loaded
}

fn summary<M: Module>(int8: &Converted<M>) -> serde_json::Value {
    serde_json::to_value(int8.summary()).unwrap()
}

fn weights(network: &qcore::Network) -> Vec<(String, QTensor)> {
    let mut weights = Vec::new();
    network.visit_weights(&mut |path, weight| weights.push((path.to_owned(), weight.clone())));
    assert!(!weights.is_empty());
    weights
}

#[test]
fn branches_loops_and_nested_models_come_back_for_every_backend() {
    let x = noise(&[2, 3, 9, 9], 1);
    for backend in Backend::ALL {
        let int8 = converted(&Network::small(), &QConfigMapping::for_backend(backend), &x);
        assert_eq!(reloaded(&int8, x.clone()).summary().backend, backend);
    }
}

#[test]
fn tuples_shared_layers_and_skipped_ones_come_back_for_every_backend() {
    let input = || (noise(&[3, 8], 1), noise(&[3, 8], 2));
    for backend in Backend::ALL {
        for wide in [false, true] {
            let int8 = converted(&TwoWays::new(wide), &QConfigMapping::for_backend(backend), input());
            let loaded = reloaded(&int8, input());
            let paths: Vec<String> = weights(loaded.network()).into_iter().map(|(path, _)| path).collect();
            assert_eq!(paths, ["fc", "fc#1", "stack.0", "stack.1"]);
        }
    }
}

#[test]
fn layers_left_in_float_come_back_with_their_weights() {
    let x = noise(&[2, 3, 8, 8], 1);
    let int8 = converted_network();
    let loaded = reloaded(&int8, x.clone());
    assert!(weights(loaded.network()).iter().all(|(path, _)| path != "layers.0.conv2"));
    // Everything in float is a converted model too: the same function as before.
    let model = Network::small();
    let int8 = converted_float(&model);
    let (_folder, path) = scratch("float.safetensors");
    int8.save(&path).unwrap();
    let loaded = Converted::<Network>::load(&path).unwrap();
    let difference =
        tests::tensors::largest_difference(&loaded.forward(&x).unwrap(), &model.forward(&x).unwrap());
    assert!(difference < 1e-5, "{difference}");
}

/// Nothing is observed, so nothing needs data.
fn converted_float(model: &Network) -> Converted<Network> {
    model.prepare(&QConfigMapping::new()).unwrap().convert().unwrap()
}

#[test]
fn videos_and_transposed_convolutions_come_back_for_every_backend() {
    let (video, image) = (noise(&[2, 3, 4, 7, 6], 1), noise(&[2, 3, 6, 8], 1));
    for backend in Backend::ALL {
        let mapping = QConfigMapping::for_backend(backend);
        reloaded(&converted(&Video::small(), &mapping, &video), video.clone());
        reloaded(&converted(&Upsampling::small(), &mapping, &image), image.clone());
    }
}

/// One of each kind of weights, dynamic ones among them, and an activation behind each.
#[quantizable]
struct Kinds {
    depthwise: Conv2d,
    grouped: Conv2d,
    norm: BatchNorm2d,
    float: Conv2d,
    scaled: BatchNorm2d,
    fc: Linear,
    dynamic: Linear,
}

#[quantizable]
impl Kinds {
    fn forward(&self, x: Tensor) -> Tensor {
        let x = relu6(self.depthwise(x));
        let x = relu(self.norm(self.grouped(x)));
        let x = hardswish(self.scaled(relu(self.float(x))));
        relu(self.dynamic(relu(self.fc(x.mean(3)))))
    }
}

#[test]
fn every_kind_of_weight_comes_back() {
    let model = Kinds {
        depthwise: Conv2d::new(4, 4, 3).groups(4),
        grouped: Conv2d::new(4, 8, 3).groups(2).bias(false),
        norm: BatchNorm2d::new(8),
        float: Conv2d::new(8, 6, (1, 3)),
        scaled: BatchNorm2d::new(6),
        fc: Linear::new(5, 7),
        dynamic: Linear::new(7, 3),
    };
    let x = noise(&[2, 4, 9, 11], 3);
    for backend in Backend::ALL {
        for qconfig in [QConfig::dynamic(), QConfig::per_channel_dynamic_qconfig()] {
            let mapping = QConfigMapping::for_backend(backend);
            let mapping = mapping.module("float", None).module("dynamic", qconfig);
            let loaded = reloaded(&converted(&model, &mapping, &x), x.clone());
            let paths: Vec<String> = weights(loaded.network()).into_iter().map(|(path, _)| path).collect();
            assert_eq!(paths, ["depthwise", "grouped", "fc", "dynamic"]);
            let precisions = loaded.network().nodes().iter().map(|node| node.precision().name());
            assert!(
                ["float", "static", "dynamic"]
                    .iter()
                    .all(|name| precisions.clone().any(|other| other == *name))
            );
        }
    }
}

#[test]
fn the_summary_is_read_without_the_models_type() {
    let (_folder, path) = scratch("model.safetensors");
    let mut int8 = converted_network();
    int8.set_metadata("classes", "cat,dog,\"bird\"\n\u{1F426}");
    int8.set_metadata("arch", "small");
    int8.set_metadata("arch", "tiny");
    int8.save(&path).unwrap();
    let summary = ModelSummary::open(&path).unwrap();
    assert_eq!(summary.model, "Network");
    assert_eq!(summary.metadata["classes"], "cat,dog,\"bird\"\n\u{1F426}");
    assert_eq!(summary.metadata["arch"], "tiny");
    assert_eq!(serde_json::to_value(&summary).unwrap(), serde_json::to_value(int8.summary()).unwrap());
    let edge = summary.edges.iter().find(|edge| edge.path == "layers.0.conv2").unwrap();
    assert_eq!(edge.precision, "float");
    let loaded = Converted::<Network>::load(&path).unwrap();
    assert_eq!(loaded.summary().metadata, summary.metadata);
}
