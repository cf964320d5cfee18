//! Checkpoints and converted models on disk: they are read back as written, and nothing in a file is trusted.

mod damage;
mod foreign;
mod format;
mod hostile;
mod mapped;
mod memory;
mod mutations;
mod other_models;
mod round_trip;
mod saving;
mod state_dict;

use std::path::{Path, PathBuf};

use qcore::prelude::*;
use qcore::{CalibrationOptions, Converted, IntoInput};
use tests::networks::Network;
use tests::parts;
use tests::tensors::noise;

/// Prepared, shown one batch, converted.
fn converted<M: Module>(
    model: &M,
    mapping: &QConfigMapping,
    batch: impl IntoInput<M::Input>,
) -> Converted<M> {
    let mut prepared = model.prepare(mapping).unwrap();
    prepared.calibrate_with([batch], CalibrationOptions { progress: false }).unwrap();
    prepared.convert().unwrap()
}

/// A converted network that has everything: a branch, a loop, a layer left in float.
fn converted_network() -> Converted<Network> {
    let mapping = QConfigMapping::for_backend(Backend::Native).module("layers.0.conv2", None);
    converted(&Network::small(), &mapping, noise(&[2, 3, 8, 8], 0))
}

/// A folder for one test, and a file in it.
fn scratch(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

/// The bytes of a file of a converted network.
fn saved_network() -> Vec<u8> {
    let (_folder, path) = scratch("network.safetensors");
    converted_network().save(&path).unwrap();
    std::fs::read(&path).unwrap()
}

/// The names in the folder of `path`.
fn neighbours(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path.parent().unwrap()).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}
