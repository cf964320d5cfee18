//! Convolutions with few channels in a group, with `vpdpbusd`.

use std::arch::x86_64::*;

use crate::isa::Avx512Vnni;
use crate::kernels::narrow::{self, NarrowRow, NarrowVectors};

/// [`NarrowRow::sum`] on AVX-512.
///
/// # Safety
/// The lengths are those that it checks.
pub(crate) unsafe fn sum_narrow_row(
    proof: Avx512Vnni,
    row: &NarrowRow<'_>,
    weights: &[i32],
    sums: &mut [i32],
) {
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    unsafe fn with_features(proof: Avx512Vnni, row: &NarrowRow<'_>, weights: &[i32], sums: &mut [i32]) {
        // SAFETY: as the caller promises.
        unsafe { narrow::sum_row(proof, row, weights, sums) };
    }
    // SAFETY: the proof exists only where these instructions were detected; for the rest the caller answers.
    unsafe { with_features(proof, row, weights, sums) }
}

impl NarrowVectors for Avx512Vnni {
    const LANES: usize = 16;
    const WEIGHTS: usize = 1;
    type Vector = __m512i;

    #[inline(always)]
    unsafe fn load(self, from: *const i32) -> __m512i {
        // SAFETY: the proof `self` exists only where AVX-512 was detected; for the rest the caller answers.
        unsafe { _mm512_loadu_si512(from.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, vector: __m512i, to: *mut i32) {
        // SAFETY: as above.
        unsafe { _mm512_storeu_si512(to.cast(), vector) }
    }

    intrinsics! {
        add_products(sums: __m512i, lanes: __m512i, weights: [__m512i; 2]) -> __m512i =
            _mm512_dpbusd_epi32(sums, lanes, weights[0]);
    }
}
