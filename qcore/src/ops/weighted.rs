//! What the passes on weights need to know of an operation: its weight and bias, and how it treats factors of channels.

use crate::Tensor;

/// The weight and bias of an operation whose outputs are sums of products with them.
#[derive(Clone, Copy, Debug)]
pub struct Weighted<'a> {
    /// `[outputs, inputs / groups, ..]`.
    pub weight: &'a Tensor,
    /// `[outputs]`.
    pub bias: Option<&'a Tensor>,
    /// Into how many groups the channels fall.
    pub groups: usize,
}

/// Which positive factors of its input an operation hands on to its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Homogeneity {
    /// None.
    No,
    /// One of any element: `relu`.
    OfElements,
    /// One of all elements of a channel, along axis 1: `max_pool2d`.
    OfChannels,
    /// One of all elements of a channel, which becomes as many features as it has elements: `flatten(1)`.
    Flattening,
}
