//! Table lookups with AVX-512, 64 at a time: as those of [AVX2](crate::kernels::avx2), with all parts of
//! the table in registers.

use std::arch::x86_64::*;
use std::array::from_fn;

use crate::isa::Avx512Vnni;

const LANES: usize = 64;

/// Parts of 16 entries in half a table.
const PARTS: usize = 8;

/// [`look_up`](crate::kernels::look_up) on AVX-512.
pub(crate) fn look_up(_: Avx512Vnni, table: &[u8; 256], input: &[u8], output: &mut [u8]) {
    assert_eq!(input.len(), output.len());
    if is_x86_feature_detected!("avx512vbmi") {
        // SAFETY: these instructions were detected.
        return unsafe { permute_vectors(table, input, output) };
    }
    // SAFETY: the token exists only where AVX-512 was detected.
    unsafe { look_up_vectors(table, input, output) }
}

/// With instructions that look up 128 entries.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn permute_vectors(table: &[u8; 256], input: &[u8], output: &mut [u8]) {
    let (quarters, _) = table.as_chunks::<LANES>();
    // SAFETY: each quarter of the table has 64 bytes.
    let [q0, q1, q2, q3] = from_fn(|i| unsafe { _mm512_loadu_si512(quarters[i].as_ptr().cast()) });
    let look_up = |index: __m512i| {
        let lower = _mm512_permutex2var_epi8(q0, index, q1);
        let upper = _mm512_permutex2var_epi8(q2, index, q3);
        _mm512_mask_blend_epi8(_mm512_movepi8_mask(index), lower, upper)
    };
    for_each_vector(input, output, look_up);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn look_up_vectors(table: &[u8; 256], input: &[u8], output: &mut [u8]) {
    let halves = halves(table);
    for_each_vector(input, output, |index| look_up_vector(&halves, index));
}

/// Stores `f` of each vector; the last one may have fewer bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn for_each_vector(input: &[u8], output: &mut [u8], f: impl Fn(__m512i) -> __m512i) {
    let (inputs, last_input) = input.as_chunks::<LANES>();
    let (outputs, last_output) = output.as_chunks_mut::<LANES>();
    for (input, output) in inputs.iter().zip(outputs) {
        // SAFETY: both arrays have 64 bytes.
        unsafe {
            let index = _mm512_loadu_si512(input.as_ptr().cast());
            _mm512_storeu_si512(output.as_mut_ptr().cast(), f(index));
        }
    }
    let mask = !(u64::MAX << last_input.len());
    // SAFETY: the mask has a bit for each byte of the last slices, which are shorter than 64.
    unsafe {
        let index = _mm512_maskz_loadu_epi8(mask, last_input.as_ptr().cast());
        _mm512_mask_storeu_epi8(last_output.as_mut_ptr().cast(), mask, f(index));
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn look_up_vector(halves: &[[__m512i; PARTS]; 2], mut index: __m512i) -> __m512i {
    let is_upper = _mm512_movepi8_mask(index);
    let sixteen = _mm512_set1_epi8(16);
    let mut upper_index = _mm512_xor_si512(index, _mm512_set1_epi8(i8::MIN));
    let [mut lower, mut upper] = [_mm512_setzero_si512(); 2];
    for (&lower_part, &upper_part) in halves[0].iter().zip(&halves[1]) {
        lower = _mm512_xor_si512(lower, _mm512_shuffle_epi8(lower_part, index));
        upper = _mm512_xor_si512(upper, _mm512_shuffle_epi8(upper_part, upper_index));
        index = _mm512_sub_epi8(index, sixteen);
        upper_index = _mm512_sub_epi8(upper_index, sixteen);
    }
    _mm512_mask_blend_epi8(is_upper, lower, upper)
}

/// In each half the first part, then the difference of each part from the one before.
#[target_feature(enable = "avx512f,avx512bw")]
fn halves(table: &[u8; 256]) -> [[__m512i; PARTS]; 2] {
    let (parts, _) = table.as_chunks::<16>();
    let load = |part: &[u8; 16]| {
        // SAFETY: the array has 16 bytes.
        _mm512_broadcast_i32x4(unsafe { _mm_loadu_si128(part.as_ptr().cast()) })
    };
    from_fn(|half| {
        from_fn(|part| {
            let this = load(&parts[half * PARTS + part]);
            if part == 0 { this } else { _mm512_xor_si512(this, load(&parts[half * PARTS + part - 1])) }
        })
    })
}
