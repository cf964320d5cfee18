//! Quantized 3-d convolution: 2-d convolution of images that are gathered from the depths that the filter sees.

use super::PackedConv2d;
use crate::error::{Error, Result};
use crate::file_bytes::SharedBytes;
use crate::geometry::Conv3dGeometry;
use crate::length;
use crate::memory;
use crate::pixels::copy_pixels;
use crate::requantize::Requantization;
use crate::residual::Residual;
use crate::threads::{elementwise_chunk, for_each_chunk};

/// The weight of a 3-d convolution, packed once for videos of any size; with a depth of 1, that of a 2-d one.
#[derive(Clone, Debug)]
pub struct PackedConv3d {
    images: PackedConv2d,
    order: FilterOrder,
}

impl PackedConv3d {
    /// Packs `weight` `[O, C / groups, KD, KH, KW]` (PyTorch's order); `zero_points` has 1 or `O` elements.
    ///
    /// Of `geometry` only channels, kernel, dilation and groups matter here.
    ///
    /// # Errors
    /// If a length does not match, or a zero point is not an `i8`.
    pub fn new(weight: &[i8], zero_points: &[i32], geometry: &Conv3dGeometry) -> Result<Self> {
        length::check("weight", weight, geometry.images().weight_len())?;
        let order = FilterOrder::new(geometry);
        let images = match order.is_identity() {
            true => PackedConv2d::new(weight, zero_points, geometry.images())?,
            false => PackedConv2d::new(&order.depth_outside(weight)?, zero_points, geometry.images())?,
        };
        Ok(Self { images, order })
    }

    /// A weight of [`packed`](Self::packed), used where it is if it lies at a multiple of 64 bytes.
    ///
    /// # Errors
    /// As for [`PackedConv2d::from_packed`].
    pub fn from_packed(bytes: SharedBytes, zero_points: &[i32], geometry: &Conv3dGeometry) -> Result<Self> {
        let images = PackedConv2d::from_packed(bytes, zero_points, geometry.images())?;
        Ok(Self { images, order: FilterOrder::new(geometry) })
    }

    /// As [`PackedConv2d::packed`].
    pub fn packed(&self) -> Option<impl Iterator<Item = &[u8]>> {
        self.images.packed()
    }

    /// The weight in PyTorch's order, `[O, C / groups, KD, KH, KW]`; `None` where [`packed`](Self::packed) is.
    pub fn unpack(&self) -> Option<Vec<i8>> {
        let weight = self.images.unpack()?;
        if self.order.is_identity() { Some(weight) } else { self.order.depth_inside(&weight).ok() }
    }

    /// As [`PackedConv2d::byte_len`].
    pub fn byte_len(&self) -> usize {
        self.images.byte_len()
    }

    /// As [`PackedConv2d::kernel`].
    pub fn kernel(&self, geometry: &Conv3dGeometry) -> String {
        self.images.kernel(geometry.images())
    }

    /// `input` `[N, D, H, W, C]` to `output` `[N, OD, OH, OW, O]`, in the manner of
    /// [`PackedConv2d::run_into`]; `scratch` has [`Conv3dGeometry::gathered_len`] bytes.
    ///
    /// PyTorch: `quantized::conv3d`, and `conv3d_relu` with a ReLU in `requantization`.
    ///
    /// # Errors
    /// As for [`PackedConv2d::run_into`], and if the scratch has another length.
    #[expect(clippy::too_many_arguments)]
    pub fn run_into(
        &self,
        geometry: &Conv3dGeometry,
        input: &[u8],
        input_zero_point: i32,
        requantization: &Requantization,
        residual: Option<Residual<'_>>,
        output: &mut [u8],
        pixel_stride: usize,
        scratch: &mut [u8],
    ) -> Result<()> {
        if self.order != FilterOrder::new(geometry) {
            return Err(Error::geometry("the weight was packed for another filter"));
        }
        let images = geometry.images();
        if !geometry.is_gathered() {
            let images = geometry.images();
            return self.images.run_into(
                images,
                input,
                input_zero_point,
                requantization,
                residual,
                output,
                pixel_stride,
            );
        }
        let fill = crate::gemm::input_zero_point(input_zero_point)?;
        gather_depths(geometry, input, fill, scratch)?;
        self.images.run_into(
            images,
            scratch,
            input_zero_point,
            requantization,
            residual,
            output,
            pixel_stride,
        )
    }
}

