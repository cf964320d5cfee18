//! Everything that a model and its quantization need: `use qcore::prelude::*`.

pub use qmacros::quantizable;

pub use crate::model::{Module, Sequential};
pub use crate::observer::Observer;
pub use crate::ops::{
    AdaptiveAvgPool2d, AvgPool2d, BatchNorm1d, BatchNorm2d, CELU, Conv2d, Dropout, ELU, Flatten, GELU,
    Hardsigmoid, Hardswish, Hardtanh, Identity, LeakyReLU, Linear, MaxPool2d, Mish, ReLU, ReLU6, SiLU,
    Sigmoid, Tanh, Threshold,
};
pub use crate::{Backend, QConfig, QConfigMapping, StateDict, Tensor};
