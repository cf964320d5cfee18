//! `abs`: `|x|`.

use super::pointwise::{Pointwise, pointwise};

pointwise!(Abs, abs, "|x|", Pointwise::new("abs", f32::abs), derivative: |x, _| if x == 0.0 { 0.0 } else { x.signum() });