/// The order of a filter's values: with the depths outside, as they are among the channels of a pixel, or inside, as in
/// PyTorch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FilterOrder {
    channels: usize,
    depths: usize,
    /// `KH * KW`.
    taps: usize,
}

impl FilterOrder {
    fn new(geometry: &Conv3dGeometry) -> Self {
        let [depths, height, width] = geometry.kernel;
        Self { channels: geometry.in_channels / geometry.groups, depths, taps: height * width }
    }

    fn is_identity(self) -> bool {
        self.depths == 1 || self.channels == 1
    }

    /// From `[.., C, KD, taps]` to `[.., KD, C, taps]`.
    fn depth_outside(self, weight: &[i8]) -> Result<Vec<i8>> {
        self.swapped([self.channels, self.depths], weight)
    }

    /// From `[.., KD, C, taps]` to `[.., C, KD, taps]`.
    fn depth_inside(self, weight: &[i8]) -> Result<Vec<i8>> {
        self.swapped([self.depths, self.channels], weight)
    }

    fn swapped(self, [rows, columns]: [usize; 2], weight: &[i8]) -> Result<Vec<i8>> {
        let mut swapped = memory::zeroed("a weight in another order", weight.len())?;
        let len = rows * columns * self.taps;
        for (from, to) in weight.chunks_exact(len).zip(swapped.chunks_exact_mut(len)) {
            for (index, from) in from.chunks_exact(self.taps).enumerate() {
                let place = index % columns * rows + index / columns;
                to[place * self.taps..][..self.taps].copy_from_slice(from);
            }
        }
        Ok(swapped)
    }
}

/// `input` `[N, D, H, W, C]` to the images `[N * OD, H, W, groups, KD, C / groups]` of [`Conv3dGeometry::images`]; depths in
/// the padding are `fill`.
fn gather_depths(geometry: &Conv3dGeometry, input: &[u8], fill: u8, output: &mut [u8]) -> Result<()> {
    length::check("input", input, geometry.input_len())?;
    length::check("scratch", output, geometry.gathered_len())?;
    let [depths, height, width] = geometry.size;
    let (channels, output_depth) = (geometry.in_channels, geometry.output()[0]);
    let (of_group, taps) = (channels / geometry.groups, geometry.kernel[0]);
    let (from_len, to_len) = (width * channels, width * channels * taps);
    let chunk_len = elementwise_chunk(output.len(), to_len);
    // A copy of a byte is less than a multiply-add.
    let work = output.len() / 4;
    for_each_chunk(output, chunk_len, work, |index, rows| {
        for (row, to) in (index * (chunk_len / to_len)..).zip(rows.chunks_exact_mut(to_len)) {
            let (image, y) = (row / height, row % height);
            let (video, z) = (image / output_depth, image % output_depth);
            for tap in 0..taps {
                let from = geometry
                    .depth(z, tap)
                    .map(|depth| &input[((video * depths + depth) * height + y) * from_len..][..from_len]);
                for group in 0..geometry.groups {
                    let to = &mut to[(group * taps + tap) * of_group..];
                    match from {
                        Some(from) => {
                            let from = &from[group * of_group..];
                            copy_pixels(of_group, from, to, [channels, channels * taps]);
                        }
                        None => to.chunks_mut(channels * taps).for_each(|pixel| pixel[..of_group].fill(fill)),
                    }
                }
            }
        }
    });
    Ok(())
}
