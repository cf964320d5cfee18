//! Float linear layers.

use super::product::{Matrix, Tiled};
use crate::error::{Error, Result};
use crate::length;
use crate::threads::{for_each_chunk, threads_for};

/// `input` `[rows, in_features]` times the transpose of `weight` `[out_features, in_features]`, plus
/// `bias` `[out_features]`, to `output` `[rows, out_features]`.
///
/// The sizes follow from the lengths and `rows`. PyTorch: `torch.nn.functional.linear`.
///
/// # Errors
/// If the lengths do not fit together or a size is zero.
pub fn linear(
    rows: usize,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> Result<()> {
    if rows == 0 || input.is_empty() || output.is_empty() {
        return Err(Error::geometry("a linear layer needs rows and features"));
    }
    let (in_features, out_features) = (input.len() / rows, output.len() / rows);
    length::check("input", input, length::product("input", &[rows, in_features])?)?;
    length::check("output", output, length::product("output", &[rows, out_features])?)?;
    length::check("weight", weight, length::product("weight", &[out_features, in_features])?)?;
    if let Some(bias) = bias {
        length::check("bias", bias, out_features)?;
        for row in output.chunks_exact_mut(out_features) {
            row.copy_from_slice(bias);
        }
    }
    let work = rows.saturating_mul(weight.len());
    let block = out_features.div_ceil(threads_for(work));
    let input = Matrix::new(input, rows, in_features, in_features);
    let output = Tiled::new(output, out_features);
    for_each_chunk(&mut vec![(); out_features.div_ceil(block)], 1, work, |task, _| {
        let features = task * block..(task * block + block).min(out_features);
        let weight = &weight[features.start * in_features..features.end * in_features];
        let weight = Matrix::new(weight, features.len(), in_features, in_features);
        // SAFETY: no two tasks have a feature in common.
        let mut output = unsafe { output.tile(0..rows, features) };
        output.multiply(input, weight.transposed(), bias.is_some());
    });
    Ok(())
}
