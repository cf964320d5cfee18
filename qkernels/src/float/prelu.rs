//! PReLU: negative values times the slope of their channel.

use crate::error::Result;
use crate::length;
use crate::threads::for_each_chunk;

/// `x` where it is positive, else `x * slopes[c]`, of each `x` of `input` `[N, C, inner]`; NaN stays.
///
/// # Errors
/// If a length does not match.
pub fn prelu_into(slopes: &[f32], inner: usize, input: &[f32], output: &mut [f32]) -> Result<()> {
    let image = length::product("image", &[slopes.len(), inner])?;
    length::check("output", output, input.len())?;
    if image == 0 || !input.len().is_multiple_of(image) {
        return length::check("input", input, 0);
    }
    let work = output.len();
    for_each_chunk(output, inner, work, |run, output| {
        let (input, slope) = (&input[run * inner..][..output.len()], slopes[run % slopes.len()]);
        output.iter_mut().zip(input).for_each(|(y, &x)| *y = if x > 0.0 { x } else { x * slope });
    });
    Ok(())
}
