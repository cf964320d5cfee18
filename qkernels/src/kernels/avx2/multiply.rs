//! The product of activation rows and a panel with AVX2, 16 bits wide.
//!
//! `vpmaddwd` multiplies pairs of 16-bit integers and adds neighbours to 32 bits; with activations and
//! weights of magnitude at most 255 nothing saturates. Two a cycle are 32 multiply-adds a cycle, the
//! peak. This is for activations that are large so often that [products of 8 bits](super::dot) would need many
//! corrections.

use std::arch::x86_64::*;
use std::ops::Range;

use crate::isa::Avx2;
use crate::kernels::words_of_run;
use crate::operands::LocatedRows;
use crate::panel::{PANEL, PanelQuad, QUAD, Runs, Sums};

/// Rows of a register tile: 6 x 2 vectors of sums, two of weights and one of activations are 15 of the
/// 16 registers.
const ROWS: usize = 6;

/// [`widen_rows`](crate::kernels::widen_rows) on AVX2; each run overwrites what the one before has beyond its words.
pub(crate) fn widen_rows(_: Avx2, located: &LocatedRows<'_>, rows: Range<usize>, words: &mut [i16]) {
    #[target_feature(enable = "avx2")]
    fn with_features(located: &LocatedRows<'_>, rows: Range<usize>, words: &mut [i16]) {
        let runs = located.runs();
        let (run_len, padded_len) = (words_of_run(runs), runs.padded_len());
        let mut words = words;
        for row in rows {
            for run in 0..runs.count {
                widen_bytes(located.bytes(run, row), &mut words[..padded_len]);
                words = &mut words[run_len..];
            }
        }
    }
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe { with_features(located, rows, words) }
}

/// Bytes to words, which are whole quads.
#[inline]
#[target_feature(enable = "avx2")]
fn widen_bytes(bytes: &[u8], words: &mut [i16]) {
    let (vectors, bytes) = bytes.as_chunks::<16>();
    let (words_of_vectors, words) = words.as_chunks_mut::<16>();
    for (bytes, words) in vectors.iter().zip(words_of_vectors) {
        // SAFETY: both arrays have sixteen elements.
        unsafe {
            let widened = _mm256_cvtepu8_epi16(_mm_loadu_si128(bytes.as_ptr().cast()));
            _mm256_storeu_si256(words.as_mut_ptr().cast(), widened);
        }
    }
    let (halves, bytes) = bytes.as_chunks::<8>();
    let (words_of_halves, words) = words.as_chunks_mut::<8>();
    for (bytes, words) in halves.iter().zip(words_of_halves) {
        // SAFETY: both arrays have eight elements.
        unsafe {
            let widened = _mm_cvtepu8_epi16(_mm_loadl_epi64(bytes.as_ptr().cast()));
            _mm_storeu_si128(words.as_mut_ptr().cast(), widened);
        }
    }
    for (quad, words) in bytes.as_chunks::<QUAD>().0.iter().zip(words.as_chunks_mut::<QUAD>().0) {
        let widened = _mm_cvtepu8_epi16(_mm_cvtsi32_si128(i32::from_ne_bytes(*quad)));
        // SAFETY: four words are half a vector.
        unsafe { _mm_storel_epi64(words.as_mut_ptr().cast(), widened) };
    }
}

/// [`widen_panel`](crate::kernels::widen_panel) on AVX2; each run overwrites what the one before has beyond its
/// words.
pub(crate) fn widen_panel(_: Avx2, quads: &[PanelQuad], runs: Runs, words: &mut [i16]) {
    let mut words = words;
    for quads in quads.chunks_exact(runs.quads()) {
        // SAFETY: the proof exists only where AVX2 was detected.
        unsafe { widen(quads, words) };
        words = &mut words[words_of_run(runs) * PANEL..];
    }
}

/// [`multiply_words`](crate::kernels::multiply_words) on AVX2.
pub(crate) fn multiply_words(_: Avx2, rows: &[i16], panel: &[i16], initial: &Sums, sums: &mut [Sums]) {
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe { multiply::<false>(rows, panel, initial, sums) }
}

/// `sums[row][column] = initial[column] + sum over k of rows[row][k] * columns[k][column]`.
///
/// `rows` is `[rows][depth]`, and `columns` is `[depth / 2][16][2]`. As many bytes after them are fetched into the
/// cache: the next columns, which are read once and may come from far.
pub(crate) fn multiply_pairs(
    _: Avx2,
    rows: &[i16],
    depth: usize,
    columns: &[i16],
    initial: &Sums,
    sums: &mut [Sums],
) {
    assert!(rows.len() == sums.len() * depth && columns.len() == PANEL * depth);
    // SAFETY: the proof exists only where AVX2 was detected.
    unsafe { multiply::<true>(rows, columns, initial, sums) }
}

