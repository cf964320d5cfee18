//! Float 2-d convolution.

mod dense;
mod depthwise;
mod direct;
mod few_pixels;
mod phases;
mod weight;
mod windows;
mod winograd;

use std::mem::MaybeUninit;

use self::phases::Phases;
use self::weight::Form;
pub use self::weight::{FittedWeight, Weight};
use super::{Epilogue, unwritten};
use crate::error::Result;
use crate::geometry::Conv2dGeometry;
use crate::length;

/// `input` `[N, C, H, W]` to an output `[N, O, OH, OW]`, whose channels `epilogue` finishes.
///
/// PyTorch: `torch.nn.functional.conv2d`.
///
/// # Errors
/// If a length does not match, the weight is fitted to images of another size, or the output does not fit into memory.
pub fn conv2d(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: Weight<'_>,
    epilogue: &Epilogue,
) -> Result<Vec<f32>> {
    length::check("input", input, geometry.input_len())?;
    weight.check(geometry)?;
    epilogue.check(geometry.out_channels)?;
    // SAFETY: the outputs are covered by tiles, planes or single products, which are set as a whole.
    unsafe {
        unwritten::fill(geometry.output_len(), |output| convolve(geometry, input, weight, epilogue, output))
    }
}

/// Sets every value of `output`.
fn convolve(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: Weight<'_>,
    epilogue: &Epilogue,
    output: &mut [MaybeUninit<f32>],
) {
    if output.is_empty() {
        return;
    }
    let depthwise = geometry.is_depthwise();
    let weight = match weight {
        Weight::Whole(weight) if depthwise || !few_pixels::are_few(geometry) => weight,
        Weight::Whole(weight) => {
            let taps: Vec<usize> = (0..geometry.kernel[0] * geometry.kernel[1]).collect();
            return few_pixels::convolve(geometry, input, &taps, weight, epilogue, output);
        }
        Weight::Fitted(weight) => {
            return match weight.form() {
                Form::Seen(seen) => {
                    few_pixels::convolve(geometry, input, seen.taps(), seen.values(), epilogue, output);
                }
                Form::Winograd(filters) => winograd::convolve(geometry, input, filters, epilogue, output),
            };
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
}
