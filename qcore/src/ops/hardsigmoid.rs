//! `hardsigmoid`: `relu6(x + 3) / 6`.

use super::activation::limit;
use super::pointwise::{Pointwise, pointwise};

pointwise!(Hardsigmoid, hardsigmoid, "relu6(x + 3) / 6", Pointwise::new("hardsigmoid", function), derivative: |x, _| if x > -3.0 && x < 3.0 { 1.0 / 6.0 } else { 0.0 });

fn function(x: f32) -> f32 {
    limit(x + 3.0, [0.0, 6.0]) / 6.0
}
