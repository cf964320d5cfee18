//! `silu`: `x / (1 + e^-x)`.

use qkernels::float::functions;

use super::pointwise::{Pointwise, pointwise};

pointwise!(SiLU, silu, "x / (1 + e^-x)", Pointwise::new("silu", function).in_float(functions::silu), derivative: |x, _| { let s = 1.0 / (1.0 + (-x).exp()); s * (1.0 + x * (1.0 - s)) });

fn function(x: f32) -> f32 {
    let x = f64::from(x);
    (x / (1.0 + libm::exp(-x))) as f32
}
