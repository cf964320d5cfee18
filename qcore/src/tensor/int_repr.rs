//! `IntRepr`: the integers of a quantized tensor.

use ndarray::{ArcArray, Array, ArrayD, ArrayViewD, Dimension, IxDyn};

use crate::{DType, Error, Result};

/// The integers of a quantized tensor, in any memory order.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum IntRepr {
    /// Activations.
    QUInt8(ArcArray<u8, IxDyn>),
    /// Weights.
    QInt8(ArcArray<i8, IxDyn>),
    /// Biases.
    QInt32(ArcArray<i32, IxDyn>),
}

/// Applies `$body` to the array in an [`IntRepr`], whatever its type.
macro_rules! for_each_type {
    ($integers:expr, $array:ident => $body:expr) => {
        match $integers {
            IntRepr::QUInt8($array) => $body,
            IntRepr::QInt8($array) => $body,
            IntRepr::QInt32($array) => $body,
        }
    };
}

impl IntRepr {
    /// The type of the integers.
    pub fn dtype(&self) -> DType {
        match self {
            Self::QUInt8(_) => DType::QUInt8,
            Self::QInt8(_) => DType::QInt8,
            Self::QInt32(_) => DType::QInt32,
        }
    }

    /// The extents, outermost first.
    pub fn shape(&self) -> &[usize] {
        for_each_type!(self, array => array.shape())
    }

    /// The number of integers.
    pub fn len(&self) -> usize {
        for_each_type!(self, array => array.len())
    }

    /// Whether any extent is zero.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The integers as `i32`, in the same memory order.
    pub fn to_i32(&self) -> ArrayD<i32> {
        match self {
            Self::QUInt8(array) => array.mapv(i32::from),
            Self::QInt8(array) => array.mapv(i32::from),
            Self::QInt32(array) => array.to_owned(),
        }
    }

    /// The integers of a `quint8` tensor.
    pub fn as_u8(&self) -> Option<ArrayViewD<'_, u8>> {
        if let Self::QUInt8(array) = self { Some(array.view()) } else { None }
    }

    /// The integers of a `qint8` tensor.
    pub fn as_i8(&self) -> Option<ArrayViewD<'_, i8>> {
        if let Self::QInt8(array) = self { Some(array.view()) } else { None }
    }

    /// The integers of a `qint32` tensor.
    pub fn as_i32(&self) -> Option<ArrayViewD<'_, i32>> {
        if let Self::QInt32(array) = self { Some(array.view()) } else { None }
    }

    /// The integers in row-major order, as a file holds them.
    pub(crate) fn to_le_bytes(&self) -> Vec<u8> {
        match self {
            Self::QUInt8(array) => array.iter().copied().collect(),
            Self::QInt8(array) => array.iter().flat_map(|integer| integer.to_le_bytes()).collect(),
            Self::QInt32(array) => array.iter().flat_map(|integer| integer.to_le_bytes()).collect(),
        }
    }

    /// The integers that [`IntRepr::to_le_bytes`] wrote; `None` for a dtype that no variant holds.
    ///
    /// # Errors
    /// When the bytes are too many or too few for the shape.
    pub(crate) fn from_le_bytes(bytes: &[u8], shape: &[usize], dtype: DType) -> Result<Option<Self>> {
        let misfit = |_| Error::shape("QTensor", format!("a shape of {} bytes", bytes.len()), shape);
        let extents = IxDyn(shape);
        Ok(Some(match dtype {
            DType::QUInt8 => ArrayD::from_shape_vec(extents, bytes.to_vec()).map_err(misfit)?.into(),
            DType::QInt8 => {
                let integers = bytes.iter().map(|&byte| byte as i8).collect();
                ArrayD::from_shape_vec(extents, integers).map_err(misfit)?.into()
            }
            DType::QInt32 => {
                let (integers, rest) = bytes.as_chunks();
                if !rest.is_empty() {
                    return Err(Error::shape("QTensor", "whole 32-bit integers", shape));
                }
                let integers = integers.iter().map(|bytes| i32::from_le_bytes(*bytes)).collect();
                ArrayD::from_shape_vec(extents, integers).map_err(misfit)?.into()
            }
            DType::QUInt4x2 | DType::Float16 | DType::Float32 => return Ok(None),
        }))
    }
}

/// Conversions from arrays of one integer type.
macro_rules! from_arrays {
    ($($integer:ty => $variant:ident),*) => {$(
        impl<D: Dimension> From<Array<$integer, D>> for IntRepr {
            fn from(array: Array<$integer, D>) -> Self {
                Self::$variant(array.into_dyn().into_shared())
            }
        }

        impl<D: Dimension> From<ArcArray<$integer, D>> for IntRepr {
            fn from(array: ArcArray<$integer, D>) -> Self {
                Self::$variant(array.into_dyn())
            }
        }
    )*};
}
from_arrays!(u8 => QUInt8, i8 => QInt8, i32 => QInt32);
