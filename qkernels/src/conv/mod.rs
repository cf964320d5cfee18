//! Quantized convolution on channels-last images and videos.
//!
//! A convolution is a matrix product whose rows are the windows of the output pixels, read where they lie in the
//! image; a 1x1 convolution of stride 1 that of the pixels themselves. Where it is faster, 3x3 convolutions take
//! fewer products by Winograd's algorithm, with the same sums. Depthwise convolutions, which have next to nothing to
//! sum, multiply channel by channel.

mod conv3d;
mod deep;
mod depthwise;
mod narrow;
mod packed_form;
mod transposed;
mod window;
#[cfg(target_arch = "x86_64")]
mod winograd;

#[cfg(target_arch = "x86_64")]
use std::sync::OnceLock;

use crate::deep::{DeepMatrix, is_deep};
use crate::epilogue::{Epilogue, KeepSums, Requantize};
use crate::error::{Error, Result};
use crate::few_columns::FewColumns;
use crate::gemm::{self, InputRows, PackedMatrix, check_zero_point_count};
use crate::geometry::{Conv2dGeometry, Conv2dParameters};
#[cfg(target_arch = "x86_64")]
use crate::isa::Avx2;
use crate::isa::isa;
use crate::kernels;
use crate::length;
use crate::memory;
use crate::output_rows::OutputRows;
use crate::requantize::Requantization;
use crate::residual::Residual;
pub use conv3d::PackedConv3d;
use depthwise::DepthwiseFilters;
use narrow::NarrowFilters;
pub use transposed::PackedConvTranspose;
use window::{WindowRows, packed_runs};
#[cfg(target_arch = "x86_64")]
use winograd::{Winograd, WinogradFilters};

/// The weight of a 2-d convolution, packed once for images of any size.
#[derive(Clone, Debug)]
pub struct PackedConv2d {
    in_channels: usize,
    out_channels: usize,
    kernel: [usize; 2],
    dilation: [usize; 2],
    groups: usize,
    filters: Filters,
    /// Instead of the others, if they are faster.
    narrow: Option<NarrowFilters>,
    /// Likewise, for the pixels of an image.
    few: Option<FewColumns>,
    /// Made by the first convolution that is faster with them.
    #[cfg(target_arch = "x86_64")]
    winograd: OnceLock<WinogradFilters>,
}

#[derive(Clone, Debug)]
enum Filters {
    /// One matrix per group, the depth in the order `[KH, KW, C / groups]`.
    Grouped(Vec<PackedMatrix>),
    Depthwise(DepthwiseFilters),
    /// One matrix per group, whose sums may leave `i32`.
    Deep(Vec<DeepMatrix>),
}

impl PackedConv2d {
    /// Packs `weight` `[O, C / groups, KH, KW]` (PyTorch's order); `zero_points` has 1 or `O`
    /// elements.
    ///
    /// Of `geometry` only channels, kernel, dilation and groups matter here.
    ///
    /// # Errors
    /// If a length does not match, or a zero point is not an `i8`.
    pub fn new(weight: &[i8], zero_points: &[i32], geometry: &Conv2dGeometry) -> Result<Self> {
        length::check("weight", weight, geometry.weight_len())?;
        check_zero_point_count(zero_points, geometry.out_channels)?;
        let filters = if is_deep(weight, geometry.depth(), zero_points)? {
            Filters::Deep(deep::deep_groups(weight, zero_points, geometry)?)
        } else if geometry.is_depthwise() {
            Filters::Depthwise(DepthwiseFilters::new(weight, zero_points, geometry)?)
        } else {
            Filters::Grouped(pack_groups(weight, zero_points, geometry)?)
        };
        let narrow = NarrowFilters::are_faster(geometry)
            .then(|| NarrowFilters::new(weight, zero_points, geometry))
            .transpose()?;
        Ok(Self::of_filters(geometry, filters, narrow))
    }

    fn of_filters(geometry: &Conv2dGeometry, filters: Filters, narrow: Option<NarrowFilters>) -> Self {
        let few = match &filters {
            Filters::Grouped(groups) if geometry.kernel == [1, 1] && groups.len() == 1 => {
                FewColumns::new(&groups[0])
            }
            _ => None,
        };
        Self {
            in_channels: geometry.in_channels,
            out_channels: geometry.out_channels,
            kernel: geometry.kernel,
            dilation: geometry.dilation,
            groups: geometry.groups,
            filters,
            narrow,
            few,
            #[cfg(target_arch = "x86_64")]
            winograd: OnceLock::new(),
        }
    }

