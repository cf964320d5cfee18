//! A table of integers, of which each row has its scale and bias behind it.

use half::f16;

use crate::error::{Error, Result};
use crate::file_bytes::SharedBytes;
use crate::length;
use crate::memory;
use crate::rounding::round_clamped;

/// How many bits an integer of a table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableBits {
    /// Two integers a byte, the first in the low half; scale and bias in half precision.
    Four,
    /// An integer a byte; scale and bias in single precision.
    Eight,
}

impl TableBits {
    /// Bytes of the integers of a row.
    pub(super) fn integers(self, width: usize) -> usize {
        match self {
            Self::Four => width.div_ceil(2),
            Self::Eight => width,
        }
    }

    /// Bytes of scale and bias together.
    fn scale_and_bias(self) -> usize {
        match self {
            Self::Four => 2 * size_of::<f16>(),
            Self::Eight => 2 * size_of::<f32>(),
        }
    }

    fn largest(self) -> i32 {
        match self {
            Self::Four => 15,
            Self::Eight => 255,
        }
    }
}

/// A table of `[rows, width]` numbers `q * scale + bias` in PyTorch's (fbgemm's) row-wise form: the integers of a row, then
/// its scale and bias, little endian.
#[derive(Clone, Debug)]
pub struct QuantizedTable {
    bits: TableBits,
    rows: usize,
    width: usize,
    row_bytes: usize,
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    Owned(Vec<u8>),
    File(SharedBytes),
}

impl QuantizedTable {
    /// The table of integers `[rows, width]`, a byte each, of which row `r` stands for `(q - zero_point[r]) * scale[r]`.
    ///
    /// PyTorch: `torch.ops.quantized.embedding_bag_prepack`.
    ///
    /// # Errors
    /// If a length does not match, there are no rows or columns, an integer has more bits, or a scale or bias leaves the
    /// precision in which the table has it.
    pub fn from_integers(
        bits: TableBits,
        integers: &[u8],
        scale: &[f32],
        zero_point: &[f32],
        width: usize,
    ) -> Result<Self> {
        let rows = scale.len();
        length::check("zero points", zero_point, rows)?;
        length::check("integers", integers, length::product("table", &[rows, width])?)?;
        if integers.iter().any(|&q| i32::from(q) > bits.largest()) {
            return Err(Error::parameter(format!("an integer of a table is above {}", bits.largest())));
        }
        Self::from_rows(bits, rows, width, |row, into| {
            into.copy_from_slice(&integers[row * width..(row + 1) * width]);
            (scale[row], -(zero_point[row] * scale[row]))
        })
    }

    /// The table nearest to `values` `[rows, width]`, each row over its own range.
    ///
    /// PyTorch: `torch.ops.quantized.embedding_bag_byte_prepack` and `embedding_bag_4bit_prepack`.
    ///
    /// # Errors
    /// If a length does not match, there are no rows or columns, a value is not finite, or a scale or bias leaves the
    /// precision in which the table has it.
    pub fn from_floats(bits: TableBits, values: &[f32], width: usize) -> Result<Self> {
        if let Some(error) = Error::not_finite(values) {
            return Err(error);
        }
        let rows = values.len().checked_div(width).unwrap_or(0);
        length::check("table", values, length::product("table", &[rows, width])?)?;
        Self::from_rows(bits, rows, width, |row, into| {
            let values = &values[row * width..(row + 1) * width];
            let (min, max) = values
                .iter()
                .fold((f32::INFINITY, f32::NEG_INFINITY), |(min, max), &x| (min.min(x), max.max(x)));
            let (scale, bias, inverse) = match bits {
                TableBits::Eight => {
                    let range = max - min;
                    (range / 255.0, min, 255.0 / (range + 1e-8))
                }
                TableBits::Four => {
                    let min = f16::from_f32(min).to_f32();
                    let range = max - min;
                    let scale = f16::from_f32(if range == 0.0 { 1.0 } else { range / 15.0 }).to_f32();
                    let usable = scale != 0.0 && scale.recip().is_finite();
                    let scale = if usable { scale } else { 1.0 };
                    (scale, min, scale.recip())
                }
            };
            for (q, &x) in into.iter_mut().zip(values) {
                *q = round_clamped((x - bias) * inverse, 0, bits.largest()) as u8;
            }
            (scale, bias)
        })
    }

    /// A table of [`as_bytes`](Self::as_bytes), used where it is.
    ///
    /// # Errors
    /// If there are no rows or columns, there are too many or too few bytes, or a scale or bias is not finite.
    pub fn from_bytes(bits: TableBits, bytes: SharedBytes, rows: usize, width: usize) -> Result<Self> {
        let row_bytes = row_bytes(bits, rows, width)?;
        length::check("table", &bytes, length::product("table", &[rows, row_bytes])?)?;
        let table = Self { bits, rows, width, row_bytes, bytes: Bytes::File(bytes) };
        table.check_rows()?;
        Ok(table)
    }

