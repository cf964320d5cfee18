//! Files whose header was written by somebody else: an error or a model that runs, never a panic.

use std::path::Path;

use qcore::prelude::*;
use qcore::{Converted, Error};
use serde_json::{Value, json};
use tests::networks::{Network, TwoWays};
use tests::tensors::noise;

use crate::parts::Parts;
use crate::{converted, saved_network, scratch};

/// Every operation that has parameters of its own.
#[quantizable]
struct Everything {
    conv: Conv2d,
    #[quantizable(skip)]
    float: Conv2d,
    norm: BatchNorm2d,
    max: MaxPool2d,
    mean: AvgPool2d,
    all: AdaptiveAvgPool2d,
    fc: Linear,
}

#[quantizable]
impl Everything {
    fn forward(&self, x: Tensor) -> Tensor {
        let y = relu(self.conv(x));
        let y = self.norm(self.mean(self.max(y)));
        let y = self.float(y).clamp(-1.0, 1.0);
        let (left, right) = y.chunk(2, 1);
        let y = cat([left.permute((0, 1, 3, 2)), right.transpose(2, 3)], 1) * 2.0;
        let z = self.all(y + 0.25).reshape((x.size(0), 2, -1)).mean(2);
        relu6(self.fc(z.flatten(1)))
    }
}

fn everything() -> Vec<u8> {
    let model = Everything {
        conv: Conv2d::new(2, 4, 3).padding(1),
        float: Conv2d::new(4, 4, 1).groups(2),
        norm: BatchNorm2d::new(4),
        max: MaxPool2d::new(2).stride(1),
        mean: AvgPool2d::new(2).stride(1),
        all: AdaptiveAvgPool2d::new(2),
        fc: Linear::new(2, 3),
    };
    let int8 = converted(&model, &QConfigMapping::for_backend(Backend::Native), noise(&[1, 2, 6, 6], 0));
    let (_folder, path) = scratch("model.safetensors");
    int8.save(&path).unwrap();
    std::fs::read(&path).unwrap()
}

fn load<M: Module>(path: &Path, parts: &Parts) -> Result<Converted<M>, Error> {
    std::fs::write(path, parts.to_signed_bytes()).unwrap();
    Converted::load(path)
}

