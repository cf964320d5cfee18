//! Dot products of rows with a few columns of weights, along their depth.

#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::isa::Isa;

/// Columns that are multiplied with a row together, at most.
pub(crate) const MAX_COLUMNS: usize = 4;

/// Columns are filled up with zeros to a multiple of this.
pub(crate) const COLUMN_ALIGNMENT: usize = 64;

/// `sums[row][column] = sum over k of rows[row][k] * columns[column][k]`
///
/// `rows` is `[rows][depth]`, `columns` up to [`MAX_COLUMNS`] of `depth` filled up to a multiple of
/// [`COLUMN_ALIGNMENT`].
pub(crate) fn dot_rows(isa: Isa, depth: usize, rows: &[u8], columns: &[i8], sums: &mut [i32]) {
    let count = columns.len() / depth.next_multiple_of(COLUMN_ALIGNMENT);
    assert!(depth > 0 && columns.len() == count * depth.next_multiple_of(COLUMN_ALIGNMENT));
    assert!((1..=MAX_COLUMNS).contains(&count) && rows.len() / depth * count == sums.len());
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => avx512::dot_rows(proof, depth, rows, columns, sums),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::dot_rows(proof, depth, rows, columns, sums),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::dot_rows(proof.avx2(), depth, rows, columns, sums),
        Isa::Scalar => {
            let padded = depth.next_multiple_of(COLUMN_ALIGNMENT);
            for (row, sums) in rows.chunks_exact(depth).zip(sums.chunks_exact_mut(count)) {
                for (column, sum) in columns.chunks_exact(padded).zip(sums) {
                    let products = row.iter().zip(column).map(|(&q, &w)| i32::from(q) * i32::from(w));
                    *sum = products.fold(0, i32::wrapping_add);
                }
            }
        }
    }
}
