//! Sums of a depthwise convolution with AVX2, two taps of sixteen channels at a time.

use std::arch::x86_64::*;

use crate::gemm::PANEL;
use crate::isa::Avx2;
use crate::kernels::{DepthwiseBlock, PADDING, Sums};

/// [`sum_block`](crate::kernels::sum_block) on AVX2.
pub(crate) fn sum_block(_: Avx2, block: &DepthwiseBlock<'_>, sums: &mut [Sums]) {
    // SAFETY: the token exists only where AVX2 was detected.
    unsafe { sum_pixels(block, sums) }
}

#[target_feature(enable = "avx2")]
fn sum_pixels(block: &DepthwiseBlock<'_>, sums: &mut [Sums]) {
    let zero_point = _mm256_set1_epi16(i16::from(block.zero_point));
    let padding = _mm_set1_epi8(block.zero_point.cast_signed());
    for (sums, taps) in sums.iter_mut().zip(block.taps.chunks_exact(block.weights.len())) {
        let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (offsets, weights) in taps.iter().zip(block.weights) {
            let [first, second] = offsets.map(|offset| match block.neighbours(offset) {
                Some(bytes) => load(bytes),
                None if offset == PADDING => padding,
                None => load(&block.gather(offset)),
            });
            let weights = weights.as_ptr().cast::<__m256i>();
            // SAFETY: sixteen pairs of words are two vectors.
            let weights = unsafe { [_mm256_loadu_si256(weights), _mm256_loadu_si256(weights.add(1))] };
            // The two taps of a channel side by side, channels 0 to 7 and 8 to 15.
            let pairs = [_mm_unpacklo_epi8(first, second), _mm_unpackhi_epi8(first, second)];
            let centred = pairs.map(|bytes| _mm256_sub_epi16(_mm256_cvtepu8_epi16(bytes), zero_point));
            low = _mm256_add_epi32(low, _mm256_madd_epi16(centred[0], weights[0]));
            high = _mm256_add_epi32(high, _mm256_madd_epi16(centred[1], weights[1]));
        }
        let sums = sums.as_mut_ptr().cast::<__m256i>();
        // SAFETY: sixteen sums are two vectors.
        unsafe {
            _mm256_storeu_si256(sums, low);
            _mm256_storeu_si256(sums.add(1), high);
        }
    }
}

#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; PANEL]) -> __m128i {
    // SAFETY: the array has 16 bytes.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}
