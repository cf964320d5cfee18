//! Everything that a model and its quantization need: `use qcore::prelude::*`.

pub use qmacros::quantizable;

pub use crate::model::{Module, Sequential};
pub use crate::observer::Observer;
pub use crate::ops::{
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm1d, BatchNorm2d, Conv2d, Dropout, Flatten, Hardswish, Identity,
    Linear, MaxPool2d, ReLU, ReLU6,
};
pub use crate::{Backend, QConfig, QConfigMapping, StateDict, Tensor};
