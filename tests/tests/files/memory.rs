//! Whoever wrote a file, reading it takes at most four times its length.

use std::fmt::Write;

use qcore::CalibrationState;
use qcore::prelude::*;
use tests::networks::Network;
use tests::tensors::noise;

use crate::parts::{CHECKSUMS, GRAPH, Parts};
use crate::{saved_network, scratch};

/// How long the files are.
const LEN: usize = 2 << 20;

/// `item` as often as it takes, each with its number.
fn repeated(item: impl Fn(usize) -> String) -> String {
    let mut text = String::new();
    for index in 0.. {
        if text.len() >= LEN {
            break;
        }
        text += &item(index);
        text.push(',');
    }
    text.pop();
    text
}

fn safetensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat()
}

/// Headers that would be much longer in memory if they were read as they are.
fn headers() -> Vec<(&'static str, String)> {
    let tensor = |shape: &str| format!(r#"{{"dtype":"I8","shape":{shape},"data_offsets":[0,0]}}"#);
    let converted = r#""__metadata__":{"format":"qcore","version":"1"}"#;
    vec![
        ("many tensors", format!("{{{}}}", repeated(|index| format!("\"{index:x}\":{}", tensor("[0]"))))),
        (
            "many tensors of a model",
            format!("{{{converted},{}}}", repeated(|index| format!("\"{index:x}\":{}", tensor("[0]")))),
        ),
        ("many axes", format!("{{\"a\":{}}}", tensor(&format!("[{}]", repeated(|_| "1".into()))))),
        (
            "many tensors with many axes",
            format!(
                "{{{}}}",
                repeated(|index| format!("\"{index:x}\":{}", tensor(&format!("[0{}]", ",9".repeat(15)))))
            ),
        ),
        ("lists in lists", format!("{{\"a\":{}", "[".repeat(LEN))),
        ("objects in objects", "{\"a\":".repeat(LEN / 5)),
        ("metadata", format!("{{\"__metadata__\":{{{}}}}}", repeated(|index| format!("\"{index:x}\":\"\"")))),
        ("metadata in lists", format!("{{\"__metadata__\":{{\"a\":{}", "[".repeat(LEN))),
        ("a long string", format!("{{\"__metadata__\":{{\"format\":\"\\n{}\"}}}}", "-".repeat(LEN))),
        ("a long name", format!("{{\"\\n{}\":{}}}", "-".repeat(LEN), tensor("[0]"))),
    ]
}

/// Descriptions of networks, likewise.
fn descriptions() -> Vec<(&'static str, String)> {
    let graph = |nodes: &str, rest: &str| {
        format!(
            r#"{{"model":"Network","backend":"native","signature":"","nodes":[{nodes}],"outputs":[0]{rest}}}"#
        )
    };
    let input = r#"{"path":"x"}"#;
    let relu = |config: &str| {
        format!(r#"{input},{{"path":"r","inputs":[0],"members":[{{"op":"reshape","config":{config}}}]}}"#)
    };
    let many = |item: &str| repeated(|_| item.to_owned());
    let mut inputs = String::new();
    write!(inputs, "{input},{{\"path\":\"a\",\"inputs\":[{}]}}", many("0")).unwrap();
    vec![
        ("nodes of nothing", graph(&many("null"), "")),
        ("empty nodes", graph(&many("{}"), "")),
        ("many inputs", graph(&repeated(|index| format!(r#"{{"path":"{index:x}"}}"#)), "")),
        ("inputs of a node", graph(&inputs, "")),
        ("outputs of a node", graph(&format!(r#"{{"path":"x","outputs":[{}]}}"#, many("null")), "")),
        ("members of a node", graph(&format!(r#"{input},{{"members":[{}]}}"#, many(r#"{"op":""}"#)), "")),
        ("parameters", graph(&relu(&format!("{{\"shape\":[{}]}}", many("1"))), "")),
        ("parameters in lists", graph(&relu(&format!("[{}]", many("[]"))), "")),
        ("outputs", graph(input, "").replace("\"outputs\":[0]", &format!("\"outputs\":[{}]", many("0")))),
        (
            "signature",
            graph(input, "")
                .replace("\"signature\":\"\"", &format!("\"signature\":\"{}\"", "\\n".repeat(LEN / 2))),
        ),
        (
            "metadata",
            graph(input, &format!(",\"metadata\":{{{}}}", repeated(|index| format!("\"{index:x}\":\"\"")))),
        ),
        ("one long note", graph(input, &format!(",\"metadata\":{{\"a\":\"\\n{}\"}}", "-".repeat(LEN)))),
        ("a part that is not known", graph(input, &format!(",\"more\":[{}]", many("[]")))),
        ("lists in lists", graph(&"[".repeat(LEN), "")),
    ]
}

#[track_caller]
fn assert_bounded(what: &str, len: usize, read: impl FnOnce()) {
    assert_bounded_with(0, what, len, read);
}

/// With `beside` bytes that are not the allocator's.
#[track_caller]
fn assert_bounded_with(beside: usize, what: &str, len: usize, read: impl FnOnce()) {
    let peak = beside as u64 + allocation_counter::measure(read).bytes_max;
    assert!(peak <= 4 * len as u64, "{what}: {peak} bytes for {len}, {:.1} times", peak as f64 / len as f64);
}

#[test]
fn a_header_takes_at_most_four_times_its_length() {
    let (_folder, path) = scratch("model.safetensors");
    for (what, header) in headers() {
        let bytes = safetensors(&header);
        std::fs::write(&path, &bytes).unwrap();
        assert_bounded(what, bytes.len(), || drop(StateDict::open(&path)));
        assert_bounded(what, bytes.len(), || drop(qcore::Network::load(&path)));
        assert_bounded(what, bytes.len(), || drop(qcore::ModelSummary::open(&path)));
    }
}

#[test]
fn the_description_of_a_network_takes_at_most_four_times_its_length() {
    let (_folder, path) = scratch("model.safetensors");
    let mut parts = Parts::of(&saved_network());
    // No weights: the description and the checksums are all.
    let checksums = parts.range(CHECKSUMS);
    parts.header.retain(|name, _| name == CHECKSUMS || name == GRAPH || name == "__metadata__");
    parts.data = vec![0; 16];
    parts.header[CHECKSUMS]["shape"] = vec![2].into();
    parts.header[CHECKSUMS]["data_offsets"] = vec![0, 16].into();
    parts.header[GRAPH]["data_offsets"] = vec![16, 16].into();
    assert!(checksums.len() > 16);
    for (what, description) in descriptions() {
        let bytes = parts.clone().with_text(description.as_bytes()).to_signed_bytes();
        std::fs::write(&path, &bytes).unwrap();
        // A network has the whole file in pages of its own.
        assert_bounded_with(bytes.len(), what, bytes.len(), || drop(qcore::Network::load(&path)));
        assert_bounded(what, bytes.len(), || drop(qcore::ModelSummary::open(&path)));
    }
}

#[test]
fn a_checkpoint_takes_the_memory_of_its_tensors() {
    let (_folder, path) = scratch("model.safetensors");
    let tensors = (0..64).map(|index| (format!("layers.{index}.weight"), qcore::Tensor::zeros(&[64, 64])));
    tensors.collect::<StateDict>().save(&path).unwrap();
    let len = std::fs::metadata(&path).unwrap().len() as usize;
    // Opened, a header and no more; read one by one, one of them at a time, twice as it is converted.
    let opening = allocation_counter::measure(|| drop(StateDict::open(&path))).bytes_max;
    assert!(opening < 64 << 10, "{opening}");
    let state_dict = StateDict::open(&path).unwrap();
    let reading =
        allocation_counter::measure(|| state_dict.iter().for_each(|(_, tensor)| drop(tensor.unwrap())));
    assert!(reading.bytes_max < 4 * len as u64 / 64, "{}", reading.bytes_max);
}

#[test]
fn a_calibration_takes_at_most_four_times_its_length() {
    let (_folder, path) = scratch("calibration.json");
    let mapping = QConfigMapping::for_backend(Backend::Fbgemm);
    let fresh = Network::small().prepare(&mapping).unwrap();
    let mut observed = fresh.clone();
    observed.observe(noise(&[1, 3, 8, 8], 0)).unwrap();
    observed.calibration_state().unwrap().save(&path).unwrap();
    let whole: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    // In place of a value of the first edge, or of the edges.
    let with = |pointer: &str, text: &str| {
        let mut other = whole.clone();
        *other.pointer_mut(pointer).unwrap() = "HERE".into();
        other.to_string().replace("\"HERE\"", text)
    };
    let (edge, many) = ("/edges/conv1", |item: &str| repeated(|_| item.to_owned()));
    let files = [
        ("edges", with("/edges", &format!("{{{}}}", repeated(|index| format!("\"{index:x}\":0"))))),
        ("an edge", with(edge, &format!("[{}]", many("0")))),
        ("a state", with(&format!("{edge}/state"), &format!("[{}]", many("[]")))),
        ("a name", with(&format!("{edge}/observer"), &format!("\"\\n{}\"", "-".repeat(LEN)))),
        ("bins", with(&format!("{edge}/state/histogram/counts"), &format!("[{}]", many("0")))),
        ("a grid", with(&format!("{edge}/statistics/grid/counts"), &format!("[{}]", many("[0,0]")))),
        ("an empty grid", with(&format!("{edge}/statistics/grid/counts"), &format!("[{}]", many("[]")))),
        ("lists in lists", format!("{{\"edges\":{{\"conv1\":{}", "[".repeat(LEN))),
    ];
    for (what, text) in files {
        std::fs::write(&path, &text).unwrap();
        let mut prepared = fresh.clone();
        assert_bounded(what, text.len(), || {
            let state = CalibrationState::open(&path);
            assert!(state.and_then(|state| prepared.load_calibration_state(&state)).is_err(), "{what}");
        });
    }
}
