//! Convolutions with few channels in a group, or few altogether: depthwise ones with a multiplier among them.
//!
//! ```text
//! acc[y][x][o] = sum over taps of xq * (wq - zw[o])  -  zx * sum over taps of (wq - zw[o])
//! ```
//!
//! with `zx` for `xq` in the padding. What an output element looks at in a column of the input, its group's channels
//! of one row after the other, is filled up to quads. The quads of all elements of an output row lie side by side, as
//! the elements do, so that vectors are full whatever the number of channels.

mod rows;

use std::cell::Cell;

use super::packed_runs;
use crate::epilogue::Epilogue;
use crate::error::Result;
use crate::gemm::{check_sum, weight_zero_point};
use crate::geometry::Conv2dGeometry;
use crate::isa::{Isa, isa};
use crate::kernels::{NarrowWeights, narrow_multiplies_bytes};
use crate::panel::{PANEL, QUAD};
use crate::threads::{for_each_chunk, threads_for};
use rows::{Convolution, Scratch};

/// Channels of a group, at most.
const MAX_CHANNELS: usize = 8;

/// Rows and columns of a filter, and columns that it spans, at most.
const MAX_KERNEL: usize = 64;
const MAX_EXTENT: usize = 1024;

/// Output elements of the rows that a thread takes at a time, about.
const ELEMENTS: usize = 4096;

/// Weights without their zero points, in the order of lanes.
///
/// Where a column leaves a part of its last quad empty, there are weights too for outputs whose column begins one or
/// more rows further down: they share the lanes of the first.
#[derive(Clone, Debug)]
pub(super) struct NarrowFilters {
    /// `[shifts][KW][quads][O + PANEL - 1]`, if all weights are bytes.
    bytes: Option<Vec<i32>>,
    /// `[shifts][KW][quads][2][O + PANEL - 1]`
    words: Vec<i32>,
    /// The sum of each channel's weights, `[O + PANEL - 1]`.
    sums: Vec<i32>,
    /// Of a column.
    quads: usize,
    shifts: usize,
}

thread_local! {
    /// Kept between calls, so that a steady state allocates nothing.
    static SCRATCH: Cell<Scratch> = Cell::default();
    /// Where the sums of each channel start.
    static INITIAL: Cell<Vec<i32>> = Cell::default();
}

impl NarrowFilters {
    /// Whether they are faster than a matrix for each group, or a panel for sixteen channels of a depthwise
    /// convolution.
    pub(super) fn are_faster(geometry: &Conv2dGeometry) -> bool {
        let [height, width] = geometry.kernel;
        let (channels, repeats) = channels_of_group(geometry);
        let extent = (width - 1).saturating_mul(geometry.dilation[1]);
        if channels > MAX_CHANNELS || height.max(width) > MAX_KERNEL || extent > MAX_EXTENT {
            return false;
        }
        if geometry.is_depthwise() {
            return repeats > 1
                || geometry.out_channels < PANEL
                || height == 1
                || geometry.dilation != [1, 1];
        }
        if geometry.groups == 1 && (channels > 2 || geometry.kernel == [1, 1]) {
            return false;
        }
        // Products of vectors, in sixteenths; to make lanes takes half as long again.
        let products = repeats * width * (height * channels).div_ceil(QUAD);
        let runs = packed_runs(geometry);
        let of_matrix = repeats.next_multiple_of(PANEL) * runs.count * runs.quads();
        3 * products < 2 * of_matrix
    }

    /// Packs `weight` `[O, C / groups, KH, KW]`, whose length has been checked.
    pub(super) fn new(weight: &[i8], zero_points: &[i32], geometry: &Conv2dGeometry) -> Result<Self> {
        let [height, width] = geometry.kernel;
        let (channels, _) = channels_of_group(geometry);
        let out_channels = geometry.out_channels;
        let depth = channels * height * width;
        let mut centred = Vec::with_capacity(weight.len());
        for (channel, filter) in weight.chunks_exact(depth).enumerate() {
            let zero_point = weight_zero_point(zero_points, channel)?;
            check_sum(filter.iter().copied(), zero_point)?;
            centred.extend(filter.iter().map(|&w| i16::from(w) - zero_point));
        }
        let sums: Vec<i32> =
            centred.chunks_exact(depth).map(|filter| filter.iter().copied().map(i32::from).sum()).collect();
        let quads = (height * channels).div_ceil(QUAD);
        let shifts = quads * QUAD / channels - height + 1;
        let row = out_channels + PANEL - 1;
        let are_bytes = centred.iter().all(|&w| i8::try_from(w).is_ok());
        let mut bytes = Vec::with_capacity(if are_bytes { shifts * width * quads * row } else { 0 });
        let mut words = Vec::with_capacity(2 * shifts * width * quads * row);
        for shift in 0..shifts {
            for x in 0..width {
                for quad in 0..quads {
                    let at = |channel: usize, i: usize| -> i16 {
                        let (y, c) = ((quad * QUAD + i) / channels, (quad * QUAD + i) % channels);
                        match y.checked_sub(shift) {
                            Some(y) if y < height => {
                                centred[((channel % out_channels * channels + c) * height + y) * width + x]
                            }
                            _ => 0,
                        }
                    };
                    let pair = |low: i16, high: i16| i32::from(high) << 16 | i32::from(low.cast_unsigned());
                    if are_bytes {
                        let lane =
                            |channel| i32::from_le_bytes(std::array::from_fn(|i| at(channel, i) as u8));
                        bytes.extend((0..row).map(lane));
                    }
                    words.extend((0..row).map(|channel| pair(at(channel, 0), at(channel, 2))));
                    words.extend((0..row).map(|channel| pair(at(channel, 1), at(channel, 3))));
                }
            }
        }
        let sums = (0..row).map(|channel| sums[channel % out_channels]).collect();
        Ok(Self { bytes: are_bytes.then_some(bytes), words, sums, quads, shifts })
    }

