//! Everything that a model and its quantization need: `use qcore::prelude::*`. The functions are those that a
//! `forward` body calls.

pub use qmacros::quantizable;

pub use crate::functional::*;
pub use crate::model::{Module, Sequential};
pub use crate::observer::Observer;
pub use crate::ops::{
    AdaptiveAvgPool1d, AdaptiveAvgPool2d, AvgPool1d, AvgPool2d, BatchNorm1d, BatchNorm2d, BatchNorm3d, CELU,
    ConstantPad2d, Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d, Dropout, ELU,
    Embedding, EmbeddingBag, Flatten, GELU, GRU, GRUCell, GroupNorm, Hardsigmoid, Hardswish, Hardtanh,
    Identity, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d, LSTM, LSTMCell, LayerNorm, LeakyReLU, Linear,
    LogSoftmax, MaxPool1d, MaxPool2d, Mish, PReLU, PixelShuffle, PixelUnshuffle, RNNCell, ReLU, ReLU6,
    ReflectionPad2d, ReplicationPad2d, SiLU, Sigmoid, Softmax, Tanh, Threshold, Upsample, UpsampleMode,
    ZeroPad2d,
};
pub use crate::{Backend, QConfig, QConfigMapping, StateDict, Tensor};
