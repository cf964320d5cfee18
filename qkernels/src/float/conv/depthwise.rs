//! Depthwise convolution: each output plane is a weighted sum of shifted copies of one input plane.

use std::cell::Cell;

use super::phases::Phases;
use crate::float::Epilogue;
use crate::geometry::Conv2dGeometry;
use crate::isa::isa;
use crate::kernels::float::{FloatTile, Taps, sum_taps};
use crate::threads::{for_each_chunk, num_threads};

/// The most planes of a task, which writes the padding once.
const PLANES: usize = 32;

/// Products of a convolution that mixes channels in the time of one of these, about.
const COST: usize = 4;

/// Values of dealt planes that are summed at once, about: few enough for a first-level cache, and enough for the first
/// written ones to have arrived there when they are read.
const DEALT: usize = 4096;

thread_local! {
    static PHASES: Cell<Vec<f32>> = Cell::default();
}

pub(super) fn convolve(
    geometry: &Conv2dGeometry,
    phases: &Phases,
    input: &[f32],
    weight: &[f32],
    epilogue: &Epilogue,
    output: &mut [f32],
) {
    let isa = isa();
    let multiplier = geometry.out_channels / geometry.in_channels;
    let plane_len = geometry.height * geometry.width;
    let width = geometry.output_width();
    let pixels = geometry.output_height() * width;
    let taps = geometry.kernel[0] * geometry.kernel[1];
    let planes = geometry.batch * geometry.out_channels;
    let task_planes = planes.div_ceil(4 * num_threads()).min(PLANES);
    let together = (DEALT / phases.len()).clamp(1, task_planes);
    for_each_chunk(
        output,
        task_planes * pixels,
        geometry.work().saturating_mul(COST),
        #[inline(always)]
        |task, output| {
            let mut dealt = PHASES.take();
            dealt.clear();
            dealt.resize(together * phases.len() + FloatTile::MAX_COLUMNS, 0.0);
            for (index, outputs) in output.chunks_mut(together * pixels).enumerate() {
                let first = task * task_planes + index * together;
                let indices = first..first + outputs.len() / pixels;
                for (index, dealt) in indices.zip(dealt.chunks_exact_mut(phases.len())) {
                    let plane = index / multiplier;
                    phases.deal(isa, geometry, &input[plane * plane_len..][..plane_len], [0, 0], dealt);
                }
                for (i, output) in outputs.chunks_exact_mut(pixels).enumerate() {
                    let channel = (first + i) % geometry.out_channels;
                    let taps = Taps {
                        values: &dealt[i * phases.len()..],
                        row_len: phases.row_len,
                        offsets: [&phases.offsets[0], &phases.offsets[1]],
                        filter: &weight[channel * taps..][..taps],
                        finish: epilogue.of(channel..channel + 1),
                    };
                    sum_taps(isa, &taps, width, output);
                }
            }
            PHASES.set(dealt);
        },
    );
}
