//! Models and data shared by the example programs.

pub mod architecture;
pub mod data;
pub mod models;
pub mod scoring;
pub mod synthetic;
