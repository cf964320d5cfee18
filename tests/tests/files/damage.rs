//! Files that were cut off, overwritten or flipped: an error or a model, never a panic, and quickly.

use std::path::Path;
use std::time::{Duration, Instant};

use qcore::{Converted, Error, ModelSummary, StateDict};
use tests::networks::{Network, TwoWays};
use tests::tensors::noise;

use crate::parts::Parts;
use crate::{converted_network, saved_network, scratch};

/// Loads `bytes` in every way that there is; what loads must also run, or say why not.
#[track_caller]
fn load(path: &Path, bytes: &[u8]) -> Result<Converted<Network>, Error> {
    std::fs::write(path, bytes).unwrap();
    let begin = Instant::now();
    let summary = ModelSummary::open(path);
    let loaded = Converted::<Network>::load(path);
    if let Ok(state_dict) = StateDict::open(path) {
        for key in state_dict.shapes().into_keys() {
            let _ = state_dict.get(&key);
        }
    }
    if let Ok(loaded) = &loaded {
        assert!(summary.is_ok(), "a model without a readable summary");
        let _ = loaded.forward(noise(&[1, 3, 5, 5], 0));
    }
    assert!(begin.elapsed() < Duration::from_secs(5), "took {:?}", begin.elapsed());
    loaded
}

fn message(error: Result<Converted<Network>, Error>) -> String {
    error.expect_err("the file is damaged").to_string()
}

#[test]
fn what_is_not_a_file_of_a_model_says_so() {
    let (_folder, path) = scratch("model.safetensors");
    let text = Converted::<Network>::load(&path).unwrap_err().to_string();
    assert!(text.contains("model.safetensors"), "{text}");
    assert!(Converted::<Network>::load(path.parent().unwrap()).is_err());
    let random: Vec<u8> = noise(&[1000], 3).view().iter().flat_map(|value| value.to_le_bytes()).collect();
    for bytes in [&b""[..], b"\0", b"{}", b"{\"version\":1}", &[0; 8], &[0; 4096], &random] {
        let text = message(load(&path, bytes));
        assert!(text.contains("model.safetensors") && text.contains("safetensors file"), "{text}");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_an_error() {
    let (_folder, path) = scratch("model.safetensors");
    let bytes = saved_network();
    assert!(load(&path, &bytes).is_ok());
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let everywhere = (0..64).map(|part| part * bytes.len() / 64);
    let near_the_borders = (0..20).chain(header - 10..header + 10).chain(bytes.len() - 10..bytes.len());
    for length in everywhere.chain(near_the_borders).chain((0..header).step_by(header / 50)) {
        let text = message(load(&path, &bytes[..length]));
        assert!(text.contains("not a complete safetensors file"), "{length}: {text}");
    }
    let longer = [&bytes[..], b"more"].concat();
    assert!(load(&path, &longer).is_err());
}

#[test]
fn a_header_that_claims_to_be_huge_is_an_error() {
    let (_folder, path) = scratch("model.safetensors");
    let bytes = saved_network();
    let lengths = [100_000_000, 100_000_001, u64::from(u32::MAX), u64::MAX, u64::MAX - 7, 1 << 63, 0, 1];
    for length in lengths {
        let damaged = [&length.to_le_bytes()[..], &bytes[8..]].concat();
        assert!(load(&path, &damaged).is_err(), "{length}");
    }
}

#[test]
fn flipped_bytes_are_an_error_or_a_model_that_runs() {
    let (_folder, path) = scratch("model.safetensors");
    let bytes = saved_network();
    let header = 8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize;
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    let mut random = |below: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    };
    let (mut errors, mut models) = (0, 0);
    for round in 0..450 {
        let place = match round % 3 {
            0 | 1 => random(header),
            _ => header + random(bytes.len() - header),
        };
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << random(8);
        match load(&path, &damaged) {
            Ok(_) => models += 1,
            Err(_) => errors += 1,
        }
    }
    assert!(errors > 150, "{errors} errors, {models} models");
}

#[test]
fn other_files_are_refused_by_what_they_are() {
    let (_folder, path) = scratch("model.safetensors");
    qcore::Quantizable::state_dict(&Network::small()).save(&path).unwrap();
    let text = message(load(&path, &std::fs::read(&path).unwrap()));
    assert!(text.contains("no converted model") && text.contains("StateDict::open"), "{text}");

    converted_network().save(&path).unwrap();
    let text = Converted::<TwoWays>::load(&path).unwrap_err().to_string();
    assert!(text.contains("`Network`") && text.contains("`TwoWays`"), "{text}");

    let parts = Parts::of(&saved_network());
    for version in [0, 3, 99] {
        let other = parts.changed(|contents| contents["version"] = version.into());
        let text = message(load(&path, &other.to_bytes()));
        assert!(text.contains(&format!("version {version}")) && text.contains("reads 1..=2"), "{text}");
    }
}

#[test]
fn a_tensor_of_another_type_or_shape_is_named() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    let names: Vec<String> = parts.header.keys().filter(|key| *key != "__metadata__").cloned().collect();
    assert!(names.len() > 10);
    for name in names {
        let info = &parts.header[&name];
        // The same number of bytes.
        let dtype = match info["dtype"].as_str().unwrap() {
            "F32" => "I32",
            "I8" => "U8",
            "U64" => "I64",
            other => panic!("{other}"),
        };
        let mut other = parts.clone();
        other.header[&name]["dtype"] = dtype.into();
        let text = message(load(&path, &other.to_bytes()));
        assert!(text.contains(&name) && text.contains(dtype), "{text}");

        let mut shape: Vec<u64> = serde_json::from_value(info["shape"].clone()).unwrap();
        shape.insert(0, 1);
        let mut other = parts.clone();
        other.header[&name]["shape"] = shape.into();
        assert!(load(&path, &other.to_bytes()).is_err(), "{name}");

        let mut other = parts.clone();
        let gone = other.header.remove(&name).unwrap();
        other.header.insert(format!("{name}s"), gone);
        let text = message(load(&path, &other.to_bytes()));
        assert!(text.contains(&format!("no tensor `{name}`")), "{text}");
    }
}
