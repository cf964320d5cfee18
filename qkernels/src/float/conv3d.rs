//! What float convolutions of videos and transposed ones put around [`conv2d_into`](super::conv2d_into): images gathered
//! from several depths, and phases put in their places.

use crate::error::Result;
use crate::geometry::{Conv3dGeometry, ConvTransposeGeometry};
use crate::length;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// `input` `[N, C, D, H, W]` to the images `[N * OD, C * KD, H, W]` of [`Conv3dGeometry::images`], whose weight is
/// `[O, C / groups * KD, KH, KW]`, as PyTorch has it; depths in the padding are zeros.
///
/// # Errors
/// If a length does not match.
pub fn gather_depths(geometry: &Conv3dGeometry, input: &[f32], output: &mut [f32]) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    length::check("output", output, geometry.images().input_len())?;
    let [depths, height, width] = geometry.size;
    let (plane, taps) = (height * width, geometry.kernel[0]);
    let (channels, output_depth) = (geometry.in_channels, geometry.output()[0]);
    let chunk_len = elementwise_chunk(output.len(), plane);
    let work = output.len() / 2;
    for_each_chunk(output, chunk_len, work, |index, planes| {
        for (index, to) in (index * (chunk_len / plane)..).zip(planes.chunks_exact_mut(plane)) {
            let (image, channel, tap) = (index / taps / channels, index / taps % channels, index % taps);
            match geometry.depth(image % output_depth, tap) {
                Some(depth) => {
                    let from = (image / output_depth * channels + channel) * depths + depth;
                    to.copy_from_slice(&input[from * plane..][..plane]);
                }
                None => to.fill(0.0),
            }
        }
    });
    Ok(())
}

/// The output `[N * QD, groups * phases * O / groups, QH, QW]` of [`ConvTransposeGeometry::conv`] to
/// `[N, O, OD, OH, OW]`.
///
/// # Errors
/// If a length does not match.
pub fn place_phases(geometry: &ConvTransposeGeometry, phases: &[f32], output: &mut [f32]) -> Result<()> {
    length::check("phases", phases, geometry.conv().images().output_len())?;
    length::check("output", output, geometry.output_len())?;
    if output.is_empty() {
        return Ok(());
    }
    let [output_depth, output_height, output_width] = geometry.output();
    let [depth, height, width] = geometry.conv().output();
    let (channels, count) = (geometry.out_channels, geometry.phases());
    let (of_group, stride) = (channels / geometry.groups, geometry.stride[2]);
    let chunk_len = elementwise_chunk(output.len(), output_width);
    let work = output.len() / 2;
    for_each_chunk(output, chunk_len, work, |index, rows| {
        for (row, to) in (index * (chunk_len / output_width)..).zip(rows.chunks_exact_mut(output_width)) {
            let (y, row) = (row % output_height, row / output_height);
            let (z, row) = (row % output_depth, row / output_depth);
            let (channel, video) = (row % channels, row / channels);
            let ((z, phase_z), (y, phase_y)) = (geometry.source(0, z), geometry.source(1, y));
            for first in 0..stride.min(output_width) {
                let (x, phase_x) = geometry.source(2, first);
                let phase = (phase_z * geometry.stride[1] + phase_y) * stride + phase_x;
                let of_phase = (channel / of_group * count + phase) * of_group + channel % of_group;
                let plane = (video * depth + z) * channels * count + of_phase;
                let from = &phases[(plane * height + y) * width + x..];
                to[first..].iter_mut().step_by(stride).zip(from).for_each(|(to, &from)| *to = from);
            }
        }
    });
    Ok(())
}
