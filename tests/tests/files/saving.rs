//! A file is written completely or not at all.

use std::fs;
use std::time::{Duration, SystemTime};

use qcore::prelude::*;
use qcore::{Converted, Error};
use tests::networks::Network;
use tests::tensors::noise;

use crate::{converted, converted_network, neighbours, saved_network, scratch};

#[test]
fn a_save_that_fails_names_the_file_and_leaves_nothing_behind() {
    let (folder, path) = scratch("model.safetensors");
    // The place is taken by a folder.
    fs::create_dir(&path).unwrap();
    fs::write(path.join("inside"), "kept").unwrap();
    for result in [converted_network().save(&path), Network::small().state_dict().save(&path)] {
        let error = result.unwrap_err();
        assert!(matches!(&error, Error::File { path: named, .. } if *named == path), "{error}");
        assert!(error.to_string().contains("is a directory"), "{error}");
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

#[test]
fn temporary_files_of_dead_processes_are_swept_and_others_kept() {
    let (folder, path) = scratch("model.safetensors");
    let old = SystemTime::now() - Duration::from_secs(120);
    let file = |name: &str, modified: SystemTime| {
        let file = fs::File::create(folder.path().join(name)).unwrap();
        file.set_modified(modified).unwrap();
        file
    };
    file(".model.safetensors.abandoned.tmp", old);
    file(".model.safetensors.recent.tmp", SystemTime::now());
    file(".other.safetensors.abandoned.tmp", old);
    let in_use = file(".model.safetensors.inuse.tmp", old);
    in_use.lock().unwrap();
    converted_network().save(&path).unwrap();
    let kept = [
        ".model.safetensors.inuse.tmp",
        ".model.safetensors.recent.tmp",
        ".other.safetensors.abandoned.tmp",
        "model.safetensors",
    ];
    assert_eq!(neighbours(&path), kept);
}

/// Set for a process that is to be killed: where it saves.
const VICTIM: &str = "QCORE_TEST_SAVES_TO";

#[test]
fn a_process_that_is_killed_while_it_saves_leaves_a_whole_file() {
    if let Some(path) = std::env::var_os(VICTIM) {
        let int8 = converted_network();
        loop {
            int8.save(&path).unwrap();
        }
    }
    let (_folder, path) = scratch("model.safetensors");
    let kills = std::env::var("QCORE_TEST_KILLS").map_or(8, |kills| kills.parse().unwrap());
    let x = noise(&[1, 3, 8, 8], 1);
    let expected = converted_network().forward(&x).unwrap();
    for kill in 0..kills {
        let mut victim = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["saving::a_process_that_is_killed_while_it_saves_leaves_a_whole_file", "--exact"])
            .env(VICTIM, &path)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        let before = fs::metadata(&path).and_then(|metadata| metadata.modified()).ok();
        let has_saved = || fs::metadata(&path).is_ok_and(|metadata| metadata.modified().ok() != before);
        while !has_saved() {
            assert!(victim.try_wait().unwrap().is_none(), "it has ended by itself");
            std::thread::sleep(Duration::from_millis(1));
        }
        // At another point of a save each time.
        std::thread::sleep(Duration::from_micros(kill * 7919 % 20_000));
        victim.kill().unwrap();
        victim.wait().unwrap();
        let loaded = Converted::<Network>::load(&path).unwrap();
        assert_eq!(loaded.forward(&x).unwrap(), expected);
    }
    let temporary = neighbours(&path).into_iter().filter(|name| name != "model.safetensors");
    temporary.for_each(|name| {
        assert!(name.starts_with(".model.safetensors.") && name.ends_with(".tmp"), "{name}")
    });
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_stays_and_what_it_points_to_is_replaced() {
    use std::os::unix::fs::symlink;
    let (folder, path) = scratch("model.safetensors");
    let (real, second) = (folder.path().join("real.safetensors"), folder.path().join("second"));
    symlink("second", &path).unwrap();
    symlink(&real, &second).unwrap();
    // Also when it points to nothing yet.
    for _ in 0..2 {
        converted_network().save(&path).unwrap();
        assert_eq!(fs::read_link(&path).unwrap(), std::path::Path::new("second"));
        assert_eq!(fs::read_link(&second).unwrap(), real);
        assert!(fs::symlink_metadata(&real).unwrap().is_file());
        assert!(Converted::<Network>::load(&path).is_ok());
    }
    fs::remove_file(&real).unwrap();
    symlink("model.safetensors", &real).unwrap();
    let error = converted_network().save(&path).unwrap_err().to_string();
    assert!(error.contains("symbolic links"), "{error}");
}

#[cfg(unix)]
#[test]
fn permissions_and_owner_of_an_existing_file_are_kept() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    let (_folder, path) = scratch("model.safetensors");
    for mode in [0o600, 0o664, 0o640, 0o444] {
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        // Only the superuser may; others keep their own.
        let _ = chown(&path, Some(1234), Some(2345));
        let before = fs::metadata(&path).unwrap();
        converted_network().save(&path).unwrap();
        let after = fs::metadata(&path).unwrap();
        assert_eq!(after.permissions().mode() & 0o7777, mode);
        assert_eq!((after.uid(), after.gid()), (before.uid(), before.gid()));
        assert!(Converted::<Network>::load(&path).is_ok());
        fs::remove_file(&path).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn what_is_no_regular_file_is_not_replaced() {
    use std::os::unix::fs::FileTypeExt;
    let (folder, path) = scratch("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    for result in [converted_network().save(&path), qcore::write_file(&path, "")] {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("is a named pipe, not a regular file"), "{error}");
    }
    let error = Network::small().state_dict().save(&socket).unwrap_err().to_string();
    assert!(error.contains("is a socket, not a regular file"), "{error}");
    assert!(fs::symlink_metadata(&path).unwrap().file_type().is_fifo());
    assert!(fs::symlink_metadata(&socket).unwrap().file_type().is_socket());
    assert_eq!(neighbours(&path), ["pipe", "socket"]);
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
