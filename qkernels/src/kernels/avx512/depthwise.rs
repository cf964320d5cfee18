//! Depthwise convolution with `vpdpbusd`: four taps of 8 bits.

use std::arch::x86_64::*;

use crate::isa::Avx512Vnni;
use crate::kernels::depthwise::{self, DepthwiseRow, LaneProducts, MAX_PANELS, TapLanes, TapRows};
use crate::panel::{PANEL, Sums};

/// [`DepthwiseKernel::make_lanes`](crate::kernels::DepthwiseKernel::make_lanes) on AVX-512.
pub(crate) fn make_lanes(_: Avx512Vnni, rows: &TapRows<'_>, lanes: &mut [TapLanes]) {
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe {
        match *rows.rows {
            [r0] => make_lanes_of([r0], rows, lanes),
            [r0, r1] => make_lanes_of([r0, r1], rows, lanes),
            [r0, r1, r2] => make_lanes_of([r0, r1, r2], rows, lanes),
            [r0, r1, r2, r3] => make_lanes_of([r0, r1, r2, r3], rows, lanes),
            _ => unreachable!("a lane holds up to four taps"),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn make_lanes_of<const N: usize>(rows: [&[u8]; N], layout: &TapRows<'_>, lanes: &mut [TapLanes]) {
    let TapRows { pixel_stride, channels, columns, lanes_of_panel, first_lane, .. } = *layout;
    let last = columns - 1;
    assert!((1..=MAX_PANELS * PANEL).contains(&channels));
    assert!(rows.iter().all(|row| last * pixel_stride + channels <= row.len()));
    assert!(first_lane + last < lanes_of_panel && MAX_PANELS * lanes_of_panel <= lanes.len());
    let mask = u64::MAX >> (MAX_PANELS * PANEL - channels);
    let mut from = rows.map(<[u8]>::as_ptr);
    let mut to = lanes[first_lane..].as_mut_ptr();
    for _ in 0..columns {
        let mut taps = [_mm512_setzero_si512(); 4];
        for (taps, from) in taps.iter_mut().zip(&mut from) {
            // SAFETY: the mask leaves the channels of the column, which the row has.
            *taps = unsafe { _mm512_maskz_loadu_epi8(mask, from.cast()) };
            *from = from.wrapping_add(pixel_stride);
        }
        for (panel, quads) in interleave(taps).into_iter().enumerate() {
            // SAFETY: every panel has lanes for the column; sixteen are a vector, and aligned like one.
            unsafe { _mm512_store_si512(to.add(panel * lanes_of_panel).cast(), quads) };
        }
        to = to.wrapping_add(1);
    }
}

/// Four bytes of each of 64 channels, side by side.
#[target_feature(enable = "avx512f,avx512bw")]
fn interleave(rows: [__m512i; 4]) -> [__m512i; MAX_PANELS] {
    // Unpacking works in quarters of a vector: fours of channels are dealt out to them first.
    let fours = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    let [r0, r1, r2, r3] = rows.map(|row| _mm512_permutexvar_epi32(fours, row));
    let [low01, high01] = [_mm512_unpacklo_epi8(r0, r1), _mm512_unpackhi_epi8(r0, r1)];
    let [low23, high23] = [_mm512_unpacklo_epi8(r2, r3), _mm512_unpackhi_epi8(r2, r3)];
    [
        _mm512_unpacklo_epi16(low01, low23),
        _mm512_unpackhi_epi16(low01, low23),
        _mm512_unpacklo_epi16(high01, high23),
        _mm512_unpackhi_epi16(high01, high23),
    ]
}

/// [`DepthwiseKernel::sum_row`](crate::kernels::DepthwiseKernel::sum_row) on AVX-512.
pub(crate) fn sum_depthwise_row(proof: Avx512Vnni, row: &DepthwiseRow<'_>, sums: &mut [Sums]) {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn with_features(proof: Avx512Vnni, row: &DepthwiseRow<'_>, sums: &mut [Sums]) {
        depthwise::sum_row(proof, row, sums);
    }
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe { with_features(proof, row, sums) }
}

impl LaneProducts for Avx512Vnni {
    type Registers = __m512i;

    intrinsics! {
        load(sums: &Sums) -> __m512i = _mm512_loadu_si512(sums.as_ptr().cast());
        add_products(sums: __m512i, taps: &TapLanes, weights: &TapLanes) -> __m512i = {
            let taps = _mm512_load_si512(taps.0.as_ptr().cast());
            _mm512_dpbusd_epi32(sums, taps, _mm512_load_si512(weights.0.as_ptr().cast()))
        };
        store(registers: __m512i, sums: &mut Sums) -> () =
            _mm512_storeu_si512(sums.as_mut_ptr().cast(), registers);
    }
}
