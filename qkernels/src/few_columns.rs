//! The product with a matrix of a few columns, which would leave most of a panel empty.

use std::cell::Cell;

use crate::epilogue::Epilogue;
use crate::gemm::PackedMatrix;
use crate::isa::isa;
use crate::kernels::{COLUMN_ALIGNMENT, MAX_COLUMNS, dot_rows};
use crate::output_rows::OutputRows;
use crate::threads::{for_each_index, threads_for};

/// Products of a task, about.
const TASK: usize = 1 << 16;

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static SUMS: Cell<Vec<i32>> = Cell::default();
}

/// Columns without their zero points, one after the other, each filled up with zeros.
#[derive(Clone, Debug)]
pub(crate) struct FewColumns {
    depth: usize,
    columns: Vec<i8>,
    /// The sum of each.
    sums: Vec<i32>,
}

impl FewColumns {
    /// Those of a matrix whose rows are single runs, if they are few and bytes without their zero points.
    pub(crate) fn new(matrix: &PackedMatrix) -> Option<Self> {
        let depth = matrix.runs().depth();
        if matrix.columns() > MAX_COLUMNS || matrix.runs().count != 1 || matrix.has_zero_points() {
            return None;
        }
        let mut columns = vec![0; matrix.columns() * depth.next_multiple_of(COLUMN_ALIGNMENT)];
        let mut sums = Vec::with_capacity(matrix.columns());
        for (index, column) in columns.chunks_exact_mut(depth.next_multiple_of(COLUMN_ALIGNMENT)).enumerate()
        {
            for (k, weight) in column[..depth].iter_mut().enumerate() {
                *weight = matrix.weight(index, k);
            }
            sums.push(column.iter().copied().map(i32::from).sum());
        }
        Some(Self { depth, columns, sums })
    }

    pub(crate) fn byte_len(&self) -> usize {
        self.columns.len() + size_of_val(&*self.sums)
    }

    /// Multiplies the rows of `input`, one after the other, with all columns.
    pub(crate) fn multiply<E: Epilogue>(
        &self,
        input: &[u8],
        zero_point: u8,
        epilogue: &E,
        output: OutputRows<'_, E::Output>,
    ) {
        let (isa, count) = (isa(), self.sums.len());
        let products = self.depth * count;
        let task = (TASK / products).max(1);
        let threads = threads_for(output.rows().saturating_mul(products));
        for_each_index(isa, output.rows().div_ceil(task), threads, |index| {
            let rows = index * task..output.rows().min((index + 1) * task);
            let mut buffer = SUMS.take();
            buffer.resize(buffer.len().max(rows.len() * count), 0);
            let sums = &mut buffer[..rows.len() * count];
            dot_rows(
                isa,
                self.depth,
                &input[rows.start * self.depth..rows.end * self.depth],
                &self.columns,
                sums,
            );
            for sums in sums.chunks_exact_mut(count) {
                for (sum, column) in sums.iter_mut().zip(&self.sums) {
                    *sum = sum.wrapping_sub(column.wrapping_mul(zero_point.into()));
                }
            }
            // SAFETY: a row is in one task only.
            let mut output = unsafe { output.disjoint_part(rows.clone(), 0..count) };
            if let Some(output) = output.contiguous_mut() {
                epilogue.finish_rows(isa, rows.start, count, sums, output);
            } else {
                for (i, sums) in sums.chunks_exact(count).enumerate() {
                    epilogue.finish_rows(isa, rows.start + i, count, sums, output.row_mut(i));
                }
            }
            SUMS.set(buffer);
        });
    }
}
