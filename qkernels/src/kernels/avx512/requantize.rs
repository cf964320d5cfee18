//! Floats, integers and bytes of AVX-512, for requantization.

use std::arch::x86_64::*;

use crate::epilogue::{Panels, Requantize, Tiles};
use crate::isa::Avx512Vnni;
use crate::kernels::requantize::{self, FloatVectors, Limits};
use crate::output_rows::OutputRows;
use crate::panel::PANEL;

/// [`Epilogue::finish_tiles`](crate::epilogue::Epilogue::finish_tiles) of [`Requantize`].
pub(crate) fn requantize_tiles(
    proof: Avx512Vnni,
    epilogue: &Requantize<'_>,
    panels: &Panels,
    tiles: &mut dyn Tiles,
    output: OutputRows<'_, u8>,
) {
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    fn with_features(
        proof: Avx512Vnni,
        epilogue: &Requantize<'_>,
        panels: &Panels,
        tiles: &mut dyn Tiles,
        output: OutputRows<'_, u8>,
    ) {
        match panels.count {
            1 => requantize::requantize_tiles::<_, 1>(proof, epilogue, panels, tiles, output),
            2 => requantize::requantize_tiles::<_, 2>(proof, epilogue, panels, tiles, output),
            _ => requantize::requantize_tiles::<_, 4>(proof, epilogue, panels, tiles, output),
        }
    }
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe { with_features(proof, epilogue, panels, tiles, output) }
}

/// [`Epilogue::finish_rows`](crate::epilogue::Epilogue::finish_rows) of [`Requantize`].
pub(crate) fn requantize_rows(
    proof: Avx512Vnni,
    epilogue: &Requantize<'_>,
    first_row: usize,
    sums: &[i32],
    output: &mut [u8],
) {
    #[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl")]
    fn with_features(
        proof: Avx512Vnni,
        epilogue: &Requantize<'_>,
        first_row: usize,
        sums: &[i32],
        output: &mut [u8],
    ) {
        requantize::requantize_rows(proof, epilogue, first_row, sums, output);
    }
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe { with_features(proof, epilogue, first_row, sums, output) }
}

impl FloatVectors for Avx512Vnni {
    type Floats = __m512;
    type Integers = __m512i;
    type Bytes = __m512i;

    const LANES: usize = 16;

    intrinsics! {
        splat(value: f32) -> __m512 = _mm512_set1_ps(value);
        add(a: __m512, b: __m512) -> __m512 = _mm512_add_ps(a, b);
        sub(a: __m512, b: __m512) -> __m512 = _mm512_sub_ps(a, b);
        mul(a: __m512, b: __m512) -> __m512 = _mm512_mul_ps(a, b);
        max(a: __m512, b: __m512) -> __m512 = _mm512_max_ps(a, b);
        min(a: __m512, b: __m512) -> __m512 = _mm512_min_ps(a, b);

        to_floats(integers: __m512i) -> __m512 = _mm512_cvtepi32_ps(integers);
        to_integers(floats: __m512) -> __m512i = _mm512_cvtps_epi32(floats);
        splat_integer(value: i32) -> __m512i = _mm512_set1_epi32(value);
        sub_integers(a: __m512i, b: __m512i) -> __m512i = _mm512_sub_epi32(a, b);
        add_saturating(a: __m512i, b: __m512i) -> __m512i = {
            // Of the limits beyond which the sum would not fit, the bias alone decides.
            let zero = _mm512_setzero_si512();
            let low = _mm512_sub_epi32(_mm512_set1_epi32(i32::MIN), _mm512_min_epi32(b, zero));
            let high = _mm512_sub_epi32(_mm512_set1_epi32(i32::MAX), _mm512_max_epi32(b, zero));
            _mm512_add_epi32(_mm512_min_epi32(_mm512_max_epi32(a, low), high), b)
        };

        load_floats(panel: &[f32; PANEL], _v: usize) -> __m512 = _mm512_loadu_ps(panel.as_ptr());
        load_integers(panel: &[i32; PANEL], _v: usize) -> __m512i = _mm512_loadu_si512(panel.as_ptr().cast());
        load_bytes(panel: &[u8; PANEL], _v: usize) -> __m512i =
            _mm512_cvtepu8_epi32(_mm_loadu_si128(panel.as_ptr().cast()));

        to_bytes(integers: [__m512i; 4], limits: Option<Limits>) -> __m512i = {
            let [q0, q1, q2, q3] = integers;
            let mut words01 = _mm512_packs_epi32(q0, q1);
            let mut words23 = _mm512_packs_epi32(q2, q3);
            if let Some(limits) = limits {
                let offset = _mm512_set1_epi16(limits.offset as i16);
                words01 = _mm512_adds_epi16(words01, offset);
                words23 = _mm512_adds_epi16(words23, offset);
            }
            let mut bytes = _mm512_packus_epi16(words01, words23);
            if let Some(limits) = limits {
                bytes = _mm512_max_epu8(bytes, _mm512_set1_epi8(limits.low as i8));
                bytes = _mm512_min_epu8(bytes, _mm512_set1_epi8(limits.high as i8));
            }
            // Quarter i has the elements 4 i to 4 i + 3 of all four vectors.
            let in_order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            _mm512_permutexvar_epi32(in_order, bytes)
        };
        store_vector(bytes: __m512i, output: &mut [u8]) -> () = {
            assert_eq!(output.len(), 64);
            _mm512_storeu_si512(output.as_mut_ptr().cast(), bytes)
        };
        store_bytes(bytes: __m512i, first: usize, output: &mut [u8]) -> () = {
            let start = output.as_mut_ptr();
            match (output.len(), first) {
                (16, 0) => _mm_storeu_si128(start.cast(), _mm512_castsi512_si128(bytes)),
                (16, 16) => _mm_storeu_si128(start.cast(), _mm512_extracti32x4_epi32::<1>(bytes)),
                (16, 32) => _mm_storeu_si128(start.cast(), _mm512_extracti32x4_epi32::<2>(bytes)),
                (16, 48) => _mm_storeu_si128(start.cast(), _mm512_extracti32x4_epi32::<3>(bytes)),
                (32, 0) => _mm256_storeu_si256(start.cast(), _mm512_castsi512_si256(bytes)),
                (32, 32) => _mm256_storeu_si256(start.cast(), _mm512_extracti64x4_epi64::<1>(bytes)),
                (64, 0) => _mm512_storeu_si512(start.cast(), bytes),
                (len, _) => {
                    let room = ((1_u64 << len) - 1) << first;
                    _mm512_mask_storeu_epi8(start.wrapping_sub(first).cast(), room, bytes)
                }
            }
        };
    }
}
