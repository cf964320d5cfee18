//! Sums of two products that saturate: their places and their losses.

use std::arch::x86_64::*;

use crate::isa::Avx2;
use crate::operands::{LargeQuad, LocatedRows, PairBounds};
use crate::panel::{PanelQuad, QUAD, Sums};

const LANES: usize = 32;

/// [`find_large_quads`](crate::kernels::find_large_quads) on AVX2.
pub(crate) fn find_large_quads(
    _: Avx2,
    located: &LocatedRows<'_>,
    row: usize,
    bounds: PairBounds,
    found: &mut Vec<LargeQuad>,
) {
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe { find_in_row(located, row, bounds, found) }
}

#[target_feature(enable = "avx2")]
fn find_in_row(located: &LocatedRows<'_>, row: usize, bounds: PairBounds, found: &mut Vec<LargeQuad>) {
    let worst_pairs = bounds.worst_pairs().map(|pair| {
        let bytes = pair.map(i8::cast_unsigned);
        _mm256_set1_epi16(i16::from_ne_bytes(bytes))
    });
    let quads = located.runs().quads();
    for &run in located.used() {
        let bytes = located.bytes(run, row);
        let (vectors, rest) = bytes.as_chunks::<LANES>();
        for (i, bytes) in vectors.iter().enumerate() {
            // SAFETY: the array has 32 bytes.
            let vector = unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) };
            find_in_vector(vector, worst_pairs, bytes, run * quads + i * LANES / QUAD, found);
        }
        if !rest.is_empty() {
            let count = _mm256_set1_epi32((rest.len() / QUAD) as i32);
            let exists = _mm256_cmpgt_epi32(count, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
            // SAFETY: the mask leaves as many quads as the slice has.
            let vector = unsafe { _mm256_maskload_epi32(rest.as_ptr().cast(), exists) };
            let first_index = run * quads + vectors.len() * LANES / QUAD;
            find_in_vector(vector, worst_pairs, rest, first_index, found);
        }
    }
}

/// Finds the large quads of a vector of `bytes`, or fewer and zeros.
#[inline]
#[target_feature(enable = "avx2")]
fn find_in_vector(
    vector: __m256i,
    worst_pairs: [__m256i; 2],
    bytes: &[u8],
    first_index: usize,
    found: &mut Vec<LargeQuad>,
) {
    let [a, b] = worst_pairs.map(|weights| _mm256_maddubs_epi16(vector, weights));
    // The weights are negative, as positive sums reach -32767 only: what would be 32768 counts as large.
    let is_large = _mm256_cmpeq_epi16(_mm256_min_epi16(a, b), _mm256_set1_epi16(i16::MIN));
    let mut mask = _mm256_movemask_epi8(is_large).cast_unsigned();
    while mask != 0 {
        let quad = mask.trailing_zeros() as usize / QUAD;
        mask &= !(0xf << (quad * QUAD));
        found.push(LargeQuad { activations: bytes.as_chunks().0[quad], index: first_index + quad });
    }
}

/// [`add_lost`](crate::kernels::add_lost) on AVX2.
pub(crate) fn add_lost(_: Avx2, large: &[LargeQuad], weights: &[PanelQuad], sums: &mut Sums) {
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe { add_lost_vectors(large, weights, sums) }
}

