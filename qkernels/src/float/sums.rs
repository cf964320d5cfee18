//! Sums of many values, in double: a float that has grown takes nothing more in.

/// Sums that are added up side by side, as vectors.
pub(super) const LANES: usize = 16;

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
    let (rows, rest) = values.as_chunks::<LANES>();
    let sum = rest.iter().copied().map(f64::from).sum();
    match rows.len() {
        0 => sum,
        len => sum + sum_columns(len, |i| rows[i]).iter().sum::<f64>(),
    }
}
