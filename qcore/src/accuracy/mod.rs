//! Passes that win back accuracy, each on a prepared model.

mod equalization;

pub use equalization::{EqualizationOptions, EqualizationReport, EqualizedPair};
