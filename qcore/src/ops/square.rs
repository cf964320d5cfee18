//! `square`: `x * x`.

use super::pointwise::{Pointwise, pointwise};

pointwise!(Square, square, "x * x", Pointwise::new("square", |x| x * x), derivative: |x, _| 2.0 * x);