    pub(super) fn byte_len(&self) -> usize {
        let bytes = self.bytes.as_ref().map_or(0, |bytes| size_of_val(bytes.as_slice()));
        bytes + size_of_val(self.words.as_slice()) + size_of_val(self.sums.as_slice())
    }

    /// The instruction set and the width of the integers it multiplies, for reports.
    pub(super) fn kernel_name(&self, isa: Isa) -> String {
        match self.weights(isa, 0) {
            NarrowWeights::Bytes(_) => isa.to_string(),
            NarrowWeights::Words(_) => format!("{isa}, 16 bits"),
        }
    }

    /// What is multiplied for output rows that begin `shift` rows below the first one of the lanes.
    fn weights(&self, isa: Isa, shift: usize) -> NarrowWeights<'_> {
        let of_shift = |weights: &[i32]| {
            let len = weights.len() / self.shifts;
            shift * len..(shift + 1) * len
        };
        match &self.bytes {
            Some(bytes) if narrow_multiplies_bytes(isa) => NarrowWeights::Bytes(&bytes[of_shift(bytes)]),
            _ => NarrowWeights::Words(&self.words[of_shift(&self.words)]),
        }
    }

    /// Convolves; lengths have been checked. `pixel_stride` is the distance between two pixels of the output.
    pub(super) fn convolve<E: Epilogue>(
        &self,
        geometry: &Conv2dGeometry,
        input: &[u8],
        zero_point: u8,
        epilogue: &E,
        output: &mut [E::Output],
        pixel_stride: usize,
    ) {
        let isa = isa();
        let mut initial = INITIAL.take();
        initial.clear();
        initial.extend(self.sums.iter().map(|sum| sum.wrapping_mul(-i32::from(zero_point))));
        let (row_step, shift_of_row) = steps([geometry.stride[0], geometry.dilation[0]]);
        let rows_of_lanes = (self.shifts - 1) / shift_of_row + 1;
        let convolution = Convolution {
            filters: self,
            geometry,
            input,
            zero_point,
            initial: &initial,
            row_step,
            shift_of_row,
            rows_of_lanes,
        };
        // As for other products of single channels.
        let work = geometry.work().saturating_mul(4);
        let width = geometry.output_width();
        let rows_of_thread = (geometry.pixels() / width).div_ceil(threads_for(work));
        let wanted = (ELEMENTS / (width * geometry.out_channels)).clamp(1, rows_of_thread.max(1));
        let rows =
            wanted.next_multiple_of(rows_of_lanes.saturating_mul(row_step).min(geometry.output_height()));
        for_each_chunk(output, rows * width * pixel_stride, work, |index, output| {
            let mut scratch = SCRATCH.take();
            convolution.finish_rows(isa, index * rows, epilogue, output, pixel_stride, &mut scratch);
            SCRATCH.set(scratch);
        });
        INITIAL.set(initial);
    }
}

/// The distance of output rows that look at the same rows of the input, and by how many taps they are shifted.
fn steps([stride, dilation]: [usize; 2]) -> (usize, usize) {
    if dilation.is_multiple_of(stride) {
        (dilation / stride, 1)
    } else if stride.is_multiple_of(dilation) {
        (1, stride / dilation)
    } else {
        (1, usize::MAX)
    }
}

/// Channels of the input and of the output.
fn channels_of_group(geometry: &Conv2dGeometry) -> (usize, usize) {
    (geometry.in_channels / geometry.groups, geometry.out_channels / geometry.groups)
}
