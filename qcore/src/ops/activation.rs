//! `Activation`: an activation that is fused behind an operation, as data.

use serde::{Deserialize, Serialize};

/// An activation that runs in the operation before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Activation {
    /// `max(x, 0)`.
    ReLU,
    /// `min(max(x, 0), 6)`.
    ReLU6,
}

impl Activation {
    /// Smallest and largest result.
    pub fn limits(self) -> [f32; 2] {
        match self {
            Self::ReLU => [0.0, f32::INFINITY],
            Self::ReLU6 => [0.0, 6.0],
        }
    }

    /// [`Activation::limits`] of a fused activation; all numbers where there is none.
    pub fn limits_of(activation: Option<Self>) -> [f32; 2] {
        activation.map_or([f32::NEG_INFINITY, f32::INFINITY], Self::limits)
    }
}

/// Limits a value and lets NaN through, as PyTorch does.
#[inline(always)]
pub(super) fn limit(x: f32, [low, high]: [f32; 2]) -> f32 {
    // Comparisons, not `f32::clamp`, which would let the compiler assume that the limits are in order.
    let x = if x < low { low } else { x };
    if x > high { high } else { x }
}
