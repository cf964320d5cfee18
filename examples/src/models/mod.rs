//! The networks of the examples, with PyTorch's field names, so that its state dicts load.

pub mod digits;
pub mod mobilenet_v2;
pub mod resnet;
pub mod vgg;
