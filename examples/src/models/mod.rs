//! The networks of the examples, with PyTorch's field names, so that its state dicts load.

pub mod digits;
pub mod resnet;
