//! Table lookups with AVX2, 32 at a time.
//!
//! `vpshufb` looks up 16 entries by the low four bits of an index, and gives 0 if its highest bit is set.
//! With D0 = T0, Di = Ti ^ T(i-1) for the parts Ti of 16 entries, an index x below 128 has
//! `table[x] = D0[x] ^ D1[x - 16] ^ D2[x - 32] ^ ..`: the terms with a negative index vanish, the others
//! collapse to T(x / 16). Indices from 128 on do the same in the upper half of the table.

use std::arch::x86_64::*;
use std::array::from_fn;

use crate::isa::Avx2;

const LANES: usize = 32;

/// Parts of 16 entries in half a table.
const PARTS: usize = 8;

/// [`look_up`](crate::kernels::look_up) on AVX2.
pub(crate) fn look_up(_: Avx2, table: &[u8; 256], input: &[u8], output: &mut [u8]) {
    assert_eq!(input.len(), output.len());
    // SAFETY: the token exists only where AVX2 was detected.
    unsafe { look_up_vectors(table, input, output) }
}

#[target_feature(enable = "avx2")]
fn look_up_vectors(table: &[u8; 256], input: &[u8], output: &mut [u8]) {
    let (Some(last_input), Some(last_output)) = (input.last_chunk(), output.last_chunk_mut()) else {
        for (output, &index) in output.iter_mut().zip(input) {
            *output = table[usize::from(index)];
        }
        return;
    };
    let halves = halves(table);
    // The last vector overlaps the one before.
    look_up_vector(&halves, last_input, last_output);
    for (input, output) in input.as_chunks().0.iter().zip(output.as_chunks_mut().0) {
        look_up_vector(&halves, input, output);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn look_up_vector(halves: &[[__m256i; PARTS]; 2], input: &[u8; LANES], output: &mut [u8; LANES]) {
    // SAFETY: the array has 32 bytes.
    let mut index = unsafe { _mm256_loadu_si256(input.as_ptr().cast()) };
    let is_upper = index;
    let sixteen = _mm256_set1_epi8(16);
    let mut upper_index = _mm256_xor_si256(index, _mm256_set1_epi8(i8::MIN));
    let [mut lower, mut upper] = [_mm256_setzero_si256(); 2];
    for (&lower_part, &upper_part) in halves[0].iter().zip(&halves[1]) {
        lower = _mm256_xor_si256(lower, _mm256_shuffle_epi8(lower_part, index));
        upper = _mm256_xor_si256(upper, _mm256_shuffle_epi8(upper_part, upper_index));
        index = _mm256_sub_epi8(index, sixteen);
        upper_index = _mm256_sub_epi8(upper_index, sixteen);
    }
    let result = _mm256_blendv_epi8(lower, upper, is_upper);
    // SAFETY: the array has 32 bytes.
    unsafe { _mm256_storeu_si256(output.as_mut_ptr().cast(), result) }
}

/// The parts Di of both halves of the table.
#[target_feature(enable = "avx2")]
fn halves(table: &[u8; 256]) -> [[__m256i; PARTS]; 2] {
    let (parts, _) = table.as_chunks::<16>();
    let load = |part: &[u8; 16]| {
        // SAFETY: the array has 16 bytes.
        _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(part.as_ptr().cast()) })
    };
    from_fn(|half| {
        from_fn(|part| {
            let this = load(&parts[half * PARTS + part]);
            if part == 0 { this } else { _mm256_xor_si256(this, load(&parts[half * PARTS + part - 1])) }
        })
    })
}
