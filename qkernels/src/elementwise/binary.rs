//! What the operations on two tensors share: the loop over both operands.

use crate::error::{Error, Result};
use crate::isa::{Pass, isa};
use crate::length;
use crate::qparams::EightBit;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// An operation on two integers, with its constants.
pub(super) trait Binary<T>: Copy + Sync {
    /// To be marked `#[inline(always)]`: it is the body of a loop that becomes vectors.
    fn apply(self, a: i32, b: i32) -> T;
}

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
    if b.len() == a.len() {
        let chunk_len = elementwise_chunk(a.len(), 1);
        for_each_chunk(output, chunk_len, a.len(), |index, output| {
            let chunk = index * chunk_len..index * chunk_len + output.len();
            isa.run_pass(BinaryPass { operation, a: &a[chunk.clone()], b: &b[chunk], output });
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
            isa.run_pass(BinaryPass { operation, a, b: &row[..a.len()], output });
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
