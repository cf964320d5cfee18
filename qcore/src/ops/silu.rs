//! `silu`: `x / (1 + e^-x)`.

use super::pointwise::{Pointwise, pointwise};

pointwise!(SiLU, silu, "x / (1 + e^-x)", Pointwise::new("silu", function));

fn function(x: f32) -> f32 {
    let x = f64::from(x);
    (x / (1.0 + libm::exp(-x))) as f32
}