    /// Fills the integers of each row, a byte each, by `fill`, which gives its scale and bias.
    fn from_rows(
        bits: TableBits,
        rows: usize,
        width: usize,
        mut fill: impl FnMut(usize, &mut [u8]) -> (f32, f32),
    ) -> Result<Self> {
        let row_bytes = row_bytes(bits, rows, width)?;
        let len = length::product("table", &[rows, row_bytes])?;
        let mut bytes = memory::zeroed(format_args!("a table of {rows} rows"), len)?;
        let mut integers = memory::zeroed(format_args!("a row of {width} integers"), width)?;
        for (row, bytes) in bytes.chunks_exact_mut(row_bytes).enumerate() {
            let (scale, bias) = fill(row, &mut integers);
            let (packed, behind) = bytes.split_at_mut(bits.integers(width));
            match bits {
                TableBits::Eight => {
                    packed.copy_from_slice(&integers);
                    behind[..4].copy_from_slice(&scale.to_le_bytes());
                    behind[4..].copy_from_slice(&bias.to_le_bytes());
                }
                TableBits::Four => {
                    for (packed, pair) in packed.iter_mut().zip(integers.chunks(2)) {
                        *packed = pair[0] | pair.get(1).copied().unwrap_or(0) << 4;
                    }
                    behind[..2].copy_from_slice(&f16::from_f32(scale).to_le_bytes());
                    behind[2..].copy_from_slice(&f16::from_f32(bias).to_le_bytes());
                }
            }
        }
        let table = Self { bits, rows, width, row_bytes, bytes: Bytes::Owned(bytes) };
        table.check_rows()?;
        Ok(table)
    }

    fn check_rows(&self) -> Result<()> {
        for row in 0..self.rows {
            let Row { scale, bias, .. } = self.row(row);
            if !scale.is_finite() || !bias.is_finite() {
                return Err(Error::parameter(format!(
                    "row {row} of a table has scale {scale} and bias {bias}, as {:?}-bit tables hold them",
                    self.bits
                )));
            }
        }
        Ok(())
    }

    /// The bits of an integer.
    pub fn bits(&self) -> TableBits {
        self.bits
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers a row has.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Bytes of a row with its scale and bias.
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The table as `[rows, row_bytes]`, the same on every machine.
    pub fn as_bytes(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Owned(bytes) => bytes,
            Bytes::File(bytes) => bytes,
        }
    }

    /// The numbers of the table, `[rows, width]`.
    ///
    /// PyTorch: `torch.ops.quantized.embedding_bag_byte_unpack` and `embedding_bag_4bit_unpack`.
    pub fn to_floats(&self) -> Vec<f32> {
        let value = |row: Row<'_>, column: usize| {
            let q = match self.bits {
                TableBits::Eight => row.integers[column],
                TableBits::Four => row.integers[column / 2] >> (4 * (column % 2)) & 15,
            };
            f32::from(q).mul_add(row.scale, row.bias)
        };
        (0..self.rows)
            .flat_map(|row| (0..self.width).map(move |column| value(self.row(row), column)))
            .collect()
    }

    /// A row that there is.
    #[inline(always)]
    pub(super) fn row(&self, row: usize) -> Row<'_> {
        let bytes = &self.as_bytes()[row * self.row_bytes..(row + 1) * self.row_bytes];
        let (integers, behind) = bytes.split_at(self.bits.integers(self.width));
        let [scale, bias] = match (self.bits, behind) {
            (TableBits::Eight, &[a, b, c, d, e, f, g, h]) => {
                [[a, b, c, d], [e, f, g, h]].map(f32::from_le_bytes)
            }
            (TableBits::Four, &[a, b, c, d]) => {
                [[a, b], [c, d]].map(|bytes| f16::from_le_bytes(bytes).to_f32())
            }
            _ => unreachable!("a row ends with its scale and bias"),
        };
        Row { integers, scale, bias }
    }
}

fn row_bytes(bits: TableBits, rows: usize, width: usize) -> Result<usize> {
    if rows == 0 || width == 0 {
        return Err(Error::geometry(format!("a table of shape [{rows}, {width}] has no numbers")));
    }
    length::product("table", &[rows, width])?;
    Ok(bits.integers(width) + bits.scale_and_bias())
}

/// A row of a [`QuantizedTable`].
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    pub(super) integers: &'a [u8],
    pub(super) scale: f32,
    pub(super) bias: f32,
}
