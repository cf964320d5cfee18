//! Depthwise convolution: each output plane is a weighted sum of shifted copies of one input plane.

use std::cell::Cell;

use super::phases::Phases;
use crate::float::Epilogue;
use crate::geometry::Conv2dGeometry;
use crate::isa::isa;
use crate::kernels::float::{FloatTile, Taps, sum_taps};
use crate::threads::for_each_chunk;

/// Planes of a task, which writes the padding once.
const PLANES: usize = 8;

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
    let taps = phases.offsets.len();
    for_each_chunk(
        output,
        PLANES * pixels,
        geometry.work(),
        #[inline(always)]
        |task, output| {
            let mut dealt = PHASES.take();
            dealt.clear();
            dealt.resize(phases.len() + FloatTile::MOST_COLUMNS, 0.0);
            for (index, output) in output.chunks_exact_mut(pixels).enumerate() {
                let index = task * PLANES + index;
                let (image, channel) = (index / geometry.out_channels, index % geometry.out_channels);
                let plane = image * geometry.in_channels + channel / multiplier;
                phases.deal(geometry, &input[plane * plane_len..][..plane_len], 0, &mut dealt);
                let taps = Taps {
                    values: &dealt,
                    row_len: phases.row_len,
                    offsets: &phases.offsets,
                    filter: &weight[channel * taps..][..taps],
                    finish: epilogue.of(channel..channel + 1),
                };
                sum_taps(isa, &taps, width, output);
            }
            PHASES.set(dealt);
        },
    );
}
