//! Helpers shared by the test files.

pub mod networks;
pub mod parts;
pub mod tensors;
