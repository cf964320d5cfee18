//! `sqrt`: the square root.

use super::pointwise::{Pointwise, pointwise};

pointwise!(Sqrt, sqrt, "sqrt(x)", Pointwise::new("sqrt", f32::sqrt), derivative: |_, y| 0.5 / y);
