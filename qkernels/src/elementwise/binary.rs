//! What the operations on two tensors share: the loop over both operands.

use super::LookupTable;
use crate::elements::{bytes, bytes_mut};
use crate::error::{Error, Result};
use crate::isa::{Pass, isa};
use crate::kernels::{self, BinaryMap, MAX_ROUNDED, Operation};
use crate::length;
use crate::qparams::EightBit;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// An operation on two integers, with its constants.
pub(super) trait Binary<T>: Copy + Sync {
    /// To be marked `#[inline(always)]`: it is the body of a loop that becomes vectors.
    fn apply(self, a: i32, b: i32) -> T;

    /// The same for kernels, if its values are small enough for them.
    fn map(self) -> Option<BinaryMap> {
        None
    }
}

/// From so many elements on, a table of all results is worth its making.
const MIN_LOOK_UPS: usize = 1024;

/// A shorter second operand is repeated until it is about this long, for the sake of long loops.
const ROW: usize = 512;

/// `output[i] = operation(a[i], b[i])`, with `b` repeated if it is shorter.
pub(super) fn map_binary<T: EightBit>(
    operation: impl Binary<T>,
    a: &[T],
    b: &[T],
    output: &mut [T],
) -> Result<()> {
    length::check("output", output, a.len())?;
    if a.is_empty() && b.is_empty() {
        return Ok(());
    }
    if b.is_empty() || !a.len().is_multiple_of(b.len()) {
        return Err(Error::Length { what: "second operand", expected: a.len(), actual: b.len() });
    }
    let isa = isa();
    let map = operation.map().filter(|map| {
        let BinaryMap { scales: [a, b], multiplier, .. } = *map;
        let largest = if map.operation == Operation::Mul { 255.0 * 255.0 } else { 255.0 * a + 255.0 * b };
        (largest * multiplier).abs() < MAX_ROUNDED
    });
    let operate = |a: &[T], b: &[T], output: &mut [T]| {
        let is_done =
            map.is_some_and(|map| kernels::map_pairs(isa, &map, bytes(a), bytes(b), bytes_mut(output)));
        if !is_done {
            isa.run_pass(BinaryPass { operation, a, b, output });
        }
    };
    if a.len() == b.len() && a.as_ptr() == b.as_ptr() && a.len() >= MIN_LOOK_UPS {
        // A function of one value.
        let every = LookupTable::every_value();
        let mut results = every;
        operate(&every, &every, &mut results);
        return LookupTable::of_results(&results).apply(a, output);
    }
    if b.len() == a.len() {
        let chunk_len = elementwise_chunk(a.len(), 1);
        for_each_chunk(output, chunk_len, a.len(), |index, output| {
            let chunk = index * chunk_len..index * chunk_len + output.len();
            operate(&a[chunk.clone()], &b[chunk], output);
        });
        return Ok(());
    }
    let mut repeated = [b[0]; ROW];
    let copies = (ROW / b.len()).max(1);
    let row = if copies > 1 {
        let row = &mut repeated[..copies * b.len()];
        row.chunks_exact_mut(b.len()).for_each(|copy| copy.copy_from_slice(b));
        &*row
    } else {
        b
    };
    let chunk_len = elementwise_chunk(a.len(), row.len());
    for_each_chunk(output, chunk_len, a.len(), |index, output| {
        let a = &a[index * chunk_len..][..output.len()];
        for (a, output) in a.chunks(row.len()).zip(output.chunks_mut(row.len())) {
            operate(a, &row[..a.len()], output);
        }
    });
    Ok(())
}

struct BinaryPass<'a, T, O> {
    operation: O,
    a: &'a [T],
    b: &'a [T],
    output: &'a mut [T],
}

impl<T: EightBit, O: Binary<T>> Pass for BinaryPass<'_, T, O> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        for ((output, a), b) in self.output.iter_mut().zip(self.a).zip(self.b) {
            *output = self.operation.apply(a.to_i32(), b.to_i32());
        }
    }
}
