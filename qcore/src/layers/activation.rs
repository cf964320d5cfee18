//! `ReLU` and `ReLU6` as layers.

use super::layer_without_parameters;
use crate::{Result, op};

/// `max(x, 0)`, for tensors of any shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReLU;

impl ReLU {
    /// The same as `ReLU`.
    pub fn new() -> Self {
        Self
    }

    fn operation(self) -> Result<op::ReLU> {
        op::relu()
    }
}

layer_without_parameters!(ReLU, "ReLU", op::ReLU);

/// `min(max(x, 0), 6)`, for tensors of any shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReLU6;

impl ReLU6 {
    /// The same as `ReLU6`.
    pub fn new() -> Self {
        Self
    }

    fn operation(self) -> Result<op::ReLU6> {
        op::relu6()
    }
}

layer_without_parameters!(ReLU6, "ReLU6", op::ReLU6);
