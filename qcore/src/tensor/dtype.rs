//! The integer types of quantized tensors.

use serde::{Deserialize, Serialize};

/// The type of a quantized tensor's integers, with PyTorch's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DType {
    /// Unsigned 8 bit: activations.
    QUInt8,
    /// Signed 8 bit: weights.
    QInt8,
    /// Signed 32 bit: biases.
    QInt32,
    /// Unsigned 4 bit, two to a byte: embeddings.
    QUInt4x2,
    /// Half precision, for weights that are only stored smaller.
    Float16,
    /// Not quantized.
    Float32,
}

impl DType {
    /// Smallest and largest integer; `None` for the float types.
    pub const fn range(self) -> Option<(i32, i32)> {
        match self {
            Self::QUInt8 => Some((0, 255)),
            Self::QInt8 => Some((-128, 127)),
            Self::QInt32 => Some((i32::MIN, i32::MAX)),
            Self::QUInt4x2 => Some((0, 15)),
            Self::Float16 | Self::Float32 => None,
        }
    }

    /// PyTorch's name, e.g. `quint8`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::QUInt8 => "quint8",
            Self::QInt8 => "qint8",
            Self::QInt32 => "qint32",
            Self::QUInt4x2 => "quint4x2",
            Self::Float16 => "float16",
            Self::Float32 => "float32",
        }
    }
}
