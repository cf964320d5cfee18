//! Files whose records were written by somebody else: an error or a model that runs, never a panic, a hang or
//! a huge allocation.

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

fn load<M: Quantizable>(path: &Path, parts: &Parts) -> Result<Converted<M>, Error> {
    std::fs::write(path, parts.to_bytes()).unwrap();
    let begin = Instant::now();
    let loaded = Converted::load(path);
    assert!(begin.elapsed() < Duration::from_secs(1), "loading took {:?}", begin.elapsed());
    loaded
}

/// JSON pointers to all values of a document that hold no others, the first item of each list.
fn leaves(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(value, &format!("{path}/{key}"), found);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for (index, item) in items.iter().enumerate().take(1) {
                leaves(item, &format!("{path}/{index}"), found);
            }
        }
        _ => found.push(path.to_owned()),
    }
}

/// Replaces every value of the records, one at a time, by values that are wrong.
fn replace_everything<M: Quantizable>(bytes: &[u8], run: impl Fn(&Converted<M>)) -> (usize, usize) {
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
        // Edges of the summary are for people to read.
        if pointer.starts_with("/records//edges") {
            continue;
        }
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
fn every_value_of_every_record_may_be_wrong() {
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

/// The records of a network, whose names begin with `network.`.
fn names(parts: &Parts) -> Vec<String> {
    parts.contents()["records"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn a_record_that_is_missing_is_named() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    for name in names(&parts) {
        let other = parts.changed(|contents| {
            let records = contents["records"].as_object_mut().unwrap();
            let gone = records.remove(&name).unwrap();
            records.insert(format!("{name}.other"), gone);
        });
        let text = load::<Network>(&path, &other).unwrap_err().to_string();
        assert!(text.contains(&format!("no record `{name}`")), "{text}");
    }
}

#[test]
fn a_list_cannot_claim_more_items_than_the_file_has() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    let list = names(&parts).into_iter().find(|name| parts.contents()["records"][name] == json!(2)).unwrap();
    assert!(list.ends_with("layers"), "{list}");
    for claimed in [1_000_000_000_000_000_000_u64, u64::MAX, 3, 1000] {
        let other = parts.changed(|contents| contents["records"][&list] = claimed.into());
        let text = load::<Network>(&path, &other).unwrap_err().to_string();
        assert!(text.contains("layers"), "{text}");
    }
}

#[test]
fn an_arm_that_the_model_does_not_have_is_named() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    let mut arms = 0;
    for name in names(&parts) {
        if !parts.contents()["records"][&name].is_string() {
            continue;
        }
        arms += 1;
        let other = parts.changed(|contents| contents["records"][&name] = "third".into());
        let text = load::<Network>(&path, &other).unwrap_err().to_string();
        assert!(text.contains(&name) && text.contains("no arm `third`"), "{text}");
    }
    assert_eq!(arms, 2);
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
