//! Mean over some axes.

use super::sums::{LANES, sum, sum_columns};
use crate::blocks::at;
use crate::error::{Error, Result};
use crate::length;
use crate::pool::MeanExtents;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// Mean over the middle extent, `[outer, reduced, inner]` to `[outer, inner]`, of sums in double.
///
/// PyTorch: `torch.mean`.
///
/// # Errors
/// If a length does not match or nothing is averaged.
pub fn mean_into(extents: MeanExtents, input: &[f32], output: &mut [f32]) -> Result<()> {
    let MeanExtents { outer, reduced, inner } = extents;
    length::check("input", input, length::product("input", &[outer, reduced, inner])?)?;
    length::check("output", output, length::product("output", &[outer, inner])?)?;
    if reduced == 0 {
        return Err(Error::geometry("the mean of no elements does not exist"));
    }
    let chunk = elementwise_chunk(input.len(), reduced) / reduced;
    for_each_chunk(
        output,
        chunk,
        input.len(),
        #[inline(always)]
        |index, output| {
            let mut first = index * chunk;
            let mut rest = output;
            while !rest.is_empty() {
                // Neighbouring columns of one row.
                let (row, column) = (first / inner, first % inner);
                let len = rest.len().min(inner - column).min(LANES);
                let (output, others) = rest.split_at_mut(len);
                let columns = &input[row * reduced * inner + column..];
                let sums = match (inner, len) {
                    (1, _) => [sum(&columns[..reduced]); LANES],
                    (_, LANES) => sum_columns(reduced, |i| *at(columns, i * inner)),
                    _ => sum_columns(reduced, |i| {
                        let mut values = [0.0; LANES];
                        values[..len].copy_from_slice(&columns[i * inner..][..len]);
                        values
                    }),
                };
                for (output, sum) in output.iter_mut().zip(sums) {
                    *output = (sum / reduced as f64) as f32;
                }
                first += len;
                rest = others;
            }
        },
    );
    Ok(())
}