    /// Bytes of memory the packed weight takes, with transformed filters if a convolution has made some.
    pub fn byte_len(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        let transformed = self.winograd.get().map_or(0, WinogradFilters::byte_len);
        #[cfg(not(target_arch = "x86_64"))]
        let transformed = 0;
        let narrow = self.narrow.as_ref().map_or(0, NarrowFilters::byte_len)
            + self.few.as_ref().map_or(0, FewColumns::byte_len);
        transformed
            + narrow
            + match &self.filters {
                Filters::Grouped(groups) => groups.iter().map(PackedMatrix::byte_len).sum(),
                Filters::Depthwise(filters) => filters.byte_len(),
                Filters::Deep(groups) => groups.iter().map(|matrix| matrix.weights().len()).sum(),
            }
    }

    /// The kernel that [`run`](Self::run) would use now for images of this size, by name; it follows the instruction
    /// set in use.
    pub fn kernel(&self, geometry: &Conv2dGeometry) -> String {
        let isa = isa();
        let _ = geometry;
        if let Some(narrow) = &self.narrow {
            return narrow.kernel_name(isa);
        }
        match &self.filters {
            #[cfg(target_arch = "x86_64")]
            Filters::Grouped(_) if winograd::is_faster(isa, geometry).is_some() => {
                format!("{isa}, 16 bits, Winograd")
            }
            Filters::Grouped(groups) => kernels::name(isa, groups.iter().map(PackedMatrix::pair_bounds)),
            Filters::Depthwise(filters) => filters.kernel_name(isa),
            Filters::Deep(_) => format!("{isa}, sums of 64 bits"),
        }
    }

    /// `input` `[N, H, W, C]` to `output` `[N, OH, OW, O]`; the padding is the input's zero point.
    ///
    /// PyTorch: `quantized::conv2d`, and `conv2d_relu` with a ReLU in `requantization`.
    ///
    /// # Errors
    /// If a length does not match, `geometry` disagrees with the packed weight, or the input's
    /// zero point is not a `u8`.
    pub fn run(
        &self,
        geometry: &Conv2dGeometry,
        input: &[u8],
        input_zero_point: i32,
        requantization: &Requantization,
        output: &mut [u8],
    ) -> Result<()> {
        length::check("output", output, geometry.output_len())?;
        self.run_into(geometry, input, input_zero_point, requantization, None, output, self.out_channels)
    }

    /// [`run`](Self::run) into a part of a larger output, with the addition that may follow in the same pass.
    ///
    /// `output` begins at the first pixel's `O` bytes, and those of the next pixel are `pixel_stride` bytes further;
    /// bytes between them stay as they are. With `residual` the bytes are those of `run` and
    /// [`elementwise::add`](crate::elementwise::add) one after the other.
    ///
    /// # Errors
    /// As for `run`, if `output` has less than `(N * OH * OW - 1) * pixel_stride + O` elements or `pixel_stride` is
    /// less than `O`, and if the residual has another length than the output or scales that `add` refuses, or whose
    /// values are not finite.
    #[expect(clippy::too_many_arguments)]
    pub fn run_into(
        &self,
        geometry: &Conv2dGeometry,
        input: &[u8],
        input_zero_point: i32,
        requantization: &Requantization,
        residual: Option<Residual<'_>>,
        output: &mut [u8],
        pixel_stride: usize,
    ) -> Result<()> {
        requantization.check_channels(self.out_channels)?;
        let output = length::strided("output", output, geometry.pixels(), self.out_channels, pixel_stride)?;
        let epilogue = match residual {
            None => Requantize::new(requantization),
            Some(residual) => Requantize::with_residual(requantization, residual, geometry.output_len())?,
        };
        self.convolve(geometry, input, input_zero_point, &epilogue, output, pixel_stride)
    }

    /// The exact sums `sum (xq - zx) * (wq - zw)`, `[N, OH, OW, O]`; one that leaves `i32` saturates.
    ///
    /// # Errors
    /// As for [`run`](Self::run).
    pub fn accumulate(
        &self,
        geometry: &Conv2dGeometry,
        input: &[u8],
        input_zero_point: i32,
        output: &mut [i32],
    ) -> Result<()> {
        length::check("output", output, geometry.output_len())?;
        self.convolve(geometry, input, input_zero_point, &KeepSums, output, self.out_channels)
    }

