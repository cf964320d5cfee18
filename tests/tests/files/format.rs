//! A file of format version 1, written once and kept: it stays readable, and gives PyTorch's numbers.

use std::path::PathBuf;

use crate::parts::{CHECKSUMS, GRAPH, Parts};
use crate::scratch;
use qcore::{ModelSummary, Network, StateDict};

/// The network of the reference case `models/eager_fbgemm`, with PyTorch's scales: `tests/golden/models.rs` says how it is
/// made.
fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/files/format_1.safetensors")
}

/// What PyTorch gives for that case.
fn reference(name: &str) -> qcore::Tensor {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/models.safetensors");
    StateDict::open(path).unwrap().get(&format!("eager_fbgemm/{name}")).unwrap().unwrap()
}

#[test]
fn a_file_of_version_1_gives_pytorchs_numbers() {
    let network = Network::load(fixture()).unwrap();
    let outputs = network.forward(&[reference("in.x")]).unwrap();
    assert_eq!(outputs.len(), 6);
    assert_eq!(outputs[5], reference("out.y"), "the logits");
    // Written again, the same bytes.
    let (_folder, path) = scratch("again.safetensors");
    network.save(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), std::fs::read(fixture()).unwrap());
}

#[test]
fn a_file_of_version_1_has_these_parts() {
    let parts = Parts::of(&std::fs::read(fixture()).unwrap());
    assert_eq!(parts.header["__metadata__"], serde_json::json!({ "format": "qcore", "version": "1" }));
    let layer = |path: &str| ["bias", "weight", "weight_scale"].map(|name| format!("{path}.{name}"));
    let mut names: Vec<String> = ["conv1", "conv2", "fc"].into_iter().flat_map(layer).collect();
    names.extend([CHECKSUMS.to_owned(), GRAPH.to_owned()]);
    names.sort();
    assert_eq!(parts.tensors(), names);
    // What has its default value is left out.
    let graph = parts.contents();
    let conv1 = &graph["nodes"][1];
    assert_eq!(conv1["inputs"], serde_json::json!([0]));
    let keys: Vec<&String> = conv1.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["inputs", "members", "outputs"]);
    let operations = ["Conv2d", "BatchNorm2d", "relu"];
    for (member, operation) in conv1["members"].as_array().unwrap().iter().zip(operations) {
        assert_eq!(member["op"], operation);
    }
    let [conv, norm] = [0, 1].map(|index| conv1["members"][index]["config"].as_object().unwrap());
    let known = |config: &serde_json::Map<String, serde_json::Value>| {
        config.keys().cloned().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(known(conv), "bias in_channels kernel_size out_channels padding");
    assert_eq!(known(norm), "num_features");
    assert_eq!(ModelSummary::open(fixture()).unwrap().model, "TinyCnn");
}
