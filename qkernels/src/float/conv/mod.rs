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
use std::mem::MaybeUninit;

use self::phases::Phases;
use self::weight::Form;
pub use self::weight::{PackedWeight, Weight};
use super::{Epilogue, unwritten};
use crate::error::Result;
use crate::geometry::Conv2dGeometry;
use crate::length;

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static PHASES: Cell<Phases> = Cell::default();
}

/// [`conv2d_into`] memory of its own.
///
/// # Errors
/// As for `conv2d_into`, and if the output does not fit into memory.
pub fn conv2d(
    geometry: &Conv2dGeometry,
    input: &[f32],
    weight: Weight<'_>,
    epilogue: &Epilogue,
) -> Result<Vec<f32>> {
    check(geometry, input, weight, epilogue)?;
    // SAFETY: the outputs are covered by tiles, planes or single products, which are set as a whole.
    unsafe {
        unwritten::fill(geometry.output_len(), |output| convolve(geometry, input, weight, epilogue, output))
    }
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
    check(geometry, input, weight, epilogue)?;
    length::check("output", output, geometry.output_len())?;
    // SAFETY: an `f32` may be uninitialised memory, and `convolve` sets every value.
    let output = unsafe { &mut *(&raw mut *output as *mut [MaybeUninit<f32>]) };
    convolve(geometry, input, weight, epilogue, output);
    Ok(())
}

fn check(geometry: &Conv2dGeometry, input: &[f32], weight: Weight<'_>, epilogue: &Epilogue) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    weight.check(geometry)?;
    epilogue.check(geometry.out_channels)
}

/// Sets every value of `output`, and leaves none uninitialised.
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
    let rows = if depthwise { geometry.output_height() } else { dense::tile_rows(geometry) };
    let mut phases = PHASES.take();
    if !phases.set(geometry, rows) {
        direct::convolve(geometry, input, weight, epilogue, output);
    } else if depthwise {
        depthwise::convolve(geometry, &phases, input, weight, epilogue, output);
    } else {
        dense::convolve(geometry, &phases, input, weight, epilogue, output);
    }
    PHASES.set(phases);
}
