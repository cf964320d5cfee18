//! The other operand of an addition that is computed with the layer before it.

use crate::qparams::BinaryQParams;

/// The other operand of an addition that follows the convolution or linear layer.
#[derive(Clone, Copy, Debug)]
pub struct Residual<'a> {
    /// Quantized values, of the shape of the layer's output.
    pub values: &'a [u8],
    /// The addition's quantization parameters: `a` is the layer's output, `b` is `values`.
    pub qparams: BinaryQParams,
}
