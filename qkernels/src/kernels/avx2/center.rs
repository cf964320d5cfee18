//! Activations widened and centred with AVX2, sixteen at a time.

use std::arch::x86_64::*;

use crate::isa::Avx2;

const LANES: usize = 16;

/// [`center`](crate::kernels::center) on AVX2.
pub(crate) fn center(_: Avx2, input: &[u8], zero_point: i16, values: &mut [i16]) {
    assert_eq!(input.len(), values.len());
    // SAFETY: the token exists only where AVX2 was detected.
    unsafe { center_vectors(input, zero_point, values) }
}

#[target_feature(enable = "avx2")]
fn center_vectors(input: &[u8], zero_point: i16, values: &mut [i16]) {
    let zero_points = _mm256_set1_epi16(zero_point);
    let center = |input: &[u8; LANES], values: &mut [i16; LANES]| {
        // SAFETY: the arrays have 16 bytes and 16 words.
        unsafe {
            let words = _mm256_cvtepu8_epi16(_mm_loadu_si128(input.as_ptr().cast()));
            _mm256_storeu_si256(values.as_mut_ptr().cast(), _mm256_sub_epi16(words, zero_points));
        }
    };
    // The last vector overlaps the one before: a row of 3 x 7 bytes is two vectors and no remainder.
    if let (Some(input), Some(values)) = (input.last_chunk(), values.last_chunk_mut()) {
        center(input, values);
    } else {
        for (value, &q) in values.iter_mut().zip(input) {
            *value = i16::from(q).wrapping_sub(zero_point);
        }
    }
    for (input, values) in input.as_chunks().0.iter().zip(values.as_chunks_mut().0) {
        center(input, values);
    }
}