#[target_feature(enable = "avx2")]
fn add_lost_vectors(large: &[LargeQuad], weights: &[PanelQuad], sums: &mut Sums) {
    let sums: *mut __m256i = sums.as_mut_ptr().cast();
    // SAFETY: sixteen sums are two vectors.
    let mut totals = unsafe { [_mm256_loadu_si256(sums), _mm256_loadu_si256(sums.add(1))] };
    for LargeQuad { activations, index } in large {
        let both = _mm256_set1_epi32(i32::from_ne_bytes(*activations));
        let first = _mm256_and_si256(both, _mm256_set1_epi16(0xff));
        let second = _mm256_xor_si256(both, first);
        for (total, weights) in totals.iter_mut().zip(weights[*index].0.as_chunks::<LANES>().0) {
            // SAFETY: the array has 32 bytes.
            let weights = unsafe { _mm256_loadu_si256(weights.as_ptr().cast()) };
            let products = [first, second, both].map(|x| _mm256_maddubs_epi16(x, weights));
            // The sum may wrap around, but what is lost is at most half of 255 * 256: the difference is right.
            let exact = _mm256_add_epi16(products[0], products[1]);
            let lost = _mm256_sub_epi16(exact, products[2]);
            *total = _mm256_add_epi32(*total, _mm256_madd_epi16(lost, _mm256_set1_epi16(1)));
        }
    }
    // SAFETY: as above.
    unsafe {
        _mm256_storeu_si256(sums, totals[0]);
        _mm256_storeu_si256(sums.add(1), totals[1]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panel::PANEL;

    /// Weights of every column that are as extreme as can be.
    const WEIGHTS: [i8; 6] = [-128, 127, -127, 126, 1, 0];

    fn panel_quad(seed: usize) -> PanelQuad {
        PanelQuad(std::array::from_fn(|i| WEIGHTS[(i * 7 + i / 5 + seed) % WEIGHTS.len()]))
    }

    fn find(proof: Avx2, weight: i8, bytes: &[u8]) -> Vec<LargeQuad> {
        let bounds = PairBounds::of(&[PanelQuad([weight; PANEL * QUAD])]);
        let mut found = Vec::new();
        let mut starts = Vec::new();
        find_large_quads(proof, &LocatedRows::of_single_runs(&[bytes], &mut starts), 0, bounds, &mut found);
        found
    }

    #[test]
    fn one_large_pair_is_found_wherever_it_is() {
        let Some(proof) = Avx2::detect() else { return };
        for len in (QUAD..=3 * LANES).step_by(QUAD) {
            for pair in 0..len / 2 {
                let mut bytes: Vec<u8> = vec![129; len];
                bytes[2 * pair + 1] = 130;
                let index = pair / 2;
                let activations = bytes.as_chunks().0[index];
                assert_eq!(
                    find(proof, 127, &bytes),
                    [LargeQuad { activations, index }],
                    "{len} bytes, pair {pair}"
                );
            }
        }
    }

    #[test]
    fn vectors_find_what_the_definition_finds() {
        let Some(proof) = Avx2::detect() else { return };
        for weight in [-128, -127, 127, 90, 65, 64, 0] {
            let bounds = PairBounds::of(&[PanelQuad([weight; PANEL * QUAD])]);
            for x0 in 0..=255_u8 {
                let bytes: Vec<u8> = (0..=255_u8).flat_map(|x1| [x0, x1, 0, 0]).collect();
                let found: Vec<_> =
                    find(proof, weight, &bytes).iter().map(|large| large.activations[1]).collect();
                let expected: Vec<_> = (0..=255).filter(|&x1| bounds.can_saturate([x0, x1])).collect();
                assert_eq!(found, expected, "{x0}, weight {weight}");
            }
        }
    }

    #[test]
    fn what_is_lost_makes_the_sums_exact() {
        let Some(proof) = Avx2::detect() else { return };
        let weights = [panel_quad(0), panel_quad(1), panel_quad(2)];
        for activations in [[255; QUAD], [255, 255, 0, 0], [0, 1, 255, 254], [200, 58, 130, 255], [0; QUAD]] {
            let mut sums: Sums = std::array::from_fn(|column| column as i32 * 1000 - 7);
            let expected: Sums = std::array::from_fn(|column| {
                let lost = |weights: &PanelQuad| -> i32 {
                    let product = |i| i32::from(activations[i]) * i32::from(weights.0[column * QUAD + i]);
                    [product(0) + product(1), product(2) + product(3)]
                        .map(|sum| sum - sum.clamp(i16::MIN.into(), i16::MAX.into()))
                        .iter()
                        .sum()
                };
                sums[column] + lost(&weights[2]) + lost(&weights[0])
            });
            let large = [2, 0].map(|index| LargeQuad { activations, index });
            add_lost(proof, &large, &weights, &mut sums);
            assert_eq!(sums, expected, "{activations:?}");
        }
    }
}
