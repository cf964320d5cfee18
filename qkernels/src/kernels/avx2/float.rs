//! Vectors of 8 floats.

use std::arch::x86_64::*;

use crate::isa::Avx2;
use crate::kernels::float::{FloatVector, float_kernels};

impl FloatVector for Avx2 {
    type Vector = __m256;

    const LANES: usize = 8;

    #[inline(always)]
    fn splat(self, value: f32) -> __m256 {
        // SAFETY: the proof exists only where the instructions were detected, here and below.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    fn add(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m256, b: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    fn multiply_add(self, a: __m256, b: __m256, sum: __m256) -> __m256 {
        // SAFETY: as above.
        unsafe { _mm256_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    fn clamp(self, x: __m256, low: __m256, high: __m256) -> __m256 {
        // SAFETY: as above. The second operand is the result if there is a NaN.
        unsafe { _mm256_min_ps(high, _mm256_max_ps(low, x)) }
    }

    #[inline(always)]
    fn zip(self, a: __m256, b: __m256) -> [__m256; 2] {
        // SAFETY: as above. Within halves first.
        unsafe {
            let (low, high) = (_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b));
            [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
        }
    }

    #[inline(always)]
    fn unzip(self, a: __m256, b: __m256) -> [__m256; 2] {
        // SAFETY: as above.
        unsafe {
            let (low, high) = (_mm256_permute2f128_ps::<0x20>(a, b), _mm256_permute2f128_ps::<0x31>(a, b));
            [_mm256_shuffle_ps::<0x88>(low, high), _mm256_shuffle_ps::<0xdd>(low, high)]
        }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m256 {
        // SAFETY: the caller answers for the vector, the proof for the instruction.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: __m256) {
        // SAFETY: the caller answers for the vector, the proof for the instruction.
        unsafe { _mm256_storeu_ps(to, vector) }
    }
}

float_kernels!(
    Avx2, ["avx2,fma"], multiply_float_tile: 1 2 3 4 5 6, dot_float_tile, sum_float_strip,
    transform_float_patches, transform_float_products, unzip_float_rows
);
