//! Rows of tables, looked up by ids: copies of them, and sums, means and maxima of bags of them.
//!
//! A row of integers is widened in registers, where it is added (NUMERICS section 10):
//! `out = fma(w * scale, q, out + w * bias)` with the weight `w` of the row, in the order of the ids. The bytes are the
//! same on every instruction set.

mod table;

use crate::error::{Error, Result};
use crate::length;
use crate::threads::for_each_chunk;
use table::Row;

pub use table::{QuantizedTable, TableBits};

/// A table of numbers, `[rows, width]`.
#[derive(Clone, Copy, Debug)]
pub enum Table<'a> {
    /// In single precision.
    Float {
        /// Its numbers.
        values: &'a [f32],
        /// How many a row has.
        width: usize,
    },
    /// In fewer bits.
    Quantized(&'a QuantizedTable),
}

/// What becomes of the rows of a bag. Without a row it is zeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// Their sum.
    Sum,
    /// Their sum divided by their number.
    Mean,
    /// The largest of each column; of floats alone.
    Max,
}

/// Ids in bags.
#[derive(Clone, Copy, Debug)]
pub struct Bags<'a> {
    /// Whole numbers, the rows of all bags one after the other.
    pub ids: &'a [f32],
    /// Where the bags begin.
    pub offsets: Offsets<'a>,
    /// By what each row is multiplied, if it is.
    pub weights: Option<&'a [f32]>,
    /// What becomes of the rows of a bag.
    pub reduction: Reduction,
}

/// Where bags begin among the ids.
#[derive(Clone, Copy, Debug)]
pub enum Offsets<'a> {
    /// Every so many ids.
    Every(usize),
    /// At these, whole numbers that begin with 0 and do not fall; the last bag takes the rest.
    At(&'a [f32]),
    /// At these but for the last, where the last bag ends.
    Between(&'a [f32]),
}

impl Table<'_> {
    fn width(&self) -> usize {
        match self {
            Self::Float { width, .. } => *width,
            Self::Quantized(table) => table.width(),
        }
    }

    fn rows(&self) -> usize {
        match self {
            Self::Float { values, width } => values.len().checked_div(*width).unwrap_or(0),
            Self::Quantized(table) => table.rows(),
        }
    }

    fn check(&self) -> Result<()> {
        if let Self::Float { values, width } = self {
            if *width == 0 {
                return Err(Error::geometry("a table without columns"));
            }
            length::check("table", values, self.rows() * width)?;
        }
        Ok(())
    }

    /// `output = row * weight`, to which it is added if `ADDS`.
    #[inline(always)]
    fn put<const ADDS: bool>(&self, row: usize, weight: f32, output: &mut [f32]) {
        match self {
            Self::Float { values, width } => {
                let values = &values[row * width..(row + 1) * width];
                for (output, &value) in output.iter_mut().zip(values) {
                    *output = value.mul_add(weight, if ADDS { *output } else { 0.0 });
                }
            }
            Self::Quantized(table) => {
                let Row { integers, scale, bias } = table.row(row);
                let (scale, bias) = (weight * scale, weight * bias);
                let put = |output: &mut f32, q: u8| {
                    let before = if ADDS { *output } else { 0.0 };
                    *output = f32::from(q).mul_add(scale, before + bias);
                };
                match table.bits() {
                    TableBits::Eight => {
                        output.iter_mut().zip(integers).for_each(|(output, &q)| put(output, q))
                    }
                    TableBits::Four => {
                        let (pairs, last) = output.as_chunks_mut::<2>();
                        for ([low, high], &byte) in pairs.iter_mut().zip(integers) {
                            put(low, byte & 15);
                            put(high, byte >> 4);
                        }
                        if let ([last], Some(&byte)) = (last, integers.last()) {
                            put(last, byte & 15);
                        }
                    }
                }
            }
        }
    }
}

/// The row of each id, to `output` `[ids, width]`.
///
/// PyTorch: `torch.nn.functional.embedding`, `torch.ops.quantized.embedding_byte` and `embedding_4bit`.
///
/// # Errors
/// If a length does not match, or an id is not a whole number or not one of a row ([`Error::Index`]).
pub fn lookup(table: Table<'_>, ids: &[f32], output: &mut [f32]) -> Result<()> {
    table.check()?;
    let width = table.width();
    length::check("output", output, length::product("output", &[ids.len(), width])?)?;
    check_ids(ids, table.rows())?;
    let rows_of_task = rows_of_task(width);
    let work = output.len();
    for_each_chunk(
        output,
        rows_of_task * width,
        work,
        #[inline(always)]
        |task, output| {
            let ids = &ids[task * rows_of_task..];
            for (output, &id) in output.chunks_exact_mut(width).zip(ids) {
                match &table {
                    Table::Float { values, width } => {
                        output.copy_from_slice(&values[id as usize * width..(id as usize + 1) * width]);
                    }
                    Table::Quantized(_) => table.put::<false>(id as usize, 1.0, output),
                }
            }
        },
    );
    Ok(())
}

