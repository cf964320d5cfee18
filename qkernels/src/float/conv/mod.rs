//! Float 2-d convolution.

mod dense;
mod depthwise;
mod direct;
mod few_pixels;
mod phases;
mod weight;
mod windows;
mod winograd;

use std::cell::Cell;

use self::phases::Phases;
use self::weight::Form;
pub use self::weight::{PackedWeight, Weight};
use super::Epilogue;
use crate::error::Result;
use crate::geometry::Conv2dGeometry;
use crate::length;

/// The most taps of a depthwise filter whose sum is in float.
const DEPTHWISE_TAPS: usize = 4096;

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static PHASES: Cell<Phases> = Cell::default();
}

/// `input` `[N, C, H, W]` to `output` `[N, O, OH, OW]`, whose channels `epilogue` finishes.
///
/// PyTorch: `torch.nn.functional.conv2d`.
///
/// # Errors
/// If a length does not match, or the weight was packed for images of another size.
pub fn conv2d_into(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: Weight<'_>,
    epilogue: &Epilogue,
    output: &mut [f32],
) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    weight.check(geometry)?;
    epilogue.check(geometry.out_channels)?;
    length::check("output", output, geometry.output_len())?;
    convolve(geometry, input, weight, epilogue, output);
    Ok(())
}

/// Sets every value of `output`; all lengths have been checked.
fn convolve(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: Weight<'_>,
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    if output.is_empty() {
        return;
    }
    let depthwise = geometry.is_depthwise();
    let weight = match weight {
        Weight::Whole(weight) if depthwise || !few_pixels::are_few(geometry) => weight,
        Weight::Whole(weight) => {
            return few_pixels::convolve(geometry, input, None, weight, epilogue, output);
        }
        Weight::Packed(weight) => {
            return match weight.form() {
                Form::Seen(seen) => {
                    few_pixels::convolve(geometry, input, Some(seen.taps()), seen.values(), epilogue, output);
                }
                Form::Winograd(filters) => winograd::convolve(geometry, input, filters, epilogue, output),
            };
        }
    };
    let windows = match depthwise {
        true => [geometry.output_height(), geometry.output_width()],
        false => dense::tile_extents(geometry),
    };
    // The products of a channel's filter are added up one after the other, and only the direct way does it in double.
    let is_long = depthwise && geometry.depth() > DEPTHWISE_TAPS;
    let mut phases = PHASES.take();
    if is_long || !phases.set(geometry, windows) {
        direct::convolve(geometry, input, weight, epilogue, output);
    } else if depthwise {
        depthwise::convolve(geometry, &phases, input, weight, epilogue, output);
    } else {
        dense::convolve(geometry, &phases, input, weight, epilogue, output);
    }
    PHASES.set(phases);
}
