//! Dot products of bytes on vectors of eight sums.

use std::arch::x86_64::*;

use super::chains;
use crate::isa::{Avx2, AvxVnni};
use crate::kernels::TileSize;
use crate::kernels::dot::{self, DotProduct, Products, Tile};
use crate::panel::Sums;

/// 6 x 2 vectors of sums, and one of activations, are 13 of the 16 registers.
pub(crate) const TILE: TileSize = TileSize { rows: 6, panels: 1 };

/// The dot product of an instruction set whose vectors have 256 bits, which all have AVX2.
pub(super) trait DotProduct256: Copy {
    /// Adds the dot product of four unsigned activations and four signed weights to each sum.
    fn dot(self, sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i;
}

impl DotProduct256 for AvxVnni {
    #[inline(always)]
    fn dot(self, sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: the proof exists only where the instruction was detected.
        unsafe { _mm256_dpbusd_avx_epi32(sums, activations, weights) }
    }
}

/// Exact but for sums of two products that saturate, see [`PairBounds`](crate::operands::PairBounds).
impl DotProduct256 for Avx2 {
    #[inline(always)]
    fn dot(self, sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: the proof exists only where the instructions were detected.
        unsafe {
            let pairs = _mm256_maddubs_epi16(activations, weights);
            _mm256_add_epi32(sums, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
        }
    }
}

/// Exact for all activations: each is the sum of two of at most 128, and `128 * (-128 - 128)` is in `i16`.
#[derive(Clone, Copy)]
struct InParts(Avx2);

impl DotProduct256 for InParts {
    #[inline(always)]
    fn dot(self, sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
        // SAFETY: the proof exists only where the instructions were detected.
        let [low, high] = unsafe {
            let most = _mm256_set1_epi8(i8::MIN);
            [_mm256_min_epu8(activations, most), _mm256_subs_epu8(activations, most)]
        };
        self.0.dot(self.0.dot(sums, low, weights), high, weights)
    }
}

/// [`DotProduct`] for vectors of 256 bits.
#[derive(Clone, Copy)]
struct Vectors256<P>(P);

impl<P: DotProduct256> DotProduct for Vectors256<P> {
    type Vector = __m256i;

    const LANES: usize = 8;

    #[inline(always)]
    fn zero(self) -> __m256i {
        // SAFETY: the proof exists only where AVX2 was detected.
        unsafe { _mm256_setzero_si256() }
    }

    #[inline(always)]
    fn add(self, a: __m256i, b: __m256i) -> __m256i {
        // SAFETY: as above.
        unsafe { _mm256_add_epi32(a, b) }
    }

    #[inline(always)]
    fn dot(self, sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
        self.0.dot(sums, activations, weights)
    }

    #[inline(always)]
    unsafe fn broadcast(self, quad: *const u8) -> __m256i {
        // SAFETY: the caller answers for the four bytes, the proof for the instruction.
        unsafe { _mm256_set1_epi32(quad.cast::<i32>().read_unaligned()) }
    }

    #[inline(always)]
    unsafe fn load(self, vector: *const u8) -> __m256i {
        // SAFETY: the caller answers for the vector, the proof for the instruction.
        unsafe { _mm256_loadu_si256(vector.cast()) }
    }

