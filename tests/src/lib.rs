//! Helpers shared by the test files.

pub mod networks;
pub mod tensors;