    /// The length of `output` has been checked.
    fn convolve<E: Epilogue>(
        &self,
        geometry: &Conv2dGeometry,
        input: &[u8],
        input_zero_point: i32,
        epilogue: &E,
        output: &mut [E::Output],
        pixel_stride: usize,
    ) -> Result<()> {
        self.check_geometry(geometry)?;
        length::check("input", input, geometry.input_len())?;
        let zero_point = gemm::input_zero_point(input_zero_point)?;
        if geometry.output_len() == 0 {
            return Ok(());
        }
        if let Some(narrow) = &self.narrow {
            narrow.convolve(geometry, input, zero_point, epilogue, output, pixel_stride);
            return Ok(());
        }
        #[cfg(target_arch = "x86_64")]
        if let Some((proof, filters)) = self.winograd(geometry)? {
            let winograd = Winograd { proof, filters, geometry, input, zero_point, epilogue };
            winograd.convolve(OutputRows::new(output, self.out_channels, pixel_stride));
            return Ok(());
        }
        match &self.filters {
            Filters::Depthwise(filters) => {
                filters.convolve(geometry, input, zero_point, epilogue, output, pixel_stride);
            }
            Filters::Deep(groups) => {
                let output = OutputRows::new(output, self.out_channels, pixel_stride);
                deep::convolve(groups, geometry, input, zero_point, epilogue, output);
            }
            Filters::Grouped(groups) if geometry.is_pointwise() && self.groups == 1 => {
                if let Some(few) = &self.few {
                    let output = OutputRows::new(output, self.out_channels, pixel_stride);
                    few.multiply(input, zero_point, epilogue, output);
                    return Ok(());
                }
                let rows = InputRows { input, in_features: self.in_channels, zero_point };
                gemm::multiply(
                    &rows,
                    groups,
                    epilogue,
                    OutputRows::new(output, self.out_channels, pixel_stride),
                );
            }
            Filters::Grouped(groups) => {
                let rows = WindowRows::new(geometry, input, zero_point);
                gemm::multiply(
                    &rows,
                    groups,
                    epilogue,
                    OutputRows::new(output, self.out_channels, pixel_stride),
                );
            }
        }
        Ok(())
    }

    /// The transformed filters, if they are faster for images of this size; and the proof for their kernels.
    #[cfg(target_arch = "x86_64")]
    fn winograd(&self, geometry: &Conv2dGeometry) -> Result<Option<(Avx2, &WinogradFilters)>> {
        let Filters::Grouped(groups) = &self.filters else { return Ok(None) };
        let [matrix] = &**groups else { return Ok(None) };
        let Some(proof) = winograd::is_faster(isa(), geometry) else { return Ok(None) };
        if self.winograd.get().is_none() {
            // 16 numbers of 16 bits for 9 of 8.
            memory::check_free("transformed filters", matrix.byte_len().saturating_mul(4))?;
        }
        Ok(Some((proof, self.winograd.get_or_init(|| WinogradFilters::new(matrix)))))
    }

    fn check_geometry(&self, geometry: &Conv2dGeometry) -> Result<()> {
        let packed = (self.in_channels, self.out_channels, self.kernel, self.dilation, self.groups);
        let Conv2dParameters { in_channels, out_channels, kernel, dilation, groups, .. } = **geometry;
        let wanted = (in_channels, out_channels, kernel, dilation, groups);
        if packed == wanted {
            Ok(())
        } else {
            Err(Error::geometry(format!(
                "the weight was packed for (in_channels, out_channels, kernel, dilation, groups) {packed:?}, not {wanted:?}"
            )))
        }
    }
}

fn pack_groups(weight: &[i8], zero_points: &[i32], geometry: &Conv2dGeometry) -> Result<Vec<PackedMatrix>> {
    let channels = geometry.in_channels / geometry.groups;
    let taps = geometry.kernel[0] * geometry.kernel[1];
    let depth = geometry.depth();
    let columns = columns_of_group(geometry);
    // Groups of few columns take up a whole panel each, and sums of the runs as much at most.
    let group_len = PackedMatrix::packed_len(columns, packed_runs(geometry))?;
    memory::check_free("a packed weight", group_len.saturating_mul(2 * geometry.groups))?;
    (0..geometry.groups)
        .map(|group| {
            let first = group * columns;
            let zero_points = zero_points_of_group(zero_points, group, columns);
            // From [C, KH * KW] to [KH * KW, C].
            PackedMatrix::new(columns, packed_runs(geometry), zero_points, |o, k| {
                weight[(first + o) * depth + k % channels * taps + k / channels]
            })
        })
        .collect()
}

fn columns_of_group(geometry: &Conv2dGeometry) -> usize {
    geometry.out_channels / geometry.groups
}

/// Those of the columns of `group`, from one for all or one for each.
fn zero_points_of_group(zero_points: &[i32], group: usize, columns: usize) -> &[i32] {
    match zero_points {
        [_] => zero_points,
        _ => &zero_points[group * columns..][..columns],
    }
}
