//! Quantized transposed convolution: the convolution that makes every phase, and what it made put in its place.

use super::PackedConv3d;
use crate::error::{Error, Result};
use crate::file_bytes::SharedBytes;
use crate::geometry::ConvTransposeGeometry;
use crate::length;
use crate::pixels::copy_pixels;
use crate::requantize::Requantization;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// The weight of a transposed convolution, packed once for videos of any size.
#[derive(Clone, Debug)]
pub struct PackedConvTranspose {
    conv: PackedConv3d,
}

impl PackedConvTranspose {
    /// Packs `weight` `[C, O / groups, KD, KH, KW]` (PyTorch's order), whose zero point is one for all.
    ///
    /// Of `geometry` only channels, kernel, stride, dilation and groups matter here.
    ///
    /// # Errors
    /// If a length does not match, or the zero point is not an `i8`.
    pub fn new(weight: &[i8], zero_point: i32, geometry: &ConvTransposeGeometry) -> Result<Self> {
        let absent = i8::try_from(zero_point)
            .map_err(|_| Error::parameter(format!("the weight's zero point {zero_point} is not an i8")))?;
        let weight = geometry.conv_weight(weight, absent)?;
        Ok(Self { conv: PackedConv3d::new(&weight, &[zero_point], geometry.conv())? })
    }

    /// A weight of [`packed`](Self::packed), used where it is if it lies at a multiple of 64 bytes.
    ///
    /// # Errors
    /// As for [`PackedConv3d::from_packed`].
    pub fn from_packed(
        bytes: SharedBytes,
        zero_point: i32,
        geometry: &ConvTransposeGeometry,
    ) -> Result<Self> {
        Ok(Self { conv: PackedConv3d::from_packed(bytes, &[zero_point], geometry.conv())? })
    }

    /// As [`PackedConv3d::packed`], of the convolution.
    pub fn packed(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.conv.packed()
    }

    /// The weight in PyTorch's order, `[C, O / groups, KD, KH, KW]`; `None` where [`packed`](Self::packed) is, and for
    /// another geometry.
    pub fn unpack(&self, geometry: &ConvTransposeGeometry) -> Option<Vec<i8>> {
        let weight = self.conv.unpack()?;
        geometry.weight_places().map(|place| weight.get(place).copied()).collect()
    }

    /// As [`PackedConv3d::byte_len`].
    pub fn byte_len(&self) -> usize {
        self.conv.byte_len()
    }

    /// As [`PackedConv3d::kernel`].
    pub fn kernel(&self, geometry: &ConvTransposeGeometry) -> String {
        self.conv.kernel(geometry.conv())
    }

    /// The bytes of scratch that [`run_into`](Self::run_into) takes.
    pub fn scratch_len(geometry: &ConvTransposeGeometry) -> usize {
        geometry.conv().images().output_len().saturating_add(geometry.conv().gathered_len())
    }

    /// `input` `[N, D, H, W, C]` to `output` `[N, OD, OH, OW, O]`, whose pixels begin `pixel_stride` elements apart.
    ///
    /// `requantization` is that of the convolution's channels, [`ConvTransposeGeometry::for_phases`]. PyTorch:
    /// `quantized::conv_transpose2d`.
    ///
    /// # Errors
    /// As for [`PackedConv3d::run_into`].
    #[expect(clippy::too_many_arguments)]
    pub fn run_into(
        &self,
        geometry: &ConvTransposeGeometry,
        input: &[u8],
        input_zero_point: i32,
        requantization: &Requantization,
        output: &mut [u8],
        pixel_stride: usize,
        scratch: &mut [u8],
    ) -> Result<()> {
        length::check("scratch", scratch, Self::scratch_len(geometry))?;
        let conv = geometry.conv();
        let (phases, scratch) = scratch.split_at_mut(conv.images().output_len());
        let channels = conv.out_channels;
        self.conv.run_into(conv, input, input_zero_point, requantization, None, phases, channels, scratch)?;
        place_phases(geometry, phases, output, pixel_stride)
    }
}

/// The convolution's output `[N, QD, QH, QW, groups, phases, O / groups]` to `[N, OD, OH, OW, O]`.
fn place_phases(
    geometry: &ConvTransposeGeometry,
    phases: &[u8],
    output: &mut [u8],
    pixel_stride: usize,
) -> Result<()> {
    let [output_depth, output_height, output_width] = geometry.output();
    let channels = geometry.out_channels;
    let pixels = geometry.output_len() / channels;
    let output = length::strided("output", output, pixels, channels, pixel_stride)?;
    if output.is_empty() {
        return Ok(());
    }
    let [depth, height, width] = geometry.conv().output();
    let (of_group, count) = (channels / geometry.groups, geometry.phases());
    let (stride, pixel) = (geometry.stride[2], channels * count);
    let row_len = output_width * pixel_stride;
    let chunk_len = elementwise_chunk(output.len(), row_len);
    let work = output.len() / 4;
    for_each_chunk(output, chunk_len, work, |index, rows| {
        for (row, to) in (index * (chunk_len / row_len)..).zip(rows.chunks_mut(row_len)) {
            let (image, y) = (row / output_height, row % output_height);
            let (video, z) = (image / output_depth, image % output_depth);
            let ((z, phase_z), (y, phase_y)) = (geometry.source(0, z), geometry.source(1, y));
            let from = &phases[((video * depth + z) * height + y) * width * pixel..][..width * pixel];
            let phase = (phase_z * geometry.stride[1] + phase_y) * stride;
            // The outputs of a phase are a stride apart.
            for first in 0..stride.min(output_width) {
                let (x, phase_x) = geometry.source(2, first);
                for group in 0..geometry.groups {
                    let from = &from[x * pixel + (group * count + phase + phase_x) * of_group..];
                    let to = &mut to[first * pixel_stride + group * of_group..];
                    copy_pixels(of_group, from, to, [pixel, pixel_stride * stride]);
                }
            }
        }
    });
    Ok(())
}