    #[inline(always)]
    unsafe fn store(self, vector: *mut i32, sums: __m256i) {
        // SAFETY: the caller answers for the vector, the proof for the instruction.
        unsafe { _mm256_storeu_si256(vector.cast(), sums) }
    }
}

/// [`multiply_tile`](crate::kernels::multiply_tile) on AVX2.
pub(crate) fn multiply_tile(proof: Avx2, tile: &Tile<'_>, sums: &mut [Sums]) {
    #[target_feature(enable = "avx2")]
    fn sized<const R: usize, const U: usize>(proof: Avx2, tile: &Tile<'_>, sums: &mut [Sums]) {
        dot::multiply_tile::<_, R, 2, U>(Vectors256(proof), tile, sums);
    }
    #[target_feature(enable = "avx2")]
    fn in_parts<const R: usize>(proof: Avx2, tile: &Tile<'_>, sums: &mut [Sums]) {
        dot::multiply_tile::<_, R, 2, 1>(Vectors256(InParts(proof)), tile, sums);
    }
    let multiply = match (tile.products(), tile.rows().len()) {
        (Products::Pairs, 1) => sized::<1, 4>,
        (Products::Pairs, 2) => sized::<2, 2>,
        (Products::Pairs, 3) => sized::<3, 1>,
        (Products::Pairs, 4) => sized::<4, 1>,
        (Products::Pairs, 5) => sized::<5, 1>,
        (Products::Pairs, 6) => sized::<6, 1>,
        (Products::Parts, 1) => in_parts::<1>,
        (Products::Parts, 2) => in_parts::<2>,
        (Products::Parts, 3) => in_parts::<3>,
        (Products::Parts, 4) => in_parts::<4>,
        (Products::Parts, 5) => in_parts::<5>,
        (Products::Parts, 6) => in_parts::<6>,
        (Products::Chains(chains), _) => return chains::multiply_tile(proof, tile, chains, sums),
        (_, rows) => unreachable!("no tile of {rows} rows"),
    };
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe { multiply(proof, tile, sums) }
}

/// [`multiply_tile`](crate::kernels::multiply_tile) on AVX-VNNI.
pub(crate) fn multiply_tile_vnni(proof: AvxVnni, tile: &Tile<'_>, sums: &mut [Sums]) {
    #[target_feature(enable = "avx2,avxvnni")]
    fn sized<const R: usize, const U: usize>(proof: AvxVnni, tile: &Tile<'_>, sums: &mut [Sums]) {
        dot::multiply_tile::<_, R, 2, U>(Vectors256(proof), tile, sums);
    }
    let multiply = match tile.rows().len() {
        1 => sized::<1, 4>,
        2 => sized::<2, 2>,
        3 => sized::<3, 2>,
        4 => sized::<4, 1>,
        5 => sized::<5, 1>,
        6 => sized::<6, 1>,
        rows => unreachable!("no tile of {rows} rows"),
    };
    // SAFETY: the proof exists only where AVX2 and AVX-VNNI were detected.
    unsafe { multiply(proof, tile, sums) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::isa::Avx512Vnni;
    use crate::operands::LocatedRows;
    use crate::panel::{PANEL, PanelQuad, QUAD};

    /// The instruction of AVX-VNNI in the encoding of AVX-512: processors that have only the latter test what is done
    /// with it.
    impl DotProduct256 for Avx512Vnni {
        fn dot(self, sums: __m256i, activations: __m256i, weights: __m256i) -> __m256i {
            // SAFETY: the proof exists only where the instruction was detected.
            unsafe { _mm256_dpbusd_epi32(sums, activations, weights) }
        }
    }

    fn check<P: DotProduct256, const R: usize, const U: usize>(proof: P, largest: usize) {
        let quads = 7;
        let activation = |row: usize, k: usize| ((row * 89 + k * 57) % (largest + 1)) as u8;
        let weight = |quad: usize, i: usize| (quad * 71 + i * 37) as i8;
        let bytes: Vec<Vec<u8>> =
            (0..R).map(|row| (0..quads * QUAD).map(|k| activation(row, k)).collect()).collect();
        let rows: Vec<&[u8]> = bytes.iter().map(Vec::as_slice).collect();
        let mut starts = Vec::new();
        let weights: Vec<_> =
            (0..quads).map(|quad| PanelQuad(std::array::from_fn(|i| weight(quad, i)))).collect();
        let initial = [std::array::from_fn(|column| column as i32 - 5)];
        let located = LocatedRows::of_single_runs(&rows, &mut starts);
        let mut tile = Tile::new(located, &weights, &initial, Products::Pairs);
        tile.advance(R);
        let mut sums = vec![[0; PANEL]; R];
        dot::multiply_tile::<_, R, 2, U>(Vectors256(proof), &tile, &mut sums);
        for (row, sums) in sums.iter().enumerate() {
            for (column, &sum) in sums.iter().enumerate() {
                let product = |k: usize| {
                    let weight = weight(k / QUAD, column * QUAD + k % QUAD);
                    i32::from(activation(row, k)) * i32::from(weight)
                };
                let expected = initial[0][column] + (0..quads * QUAD).map(product).sum::<i32>();
                assert_eq!(sum, expected, "row {row} of {R}, column {column}, {U} steps");
            }
        }
    }

    fn check_all_tiles<P: DotProduct256>(proof: P, largest: usize) {
        check::<_, 1, 4>(proof, largest);
        check::<_, 2, 2>(proof, largest);
        check::<_, 3, 2>(proof, largest);
        check::<_, 4, 1>(proof, largest);
        check::<_, 5, 1>(proof, largest);
        check::<_, 6, 1>(proof, largest);
    }

    #[test]
    fn tiles_of_every_dot_product_equal_the_definition() {
        if let Some(proof) = Avx2::detect() {
            check_all_tiles(proof, 128);
            check_all_tiles(InParts(proof), 255);
        }
        if let Some(proof) = AvxVnni::detect() {
            check_all_tiles(proof, 255);
        }
        if let Some(proof) = Avx512Vnni::detect() {
            check_all_tiles(proof, 255);
        }
    }
}
