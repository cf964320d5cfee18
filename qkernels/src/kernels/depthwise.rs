//! Depthwise convolution: every output channel looks at one input channel, and sixteen are computed at a time.
//!
//! A 32-bit lane holds taps of one channel that lie below each other in the image, so that one instruction multiplies
//! them all and adds their products: two taps of 16 bits, or four of 8 bits. The lanes of an input row are made once
//! for all pixels of the output row, each of which reads them under every column of the filter.

#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::isa::{Avx2, Avx512Vnni};
use crate::panel::{PANEL, Sums};

/// Panels whose lanes are made together, at most: their channels are a line of the cache, and a vector of AVX-512.
pub(crate) const MAX_PANELS: usize = 4;

/// A lane for each of sixteen channels: taps, or their weights.
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(64))]
pub(crate) struct TapLanes(pub(crate) [i32; PANEL]);

impl TapLanes {
    /// Lanes of two taps of 16 bits.
    #[inline(always)]
    pub(crate) fn from_pairs(pair: impl Fn(usize) -> [i16; 2]) -> Self {
        Self(std::array::from_fn(|channel| {
            let [first, second] = pair(channel);
            i32::from(second) << 16 | i32::from(first.cast_unsigned())
        }))
    }

    /// Lanes of four taps of 8 bits.
    #[inline(always)]
    pub(crate) fn from_quads(quad: impl Fn(usize) -> [u8; 4]) -> Self {
        Self(std::array::from_fn(|channel| i32::from_le_bytes(quad(channel))))
    }
}

/// Parts of input rows below each other whose taps share lanes, at most as many as a lane has taps.
pub(crate) struct TapRows<'a> {
    /// Each from the first channel of the first column on, to the last one of the last column or further.
    pub(crate) rows: &'a [&'a [u8]],
    /// Bytes from a column to the next.
    pub(crate) pixel_stride: usize,
    /// Channels that are wanted, of at most as many panels as are made [together](DepthwiseKernel::panels_of_lanes).
    pub(crate) channels: usize,
    /// Columns, at least one.
    pub(crate) columns: usize,
    /// All lanes of a panel.
    pub(crate) lanes_of_panel: usize,
    /// Where the lanes of the first column are among those of a panel; the other columns follow.
    pub(crate) first_lane: usize,
}

impl TapRows<'_> {
    /// Sixteen channels of a row from `offset` on; those beyond its end, and of rows that do not exist, are 0.
    pub(super) fn channels_at(&self, row: usize, offset: usize) -> [u8; PANEL] {
        let bytes = self.rows.get(row).map_or(&[][..], |row| &row[offset.min(row.len())..]);
        match bytes.first_chunk() {
            Some(bytes) => *bytes,
            None => {
                let mut padded = [0; PANEL];
                padded[..bytes.len()].copy_from_slice(bytes);
                padded
            }
        }
    }

    /// The lanes that these rows make of each panel, in the order of the columns.
    pub(super) fn lanes_of_panels<'l>(
        &self,
        lanes: &'l mut [TapLanes],
    ) -> impl Iterator<Item = &'l mut [TapLanes]> {
        let Self { channels, columns, lanes_of_panel, first_lane, .. } = *self;
        let panels = lanes.chunks_mut(lanes_of_panel).take(channels.div_ceil(PANEL));
        panels.map(move |lanes| &mut lanes[first_lane..][..columns])
    }
}

/// One panel of a row of output pixels.
pub(crate) struct DepthwiseRow<'a> {
    /// `[KH / taps of a lane][columns]`, and maybe more.
    pub(crate) lanes: &'a [TapLanes],
    pub(crate) columns: usize,
    /// `[KW][KH / taps of a lane]`
    pub(crate) weights: &'a [TapLanes],
    pub(crate) kernel_width: usize,
    /// KH / taps of a lane
    pub(crate) groups: usize,
    /// Columns from a pixel to the next.
    pub(crate) stride: usize,
    /// Columns from a tap to the next.
    pub(crate) dilation: usize,
    /// The first values of the sums.
    pub(crate) initial: &'a Sums,
}

/// The kernel that makes lanes and multiplies them.
#[derive(Clone, Copy, Debug)]
pub(crate) enum DepthwiseKernel {
    Scalar(Scalar),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni(Avx512Vnni),
}

impl DepthwiseKernel {
    /// The best one of `isa`; some multiply bytes only, which not all weights are.
    pub(crate) fn new(isa: Isa, weights_are_bytes: bool) -> Self {
        #[cfg(target_arch = "x86_64")]
        match (isa, isa.avx2()) {
            (Isa::Avx512Vnni(proof) | Isa::Amx(proof, _), _) if weights_are_bytes => {
                return Self::Avx512Vnni(proof);
            }
            (_, Some(proof)) => return Self::Avx2(proof),
            (_, None) => {}
        }
        let _ = (isa, weights_are_bytes);
        Self::Scalar(Scalar)
    }

    pub(crate) fn taps_of_lane(self) -> usize {
        match self {
            Self::Scalar(_) => 2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => 2,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => 4,
        }
    }

