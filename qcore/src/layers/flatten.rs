//! `Flatten` as a layer.

use super::layer_without_parameters;
use crate::{Result, op};

/// The axes from `start_dim` to `end_dim` become one: `[N, C, H, W]` to `[N, C * H * W]` by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flatten {
    start_dim: isize,
    end_dim: isize,
}

impl Default for Flatten {
    fn default() -> Self {
        Self { start_dim: 1, end_dim: -1 }
    }
}

impl Flatten {
    /// All axes but the first become one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first axis to join; negative counts from the end.
    #[must_use]
    pub fn start_dim(self, start_dim: isize) -> Self {
        Self { start_dim, ..self }
    }

    /// The last axis to join; negative counts from the end.
    #[must_use]
    pub fn end_dim(self, end_dim: isize) -> Self {
        Self { end_dim, ..self }
    }

    fn operation(self) -> Result<op::Flatten> {
        op::flatten(Some(self.start_dim), Some(self.end_dim))
    }
}

layer_without_parameters!(Flatten, "Flatten", op::Flatten);