/// JSON pointers to all values of a document that hold no others.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate() {
                leaves(item, &format!("{path}/{index}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// Replaces every value of the header, one at a time, by values that are wrong.
fn replace_everything<M: Module>(bytes: &[u8], run: impl Fn(&Converted<M>)) -> (usize, usize) {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(bytes);
    let contents = parts.contents();
    let mut pointers = Vec::new();
    leaves(&contents, "", &mut pointers);
    assert!(pointers.len() > 50);
    let replacements = [
        json!(null),
        json!(-1),
        json!(0),
        json!(7),
        json!(1_000_000_000_000_000_000_u64),
        json!(u64::MAX),
        json!(1e300),
        json!("else"),
    ];
    let (mut errors, mut models) = (0, 0);
    for pointer in &pointers {
        for replacement in &replacements {
            let mut other = contents.clone();
            *other.pointer_mut(pointer).unwrap() = replacement.clone();
            let other = parts.clone().with_contents(&other);
            match load::<M>(&path, &other) {
                Err(_) => errors += 1,
                Ok(loaded) => {
                    models += 1;
                    run(&loaded);
                }
            }
        }
    }
    (errors, models)
}

#[test]
fn every_value_of_the_header_may_be_wrong() {
    let (errors, models) = replace_everything::<Everything>(&everything(), |loaded| {
        let _ = loaded.forward(noise(&[1, 2, 6, 6], 0));
    });
    assert!(errors > 4 * models, "{errors} errors, {models} models");
}

#[test]
fn every_value_of_a_tuple_model_may_be_wrong() {
    let input = || (noise(&[2, 8], 0), noise(&[2, 8], 1));
    let int8 = converted(&TwoWays::new(true), &QConfigMapping::for_backend(Backend::Qnnpack), input());
    let (_folder, path) = scratch("model.safetensors");
    int8.save(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let (errors, models) = replace_everything::<TwoWays>(&bytes, |loaded| {
        let _ = loaded.forward(input());
    });
    assert!(errors > 4 * models, "{errors} errors, {models} models");
}

/// The file of a network with a change in its header, which is to be refused.
#[track_caller]
fn refusal(change: impl FnOnce(&mut Value)) -> String {
    let (_folder, path) = scratch("model.safetensors");
    let other = Parts::of(&saved_network()).changed(change);
    let text = load::<Network>(&path, &other).unwrap_err().to_string();
    assert!(text.contains("model.safetensors"), "{text}");
    assert!(qcore::Network::load(&path).is_err());
    text
}

#[test]
fn every_part_of_the_description_is_needed() {
    for part in ["model", "signature", "backend", "nodes", "outputs"] {
        let text = refusal(|header| drop(header.as_object_mut().unwrap().remove(part)));
        assert!(text.contains(&format!("missing field `{part}`")), "{text}");
    }
    for (pointer, part) in [("/nodes/1/members/0", "op"), ("/nodes/1/outputs/0", "scale")] {
        let text = refusal(|header| {
            drop(header.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(part))
        });
        assert!(text.contains(&format!("missing field `{part}`")), "{text}");
    }
    let text =
        refusal(|header| drop(header["nodes"][1]["members"][0].as_object_mut().unwrap().remove("path")));
    assert!(text.contains("without a path"), "{text}");
}

#[test]
fn a_part_that_is_not_known_is_refused_by_name() {
    let unknown = |pointer: &str| {
        let pointer = pointer.to_owned();
        move |header: &mut Value| header.pointer_mut(&pointer).unwrap()["novel"] = json!(1)
    };
    for pointer in ["", "/nodes/1", "/nodes/1/members/0", "/nodes/1/members/0/config", "/nodes/1/outputs/0"] {
        let text = refusal(unknown(pointer));
        assert!(text.contains("novel"), "{pointer}: {text}");
    }
    let text = refusal(|header| header["nodes"][1]["records"] = json!({ "novel": {} }));
    assert!(text.contains("conv1.novel") && text.contains("record that nothing reads"), "{text}");
    // The same again.
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    let text = parts.contents().to_string();
    let twice = [
        text.replacen("{\"backend\"", "{\"model\":\"Network\",\"backend\"", 1),
        text.replacen("\"op\":", "\"op\":\"relu\",\"op\":", 1),
        text.replacen("\"metadata\":{", "\"metadata\":{\"a\":\"b\",\"a\":\"c\"", 1),
        text.replacen("\"nodes\":", "\"metadata\":{\"a\":\"b\",\"a\":\"c\"},\"nodes\":", 1),
    ];
    for twice in twice.into_iter().filter(|twice| *twice != text) {
        let error =
            load::<Network>(&path, &parts.clone().with_text(twice.as_bytes())).unwrap_err().to_string();
        assert!(error.contains("duplicate field") || error.contains("twice"), "{error}");
    }
}

#[test]
fn a_graph_that_makes_no_sense_is_refused() {
    let contents = Parts::of(&saved_network()).contents();
    let nodes = contents["nodes"].as_array().unwrap();
    let (values, last) = (nodes.len(), nodes.len() - 1);
    let adding = nodes.iter().position(|node| node["members"][0]["op"] == "add").unwrap();
    let set = |pointer: String, value: Value| {
        move |header: &mut Value| *header.pointer_mut(&pointer).unwrap() = value
    };
    // Values that are made later, by the node itself, or never.
    for (node, read) in [(1, 1), (1, 2), (last, last), (last, values), (last, usize::MAX)] {
        let text = refusal(set(format!("/nodes/{node}/inputs/0"), read.into()));
        assert!(text.contains("not made before it"), "{text}");
    }
    // More or fewer inputs than the operation has.
    for inputs in [json!([]), json!([0]), json!([0, 0, 0])] {
        let text = refusal(set(format!("/nodes/{adding}/inputs"), inputs));
        assert!(text.contains("inputs of add"), "{text}");
    }
    let text = refusal(set("/nodes/1/outputs".into(), json!([])));
    assert!(text.contains("makes no value"), "{text}");
    let text = refusal(set("/nodes/1/outputs".into(), json!([null, null])));
    assert!(text.contains("2 outputs of Conv2d"), "{text}");
    for outputs in [json!([]), json!([values]), json!([0, u64::MAX])] {
        let text = refusal(set("/outputs".into(), outputs));
        assert!(text.contains("outputs"), "{text}");
    }
    // A call of nothing; a parameter of `forward` behind calls; none at all.
    let text = refusal(|header| header["nodes"][1] = json!({ "path": "x", "inputs": [0] }));
    assert!(text.contains("calls nothing"), "{text}");
    let text = refusal(|header| header["nodes"][last] = json!({ "path": "x" }));
    assert!(text.contains("calls nothing"), "{text}");
    assert!(refusal(set("/nodes".into(), json!([]))).contains("without inputs"));
    // Integers without a scale, and a scale for each channel.
    let text = refusal(set(format!("/nodes/{last}/outputs"), json!([null])));
    assert!(text.contains("without a scale"), "{text}");
    let text = refusal(set("/nodes/0/outputs/0/scale".into(), json!([0.5, 0.5])));
    assert!(text.contains("f32"), "{text}");
}

#[test]
fn an_operation_or_a_precision_that_is_not_known_is_named() {
    let member = |operation: &str| {
        let member = json!({ "path": "conv1", "op": operation, "config": {} });
        move |header: &mut Value| header["nodes"][1]["members"] = json!([member])
    };
    for operation in ["fft", "", "Conv2D"] {
        let text = refusal(member(operation));
        assert!(text.contains(&format!("`{operation}`")) && text.contains("can load"), "{text}");
    }
    // A known operation, with the parameters of another.
    assert!(refusal(member("max_pool2d")).contains("parameters of `max_pool2d`"));
    for precision in ["int4", "", "Static"] {
        let text = refusal(|header| header["nodes"][1]["precision"] = precision.into());
        assert!(text.contains(&format!("`{precision}`")), "{text}");
    }
    let text = refusal(|header| header["nodes"][1]["precision"] = "dynamic".into());
    assert!(text.contains("Conv2d") && text.contains("`dynamic`"), "{text}");
    // Fused in an order that no kernel has.
    let text = refusal(|header| {
        header["nodes"][1]["path"] = "conv1".into();
        header["nodes"][1]["members"].as_array_mut().unwrap().reverse();
    });
    assert!(text.contains("as one operation") || text.contains("fused behind"), "{text}");
}

#[test]
fn scales_and_zero_points_out_of_range_are_refused() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    let refuse = |what: &str, other: Parts| {
        let error = load::<Network>(&path, &other).map(drop).expect_err(what);
        assert!(error.to_string().contains("model.safetensors"), "{what}: {error}");
    };
    // Of the values.
    let mut pointers = Vec::new();
    leaves(&parts.contents(), "", &mut pointers);
    let scales: Vec<&str> = pointers.iter().filter_map(|pointer| pointer.strip_suffix("/scale")).collect();
    assert!(scales.len() > 10);
    let scale = [json!(0.0), json!(-0.5), json!(1e300), json!(1e-300), json!(null), json!("NaN")];
    let zero_point = [json!(-129), json!(256), json!(1_u64 << 40), json!(0.5)];
    let bad = scale.map(|value| ("scale", value)).into_iter();
    for (field, value) in bad.chain(zero_point.map(|value| ("zero_point", value))) {
        for pointer in &scales {
            let other =
                parts.changed(|contents| contents.pointer_mut(pointer).unwrap()[field] = value.clone());
            refuse(&format!("{pointer}/{field} = {value}"), other);
        }
    }
    // Of the weights.
    let scales: Vec<String> = parts.weights().into_iter().filter(|name| name.ends_with("_scale")).collect();
    assert!(scales.len() >= 5);
    for name in &scales {
        for value in [0.0, -0.5, f32::INFINITY, f32::NAN, 1e-45] {
            let mut other = parts.clone();
            let place = parts.range(name).end - 4;
            other.data[place..][..4].copy_from_slice(&value.to_le_bytes());
            refuse(&format!("{name} = {value}"), other);
        }
    }
}

/// A model whose weights are all in float, a batch norm that stands alone among them.
#[quantizable]
struct Float {
    norm: BatchNorm2d,
}

#[quantizable]
impl Float {
    fn forward(&self, x: Tensor) -> Tensor {
        self.norm(x)
    }
}

#[test]
fn statistics_that_are_no_variance_are_refused() {
    let model = Float { norm: BatchNorm2d::new(2) };
    let int8 = converted(&model, &QConfigMapping::new(), noise(&[1, 2, 3, 3], 0));
    let (_folder, path) = scratch("model.safetensors");
    int8.save(&path).unwrap();
    let parts = Parts::of(&std::fs::read(&path).unwrap());
    for (name, values) in [
        ("norm.running_var", &[-1.0, f32::INFINITY, f32::NAN][..]),
        ("norm.running_mean", &[f32::INFINITY, f32::NAN]),
        ("norm.weight", &[f32::NEG_INFINITY, f32::NAN]),
        ("norm.bias", &[f32::NEG_INFINITY, f32::NAN]),
    ] {
        for value in values {
            let mut other = parts.clone();
            let place = parts.range(name).start;
            other.data[place..][..4].copy_from_slice(&value.to_le_bytes());
            let text = load::<Float>(&path, &other).unwrap_err().to_string();
            assert!(text.contains("norm") && text.contains(&value.to_string()), "{name} = {value}: {text}");
        }
    }
    assert!(load::<Float>(&path, &parts).is_ok());
}
