//! `mish`: `x * tanh(ln(1 + e^x))`.

use super::pointwise::{Pointwise, pointwise};

pointwise!(Mish, mish, "x * tanh(ln(1 + e^x))", Pointwise::new("mish", function));

fn function(x: f32) -> f32 {
    let x = f64::from(x);
    (x * libm::tanh(x.max(0.0) + libm::log1p(libm::exp(-x.abs())))) as f32
}
