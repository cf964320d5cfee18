//! `tanh`: `tanh(x)`.

use qkernels::float::functions;

use super::pointwise::{Pointwise, pointwise};

pointwise!(Tanh, tanh, "tanh(x)", Pointwise::new("tanh", function).in_float(functions::tanh), derivative: |_, y| 1.0 - y * y);

/// In f64, rounded once: the same on every platform, and PyTorch's table.
fn function(x: f32) -> f32 {
    libm::tanh(f64::from(x)) as f32
}
