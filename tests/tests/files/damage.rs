//! Files that were cut off, overwritten or flipped: an error or a model, never a panic. What was damaged by
//! accident is always an error.

use std::path::Path;

use qcore::prelude::*;
use qcore::{Converted, Error, ModelSummary};
use tests::networks::Network;
use tests::tensors::noise;

use crate::parts::{CHECKSUMS, Parts};
use crate::{saved_network, scratch};

/// Loads `bytes` in every way that there is; a model that loads must also run, or give an error.
#[track_caller]
fn load(path: &Path, bytes: &[u8]) -> Result<Converted<Network>, Error> {
    std::fs::write(path, bytes).unwrap();
    let summary = ModelSummary::open(path);
    let loaded = Converted::<Network>::load(path);
    if let Ok(state_dict) = StateDict::open(path) {
        for key in state_dict.shapes().into_keys() {
            let _ = state_dict.get(&key);
        }
    }
    let untyped = qcore::Network::load(path);
    let x = noise(&[1, 3, 5, 5], 0);
    if let Ok(loaded) = &loaded {
        assert!(summary.is_ok(), "a model without a readable summary");
        let untyped = untyped.unwrap().forward(std::slice::from_ref(&x));
        assert_eq!(untyped.ok(), loaded.forward(&x).ok().map(|y| vec![y]));
    } else if let Ok(untyped) = untyped {
        let _ = untyped.forward(&vec![x; untyped.input_count()]);
    }
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
    let header = data_start(&bytes);
    let everywhere = (0..64).map(|part| part * bytes.len() / 64);
    let near_the_borders = (0..20).chain(header - 10..header + 10).chain(bytes.len() - 10..bytes.len());
    for length in everywhere.chain(near_the_borders).chain((0..header).step_by(header / 50)) {
        let text = message(load(&path, &bytes[..length]));
        let is_said =
            text.contains("not a complete safetensors file") || (length < 10 && text.contains("too few"));
        assert!(is_said || (length == 0 && text.contains("empty")), "{length}: {text}");
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

/// Where the tensors begin.
fn data_start(bytes: &[u8]) -> usize {
    8 + u64::from_le_bytes(*bytes.first_chunk().unwrap()) as usize
}

/// Numbers that look random, each below what it is asked for.
pub fn random() -> impl FnMut(usize) -> usize {
    let mut seed = 0x2545_F491_4F6C_DD1D_u64;
    move |below| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        (seed % below as u64) as usize
    }
}

#[test]
fn any_flipped_bit_is_an_error() {
    let (_folder, path) = scratch("model.safetensors");
    let bytes = saved_network();
    let header = data_start(&bytes);
    let mut random = random();
    // Every byte of the header, and some of the rest: tensors, the description of the network, checksums.
    let elsewhere: Vec<usize> = (0..500).map(|_| header + random(bytes.len() - header)).collect();
    for place in (0..header).chain(elsewhere) {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1 << random(8);
        std::fs::write(&path, &damaged).unwrap();
        assert!(qcore::Network::load(&path).is_err(), "byte {place} of {}", bytes.len());
        assert!(place >= header || ModelSummary::open(&path).is_err(), "byte {place}");
    }
}

#[test]
fn a_flipped_bit_in_a_tensor_is_an_error_that_names_it() {
    let (_folder, path) = scratch("model.safetensors");
    let bytes = saved_network();
    let parts = Parts::of(&bytes);
    let (header, mut random) = (data_start(&bytes), random());
    for name in parts.weights() {
        let range = parts.range(&name);
        // Both ends, and some between.
        let between: Vec<usize> = (0..8).map(|_| range.start + random(range.len())).collect();
        for place in [range.start, range.end - 1].into_iter().chain(between) {
            let mut damaged = bytes.clone();
            damaged[header + place] ^= 1 << random(8);
            let text = message(load(&path, &damaged));
            assert!(text.contains(&format!("`{name}`")) && text.contains("checksum"), "{text}");
        }
    }
}

#[test]
fn other_files_are_refused_by_what_they_are() {
    let (_folder, path) = scratch("model.safetensors");
    Network::small().state_dict().save(&path).unwrap();
    let text = message(load(&path, &std::fs::read(&path).unwrap()));
    assert!(text.contains("no converted model") && text.contains("StateDict::open"), "{text}");

    let parts = Parts::of(&saved_network());
    for version in ["0", "2", "99"] {
        // Whatever else such a file says.
        for mut other in [parts.clone(), parts.clone().with_text(b"something else")] {
            other.header["__metadata__"]["version"] = version.into();
            let text = message(load(&path, &other.to_signed_bytes()));
            assert!(
                text.contains(&format!("version {version}")) && text.contains("reads version 1"),
                "{text}"
            );
        }
    }
}

#[test]
fn a_tensor_of_another_type_or_shape_is_named() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    assert!(parts.weights().len() > 10);
    for name in parts.weights() {
        let info = &parts.header[&name];
        // The same number of bytes.
        let dtype = match info["dtype"].as_str().unwrap() {
            "F32" => "I32",
            "I8" => "U8",
            "I32" => "U32",
            "U64" => "I64",
            other => panic!("{other}"),
        };
        let mut other = parts.clone();
        other.header[&name]["dtype"] = dtype.into();
        let text = message(load(&path, &other.to_signed_bytes()));
        assert!(text.contains(&name), "{text}");

        let mut shape: Vec<u64> = serde_json::from_value(info["shape"].clone()).unwrap();
        shape.insert(0, 1);
        let mut other = parts.clone();
        other.header[&name]["shape"] = shape.into();
        assert!(load(&path, &other.to_signed_bytes()).is_err(), "{name}");
    }
}

