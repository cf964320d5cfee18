//! Weights of 8 or 4 bits, widened to 16 bits in registers.

use std::arch::x86_64::*;

use crate::isa::Avx2;
use crate::kernels::weight_only::{Activations, Panel};
use crate::panel::PANEL;
use crate::weight_only::WeightBits;

/// [`multiply_panel`](crate::kernels::weight_only::multiply_panel) on AVX2.
pub(crate) fn multiply_weight_only(
    _: Avx2,
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

#[target_feature(enable = "avx2,fma")]
fn multiply<const BITS: u32>(panel: &Panel<'_>, activations: &Activations<'_>) -> [f32; PANEL] {
    let mask = _mm256_set1_epi16((1 << BITS) - 1);
    let mut totals = [_mm256_setzero_ps(); 2];
    for (index, block) in panel.blocks.iter().enumerate() {
        let (words, pairs) = panel.block(block, activations);
        let mut sums = [_mm256_setzero_si256(); 2];
        let of_word = 16 / BITS as usize;
        for (words, pairs) in words.iter().zip(pairs.chunks_exact(of_word)) {
            let halves = words.as_ptr().cast::<__m256i>();
            // SAFETY: the words are two vectors.
            let mut halves = unsafe { [_mm256_loadu_si256(halves), _mm256_loadu_si256(halves.add(1))] };
            for (i, pair) in pairs.iter().enumerate() {
                // SAFETY: a pair is 32 bits.
                let pair = _mm256_set1_epi32(unsafe { pair.as_ptr().cast::<i32>().read_unaligned() });
                let is_last = i + 1 == of_word;
                for (sums, words) in sums.iter_mut().zip(&mut halves) {
                    let weights = if is_last { *words } else { _mm256_and_si256(*words, mask) };
                    *sums = _mm256_add_epi32(*sums, _mm256_madd_epi16(weights, pair));
                    *words = if BITS == 4 {
                        _mm256_srli_epi16::<4>(*words)
                    } else {
                        _mm256_srli_epi16::<8>(*words)
                    };
                }
            }
        }
        let excess = _mm256_set1_epi32(panel.excess(activations.sums[index]));
        let step = _mm256_set1_ps(activations.scales[index]);
        let (scales, _) = panel.scales[index].as_chunks::<8>();
        for ((totals, sums), scales) in totals.iter_mut().zip(sums).zip(scales) {
            let values = _mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(sums, excess)), step);
            // SAFETY: eight scales are a vector.
            *totals = _mm256_fmadd_ps(values, unsafe { _mm256_loadu_ps(scales.as_ptr()) }, *totals);
        }
    }
    let mut output = [0.0; PANEL];
    for (output, totals) in output.as_chunks_mut::<8>().0.iter_mut().zip(totals) {
        // SAFETY: eight outputs are a vector.
        unsafe { _mm256_storeu_ps(output.as_mut_ptr(), totals) };
    }
    output
}
