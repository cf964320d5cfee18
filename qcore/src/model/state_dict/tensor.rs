//! `StateTensor`: floats or integers of a checkpoint.

use half::{bf16, f16};
use ndarray::{ArrayD, IxDyn};
use safetensors::Dtype;

use crate::Tensor;

/// A tensor of a state dict.
#[derive(Clone, Debug, PartialEq)]
pub enum StateTensor {
    /// Weights and statistics; f16, bf16 and f64 become f32.
    Float(Tensor),
    /// Counters, indices and masks: integers of any width, and booleans as 0 and 1.
    Integer(ArrayD<i64>),
}

impl StateTensor {
    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        match self {
            Self::Float(tensor) => tensor.shape(),
            Self::Integer(array) => array.shape(),
        }
    }

    /// The type in a file.
    pub(super) fn dtype(&self) -> Dtype {
        match self {
            Self::Float(_) => Dtype::F32,
            Self::Integer(_) => Dtype::I64,
        }
    }

    pub(super) fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Self::Float(tensor) => tensor.view().iter().flat_map(|value| value.to_le_bytes()).collect(),
            Self::Integer(array) => array.iter().flat_map(|value| value.to_le_bytes()).collect(),
        }
    }

    /// From elements in row-major order, which may begin at any address. The error is what is wrong.
    pub(super) fn from_le_bytes(dtype: Dtype, shape: &[usize], bytes: &[u8]) -> Result<Self, String> {
        let float = |values: Vec<f32>| {
            Tensor::from_vec(shape, values).map(Self::Float).map_err(|error| error.to_string())
        };
        let integer = |values: Vec<i64>| {
            let array = ArrayD::from_shape_vec(IxDyn(shape), values);
            array.map(Self::Integer).map_err(|error| error.to_string())
        };
        match dtype {
            Dtype::F32 => float(read(bytes, f32::from_le_bytes)),
            Dtype::F64 => float(read(bytes, |bytes| f64::from_le_bytes(bytes) as f32)),
            Dtype::F16 => float(read(bytes, |bytes| f16::from_le_bytes(bytes).to_f32())),
            Dtype::BF16 => float(read(bytes, |bytes| bf16::from_le_bytes(bytes).to_f32())),
            Dtype::I64 => integer(read(bytes, i64::from_le_bytes)),
            Dtype::I32 => integer(read(bytes, |bytes| i32::from_le_bytes(bytes).into())),
            Dtype::I16 => integer(read(bytes, |bytes| i16::from_le_bytes(bytes).into())),
            Dtype::I8 => integer(read(bytes, |bytes| i8::from_le_bytes(bytes).into())),
            Dtype::U32 => integer(read(bytes, |bytes| u32::from_le_bytes(bytes).into())),
            Dtype::U16 => integer(read(bytes, |bytes| u16::from_le_bytes(bytes).into())),
            Dtype::U8 | Dtype::BOOL => integer(read(bytes, |bytes| u8::from_le_bytes(bytes).into())),
            other => Err(format!("{other:?} is not a type that is read here")),
        }
    }
}

/// The values of little-endian bytes.
fn read<const N: usize, T>(bytes: &[u8], value: impl Fn([u8; N]) -> T) -> Vec<T> {
    bytes.as_chunks::<N>().0.iter().map(|chunk| value(*chunk)).collect()
}

impl From<Tensor> for StateTensor {
    fn from(tensor: Tensor) -> Self {
        Self::Float(tensor)
    }
}

impl From<ArrayD<i64>> for StateTensor {
    fn from(array: ArrayD<i64>) -> Self {
        Self::Integer(array)
    }
}

/// A tensor without axes, as PyTorch's `num_batches_tracked`.
impl From<i64> for StateTensor {
    fn from(value: i64) -> Self {
        Self::Integer(ArrayD::from_elem(IxDyn(&[]), value))
    }
}
