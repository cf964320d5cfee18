//! Files whose header was written by somebody else: an error or a model that runs, never a panic, a hang or a huge
//! allocation.

use std::path::Path;
use std::time::{Duration, Instant};

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
    std::fs::write(path, parts.to_bytes()).unwrap();
    let begin = Instant::now();
    let loaded = Converted::load(path);
    assert!(begin.elapsed() < Duration::from_secs(1), "loading took {:?}", begin.elapsed());
    loaded
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
    assert!(pointers.len() > 100);
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
fn every_part_of_the_header_is_needed() {
    let parts =
        ["version", "model", "signature", "backend", "metadata", "nodes", "qparams", "outputs", "checksums"];
    for part in parts {
        let text = refusal(|header| drop(header.as_object_mut().unwrap().remove(part)));
        assert!(text.contains(&format!("missing field `{part}`")), "{text}");
    }
    let nested = [
        ("/nodes/1", "path"),
        ("/nodes/1", "outputs"),
        ("/nodes/1/call", "precision"),
        ("/nodes/1/call", "members"),
        ("/nodes/1/call/members/0", "op"),
        ("/qparams/0", "scale"),
    ];
    for (pointer, part) in nested {
        let text = refusal(|header| {
            drop(header.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(part))
        });
        assert!(text.contains(&format!("missing field `{part}`")), "{text}");
    }
    for name in Parts::of(&saved_network()).tensors() {
        let text = refusal(|header| drop(header["checksums"].as_object_mut().unwrap().remove(&name)));
        assert!(text.contains(&format!("`{name}`")) && text.contains("checksum"), "{text}");
    }
}

#[test]
fn a_graph_that_makes_no_sense_is_refused() {
    let contents = Parts::of(&saved_network()).contents();
    let (nodes, values) =
        (contents["nodes"].as_array().unwrap(), contents["qparams"].as_array().unwrap().len());
    let last = nodes.len() - 1;
    let adding = nodes.iter().position(|node| node["call"]["members"][0]["op"] == "add").unwrap();
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
    for outputs in [json!([]), json!([0]), json!([1, 2]), json!([7]), json!([u64::MAX])] {
        let text = refusal(set("/nodes/1/outputs".into(), outputs));
        assert!(text.contains("makes the values") || text.contains("of 16 values"), "{text}");
    }
    for outputs in [json!([]), json!([values]), json!([0, u64::MAX])] {
        let text = refusal(set("/outputs".into(), outputs));
        assert!(text.contains("outputs"), "{text}");
    }
    for count in [0, values - 1, values + 1, 1000] {
        let text = refusal(|header| header["qparams"].as_array_mut().unwrap().resize(count, Value::Null));
        assert!(text.contains(&format!("scales of {count} values")), "{text}");
    }
    // A call of nothing; a parameter of `forward` behind calls; none at all.
    assert!(refusal(set("/nodes/1/call/members".into(), json!([]))).contains("calls nothing"));
    assert!(refusal(set(format!("/nodes/{last}/call"), Value::Null)).contains("calls nothing"));
    assert!(refusal(set("/nodes".into(), json!([]))).contains("without inputs"));
    // Integers without a scale, and floats that have one for each channel.
    let text = refusal(set(format!("/qparams/{}", values - 1), Value::Null));
    assert!(text.contains("without a scale"), "{text}");
    let text = refusal(set("/qparams/0/scale".into(), json!([0.5, 0.5])));
    assert!(text.contains("scale"), "{text}");
}

#[test]
fn an_operation_or_a_precision_that_is_not_known_is_named() {
    let member = |operation: &str| {
        let member = json!({ "op": operation, "config": {} });
        move |header: &mut Value| header["nodes"][1]["call"]["members"] = json!([member])
    };
    for operation in ["fft", "", "Conv2D"] {
        let text = refusal(member(operation));
        assert!(text.contains(&format!("`{operation}`")) && text.contains("can load"), "{text}");
    }
    // A known operation, with the parameters of another.
    assert!(refusal(member("max_pool2d")).contains("parameters of `max_pool2d`"));
    for precision in ["int4", "", "Static"] {
        let text = refusal(|header| header["nodes"][1]["call"]["precision"] = precision.into());
        assert!(text.contains(&format!("`{precision}`")), "{text}");
    }
    let text = refusal(|header| header["nodes"][1]["call"]["precision"] = "dynamic".into());
    assert!(text.contains("Conv2d") && text.contains("`dynamic`"), "{text}");
    // Fused in an order that no kernel has.
    let text = refusal(|header| header["nodes"][1]["call"]["members"].as_array_mut().unwrap().reverse());
    assert!(text.contains("as one operation") || text.contains("fused behind"), "{text}");
}

#[test]
fn scales_and_zero_points_out_of_range_are_refused() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    let mut pointers = Vec::new();
    leaves(&parts.contents(), "", &mut pointers);
    let inside = |field: &str| {
        let part = format!("/{field}/");
        pointers.iter().filter(|pointer| pointer.contains(&part)).cloned().collect::<Vec<_>>()
    };
    assert!(inside("scale").len() >= 20 && inside("zero_point").len() >= 20);
    let refuse = |pointer: &str, value: Value| {
        let other = parts.changed(|contents| *contents.pointer_mut(pointer).unwrap() = value.clone());
        let error = load::<Network>(&path, &other).map(drop).expect_err(pointer);
        assert!(error.to_string().contains("model.safetensors"), "{pointer} = {value}: {error}");
    };
    for pointer in inside("scale") {
        for value in [json!(0.0), json!(-0.5), json!(1e300), json!(1e-300), json!(null), json!("NaN")] {
            refuse(&pointer, value);
        }
    }
    for pointer in inside("zero_point") {
        for value in [json!(-129), json!(256), json!(1_u64 << 40), json!(0.5)] {
            refuse(&pointer, value);
        }
    }
}
