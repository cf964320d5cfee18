//! A converted model comes back from its file with the same bytes.

use qcore::prelude::*;
use qcore::{Converted, ModelSummary, QTensor};
use tests::networks::{Network, TwoWays};
use tests::tensors::noise;

use crate::{converted, converted_network, scratch};

fn reloaded<M: Quantizable>(int8: &Converted<M>) -> Converted<M> {
    let (_folder, path) = scratch("model.int8.safetensors");
    int8.save(&path).unwrap();
    let loaded = Converted::load(&path).unwrap();
    let again = path.with_file_name("again.safetensors");
    loaded.save(&again).unwrap();
    assert_eq!(std::fs::read(&again).unwrap(), std::fs::read(&path).unwrap(), "saved again, the same bytes");
    assert_eq!(summary(&loaded), summary(int8));
    assert_eq!(weights(&loaded), weights(int8));
    loaded
}

fn summary<M: Quantizable>(int8: &Converted<M>) -> serde_json::Value {
    serde_json::to_value(int8.summary()).unwrap()
}

fn weights<M: Quantizable>(int8: &Converted<M>) -> Vec<(String, QTensor)> {
    let mut weights = Vec::new();
    int8.visit_weights(&mut |path, weight| weights.push((path.to_owned(), weight.clone())));
    assert!(!weights.is_empty());
    weights
}

#[test]
fn branches_loops_and_nested_models_come_back_for_every_backend() {
    let x = noise(&[2, 3, 9, 9], 1);
    for backend in Backend::ALL {
        let int8 = converted(&Network::small(), &QConfigMapping::for_backend(backend), &x);
        let loaded = reloaded(&int8);
        assert_eq!(loaded.forward(&x).unwrap(), int8.forward(&x).unwrap(), "{backend}");
        assert_eq!(loaded.summary().backend, backend);
    }
}

#[test]
fn tuples_shared_layers_and_skipped_ones_come_back_for_every_backend() {
    let input = || (noise(&[3, 8], 1), noise(&[3, 8], 2));
    for backend in Backend::ALL {
        for wide in [false, true] {
            let int8 = converted(&TwoWays::new(wide), &QConfigMapping::for_backend(backend), input());
            let loaded = reloaded(&int8);
            assert_eq!(loaded.forward(input()).unwrap(), int8.forward(input()).unwrap(), "{backend}");
            let paths: Vec<String> = weights(&loaded).into_iter().map(|(path, _)| path).collect();
            assert_eq!(paths, ["fc", "fc#1", "stack.0", "stack.1"]);
        }
    }
}

#[test]
fn layers_left_in_float_come_back_with_their_weights() {
    let x = noise(&[2, 3, 8, 8], 1);
    let int8 = converted_network();
    let loaded = reloaded(&int8);
    assert_eq!(loaded.forward(&x).unwrap(), int8.forward(&x).unwrap());
    assert!(weights(&loaded).iter().all(|(path, _)| path != "layers.0.conv2"));
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
    assert_eq!(edge.domain, qcore::Domain::Float);
    let loaded = Converted::<Network>::load(&path).unwrap();
    assert_eq!(loaded.summary().metadata, summary.metadata);
}
