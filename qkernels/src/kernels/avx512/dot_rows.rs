//! Dot products of rows with a few columns, with `vpdpbusd`.

use std::arch::x86_64::*;

use crate::isa::Avx512Vnni;
use crate::kernels::dot_rows::COLUMN_ALIGNMENT;

/// [`dot_rows`](crate::kernels::dot_rows) on AVX-512.
pub(crate) fn dot_rows(_: Avx512Vnni, depth: usize, rows: &[u8], columns: &[i8], sums: &mut [i32]) {
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe {
        match columns.len() / depth.next_multiple_of(COLUMN_ALIGNMENT) {
            1 => dot_rows_of::<1>(depth, rows, columns, sums),
            2 => dot_rows_of::<2>(depth, rows, columns, sums),
            3 => dot_rows_of::<3>(depth, rows, columns, sums),
            _ => dot_rows_of::<4>(depth, rows, columns, sums),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_rows_of<const C: usize>(depth: usize, rows: &[u8], columns: &[i8], sums: &mut [i32]) {
    let padded = depth.next_multiple_of(COLUMN_ALIGNMENT);
    assert_eq!(columns.len(), C * padded);
    let columns: [*const i8; C] = std::array::from_fn(|c| columns[c * padded..].as_ptr());
    let last = (depth - 1) / COLUMN_ALIGNMENT * COLUMN_ALIGNMENT;
    let mask = u64::MAX >> (padded - depth);
    for (row, sums) in rows.chunks_exact(depth).zip(sums.as_chunks_mut::<C>().0) {
        let mut totals = [[_mm512_setzero_si512(); C]; 2];
        for first in (0..=last).step_by(COLUMN_ALIGNMENT) {
            let mask = if first == last { mask } else { u64::MAX };
            // SAFETY: the mask leaves what the row has.
            let bytes = unsafe { _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(first).cast()) };
            // Sums of every second vector are independent.
            let totals = &mut totals[first / COLUMN_ALIGNMENT % 2];
            for (total, column) in totals.iter_mut().zip(columns) {
                // SAFETY: columns are filled up to whole vectors.
                let weights = unsafe { _mm512_loadu_si512(column.add(first).cast()) };
                *total = _mm512_dpbusd_epi32(*total, bytes, weights);
            }
        }
        for (c, sum) in sums.iter_mut().enumerate() {
            *sum = _mm512_reduce_add_epi32(_mm512_add_epi32(totals[0][c], totals[1][c]));
        }
    }
}
