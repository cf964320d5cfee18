//! Calibration with the portable kernels gives the same scales on every instruction set.

use std::process::Command;

use qcore::prelude::*;
use tests::networks::Network;
use tests::tensors::noise;

/// The environment variable with the file for the state, of the child process.
const STATE_FILE: &str = "QCORE_TEST_STATE_FILE";

fn state(is_portable: bool) -> String {
    let mut prepared = Network::small().prepare(&QConfigMapping::for_backend(Backend::Native)).unwrap();
    prepared.set_portable(is_portable);
    for seed in 0..3 {
        prepared.observe(noise(&[2, 3, 33, 31], seed)).unwrap();
    }
    serde_json::to_string(&prepared.calibration_state().unwrap()).unwrap()
}

/// In a process of its own it runs without any instruction set but the portable one.
#[test]
fn the_state_is_that_of_a_processor_without_vectors() {
    if let Ok(path) = std::env::var(STATE_FILE) {
        return std::fs::write(path, state(false)).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state.json");
    let test = "portable::the_state_is_that_of_a_processor_without_vectors";
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads", "1"])
        .env("QKERNELS_ISA", "scalar")
        .env(STATE_FILE, &path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
    assert_eq!(state(true), std::fs::read_to_string(path).unwrap());
    // What was observed before is not taken back, and the choice ends with the call.
    assert_eq!(state(true), state(true));
}