    /// How many panels' lanes are better made together.
    pub(crate) fn panels_of_lanes(self) -> usize {
        match self {
            Self::Scalar(_) => 1,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => 1,
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(_) => MAX_PANELS,
        }
    }

    /// Makes the lanes of `rows`, in `lanes` `[panels][groups][columns]`.
    pub(crate) fn make_lanes(self, rows: &TapRows<'_>, lanes: &mut [TapLanes]) {
        match self {
            Self::Scalar(scalar) => scalar.make_lanes(rows, lanes),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(proof) => avx2::make_lanes(proof, rows, lanes),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(proof) => avx512::make_lanes(proof, rows, lanes),
        }
    }

    /// `sums[x] = initial + sum over taps of lanes * weights`.
    pub(crate) fn sum_row(self, row: &DepthwiseRow<'_>, sums: &mut [Sums]) {
        match self {
            Self::Scalar(scalar) => sum_row(scalar, row, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(proof) => avx2::sum_depthwise_row(proof, row, sums),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Vnni(proof) => avx512::sum_depthwise_row(proof, row, sums),
        }
    }
}

/// Sums of sixteen channels in registers.
pub(super) trait LaneProducts: Copy {
    type Registers: Copy;

    fn load(self, sums: &Sums) -> Self::Registers;
    /// Adds the products of the taps of each lane.
    fn add_products(self, sums: Self::Registers, taps: &TapLanes, weights: &TapLanes) -> Self::Registers;
    fn store(self, registers: Self::Registers, sums: &mut Sums);
}

/// [`DepthwiseKernel::sum_row`]; the weights of the usual filters stay in registers.
#[inline(always)]
pub(super) fn sum_row<P: LaneProducts>(products: P, row: &DepthwiseRow<'_>, sums: &mut [Sums]) {
    let groups = row.groups;
    match (row.kernel_width, groups, row.dilation) {
        (3, 1, 1) => sum_row_of::<P, 3, 1>(products, row, sums),
        (3, 2, 1) => sum_row_of::<P, 3, 2>(products, row, sums),
        (5, 2, 1) => sum_row_of::<P, 5, 2>(products, row, sums),
        (5, 3, 1) => sum_row_of::<P, 5, 3>(products, row, sums),
        _ => {
            for (x, sums) in sums.iter_mut().enumerate() {
                let mut total = products.load(row.initial);
                for (tap, weights) in row.weights.chunks_exact(groups).enumerate() {
                    let column = x * row.stride + tap * row.dilation;
                    for (lanes, weights) in row.lanes.chunks_exact(row.columns).zip(weights) {
                        total = products.add_products(total, &lanes[column], weights);
                    }
                }
                products.store(total, sums);
            }
        }
    }
}

#[inline(always)]
fn sum_row_of<P: LaneProducts, const KW: usize, const GROUPS: usize>(
    products: P,
    row: &DepthwiseRow<'_>,
    sums: &mut [Sums],
) {
    let lanes: [&[TapLanes]; GROUPS] =
        std::array::from_fn(|group| &row.lanes[group * row.columns..][..row.columns]);
    let weights: [[TapLanes; GROUPS]; KW] =
        std::array::from_fn(|x| std::array::from_fn(|group| row.weights[x * GROUPS + group]));
    let initial = products.load(row.initial);
    assert!(sums.len().saturating_sub(1) * row.stride + KW <= row.columns);
    for (x, sums) in sums.iter_mut().enumerate() {
        let mut total = initial;
        for (tap, weights) in weights.iter().enumerate() {
            for (lanes, weights) in lanes.iter().zip(weights) {
                // SAFETY: the columns of the last pixel end within those there are.
                let taps = unsafe { lanes.get_unchecked(x * row.stride + tap) };
                total = products.add_products(total, taps, weights);
            }
        }
        products.store(total, sums);
    }
}

/// Plain Rust.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scalar;

impl Scalar {
    fn make_lanes(self, rows: &TapRows<'_>, lanes: &mut [TapLanes]) {
        for (panel, lanes) in rows.lanes_of_panels(lanes).enumerate() {
            for (column, lanes) in lanes.iter_mut().enumerate() {
                let [first, second] =
                    [0, 1].map(|row| rows.channels_at(row, column * rows.pixel_stride + panel * PANEL));
                *lanes = TapLanes::from_pairs(|channel| [first[channel].into(), second[channel].into()]);
            }
        }
    }
}

impl LaneProducts for Scalar {
    type Registers = Sums;

    fn load(self, sums: &Sums) -> Sums {
        *sums
    }

    #[inline(always)]
    fn add_products(self, mut sums: Sums, taps: &TapLanes, weights: &TapLanes) -> Sums {
        for ((sum, taps), weights) in sums.iter_mut().zip(&taps.0).zip(&weights.0) {
            let low = i32::from(*taps as i16) * i32::from(*weights as i16);
            let high = (taps >> 16) * (weights >> 16);
            *sum = sum.wrapping_add(low).wrapping_add(high);
        }
        sums
    }

    fn store(self, registers: Sums, sums: &mut Sums) {
        *sums = registers;
    }
}
