//! Float 2-d convolution.

mod dense;
mod depthwise;
mod direct;
mod few_pixels;
mod phases;
mod weight;
mod windows;

use std::mem::MaybeUninit;

use self::phases::Phases;
pub use self::weight::{SeenWeight, Weight};
use super::{Epilogue, unwritten};
use crate::error::Result;
use crate::geometry::Conv2dGeometry;
use crate::length;

/// `input` `[N, C, H, W]` to an output `[N, O, OH, OW]`, whose channels `epilogue` finishes.
///
/// PyTorch: `torch.nn.functional.conv2d`.
///
/// # Errors
/// If a length does not match, the weight lacks what images of this size see, or the output does not fit into memory.
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
        weight => return few_pixels::convolve(geometry, input, weight, epilogue, output),
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
