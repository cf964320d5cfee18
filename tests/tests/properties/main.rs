//! Properties of quantization that hold for all numbers, all splits of the data, and all networks.
//!
//! The random cases come from a fixed seed: a test that passes once passes always.

mod merging;
mod networks;
mod randomness;
mod reference;
mod round_trip;

use proptest::test_runner::{Config, RngSeed};

/// This many cases, always the same.
fn cases(count: u32) -> Config {
    Config {
        cases: count,
        rng_seed: RngSeed::Fixed(20_240_229),
        failure_persistence: None,
        ..Config::default()
    }
}
