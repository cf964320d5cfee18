//! `vpdpbusd` on vectors of sixteen sums.

use std::arch::x86_64::*;

use crate::isa::Avx512Vnni;
use crate::kernels::TileSize;
use crate::kernels::dot::{self, DotProduct, Tile};
use crate::panel::Sums;

/// 12 x 2 vectors of sums, two of weights and one of activations are 27 of the 32 registers; two products a cycle
/// need at least ten independent sums.
pub(crate) const TILE: TileSize = TileSize { rows: 12, panels: 2 };

impl DotProduct for Avx512Vnni {
    type Vector = __m512i;

    const LANES: usize = 16;

    #[inline(always)]
    fn zero(self) -> __m512i {
        // SAFETY: the proof exists only where the instruction was detected.
        unsafe { _mm512_setzero_si512() }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_add_epi32(a, b) }
    }

    #[inline(always)]
    fn dot(self, sums: __m512i, activations: __m512i, weights: __m512i) -> __m512i {
        // SAFETY: as above.
        unsafe { _mm512_dpbusd_epi32(sums, activations, weights) }
    }

    #[inline(always)]
    unsafe fn broadcast(self, quad: *const u8) -> __m512i {
        // SAFETY: the caller answers for the four bytes, the proof for the instruction.
        unsafe { _mm512_set1_epi32(quad.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn load(self, vector: *const u8) -> __m512i {
        // SAFETY: the caller answers for the vector, the proof for the instruction.
        unsafe { _mm512_loadu_si512(vector.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, vector: *mut i32, sums: __m512i) {
        // SAFETY: the caller answers for the vector, the proof for the instruction.
        unsafe { _mm512_storeu_si512(vector.cast(), sums) }
    }
}

/// [`multiply_tile`](crate::kernels::multiply_tile) on AVX-512.
pub(crate) fn multiply_tile(proof: Avx512Vnni, tile: &Tile<'_>, sums: &mut [Sums]) {
    let multiply = match (tile.panels(), tile.rows().len()) {
        // A single row streams the weights once, in their order: from memory nothing is faster.
        (1, 1) => sized::<1, 1, 4>,
        (1, 2) => sized::<2, 1, 4>,
        (1, 3) => sized::<3, 1, 4>,
        (1, 4) => sized::<4, 1, 2>,
        (1, 5) => sized::<5, 1, 2>,
        (1, 6) => sized::<6, 1, 2>,
        (1, 7) => sized::<7, 1, 2>,
        (1, 8) => sized::<8, 1, 2>,
        (1, 9) => sized::<9, 1, 1>,
        (1, 10) => sized::<10, 1, 1>,
        (1, 11) => sized::<11, 1, 1>,
        (1, 12) => sized::<12, 1, 1>,
        (2, 4) => sized::<4, 2, 2>,
        (2, 5) => sized::<5, 2, 1>,
        (2, 6) => sized::<6, 2, 1>,
        (2, 7) => sized::<7, 2, 1>,
        (2, 8) => sized::<8, 2, 1>,
        (2, 9) => sized::<9, 2, 1>,
        (2, 10) => sized::<10, 2, 1>,
        (2, 11) => sized::<11, 2, 1>,
        (2, 12) => sized::<12, 2, 1>,
        (panels, rows) => unreachable!("no tile of {rows} rows and {panels} panels"),
    };
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe { multiply(proof, tile, sums) }
}

#[target_feature(enable = "avx2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")]
fn sized<const R: usize, const V: usize, const U: usize>(
    proof: Avx512Vnni,
    tile: &Tile<'_>,
    sums: &mut [Sums],
) {
    dot::multiply_tile::<Avx512Vnni, R, V, U>(proof, tile, sums);
}
