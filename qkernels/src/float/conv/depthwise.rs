//! Depthwise convolution: each output plane is a weighted sum of shifted copies of one input plane.

use std::cell::Cell;

use super::phases::Phases;
use crate::float::Epilogue;
use crate::geometry::Conv2dGeometry;
use crate::kernels::float::Finish;
use crate::threads::for_each_chunk;

/// Sums that stay in registers over all taps.
const SUMS: usize = 32;

/// Planes of a task, which writes the padding once.
const PLANES: usize = 8;

thread_local! {
    static SCRATCH: Cell<Scratch> = Cell::default();
}

/// Memory that is used again for the next plane.
#[derive(Default)]
struct Scratch {
    phases: Vec<f32>,
    /// Rows of the output, as far apart as those of a phase.
    sums: Vec<f32>,
}

pub(super) fn convolve(
    geometry: &Conv2dGeometry,
    phases: &Phases,
    input: &[f32],
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let multiplier = geometry.out_channels / geometry.in_channels;
    let plane_len = geometry.height * geometry.width;
    let [height, width] = [geometry.output_height(), geometry.output_width()];
    let sums_len = ((height - 1) * phases.row_len + width).next_multiple_of(SUMS);
    let taps = phases.offsets.len();
    for_each_chunk(
        output,
        PLANES * height * width,
        geometry.work(),
        #[inline(always)]
        |task, output| {
            let mut scratch = SCRATCH.take();
            scratch.phases.clear();
            scratch.phases.resize(phases.len() + SUMS, 0.0);
            scratch.sums.resize(sums_len, 0.0);
            for (index, output) in output.chunks_exact_mut(height * width).enumerate() {
                let index = task * PLANES + index;
                let (image, channel) = (index / geometry.out_channels, index % geometry.out_channels);
                let plane = image * geometry.in_channels + channel / multiplier;
                let plane = &input[plane * plane_len..][..plane_len];
                let filter = &weight[channel * taps..][..taps];
                let finish = epilogue.of(channel..channel + 1);
                phases.deal(geometry, plane, 0, &mut scratch.phases);
                add_taps(&scratch.phases, &phases.offsets, filter, finish, &mut scratch.sums);
                let rows = scratch.sums.chunks(phases.row_len);
                for (output, sums) in output.chunks_exact_mut(width).zip(rows) {
                    output.copy_from_slice(&sums[..width]);
                }
            }
            SCRATCH.set(scratch);
        },
    );
}

/// `sums[i] = filter[0] * phases[offsets[0] + i] + ..`
#[inline(always)]
fn add_taps(phases: &[f32], offsets: &[usize], filter: &[f32], finish: Finish<'_>, sums: &mut [f32]) {
    for (block, sums) in sums.chunks_exact_mut(SUMS).enumerate() {
        let mut block_sums = [0.0; SUMS];
        for (&offset, &weight) in offsets.iter().zip(filter) {
            let values = &phases[block * SUMS + offset..][..SUMS];
            for (sum, &value) in block_sums.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
        sums.copy_from_slice(&block_sums.map(|sum| finish.apply(0, sum)));
    }
}
