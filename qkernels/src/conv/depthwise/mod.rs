//! Depthwise convolution: every output channel looks at one input channel.
//!
//! ```text
//! acc[y][x][o] = sum over taps of (xq - zx) * (wq - zw[o])
//!              = sum over taps of xq * (wq - zw[o])  -  zx * sum over taps of (wq - zw[o])
//! ```
//!
//! with `zx` for `xq` in the padding. The sums start from the second term.

mod columns;
mod convolution;

use std::cell::Cell;

use crate::epilogue::Epilogue;
use crate::error::Result;
use crate::gemm::{check_sum, weight_zero_point};
use crate::geometry::Conv2dGeometry;
use crate::isa::{Isa, isa};
use crate::kernels::{DepthwiseKernel, TapLanes};
use crate::memory;
use crate::panel::{PANEL, Sums};
use crate::threads::{for_each_chunk, threads_for};
use convolution::{Convolution, Scratch};

/// Output pixels that are finished together, if there are so many for each thread: what is done once for each panel
/// costs little then.
const PIXELS: usize = 112;

/// Output rows that read the same lanes, at most: with more, those of wide images would leave the first-level cache.
const MAX_ROWS: usize = 4;

/// The same if all of them together have no more than [`PIXELS`].
const MAX_SHORT_ROWS: usize = 8;

/// Weights without their zero points, for panels of [`PANEL`] channels, filled up with zeros.
#[derive(Clone, Debug)]
pub(super) struct DepthwiseFilters {
    out_channels: usize,
    /// The sum of each channel's weights.
    sums: Vec<Sums>,
    pairs: FilterLanes,
    /// If all weights are bytes.
    quads: Option<FilterLanes>,
}

/// The lanes of the weights.
///
/// Where the taps of a column leave a part of its last lane empty, there are lanes too that have the same weights one
/// tap further down: for an output row whose first tap is not the first one of a lane.
#[derive(Clone, Debug)]
struct FilterLanes {
    /// `[O / PANEL][shifts][KW][KH / taps of a lane]`
    lanes: Vec<TapLanes>,
    shifts: usize,
}

thread_local! {
    /// A row of the padding.
    static PADDING: Cell<Vec<u8>> = Cell::default();
    static SCRATCH: Cell<Option<Box<Scratch>>> = Cell::default();
}

impl DepthwiseFilters {
    /// Packs `weight` `[O, 1, KH, KW]`, whose length has been checked.
    pub(super) fn new(weight: &[i8], zero_points: &[i32], geometry: &Conv2dGeometry) -> Result<Self> {
        let out_channels = geometry.out_channels;
        let [height, width] = geometry.kernel;
        // Twice in lanes of 4 bytes, each twice at most; panels are filled up.
        let channels = out_channels.next_multiple_of(PANEL);
        memory::check_free("packed filters", channels.saturating_mul(16 * (height + 3) * width))?;
        let mut centred = Vec::with_capacity(weight.len());
        let mut sums = vec![[0; PANEL]; out_channels.div_ceil(PANEL)];
        for (channel, filter) in weight.chunks_exact(height * width).enumerate() {
            let zero_point = weight_zero_point(zero_points, channel)?;
            check_sum(filter.iter().copied(), zero_point)?;
            centred.extend(filter.iter().map(|&w| i16::from(w) - zero_point));
            sums.as_flattened_mut()[channel] =
                filter.iter().map(|&w| i32::from(w) - i32::from(zero_point)).sum();
        }
        let at = |channel: usize, y: usize, shift: usize, x: usize| match y.checked_sub(shift) {
            Some(y) if channel < out_channels && y < height => centred[(channel * height + y) * width + x],
            _ => 0,
        };
        let pairs = FilterLanes::new(geometry, 2, |channel, y, shift, x| {
            TapLanes::from_pairs(|c| std::array::from_fn(|tap| at(channel + c, y + tap, shift, x)))
        });
        let are_bytes = centred.iter().all(|&w| i8::try_from(w).is_ok());
        let quads = are_bytes.then(|| {
            FilterLanes::new(geometry, 4, |channel, y, shift, x| {
                TapLanes::from_quads(|c| std::array::from_fn(|tap| at(channel + c, y + tap, shift, x) as u8))
            })
        });
        Ok(Self { out_channels, sums, pairs, quads })
    }

