//! Float 2-d convolution.

mod dense;
mod depthwise;
mod direct;
mod few_pixels;
mod phases;
mod weight;
mod windows;

use self::phases::Phases;
pub use self::weight::{SeenWeight, Weight};
use super::Epilogue;
use crate::error::Result;
use crate::geometry::Conv2dGeometry;
use crate::length;

/// `input` `[N, C, H, W]` to `output` `[N, O, OH, OW]`, whose channels `epilogue` finishes.
///
/// PyTorch: `torch.nn.functional.conv2d`.
///
/// # Errors
/// If a length does not match, or the weight lacks what images of this size see.
pub fn conv2d(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: Weight<'_>,
    epilogue: &Epilogue,
    output: &mut [f32],
) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    weight.check(geometry)?;
    length::check("output", output, geometry.output_len())?;
    epilogue.check(geometry.out_channels)?;
    if output.is_empty() {
        return Ok(());
    }
    let depthwise = geometry.is_depthwise();
    let weight = match weight {
        Weight::Whole(weight) if depthwise || !few_pixels::are_few(geometry) => weight,
        weight => {
            few_pixels::convolve(geometry, input, weight, epilogue, output);
            return Ok(());
        }
    };
    let rows = if depthwise { geometry.output_height() } else { dense::tile_rows(geometry) };
    match Phases::new(geometry, rows) {
        Some(phases) if depthwise => {
            depthwise::convolve(geometry, &phases, input, weight, epilogue, output);
        }
        Some(phases) => dense::convolve(geometry, &phases, input, weight, epilogue, output),
        None => direct::convolve(geometry, input, weight, epilogue, output),
    }
    Ok(())
}
