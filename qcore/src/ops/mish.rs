//! `mish`: `x * tanh(ln(1 + e^x))`.

use super::pointwise::{Pointwise, pointwise};

pointwise!(Mish, mish, "x * tanh(ln(1 + e^x))", Pointwise::new("mish", function), derivative: derivative);

fn function(x: f32) -> f32 {
    let x = f64::from(x);
    (x * libm::tanh(x.max(0.0) + libm::log1p(libm::exp(-x.abs())))) as f32
}

fn derivative(x: f32, _: f32) -> f32 {
    let softplus = if x > 20.0 { x } else { x.exp().ln_1p() };
    let (tanh, sigmoid) = (softplus.tanh(), 1.0 / (1.0 + (-x).exp()));
    tanh + x * sigmoid * (1.0 - tanh * tanh)
}