/// [`multiply_tile`] for all rows of `sums`; `AHEAD` is whether the bytes after `columns` are fetched.
#[target_feature(enable = "avx2")]
fn multiply<const AHEAD: bool>(mut rows: &[i16], columns: &[i16], initial: &Sums, mut sums: &mut [Sums]) {
    let depth = columns.len() / PANEL;
    // As few tiles as there must be, of sizes that differ by one row at most.
    let tiles = sums.len().div_ceil(ROWS).max(1);
    let (least_rows, larger_tiles) = (sums.len() / tiles, sums.len() % tiles);
    for tile in 0..tiles {
        let count = least_rows + usize::from(tile < larger_tiles);
        let (sums_of_tile, other_sums) = sums.split_at_mut(count);
        if AHEAD && tile == 0 {
            multiply_rows::<true>(rows, columns, initial, sums_of_tile);
        } else {
            multiply_rows::<false>(rows, columns, initial, sums_of_tile);
        }
        (rows, sums) = (&rows[count * depth..], other_sums);
    }
}

/// [`multiply_tile`] of as many rows as `sums` has.
#[target_feature(enable = "avx2")]
fn multiply_rows<const AHEAD: bool>(rows: &[i16], columns: &[i16], initial: &Sums, sums: &mut [Sums]) {
    match sums.len() {
        0 => {}
        1 => multiply_tile::<1, AHEAD>(rows, columns, initial, sums),
        2 => multiply_tile::<2, AHEAD>(rows, columns, initial, sums),
        3 => multiply_tile::<3, AHEAD>(rows, columns, initial, sums),
        4 => multiply_tile::<4, AHEAD>(rows, columns, initial, sums),
        5 => multiply_tile::<5, AHEAD>(rows, columns, initial, sums),
        _ => multiply_tile::<ROWS, AHEAD>(rows, columns, initial, sums),
    }
}

/// Weights from `[K / 4][16][4]` bytes to `[K / 2][16][2]` words.
#[target_feature(enable = "avx2")]
fn widen(quads: &[PanelQuad], widened: &mut [i16]) {
    for (quad, widened) in quads.iter().zip(widened.as_chunks_mut::<64>().0) {
        for half in [0, 1] {
            let [low, high] = [0, 1].map(|i| {
                let bytes: &[i8; 16] = &quad.0.as_chunks::<16>().0[2 * half + i];
                // SAFETY: the array has 16 bytes.
                _mm256_cvtepi8_epi16(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
            });
            // With `cp` pair p of column c: `low` is [00 01 10 11 | 20 21 30 31], `high` the same of
            // columns 4 to 7. One pair of each column is [0 1 4 5 | 2 3 6 7], and two quarters swapped.
            let [low, high] = [low, high].map(|x| _mm256_castsi256_ps(x));
            let pairs = [_mm256_shuffle_ps::<0x88>(low, high), _mm256_shuffle_ps::<0xdd>(low, high)];
            for (pair, words) in pairs.into_iter().enumerate() {
                let words = _mm256_permute4x64_epi64::<0xd8>(_mm256_castps_si256(words));
                let slot: &mut [i16; 16] = &mut widened.as_chunks_mut::<16>().0[2 * pair + half];
                // SAFETY: sixteen words are 32 bytes.
                unsafe { _mm256_storeu_si256(slot.as_mut_ptr().cast(), words) };
            }
        }
    }
}

/// `sums[r][c] = initial[c] + sum over k of rows[r][k] * columns[k][c]` for `R` rows; `columns` is `[K / 2][16][2]`.
#[target_feature(enable = "avx2")]
fn multiply_tile<const R: usize, const AHEAD: bool>(
    rows: &[i16],
    columns: &[i16],
    initial: &Sums,
    sums: &mut [Sums],
) {
    let pairs = columns.as_chunks::<{ 2 * PANEL }>().0;
    let depth = 2 * pairs.len();
    let sums: &mut [Sums; R] = sums.try_into().expect("one sum for each row of the tile");
    assert!(rows.len() >= R * depth);
    let initial = initial.as_ptr().cast::<__m256i>();
    // SAFETY: sixteen sums are two vectors.
    let initial = unsafe { [_mm256_loadu_si256(initial), _mm256_loadu_si256(initial.add(1))] };
    let mut tile = [initial; R];
    let rows = rows.as_ptr();
    for (k, pair) in pairs.iter().enumerate() {
        let pair = pair.as_ptr().cast::<__m256i>();
        // SAFETY: 32 words are two vectors.
        let weights = unsafe { [_mm256_loadu_si256(pair), _mm256_loadu_si256(pair.add(1))] };
        if AHEAD {
            _mm_prefetch::<_MM_HINT_T0>(pair.wrapping_byte_add(size_of_val(columns)).cast());
        }
        for (r, sums) in tile.iter_mut().enumerate() {
            // SAFETY: `2 * k + 1` is less than the depth, of which there are `R` rows.
            let pair = unsafe { rows.add(r * depth + 2 * k).cast::<i32>().read_unaligned() };
            let pair = _mm256_set1_epi32(pair);
            for (sum, weights) in sums.iter_mut().zip(weights) {
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(pair, weights));
            }
        }
    }
    for (sums, tile) in sums.iter_mut().zip(tile) {
        for (sums, tile) in sums.as_chunks_mut::<8>().0.iter_mut().zip(tile) {
            // SAFETY: eight sums are one vector.
            unsafe { _mm256_storeu_si256(sums.as_mut_ptr().cast(), tile) };
        }
    }
}
