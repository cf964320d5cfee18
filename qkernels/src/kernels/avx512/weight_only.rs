//! Weights of 8 or 4 bits, widened to 16 bits in registers.

use std::arch::x86_64::*;

use crate::isa::Avx512Vnni;
use crate::kernels::weight_only::{Activations, Panel};
use crate::panel::PANEL;
use crate::weight_only::WeightBits;

/// [`multiply_panel`](crate::kernels::weight_only::multiply_panel) on AVX-512.
pub(crate) fn multiply_weight_only(
    _: Avx512Vnni,
    panel: &Panel<'_>,
    activations: &Activations<'_>,
) -> [f32; PANEL] {
    // SAFETY: the proof exists only where these instructions were detected.
    unsafe {
        match panel.bits {
            WeightBits::Four => multiply::<4>(panel, activations),
            WeightBits::Eight => multiply::<8>(panel, activations),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn multiply<const BITS: u32>(panel: &Panel<'_>, activations: &Activations<'_>) -> [f32; PANEL] {
    let mask = _mm512_set1_epi16((1 << BITS) - 1);
    let mut totals = _mm512_setzero_ps();
    for (index, block) in panel.blocks.iter().enumerate() {
        let (words, pairs) = panel.block(block, activations);
        let mut sums = [_mm512_setzero_si512(); 2];
        let of_word = 16 / BITS as usize;
        for (words, pairs) in words.iter().zip(pairs.chunks_exact(of_word)) {
            // SAFETY: the words are a vector.
            let mut words = unsafe { _mm512_loadu_si512(words.as_ptr().cast()) };
            for (i, pair) in pairs.iter().enumerate() {
                // SAFETY: a pair is 32 bits.
                let pair = _mm512_set1_epi32(unsafe { pair.as_ptr().cast::<i32>().read_unaligned() });
                let is_last = i + 1 == of_word;
                let weights = if is_last { words } else { _mm512_and_si512(words, mask) };
                sums[i % 2] = _mm512_dpwssd_epi32(sums[i % 2], weights, pair);
                words = if BITS == 4 { _mm512_srli_epi16::<4>(words) } else { _mm512_srli_epi16::<8>(words) };
            }
        }
        let sums = _mm512_add_epi32(sums[0], sums[1]);
        let sums = _mm512_sub_epi32(sums, _mm512_set1_epi32(panel.excess(activations.sums[index])));
        let values = _mm512_mul_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(activations.scales[index]));
        // SAFETY: the scales of a block are a vector.
        let scales = unsafe { _mm512_loadu_ps(panel.scales[index].as_ptr()) };
        totals = _mm512_fmadd_ps(values, scales, totals);
    }
    let mut output = [0.0; PANEL];
    // SAFETY: the output is a vector.
    unsafe { _mm512_storeu_ps(output.as_mut_ptr(), totals) };
    output
}
