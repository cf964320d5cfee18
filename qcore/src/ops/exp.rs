//! `exp`: `e^x`.

use super::pointwise::{Pointwise, pointwise};

pointwise!(Exp, exp, "e^x", Pointwise::new("exp", function), derivative: |_, y| y);

/// In f64, rounded once: the same on every platform.
fn function(x: f32) -> f32 {
    libm::exp(f64::from(x)) as f32
}
