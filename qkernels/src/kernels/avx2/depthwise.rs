//! Depthwise convolution with AVX2: pairs of taps of 16 bits.

use std::arch::x86_64::*;

use crate::isa::Avx2;
use crate::kernels::depthwise::{self, DepthwiseRow, LaneProducts, TapLanes, TapRows};
use crate::panel::{PANEL, Sums};

/// [`DepthwiseKernel::make_lanes`](crate::kernels::DepthwiseKernel::make_lanes) on AVX2.
pub(crate) fn make_lanes(_: Avx2, rows: &TapRows<'_>, lanes: &mut [TapLanes]) {
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe {
        match *rows.rows {
            [first] => make_lanes_of([first], rows, lanes),
            [first, second] => make_lanes_of([first, second], rows, lanes),
            _ => unreachable!("a lane holds up to two taps"),
        }
    }
}

#[target_feature(enable = "avx2")]
fn make_lanes_of<const N: usize>(rows: [&[u8]; N], layout: &TapRows<'_>, lanes: &mut [TapLanes]) {
    let shortest = rows.iter().map(|row| row.len()).min().unwrap_or(0);
    for (panel, lanes) in layout.lanes_of_panels(lanes).enumerate() {
        let first = panel * PANEL;
        // Columns whose sixteen bytes lie in all rows; those of the last columns may end with the row.
        let whole = shortest.checked_sub(first + PANEL).map_or(0, |last| last / layout.pixel_stride + 1);
        let (whole, others) = lanes.split_at_mut(whole.min(lanes.len()));
        let mut offset = first;
        for lanes in whole {
            // SAFETY: every row has these sixteen bytes.
            let taps = std::array::from_fn(|row| unsafe { &*rows[row].as_ptr().add(offset).cast() });
            store_lanes::<N>(taps, lanes);
            offset += layout.pixel_stride;
        }
        for lanes in others {
            let bytes: [_; N] = std::array::from_fn(|row| layout.channels_at(row, offset));
            store_lanes(bytes.each_ref(), lanes);
            offset += layout.pixel_stride;
        }
    }
}

/// Sixteen channels of one row, or of two.
#[inline]
#[target_feature(enable = "avx2")]
fn store_lanes<const N: usize>(taps: [&[u8; PANEL]; N], lanes: &mut TapLanes) {
    let halves = match *taps.as_slice() {
        [first] => {
            let [low, high] = [0, 8].map(|i| first[i..].as_ptr().cast());
            // SAFETY: from there on the array has eight bytes.
            unsafe {
                [_mm256_cvtepu8_epi32(_mm_loadl_epi64(low)), _mm256_cvtepu8_epi32(_mm_loadl_epi64(high))]
            }
        }
        [first, second] => {
            // SAFETY: the arrays have sixteen bytes.
            let [first, second] =
                unsafe { [_mm_loadu_si128(first.as_ptr().cast()), _mm_loadu_si128(second.as_ptr().cast())] };
            [
                _mm256_cvtepu8_epi16(_mm_unpacklo_epi8(first, second)),
                _mm256_cvtepu8_epi16(_mm_unpackhi_epi8(first, second)),
            ]
        }
        _ => unreachable!("a lane holds up to two taps"),
    };
    let to = lanes.0.as_mut_ptr().cast::<__m256i>();
    // SAFETY: sixteen lanes are two vectors, and aligned like them.
    unsafe {
        _mm256_store_si256(to, halves[0]);
        _mm256_store_si256(to.add(1), halves[1]);
    }
}

/// [`DepthwiseKernel::sum_row`](crate::kernels::DepthwiseKernel::sum_row) on AVX2.
pub(crate) fn sum_depthwise_row(proof: Avx2, row: &DepthwiseRow<'_>, sums: &mut [Sums]) {
    #[target_feature(enable = "avx2")]
    fn with_features(proof: Avx2, row: &DepthwiseRow<'_>, sums: &mut [Sums]) {
        depthwise::sum_row(proof, row, sums);
    }
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe { with_features(proof, row, sums) }
}

impl LaneProducts for Avx2 {
    type Registers = [__m256i; 2];

    intrinsics! {
        load(sums: &Sums) -> [__m256i; 2] = halves(sums);
        add_products(sums: [__m256i; 2], taps: &TapLanes, weights: &TapLanes) -> [__m256i; 2] = {
            let ([low, high], [t0, t1], [w0, w1]) = (sums, halves(&taps.0), halves(&weights.0));
            [
                _mm256_add_epi32(low, _mm256_madd_epi16(t0, w0)),
                _mm256_add_epi32(high, _mm256_madd_epi16(t1, w1)),
            ]
        };
        store(registers: [__m256i; 2], sums: &mut Sums) -> () = {
            let to = sums.as_mut_ptr().cast::<__m256i>();
            _mm256_storeu_si256(to, registers[0]);
            _mm256_storeu_si256(to.add(1), registers[1]);
        };
    }
}

/// Two vectors of lanes.
#[target_feature(enable = "avx2")]
fn halves(lanes: &Sums) -> [__m256i; 2] {
    let from = lanes.as_ptr().cast::<__m256i>();
    // SAFETY: sixteen lanes are two vectors.
    unsafe { [_mm256_loadu_si256(from), _mm256_loadu_si256(from.add(1))] }
}