/// What becomes of each bag, to `output` `[bags, width]`.
///
/// PyTorch: `torch.nn.functional.embedding_bag`, `torch.ops.quantized.embedding_bag_byte` and `embedding_bag_4bit`.
///
/// # Errors
/// If a length does not match, an id is not a whole number or not one of a row ([`Error::Index`]), the offsets are no bags
/// of the ids, or the maximum of rows of integers, or of rows with weights, is asked for.
pub fn bags(table: Table<'_>, bags: &Bags<'_>, output: &mut [f32]) -> Result<()> {
    table.check()?;
    let (width, Bags { ids, weights, reduction, .. }) = (table.width(), *bags);
    let count = bags.offsets.check(ids.len())?;
    length::check("output", output, length::product("output", &[count, width])?)?;
    if let Some(weights) = weights {
        length::check("weights", weights, ids.len())?;
    }
    if reduction == Reduction::Max && (weights.is_some() || matches!(table, Table::Quantized(_))) {
        return Err(Error::parameter("the maximum of bags is of rows in float, without weights"));
    }
    check_ids(ids, table.rows())?;
    let bags_of_task = rows_of_task(width);
    let work = length::product("work", &[ids.len(), width])?;
    for_each_chunk(
        output,
        bags_of_task * width,
        work,
        #[inline(always)]
        |task, output| {
            for (index, output) in output.chunks_exact_mut(width).enumerate() {
                let range = bags.offsets.bag(task * bags_of_task + index, ids.len());
                let Some((&first, others)) = ids[range.clone()].split_first() else {
                    output.fill(0.0);
                    continue;
                };
                let weight = |index: usize| weights.map_or(1.0, |weights| weights[range.start + index]);
                table.put::<false>(first as usize, weight(0), output);
                for (index, &id) in others.iter().enumerate() {
                    match (reduction, &table) {
                        (Reduction::Max, Table::Float { values, width }) => {
                            let row = &values[id as usize * width..(id as usize + 1) * width];
                            for (output, &value) in output.iter_mut().zip(row) {
                                // A NaN stays, and takes the place of numbers.
                                *output = if value > *output || value.is_nan() { value } else { *output };
                            }
                        }
                        _ => table.put::<true>(id as usize, weight(index + 1), output),
                    }
                }
                if reduction == Reduction::Mean {
                    let inverse = 1.0 / range.len() as f32;
                    output.iter_mut().for_each(|output| *output *= inverse);
                }
            }
        },
    );
    Ok(())
}

/// Rows that are worth a task.
fn rows_of_task(width: usize) -> usize {
    (1 << 14) / width.max(1) + 1
}

fn check_ids(ids: &[f32], rows: usize) -> Result<()> {
    let is_row = |id: f32| id >= 0.0 && id < rows as f32 && id.fract() == 0.0;
    match ids.iter().position(|&id| !is_row(id)) {
        None => Ok(()),
        Some(index) => Err(Error::Index { index, id: ids[index], rows }),
    }
}

impl Offsets<'_> {
    /// The number of bags, if these are bags of so many ids.
    fn check(self, ids: usize) -> Result<usize> {
        let (offsets, bags) = match self {
            Self::Every(0) => return Err(Error::geometry("bags of no ids")),
            Self::Every(len) if ids.is_multiple_of(len) => return Ok(ids / len),
            Self::Every(len) => {
                return Err(Error::geometry(format!("{ids} ids are not in bags of {len}")));
            }
            Self::At(offsets) => (offsets, offsets.len()),
            Self::Between(offsets) => match offsets.len().checked_sub(1) {
                Some(bags) => (offsets, bags),
                None => return Err(Error::parameter("offsets without the end of the last bag")),
            },
        };
        let mut before = 0.0;
        for (bag, &offset) in offsets.iter().enumerate() {
            let is_first = bag == 0 && offset != 0.0;
            if !(before..=ids as f32).contains(&offset) || offset.fract() != 0.0 || is_first {
                return Err(Error::parameter(format!(
                    "offset {offset} of bag {bag}: offsets are whole numbers that begin with 0, do not fall, and are at \
                     most the {ids} ids"
                )));
            }
            before = offset;
        }
        Ok(bags)
    }

    /// The ids of a bag that there is.
    ///
    /// # Panics
    /// If there is no such bag.
    #[inline(always)]
    pub fn bag(self, bag: usize, ids: usize) -> std::ops::Range<usize> {
        match self {
            Self::Every(len) => bag * len..(bag + 1) * len,
            Self::At(offsets) | Self::Between(offsets) => {
                let end = offsets.get(bag + 1).map_or(ids, |&end| end as usize);
                offsets[bag] as usize..end
            }
        }
    }
}
