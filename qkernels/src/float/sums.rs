//! Sums of many values, in double: a float that has grown takes nothing more in.

/// Sums that are added up side by side, as vectors.
pub(crate) const LANES: usize = 16;

/// The sum of each lane of `row(i)` for `i` below `rows`.
#[inline(always)]
pub(super) fn sum_columns(rows: usize, row: impl Fn(usize) -> [f32; LANES]) -> [f64; LANES] {
    let mut sums = [0.0; LANES];
    for i in 0..rows {
        for (sum, value) in sums.iter_mut().zip(row(i)) {
            *sum += f64::from(value);
        }
    }
    sums
}

/// The sum of all values.
#[inline(always)]
pub(super) fn sum(values: &[f32]) -> f64 {
    sum_of(values, f64::from)
}

/// The sum of what `term` makes of all values.
#[inline(always)]
pub(crate) fn sum_of(values: &[f32], term: impl Fn(f32) -> f64) -> f64 {
    let (rows, rest) = values.as_chunks::<LANES>();
    let mut sums = [0.0; LANES];
    for row in rows {
        for (sum, &value) in sums.iter_mut().zip(row) {
            *sum += term(value);
        }
    }
    rest.iter().map(|&value| term(value)).sum::<f64>() + sums.iter().sum::<f64>()
}
