//! Where the time of one run goes.

use crate::ops::KernelCost;

/// The steps of one run, in the order in which they ran.
#[derive(Clone, Debug)]
pub struct Profile {
    /// One for each.
    pub steps: Vec<StepProfile>,
}

/// One step of a run.
#[derive(Clone, Debug)]
pub struct StepProfile {
    /// The call in the model, `layer1.0.conv1`; of calls that run as one, all. `quantize`, `dequantize` and
    /// `copy` are conversions between calls.
    pub path: String,
    /// `int8` for a kernel on integers, `float` for one on floats, `quantize` and `dequantize` between them.
    pub domain: &'static str,
    /// The shapes that were read.
    pub inputs: Vec<Vec<usize>>,
    /// The shape that was made, of several the first.
    pub output: Vec<usize>,
    /// Bytes of activations that are read and written.
    pub activation_bytes: u64,
    /// Multiply-accumulates, weights, and which kernel.
    pub cost: KernelCost,
    /// How long it took.
    pub nanoseconds: u64,
}

impl StepProfile {
    /// Bytes of activations and weights that are read and written.
    pub fn bytes_moved(&self) -> u64 {
        self.activation_bytes + self.cost.weight_bytes
    }
}
