//! Dot products of rows with a few columns, 16 bits wide.

use std::arch::x86_64::*;

use crate::isa::Avx2;
use crate::kernels::dot_rows::COLUMN_ALIGNMENT;

/// Bytes that become a vector of words.
const STEP: usize = 16;

/// [`dot_rows`](crate::kernels::dot_rows) on AVX2.
pub(crate) fn dot_rows(_: Avx2, depth: usize, rows: &[u8], columns: &[i8], sums: &mut [i32]) {
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe {
        match columns.len() / depth.next_multiple_of(COLUMN_ALIGNMENT) {
            1 => dot_rows_of::<1>(depth, rows, columns, sums),
            2 => dot_rows_of::<2>(depth, rows, columns, sums),
            3 => dot_rows_of::<3>(depth, rows, columns, sums),
            _ => dot_rows_of::<4>(depth, rows, columns, sums),
        }
    }
}

#[target_feature(enable = "avx2")]
fn dot_rows_of<const C: usize>(depth: usize, rows: &[u8], columns: &[i8], sums: &mut [i32]) {
    let padded = depth.next_multiple_of(COLUMN_ALIGNMENT);
    let columns: [&[i8]; C] = std::array::from_fn(|c| &columns[c * padded..][..padded]);
    for (row, sums) in rows.chunks_exact(depth).zip(sums.as_chunks_mut::<C>().0) {
        let mut totals = [_mm256_setzero_si256(); C];
        let (whole, rest) = row.as_chunks::<STEP>();
        for (i, bytes) in whole.iter().enumerate() {
            add_products(&mut totals, bytes, &columns, i);
        }
        if !rest.is_empty() {
            let mut bytes = [0; STEP];
            bytes[..rest.len()].copy_from_slice(rest);
            add_products(&mut totals, &bytes, &columns, whole.len());
        }
        for (sum, total) in sums.iter_mut().zip(totals) {
            let mut lanes = [0_i32; 8];
            // SAFETY: eight sums are a vector.
            unsafe { _mm256_storeu_si256(lanes.as_mut_ptr().cast(), total) };
            *sum = lanes.into_iter().fold(0, i32::wrapping_add);
        }
    }
}

/// Adds the products of some bytes with those of each column.
#[inline]
#[target_feature(enable = "avx2")]
fn add_products<const C: usize>(
    totals: &mut [__m256i; C],
    bytes: &[u8; STEP],
    columns: &[&[i8]; C],
    i: usize,
) {
    // SAFETY: the array has sixteen bytes.
    let words = _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) });
    for (total, column) in totals.iter_mut().zip(columns) {
        // SAFETY: the array has sixteen bytes.
        let weights = unsafe { _mm_loadu_si128(column.as_chunks::<STEP>().0[i].as_ptr().cast()) };
        *total = _mm256_add_epi32(*total, _mm256_madd_epi16(words, _mm256_cvtepi8_epi16(weights)));
    }
}
