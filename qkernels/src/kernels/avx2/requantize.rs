//! Floats, integers and bytes of AVX2, for requantization.

use std::arch::x86_64::*;

use crate::epilogue::{Panels, Requantize, Tiles};
use crate::isa::Avx2;
use crate::kernels::requantize::{self, FloatVectors, Limits};
use crate::output_rows::OutputRows;
use crate::panel::PANEL;

/// [`Epilogue::finish_tiles`](crate::epilogue::Epilogue::finish_tiles) of [`Requantize`].
pub(crate) fn requantize_tiles(
    proof: Avx2,
    epilogue: &Requantize<'_>,
    panels: &Panels,
    tiles: &mut dyn Tiles,
    output: OutputRows<'_, u8>,
) {
    #[target_feature(enable = "avx2")]
    fn with_features(
        proof: Avx2,
        epilogue: &Requantize<'_>,
        panels: &Panels,
        tiles: &mut dyn Tiles,
        output: OutputRows<'_, u8>,
    ) {
        requantize::requantize_tiles::<_, 2>(proof, epilogue, panels, tiles, output);
    }
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe { with_features(proof, epilogue, panels, tiles, output) }
}

/// [`Epilogue::finish_rows`](crate::epilogue::Epilogue::finish_rows) of [`Requantize`].
pub(crate) fn requantize_rows(
    proof: Avx2,
    epilogue: &Requantize<'_>,
    first_row: usize,
    sums: &[i32],
    output: &mut [u8],
) {
    #[target_feature(enable = "avx2")]
    fn with_features(
        proof: Avx2,
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

impl FloatVectors for Avx2 {
    type Floats = __m256;
    type Integers = __m256i;
    type Bytes = __m256i;

    const LANES: usize = 8;

    intrinsics! {
        splat(value: f32) -> __m256 = _mm256_set1_ps(value);
        add(a: __m256, b: __m256) -> __m256 = _mm256_add_ps(a, b);
        sub(a: __m256, b: __m256) -> __m256 = _mm256_sub_ps(a, b);
        mul(a: __m256, b: __m256) -> __m256 = _mm256_mul_ps(a, b);
        max(a: __m256, b: __m256) -> __m256 = _mm256_max_ps(a, b);
        min(a: __m256, b: __m256) -> __m256 = _mm256_min_ps(a, b);

        to_floats(integers: __m256i) -> __m256 = _mm256_cvtepi32_ps(integers);
        to_integers(floats: __m256) -> __m256i = _mm256_cvtps_epi32(floats);
        splat_integer(value: i32) -> __m256i = _mm256_set1_epi32(value);
        sub_integers(a: __m256i, b: __m256i) -> __m256i = _mm256_sub_epi32(a, b);
        add_saturating(a: __m256i, b: __m256i) -> __m256i = {
            // Of the limits beyond which the sum would not fit, the bias alone decides.
            let zero = _mm256_setzero_si256();
            let low = _mm256_sub_epi32(_mm256_set1_epi32(i32::MIN), _mm256_min_epi32(b, zero));
            let high = _mm256_sub_epi32(_mm256_set1_epi32(i32::MAX), _mm256_max_epi32(b, zero));
            _mm256_add_epi32(_mm256_min_epi32(_mm256_max_epi32(a, low), high), b)
        };

        load_floats(panel: &[f32; PANEL], v: usize) -> __m256 =
            _mm256_loadu_ps(panel.as_chunks::<8>().0[v].as_ptr());
        load_integers(panel: &[i32; PANEL], v: usize) -> __m256i =
            _mm256_loadu_si256(panel.as_chunks::<8>().0[v].as_ptr().cast());
        load_bytes(panel: &[u8; PANEL], v: usize) -> __m256i =
            _mm256_cvtepu8_epi32(_mm_loadl_epi64(panel.as_chunks::<8>().0[v].as_ptr().cast()));

        to_bytes(integers: [__m256i; 4], limits: Option<Limits>) -> __m256i = {
            let [q0, q1, q2, q3] = integers;
            let mut words01 = _mm256_packs_epi32(q0, q1);
            let mut words23 = _mm256_packs_epi32(q2, q3);
            if let Some(limits) = limits {
                let offset = _mm256_set1_epi16(limits.offset as i16);
                words01 = _mm256_adds_epi16(words01, offset);
                words23 = _mm256_adds_epi16(words23, offset);
            }
            let mut bytes = _mm256_packus_epi16(words01, words23);
            if let Some(limits) = limits {
                bytes = _mm256_max_epu8(bytes, _mm256_set1_epi8(limits.low as i8));
                bytes = _mm256_min_epu8(bytes, _mm256_set1_epi8(limits.high as i8));
            }
            // Half i has the elements 4 i to 4 i + 3 of all four vectors.
            _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
        };
        store_vector(bytes: __m256i, output: &mut [u8]) -> () = {
            assert_eq!(output.len(), 32);
            _mm256_storeu_si256(output.as_mut_ptr().cast(), bytes)
        };
        store_bytes(bytes: __m256i, first: usize, output: &mut [u8]) -> () = {
            let half = if first == 0 {
                _mm256_castsi256_si128(bytes)
            } else {
                _mm256_extracti128_si256::<1>(bytes)
            };
            if let Some(output) = output.first_chunk_mut::<PANEL>() {
                _mm_storeu_si128(output.as_mut_ptr().cast(), half);
            } else {
                let mut bytes = [0; PANEL];
                _mm_storeu_si128(bytes.as_mut_ptr().cast(), half);
                copy_columns(&bytes, output);
            }
        };
    }
}

/// Copies as many bytes as there is room for, less than a panel: two copies that may overlap make any length.
#[inline(always)]
fn copy_columns(bytes: &[u8; PANEL], output: &mut [u8]) {
    #[inline(always)]
    fn copy_twice<const N: usize>(bytes: &[u8], output: &mut [u8]) -> bool {
        let (Some(first), Some(last)) = (bytes.first_chunk::<N>(), bytes.last_chunk::<N>()) else {
            return false;
        };
        output[..N].copy_from_slice(first);
        output[bytes.len() - N..].copy_from_slice(last);
        true
    }
    let bytes = &bytes[..output.len()];
    if !(copy_twice::<8>(bytes, output) || copy_twice::<4>(bytes, output)) {
        for (output, byte) in output.iter_mut().zip(bytes) {
            *output = *byte;
        }
    }
}