    pub(super) fn byte_len(&self) -> usize {
        let lanes = |filters: &FilterLanes| size_of_val(filters.lanes.as_slice());
        lanes(&self.pairs) + self.quads.as_ref().map_or(0, lanes) + size_of_val(self.sums.as_slice())
    }

    /// The instruction set and the width of the integers it multiplies, for reports.
    pub(super) fn kernel_name(&self, isa: Isa) -> String {
        match self.kernel(isa).0.taps_of_lane() {
            4 => isa.to_string(),
            _ => format!("{isa}, 16 bits"),
        }
    }

    /// What [`convolve`](Self::convolve) uses now, and the weights in its order.
    fn kernel(&self, isa: Isa) -> (DepthwiseKernel, &FilterLanes) {
        let kernel = DepthwiseKernel::new(isa, self.quads.is_some());
        match &self.quads {
            Some(quads) if kernel.taps_of_lane() == 4 => (kernel, quads),
            _ => (kernel, &self.pairs),
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
        let mut padding = PADDING.take();
        padding.clear();
        padding.resize(geometry.width * geometry.in_channels, zero_point);
        let (kernel, weights) = self.kernel(isa);
        let taps_of_lane = kernel.taps_of_lane();
        // A product of a single channel is not worth as much as one of a matrix: count it four times.
        let work = geometry.work().saturating_mul(4);
        let width = geometry.output_width();
        let rows_of_thread = (geometry.pixels() / width).div_ceil(threads_for(work));
        let wanted_rows = (PIXELS / width).min(rows_of_thread);
        let (stride, height) = (geometry.stride[0], geometry.kernel[0]);
        // An output row can share lanes if there are weights for the place of its first tap in a lane.
        let shares = |row: &usize| row * stride % taps_of_lane < weights.shifts;
        let rows_of_lanes = match geometry.dilation[0] {
            1 if stride <= height => {
                (0..wanted_rows.clamp(MAX_ROWS, MAX_SHORT_ROWS)).take_while(shares).count()
            }
            _ => 1,
        };
        let convolution = Convolution {
            filters: self,
            kernel,
            weights,
            groups: height.div_ceil(taps_of_lane),
            rows_of_lanes,
            repeats: geometry.out_channels / geometry.in_channels,
            geometry,
            input,
            zero_point,
            padding: &padding,
        };
        let rows = (wanted_rows / rows_of_lanes).max(1) * rows_of_lanes;
        let chunk = rows * width * pixel_stride;
        for_each_chunk(output, chunk, work, |index, output| {
            let mut scratch = SCRATCH.take().unwrap_or_default();
            convolution.finish_rows(isa, index * rows, epilogue, output, pixel_stride, &mut scratch);
            SCRATCH.set(Some(scratch));
        });
        PADDING.set(padding);
    }
}

impl FilterLanes {
    /// `lanes(channel, y, shift, x)` has the weights of a panel from `channel` on, and of the taps from `y` on, if
    /// the first tap is at `shift`.
    fn new(
        geometry: &Conv2dGeometry,
        taps_of_lane: usize,
        lanes: impl Fn(usize, usize, usize, usize) -> TapLanes,
    ) -> Self {
        let [height, width] = geometry.kernel;
        let groups = height.div_ceil(taps_of_lane);
        let shifts = if height.is_multiple_of(taps_of_lane) { 1 } else { 2 };
        let len = geometry.out_channels.div_ceil(PANEL) * shifts * width * groups;
        let lanes = (0..len).map(|i| {
            let (group, x, shift) = (i % groups, i / groups % width, i / groups / width % shifts);
            lanes(i / groups / width / shifts * PANEL, group * taps_of_lane, shift, x)
        });
        Self { lanes: lanes.collect(), shifts }
    }
}
