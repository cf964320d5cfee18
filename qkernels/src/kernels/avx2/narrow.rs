//! Convolutions with few channels in a group, with AVX2: every second byte as a word.

use std::arch::x86_64::*;

use crate::isa::Avx2;
use crate::kernels::narrow::{self, NarrowRow, NarrowVectors};

/// [`NarrowRow::sum`] on AVX2.
///
/// # Safety
/// The lengths are those that it checks.
pub(crate) unsafe fn sum_narrow_row(proof: Avx2, row: &NarrowRow<'_>, weights: &[i32], sums: &mut [i32]) {
    #[target_feature(enable = "avx2")]
    unsafe fn with_features(proof: Avx2, row: &NarrowRow<'_>, weights: &[i32], sums: &mut [i32]) {
        // SAFETY: as the caller promises.
        unsafe { narrow::sum_row(proof, row, weights, sums) };
    }
    // SAFETY: the proof exists only where AVX2 was detected; for the rest the caller answers.
    unsafe { with_features(proof, row, weights, sums) }
}

impl NarrowVectors for Avx2 {
    const LANES: usize = 8;
    const WEIGHTS: usize = 2;
    type Vector = __m256i;

    #[inline(always)]
    unsafe fn load(self, from: *const i32) -> __m256i {
        // SAFETY: the proof `self` exists only where AVX2 was detected; for the rest the caller answers.
        unsafe { _mm256_loadu_si256(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, vector: __m256i, to: *mut i32) {
        // SAFETY: as above.
        unsafe { _mm256_storeu_si256(to.cast(), vector) }
    }

    intrinsics! {
        add_products(sums: __m256i, lanes: __m256i, weights: [__m256i; 2]) -> __m256i = {
            let even = _mm256_and_si256(lanes, _mm256_set1_epi16(0xff));
            let odd = _mm256_srli_epi16::<8>(lanes);
            let products = [_mm256_madd_epi16(even, weights[0]), _mm256_madd_epi16(odd, weights[1])];
            _mm256_add_epi32(sums, _mm256_add_epi32(products[0], products[1]))
        };
    }
}
