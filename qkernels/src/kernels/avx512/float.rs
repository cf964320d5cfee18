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

float_kernels!(Avx512Vnni, ["avx512f"], multiply_float_tile: 1 2 3 4 5 6 7 8 9 10 11 12, dot_float_tile, sum_float_strip);
