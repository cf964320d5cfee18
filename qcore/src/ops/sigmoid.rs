//! `sigmoid`: `1 / (1 + e^-x)`.

use qkernels::float::functions;

use super::pointwise::{Pointwise, pointwise};

pointwise!(Sigmoid, sigmoid, "1 / (1 + e^-x)", Pointwise::new("sigmoid", function).in_float(functions::sigmoid), derivative: |_, y| y * (1.0 - y));

/// In f64, rounded once: the same on every platform, and PyTorch's table.
pub(super) fn function(x: f32) -> f32 {
    (1.0 / (1.0 + libm::exp(f64::from(-x)))) as f32
}