#[test]
fn a_tensor_that_is_missing_or_that_nothing_reads_is_named() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    for name in parts.tensors() {
        let mut other = parts.clone();
        let gone = other.header.remove(&name).unwrap();
        other.header.insert(format!("{name}s"), gone);
        let bytes = if name == CHECKSUMS { other.to_bytes() } else { other.to_signed_bytes() };
        let text = message(load(&path, &bytes));
        // There may be none of these.
        let is_optional = name.ends_with("bias") || name.ends_with("zero_point");
        let expected = match is_optional {
            true => format!("no operation has the tensor `{name}s`"),
            false => format!("no tensor `{name}`"),
        };
        assert!(text.contains(&expected), "{text}");
    }
    let mut more = parts.clone();
    let end = more.data.len();
    more.data.extend([0; 8]);
    let info = serde_json::json!({ "dtype": "F32", "shape": [2], "data_offsets": [end, end + 8] });
    more.header.insert("fc.extra".to_owned(), info);
    let text = message(load(&path, &more.to_bytes()));
    assert!(text.contains("checksums of"), "{text}");
    // With a checksum of its own, at the cost of another tensor.
    let mut more = parts.clone();
    let gone = more.header.remove("fc.bias").unwrap();
    more.header.insert("fc.extra".to_owned(), gone);
    let text = message(load(&path, &more.to_signed_bytes()));
    assert!(text.contains("no operation has the tensor `fc.extra`"), "{text}");
}

#[test]
fn tensors_that_changed_places_are_refused() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    let names = parts.weights();
    let kind = |name: &str| (parts.header[name]["dtype"].clone(), parts.header[name]["shape"].clone());
    let mut pairs = 0;
    for (index, first) in names.iter().enumerate() {
        for second in names[..index].iter().filter(|second| kind(second) == kind(first)) {
            if parts.data[parts.range(first)] == parts.data[parts.range(second)] {
                continue;
            }
            pairs += 1;
            let mut other = parts.clone();
            other.header[first] = parts.header[second].clone();
            other.header[second] = parts.header[first].clone();
            assert!(message(load(&path, &other.to_bytes())).contains("checksum"), "{first}, {second}");
        }
    }
    assert!(pairs > 0);
}

#[test]
fn a_name_that_is_there_twice_or_shares_its_bytes_is_no_other_model() {
    let (_folder, path) = scratch("model.safetensors");
    let parts = Parts::of(&saved_network());
    let name = parts.tensors().into_iter().find(|name| name.ends_with("bias")).unwrap();
    let mut other = parts.clone();
    other.header.insert("again".to_owned(), parts.header[&name].clone());
    assert!(load(&path, &other.to_signed_bytes()).is_err(), "two names of the same bytes");

    // The second of the two says that the tensor lies elsewhere.
    let elsewhere = parts
        .tensors()
        .into_iter()
        .find(|other| *other != name && parts.header[other]["shape"] == parts.header[&name]["shape"]);
    let header = serde_json::to_string(&parts.header).unwrap();
    let end = header.strip_suffix('}').unwrap();
    let twice = format!("{end},{:?}:{}}}", name, parts.header[&elsewhere.unwrap()]);
    let length = (twice.len() as u64).to_le_bytes();
    assert!(load(&path, &[&length[..], twice.as_bytes(), &parts.data].concat()).is_err(), "one name twice");
}
