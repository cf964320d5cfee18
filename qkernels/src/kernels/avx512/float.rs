//! Vectors of 16 floats.

use std::arch::x86_64::*;

use crate::isa::Avx512Vnni;
use crate::kernels::float::{FloatVector, float_kernels};

impl FloatVector for Avx512Vnni {
    type Vector = __m512;

    const LANES: usize = 16;

    #[inline(always)]
    fn splat(self, value: f32) -> __m512 {
        // SAFETY: the proof exists only where the instructions were detected, here and below.
        unsafe { _mm512_set1_ps(value) }
    }

    #[inline(always)]
    fn add(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    fn sub(self, a: __m512, b: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    fn multiply_add(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
        // SAFETY: as above.
        unsafe { _mm512_fmadd_ps(a, b, sum) }
    }

    #[inline(always)]
    fn clamp(self, x: __m512, low: __m512, high: __m512) -> __m512 {
        // SAFETY: as above. The second operand is the result if there is a NaN.
        unsafe { _mm512_min_ps(high, _mm512_max_ps(low, x)) }
    }

    #[inline(always)]
    fn zip(self, a: __m512, b: __m512) -> [__m512; 2] {
        // SAFETY: as above. Indices from 16 on are of the second vector.
        unsafe {
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
            [_mm512_permutex2var_ps(a, low, b), _mm512_permutex2var_ps(a, high, b)]
        }
    }

    #[inline(always)]
    fn unzip(self, a: __m512, b: __m512) -> [__m512; 2] {
        // SAFETY: as above.
        unsafe {
            let even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
            let odd = _mm512_add_epi32(even, _mm512_set1_epi32(1));
            [_mm512_permutex2var_ps(a, even, b), _mm512_permutex2var_ps(a, odd, b)]
        }
    }

    #[inline(always)]
    unsafe fn load(self, from: *const f32) -> __m512 {
        // SAFETY: the caller answers for the vector, the proof for the instruction.
        unsafe { _mm512_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32, vector: __m512) {
        // SAFETY: the caller answers for the vector, the proof for the instruction.
        unsafe { _mm512_storeu_ps(to, vector) }
    }
}

float_kernels!(
    Avx512Vnni, ["avx512f"], multiply_float_tile: 1 2 3 4 5 6 7 8 9 10 11 12, dot_float_tile, sum_float_strip,
    transform_float_patches, transform_float_products, unzip_float_rows
);
