//! Dot products of bytes that are added up in 16 bits, two quads at a time, before they are widened.

use std::arch::x86_64::*;

use crate::isa::Avx2;
use crate::kernels::TileSize;
use crate::kernels::dot::Tile;
use crate::operands::Chains;
use crate::panel::{QUAD, Sums};

/// 4 x 2 vectors of sums, 2 x 2 of weights, and what is between them, are the 16 registers.
pub(crate) const CHAINS_TILE: TileSize = TileSize { rows: 4, panels: 1 };

/// [`multiply_tile`](super::multiply_tile) for activations that leave their highest bit unused.
pub(super) fn multiply_tile(_: Avx2, tile: &Tile<'_>, chains: &Chains, sums: &mut [Sums]) {
    let runs = tile.located().runs();
    assert!(chains.quads() * QUAD == runs.padded_depth() && chains.runs().is_multiple_of(runs.count));
    assert!(tile.initial().len() == 1 && tile.rows().len() == sums.len());
    let multiply = match sums.len() {
        1 => sized::<1>,
        2 => sized::<2>,
        3 => sized::<3>,
        4 => sized::<4>,
        rows => unreachable!("no tile of {rows} rows"),
    };
    // SAFETY: the tile has one panel, of which the chains are, and as many rows as sums, as was just checked; the
    // proof exists only where AVX2 was detected.
    unsafe { multiply(tile, chains, sums) }
}

/// # Safety
/// The tile has `R` rows and the panel that the chains are of; there are `R` sums.
#[target_feature(enable = "avx2")]
unsafe fn sized<const R: usize>(tile: &Tile<'_>, chains: &Chains, sums: &mut [Sums]) {
    let located = tile.located();
    let packed_runs = chains.runs() / located.runs().count;
    let ones = _mm256_set1_epi16(1);
    let mut total = [vectors(&tile.initial()[0]); R];
    for (run, starts) in located.used_starts::<R>(tile.rows().start) {
        // Where the rows would begin if the runs before were their neighbours.
        let starts = starts.map(|start| start.wrapping_sub(run * located.runs().padded_len()));
        let broadcast = |start: *const u8, offset: u32| {
            let quad = start.wrapping_add(offset as usize).cast::<i32>();
            // SAFETY: the chains of a run are of quads of this run, which can be read whole.
            _mm256_set1_epi32(unsafe { quad.read_unaligned() })
        };
        let chains = chains.of_runs(run * packed_runs..(run + 1) * packed_runs);
        for (&pair, weights) in chains.pairs.iter().zip(chains.pair_weights) {
            let weights = [vectors(&weights[0].0), vectors(&weights[1].0)];
            for (total, start) in total.iter_mut().zip(starts) {
                let activations = pair.map(|offset| broadcast(start, offset));
                for (v, total) in total.iter_mut().enumerate() {
                    let products = _mm256_add_epi16(
                        _mm256_maddubs_epi16(activations[0], weights[0][v]),
                        _mm256_maddubs_epi16(activations[1], weights[1][v]),
                    );
                    *total = _mm256_add_epi32(*total, _mm256_madd_epi16(products, ones));
                }
            }
        }
        for (&offset, weights) in chains.singles.iter().zip(chains.single_weights) {
            let weights = vectors(&weights.0);
            for (total, start) in total.iter_mut().zip(starts) {
                let activations = broadcast(start, offset);
                for (total, weights) in total.iter_mut().zip(weights) {
                    let products = _mm256_maddubs_epi16(activations, weights);
                    *total = _mm256_add_epi32(*total, _mm256_madd_epi16(products, ones));
                }
            }
        }
    }
    for (sums, total) in sums.iter_mut().zip(total) {
        let sums = sums.as_mut_ptr().cast::<__m256i>();
        for (v, total) in total.into_iter().enumerate() {
            // SAFETY: a panel is two vectors of sums.
            unsafe { _mm256_storeu_si256(sums.add(v), total) };
        }
    }
}

/// The sums of a panel, or one of its quads.
#[inline]
#[target_feature(enable = "avx2")]
fn vectors<T, const N: usize>(elements: &[T; N]) -> [__m256i; 2] {
    const { assert!(size_of::<[T; N]>() == 2 * size_of::<__m256i>()) };
    let vectors = elements.as_ptr().cast::<__m256i>();
    // SAFETY: the elements are two vectors.
    unsafe { [_mm256_loadu_si256(vectors), _mm256_loadu_si256(vectors.add(1))] }
}
