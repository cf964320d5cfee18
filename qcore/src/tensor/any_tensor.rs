//! `AnyTensor`: a tensor of floats or of integers.

use super::check_copy;
use crate::{QTensor, Result, Tensor};

/// A tensor of floats or of integers.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyTensor {
    /// Floats.
    Float(Tensor),
    /// Integers with a scale and a zero point.
    Quantized(QTensor),
}

impl AnyTensor {
    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Float(tensor) => tensor.shape(),
            Self::Quantized(tensor) => tensor.shape(),
        }
    }

    /// The values in float.
    pub fn to_float(&self) -> Tensor {
        match self {
            Self::Float(tensor) => tensor.clone(),
            Self::Quantized(tensor) => tensor.dequantize(),
        }
    }

    /// `Ok` if the tensor is in row-major order, or can be copied to it.
    pub(crate) fn check_copy(&self) -> Result<()> {
        match self {
            Self::Float(tensor) => tensor.check_copy(),
            Self::Quantized(tensor) if tensor.has_gaps() => check_copy::<i32>(tensor.shape()),
            Self::Quantized(_) => Ok(()),
        }
    }

    /// The same values in one of the memory formats.
    pub(crate) fn without_gaps(self) -> Self {
        match self {
            Self::Float(tensor) => Self::Float(tensor.without_gaps()),
            Self::Quantized(tensor) => Self::Quantized(tensor.without_gaps()),
        }
    }

    /// The elements in memory order, of a tensor without gaps.
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Float(tensor) => qkernels::elements::bytes(tensor.as_memory_slice().unwrap_or_default()),
            Self::Quantized(tensor) => tensor.memory_bytes(),
        }
    }
}

impl From<Tensor> for AnyTensor {
    fn from(tensor: Tensor) -> Self {
        Self::Float(tensor)
    }
}

impl From<QTensor> for AnyTensor {
    fn from(tensor: QTensor) -> Self {
        Self::Quantized(tensor)
    }
}
