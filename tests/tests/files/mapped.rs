//! A model in memory of its own does not care what becomes of its file; one in a map notices.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::time::{Duration, SystemTime};

use qcore::prelude::*;
use qcore::{Converted, LoadOptions};
use tests::networks::Network;
use tests::tensors::noise;

use crate::{converted_network, saved_network, scratch};

fn x() -> Tensor {
    noise(&[1, 3, 8, 8], 1)
}

/// Another model, as long, written into the file; at another time even where clocks are coarse.
fn overwrite(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes.iter_mut().for_each(|byte| *byte ^= 0x55);
    fs::write(path, bytes).unwrap();
    let file = OpenOptions::new().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() + Duration::from_secs(2)).unwrap();
}

fn truncate(path: &Path) {
    OpenOptions::new().write(true).open(path).unwrap().set_len(100).unwrap();
}

#[test]
fn read_or_mapped_the_model_is_the_same() {
    let (_folder, path) = scratch("model.safetensors");
    let int8 = converted_network();
    int8.save(&path).unwrap();
    let loaded = Converted::<Network>::load(&path).unwrap();
    let mapped = Converted::<Network>::load_with(&path, LoadOptions::mapped()).unwrap();
    assert_eq!(loaded.forward(x()).unwrap(), int8.forward(x()).unwrap());
    assert_eq!(mapped.forward(x()).unwrap(), int8.forward(x()).unwrap());
    if cfg!(target_os = "linux") {
        let maps = || fs::read_to_string("/proc/self/maps").unwrap().matches(path.to_str().unwrap()).count();
        assert_eq!(maps(), 1);
        drop(mapped);
        assert_eq!(maps(), 0, "a model in memory of its own maps nothing");
    }
}

#[test]
fn a_loaded_model_outlives_whatever_happens_to_its_file() {
    for change in [overwrite, truncate, |path: &Path| fs::remove_file(path).unwrap()] {
        let (_folder, path) = scratch("model.safetensors");
        converted_network().save(&path).unwrap();
        let loaded = Converted::<Network>::load(&path).unwrap();
        let expected = loaded.forward(x()).unwrap();
        change(&path);
        assert_eq!(loaded.forward(x()).unwrap(), expected);
        // Shapes that it has not seen, too.
        assert!(loaded.forward(noise(&[2, 3, 9, 9], 1)).is_ok());
        loaded.save(path.with_file_name("again.safetensors")).unwrap();
    }
}

#[test]
fn a_mapped_model_refuses_to_run_when_its_file_was_written_to() {
    for change in [overwrite, truncate] {
        let (_folder, path) = scratch("model.safetensors");
        converted_network().save(&path).unwrap();
        let mapped = Converted::<Network>::load_with(&path, LoadOptions::mapped()).unwrap();
        mapped.forward(x()).unwrap();
        change(&path);
        let again = path.with_file_name("again.safetensors");
        for error in [mapped.forward(x()).unwrap_err(), mapped.save(&again).unwrap_err()] {
            let text = error.to_string();
            assert!(text.contains("model.safetensors") && text.contains("written to it"), "{text}");
        }
        assert!(!again.exists());
    }
}

#[test]
fn a_mapped_model_goes_on_when_its_file_is_replaced() {
    let (_folder, path) = scratch("model.safetensors");
    converted_network().save(&path).unwrap();
    let mapped = Converted::<Network>::load_with(&path, LoadOptions::mapped()).unwrap();
    let expected = mapped.forward(x()).unwrap();
    mapped.save(&path).unwrap();
    qcore::write_file(&path, "something else").unwrap();
    assert_eq!(mapped.forward(x()).unwrap(), expected);
}

#[test]
fn a_checkpoint_that_changes_while_it_is_open_is_an_error() {
    for change in [overwrite, truncate] {
        let (_folder, path) = scratch("model.safetensors");
        Network::small().state_dict().save(&path).unwrap();
        let state_dict = StateDict::open(&path).unwrap();
        assert!(state_dict.get("fc.weight").unwrap().is_some());
        change(&path);
        let text = state_dict.get("fc.weight").unwrap_err().to_string();
        assert!(text.contains("model.safetensors") && text.contains("written to it"), "{text}");
        assert!(Network::small().load_state_dict(&state_dict).is_err());
    }
}

#[test]
fn a_header_longer_than_asked_for_is_not_read() {
    let (_folder, path) = scratch("model.safetensors");
    let bytes = saved_network();
    fs::write(&path, &bytes).unwrap();
    let options = LoadOptions { header_limit: 1000, ..LoadOptions::default() };
    let text = Converted::<Network>::load_with(&path, options).unwrap_err().to_string();
    assert!(text.contains("at most 1000 are read (`header_limit`)"), "{text}");
    Network::small().state_dict().save(&path).unwrap();
    let text = StateDict::open_with(&path, 1000).unwrap_err().to_string();
    assert!(text.contains("at most 1000 are read"), "{text}");
    // Unless told otherwise, 16 MB.
    let long = format!("{{\"__metadata__\":{{\"note\":\"{}\"}}}}", "-".repeat(16 << 20));
    fs::write(&path, [&(long.len() as u64).to_le_bytes()[..], long.as_bytes()].concat()).unwrap();
    assert!(StateDict::open(&path).unwrap_err().to_string().contains("at most 16777216 are read"));
    assert!(StateDict::open_with(&path, 17 << 20).unwrap().is_empty());
}
