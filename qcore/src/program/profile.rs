//! Where the time of one run goes.

use crate::op::KernelCost;

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
    /// `int8` for a kernel on buffers, `quantize` and `dequantize`, `tensor` for what runs on tensors.
    pub domain: &'static str,
    /// The shapes that were read; empty for what runs on tensors.
    pub inputs: Vec<Vec<usize>>,
    /// The shape that was made; empty for what runs on tensors.
    pub output: Vec<usize>,
    /// Multiply-accumulates, weights, and which kernel.
    pub cost: KernelCost,
    /// How long it took.
    pub nanoseconds: u64,
}

impl StepProfile {
    /// Bytes of activations and weights that are read and written.
    pub fn bytes_moved(&self) -> u64 {
        let size = |bytes: u64, shape: &[usize]| bytes * shape.iter().product::<usize>() as u64;
        // Float on one side of a conversion.
        let (read, written) = match self.domain {
            "quantize" => (4, 1),
            "dequantize" => (1, 4),
            _ => (1, 1),
        };
        let inputs: u64 = self.inputs.iter().map(|shape| size(read, shape)).sum();
        inputs + size(written, &self.output) + self.cost.weight_bytes
    }
}
