//! Float linear layers.

use super::Epilogue;
use super::dots::for_each_dot;
use crate::error::{Error, Result};
use crate::length;
use crate::output_rows::OutputRows;

/// `input` `[rows, in_features]` times the transpose of `weight` `[out_features, in_features]`, to `output`
/// `[rows, out_features]`, whose features `epilogue` finishes.
///
/// The sizes follow from the lengths and `rows`. PyTorch: `torch.nn.functional.linear`.
///
/// # Errors
/// If the lengths do not fit together or there are no features.
pub fn linear(
    rows: usize,
    input: &[f32],
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) -> Result<()> {
    if rows == 0 {
        length::check("input", input, 0)?;
        return length::check("output", output, 0);
    }
    if input.is_empty() || output.is_empty() {
        return Err(Error::geometry("a linear layer needs features"));
    }
    let (in_features, out_features) = (input.len() / rows, output.len() / rows);
    length::check("input", input, length::product("input", &[rows, in_features])?)?;
    length::check("output", output, length::product("output", &[rows, out_features])?)?;
    length::check("weight", weight, length::product("weight", &[out_features, in_features])?)?;
    epilogue.check(out_features)?;
    let finish = epilogue.of(0..out_features);
    let output = OutputRows::new(output, out_features, out_features);
    for_each_dot(weight, input, in_features, |feature, row, sum| {
        // SAFETY: each dot product is computed once.
        let mut output = unsafe { output.disjoint_part(row..row + 1, feature..feature + 1) };
        output.row_mut(0)[0] = finish.apply(feature, sum);
    });
    Ok(())
}
