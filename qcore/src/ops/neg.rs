//! `neg`: `-x`.

use super::pointwise::{Pointwise, pointwise};

pointwise!(Neg, neg, "-x", Pointwise::new("neg", |x| -x), derivative: |_, _| -1.0);
