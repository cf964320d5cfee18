//! A file is written completely or not at all.

use std::fs;

use qcore::prelude::*;
use qcore::{Converted, Error};
use tests::networks::Network;
use tests::tensors::noise;

use crate::{converted, converted_network, neighbours, saved_network, scratch};

#[test]
fn a_save_that_fails_names_the_file_and_leaves_nothing_behind() {
    let (folder, path) = scratch("model.safetensors");
    // The place is taken by a folder that is not empty: it cannot be replaced.
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), "kept").unwrap();
    for result in [converted_network().save(&path), Network::small().state_dict().save(&path)] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::Io { path: named, .. } if *named == path), "{error}");
        assert_eq!(neighbours(&path), ["model.safetensors"], "no temporary file stays");
        assert_eq!(fs::read_to_string(path.join("inside")).unwrap(), "kept");
    }
    let nowhere = folder.path().join("no/such/folder/model.safetensors");
    let error = converted_network().save(&nowhere).unwrap_err();
    assert!(matches!(&error, Error::Io { path: named, .. } if *named == nowhere), "{error}");
}

#[test]
fn saving_replaces_a_file_and_leaves_only_it() {
    let (_folder, path) = scratch("model.safetensors");
    fs::write(&path, "something else").unwrap();
    converted_network().save(&path).unwrap();
    assert_eq!(neighbours(&path), ["model.safetensors"]);
    assert!(Converted::<Network>::load(&path).is_ok());
}

#[test]
fn a_model_that_is_loaded_may_be_saved_over_its_own_file() {
    let (_folder, path) = scratch("model.safetensors");
    Network::small().state_dict().save(&path).unwrap();
    let before = fs::read(&path).unwrap();
    let open = StateDict::open(&path).unwrap();
    open.save(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
    assert!(open.get("fc.weight").unwrap().is_some(), "the old file lives on while it is mapped");
}

#[test]
fn a_converted_model_lives_on_when_its_file_is_replaced() {
    let (_folder, path) = scratch("model.safetensors");
    converted_network().save(&path).unwrap();
    let x = noise(&[1, 3, 8, 8], 1);
    let loaded = Converted::<Network>::load(&path).unwrap();
    let expected = loaded.forward(&x).unwrap();
    let mut other = Network::small();
    other.fc = Linear::new(16, 5).with_weight(noise(&[5, 16], 3)).unwrap();
    let other = converted(&other, &QConfigMapping::for_backend(Backend::Native), &x);
    other.save(&path).unwrap();
    assert_eq!(loaded.forward(&x).unwrap(), expected);
    loaded.save(&path).unwrap();
    assert_eq!(Converted::<Network>::load(&path).unwrap().forward(&x).unwrap(), expected);
}

#[test]
fn a_load_that_fails_leaves_nothing_behind() {
    let (_folder, path) = scratch("model.safetensors");
    let mut bytes = saved_network();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, &bytes).unwrap();
    assert!(Converted::<Network>::load(&path).is_err() && qcore::Network::load(&path).is_err());
    assert_eq!(neighbours(&path), ["model.safetensors"]);
    assert_eq!(fs::read(&path).unwrap(), bytes);
    if cfg!(target_os = "linux") {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        assert!(!maps.contains(path.to_str().unwrap()), "the file is still mapped");
    }
}

#[cfg(unix)]
#[test]
fn a_file_has_the_permissions_of_any_other_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = scratch("model.safetensors");
    let other = folder.path().join("other");
    fs::write(&other, "").unwrap();
    converted_network().save(&path).unwrap();
    let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), mode(&other));
}

#[cfg(unix)]
#[test]
fn an_existing_file_survives_in_a_folder_that_cannot_be_written() {
    use std::os::unix::fs::PermissionsExt;
    let (folder, path) = scratch("model.safetensors");
    fs::write(&path, "the old one").unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
    let result = converted_network().save(&path);
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(neighbours(&path), ["model.safetensors"]);
    // The superuser writes everywhere.
    match result {
        Ok(()) => assert!(Converted::<Network>::load(&path).is_ok()),
        Err(error) => {
            assert!(matches!(error, Error::Io { .. }), "{error}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "the old one");
        }
    }
}
