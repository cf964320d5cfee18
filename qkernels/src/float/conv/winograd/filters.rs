//! Transformed filters.

use super::FILTER_TAPS;
use crate::geometry::Conv2dGeometry;
use crate::isa::isa;
use crate::kernels::float::{FloatTile, POSITIONS, Rows};
use crate::threads::for_each_chunk;

/// The filters of a convolution as `G g Gt`.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::float::conv) struct WinogradFilters {
    /// Of the input and the output.
    channels: [usize; 2],
    /// Output channels whose weights lie side by side: those of a tile.
    group: usize,
    /// `[O / group][POSITIONS][C][group]`, with zeros behind the last output channel.
    values: Vec<f32>,
}

impl WinogradFilters {
    /// Of a weight `[O, C, 3, 3]`, whose length has been checked.
    pub(in crate::float::conv) fn new(geometry: &Conv2dGeometry, weight: &[f32]) -> Self {
        let channels = [geometry.in_channels, geometry.out_channels];
        let group = FloatTile::of(isa()).rows;
        let group_len = POSITIONS * channels[0] * group;
        let mut values = vec![0.0; channels[1].div_ceil(group) * group_len];
        let filters = weight.as_chunks::<FILTER_TAPS>().0;
        for_each_chunk(
            &mut values,
            group_len,
            weight.len(),
            #[inline(always)]
            |index, values| {
                let filters = &filters[index * group * channels[0]..];
                let filters = &filters[..filters.len().min(group * channels[0])];
                match group {
                    6 => transform_group::<6>(filters, channels[0], values),
                    12 => transform_group::<12>(filters, channels[0], values),
                    rows => unreachable!("no tile has {rows} rows"),
                }
            },
        );
        Self { channels, group, values }
    }

    pub(in crate::float::conv) fn fit(&self, geometry: &Conv2dGeometry) -> bool {
        self.channels == [geometry.in_channels, geometry.out_channels]
    }

    /// The rows of tiles that [`rows`](Self::rows) can serve: fewer than a tile has if the instruction set was
    /// lowered.
    pub(super) fn group(&self) -> usize {
        self.group
    }

    /// The weights at one position of the patch for some output channels from `channel` on, up to the end of its
    /// group: those of each input channel, in rows.
    pub(super) fn rows(&self, position: usize, channel: usize) -> Rows<'_> {
        let len = self.channels[0] * self.group;
        let first = (channel / self.group * POSITIONS + position) * len;
        Rows { values: &self.values[first + channel % self.group..first + len], stride: self.group }
    }
}

/// Transforms the filters `[G or fewer][C]` to `[POSITIONS][C][G]`.
#[inline(always)]
fn transform_group<const G: usize>(filters: &[[f32; FILTER_TAPS]], channels: usize, values: &mut [f32]) {
    let mut taps = [[0.0; G]; FILTER_TAPS];
    for channel in 0..channels {
        for (lane, filter) in filters.iter().skip(channel).step_by(channels).enumerate() {
            for (tap, weight) in taps.iter_mut().zip(filter) {
                tap[lane] = *weight;
            }
        }
        for (position, transformed) in transform(&taps).iter().enumerate() {
            values[(position * channels + channel) * G..][..G].copy_from_slice(transformed);
        }
    }
}

/// `G g Gt`, with `G = [1 0 0; .5 .5 .5; .5 -.5 .5; 0 0 1]`.
#[inline(always)]
fn transform<const G: usize>(taps: &[[f32; G]; FILTER_TAPS]) -> [[f32; G]; POSITIONS] {
    let mut columns = [[[0.0; G]; 4]; 3];
    for (x, column) in columns.iter_mut().enumerate() {
        along([&taps[x], &taps[3 + x], &taps[6 + x]], column);
    }
    let mut transformed = [[0.0; G]; POSITIONS];
    for (y, row) in transformed.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        along([&columns[0][y], &columns[1][y], &columns[2][y]], row);
    }
    transformed
}

/// `G g`: loops over whole arrays, as those become vectors.
#[inline(always)]
fn along<const G: usize>([g0, g1, g2]: [&[f32; G]; 3], transformed: &mut [[f32; G]; 4]) {
    for lane in 0..G {
        let outer = g0[lane] + g2[lane];
        transformed[0][lane] = g0[lane];
        transformed[1][lane] = 0.5 * (outer + g1[lane]);
        transformed[2][lane] = 0.5 * (outer - g1[lane]);
        transformed[3][lane] = g2[lane];
    }
}
