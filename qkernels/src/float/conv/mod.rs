//! Float 2-d convolution: matrix products of windows, or direct loops where channels never mix.

mod dense;
mod depthwise;
mod phases;
mod windows;

use self::phases::Phases;
use crate::error::Result;
use crate::geometry::Conv2dGeometry;
use crate::length;

/// `input` `[N, C, H, W]`, `weight` `[O, C / groups, KH, KW]`, `bias` `[O]`, to `output`
/// `[N, O, OH, OW]`.
///
/// PyTorch: `torch.nn.functional.conv2d`.
///
/// # Errors
/// If a length does not match.
pub fn conv2d(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: &[f32],
    bias: Option<&[f32]>,
    output: &mut [f32],
) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    length::check("weight", weight, geometry.weight_len())?;
    length::check("output", output, geometry.output_len())?;
    if let Some(bias) = bias {
        length::check("bias", bias, geometry.out_channels)?;
    }
    if output.is_empty() {
        return Ok(());
    }
    match Phases::for_depthwise(geometry) {
        Some(phases) => depthwise::convolve(geometry, &phases, input, weight, bias, output),
        None => dense::convolve(geometry, input, weight, bias, output),
    }
    Ok(())
}
