//! The networks of the examples, with PyTorch's field names, so that its state dicts load.

pub mod digits;
pub mod efficientnet;
pub mod encoder;
pub mod googlenet;
pub mod inception;
pub mod mobilenet_v2;
pub mod mobilenet_v3;
pub mod resnet;
pub mod shufflenet_v2;
pub mod vgg;
pub mod wide_linear;
pub mod word_model;
