//! The table of an embedding: floats, or integers of 8 or 4 bits of which each row has its scale and zero point.

use std::sync::Arc;

use ndarray::{Axis, Zip};
use qkernels::embedding::{QuantizedTable, TableBits};

use super::super::init::fitting;
use super::super::inputs::kernel_error;
use super::super::{Lowering, Precision};
use crate::network::TensorWriter;
use crate::{DType, Error, Result, Tensor};

/// The most rows that ids in single precision tell apart.
const MAX_ROWS: usize = 1 << 24;

/// A table of `[rows, width]`, lowered.
#[derive(Clone, Debug)]
pub(in crate::ops) enum Table {
    Float(Tensor),
    Quantized(Arc<QuantizedTable>),
}

impl Table {
    /// The table `weight`, or that of a file, in the precision of `lowering`.
    pub(in crate::ops) fn lower(
        operation: &'static str,
        weight: &Tensor,
        [rows, width]: [usize; 2],
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        if rows == 0 || width == 0 || rows > MAX_ROWS {
            let expected = format!("a table of 1 to {MAX_ROWS} rows of at least one value");
            return Err(Error::shape(operation, expected, &[rows, width]));
        }
        match lowering.precision {
            Precision::Float => {
                let weight =
                    fitting(operation, "weight", lowering.tensor("weight", weight)?, &[rows, width])?;
                Ok(Self::Float(weight.contiguous()))
            }
            Precision::WeightOnly => {
                let table = match lowering.stored() {
                    Some(stored) => {
                        let (shape, bytes) = stored.get_bytes("weight")?;
                        let bits = bits(operation, stored.record("weight")?)?;
                        let table = QuantizedTable::from_bytes(bits, bytes, rows, width);
                        let table = table.map_err(|error| stored.error("weight", &error.to_string()))?;
                        if shape != [rows, table.row_bytes()] {
                            return Err(stored.error("weight", &format!("is of shape {shape:?}")));
                        }
                        table
                    }
                    None => quantized(operation, weight, [rows, width], lowering)?,
                };
                Ok(Self::Quantized(Arc::new(table)))
            }
            _ => Err(lowering.unsupported(operation)),
        }
    }

    /// For kernels.
    pub(in crate::ops) fn view(&self) -> qkernels::embedding::Table<'_> {
        match self {
            Self::Float(weight) => {
                let width = weight.shape().last().copied().unwrap_or(0);
                qkernels::embedding::Table::Float { values: weight.as_slice().unwrap_or_default(), width }
            }
            Self::Quantized(table) => qkernels::embedding::Table::Quantized(table),
        }
    }

    /// Bytes of a row.
    pub(in crate::ops) fn row_bytes(&self) -> usize {
        match self {
            Self::Float(weight) => weight.shape().last().copied().unwrap_or(0) * size_of::<f32>(),
            Self::Quantized(table) => table.row_bytes(),
        }
    }

    /// Numbers of a row.
    pub(in crate::ops) fn width(&self) -> usize {
        match self {
            Self::Float(weight) => weight.shape().last().copied().unwrap_or(0),
            Self::Quantized(table) => table.width(),
        }
    }

    /// Writes what [`Table::lower`] finds in a file: of integers the rows with their scales and biases, as fbgemm has them.
    pub(in crate::ops) fn save(&self, tensors: &mut TensorWriter<'_>) -> Result<()> {
        match self {
            Self::Float(weight) => {
                tensors.put("weight", weight);
                Ok(())
            }
            Self::Quantized(table) => {
                let dtype = match table.bits() {
                    TableBits::Eight => DType::QUInt8,
                    TableBits::Four => DType::QUInt4x2,
                };
                tensors.put_record("weight", &dtype)?;
                tensors.put_bytes("weight", &[table.rows(), table.row_bytes()], table.as_bytes());
                Ok(())
            }
        }
    }
}

fn bits(operation: &'static str, dtype: DType) -> Result<TableBits> {
    match dtype {
        DType::QUInt8 => Ok(TableBits::Eight),
        DType::QUInt4x2 => Ok(TableBits::Four),
        other => {
            let message = format!("{operation} with a table of {}, not quint8 or quint4x2", other.name());
            Err(Error::Unsupported(message))
        }
    }
}

fn quantized(
    operation: &'static str,
    weight: &Tensor,
    shape: [usize; 2],
    lowering: &Lowering<'_>,
) -> Result<QuantizedTable> {
    let weight = fitting(operation, "weight", weight.clone(), &shape)?.contiguous();
    let qparams = lowering.float_weight_qparams(&weight)?;
    if qparams.axis != 0 {
        let message = format!("{operation} with scales along another axis than 0: each row has its own");
        return Err(Error::Unsupported(message));
    }
    let integers = qparams.quantize(&weight)?;
    let integers = integers.as_slice().unwrap_or_default();
    QuantizedTable::from_integers(
        bits(operation, qparams.dtype)?,
        integers,
        &qparams.scale,
        &qparams.zero_point,
        shape[1],
    )
    .map_err(kernel_error(operation))
}

/// Adds `gradient` `[.., width]`, by rows, to the rows of a table of which each is one id's.
///
/// # Errors
/// When an id is not one of a row.
pub(in crate::ops) fn scatter(
    shape: [usize; 2],
    rows: impl Iterator<Item = (usize, f32)>,
    gradients: impl Iterator<Item = usize>,
    gradient: &Tensor,
) -> Result<Tensor> {
    let mut sums = Tensor::try_zeros(&shape)?.into_array();
    let values = gradient.as_slice().unwrap_or_default();
    for ((row, weight), source) in rows.zip(gradients) {
        let values = values.get(source * shape[1]..(source + 1) * shape[1]).unwrap_or_default();
        if row >= shape[0] || values.len() != shape[1] {
            return Err(Error::Unsupported("a gradient of another forward pass".into()));
        }
        let values = ndarray::ArrayView1::from(values);
        Zip::from(
            sums.index_axis_mut(Axis(0), row)
                .into_dimensionality::<ndarray::Ix1>()
                .map_err(|_| Error::Unsupported("a table of other than two axes".into()))?,
        )
        .and(values)
        .for_each(|sum, &value| *sum += weight * value);
    }
    Ok(Tensor::from(sums))
}
