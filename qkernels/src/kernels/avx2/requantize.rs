//! Requantization of the sums of a panel with AVX2: the scalar formulas, eight channels at a time.
//!
//! Every step is the same float operation in the same order, products and sums are not fused.
//! `maxps(x, low)` and `minps(x, high)` are the scalar clamp word by word, NaN included, and
//! `vcvtps2dq` rounds half to even.

use std::arch::x86_64::*;

use crate::gemm::{AddAndRequantize, FinishedPanel, PANEL};
use crate::isa::Avx2;
use crate::kernels::Sums;
use crate::requantize::{Channels, Requantization};

/// [`Epilogue::finish_panel`](crate::gemm::Epilogue::finish_panel) of a requantization, with or without
/// a fused addition.
pub(crate) fn requantize_panel(
    _: Avx2,
    requantization: &Requantization,
    addition: Option<&AddAndRequantize<'_>>,
    panel: &FinishedPanel<'_>,
    output: &mut [u8],
) {
    // SAFETY: the token exists only where AVX2 was detected.
    unsafe {
        match (&requantization.channels, addition) {
            (Channels::Fbgemm { bias, multiplier }, _) => {
                fbgemm(requantization, bias, multiplier, panel, output);
            }
            (Channels::Qnnpack { bias, multiplier }, _) => {
                qnnpack(requantization, bias, multiplier, panel, output);
            }
            (Channels::Onednn { scale, bias, inverse_output_scale }, None) => {
                onednn(requantization, [scale, bias], *inverse_output_scale, panel, output, |_, _, v| v);
            }
            (Channels::Onednn { scale, bias, inverse_output_scale }, Some(addition)) => {
                let constants = [scale.as_slice(), bias];
                onednn(
                    requantization,
                    constants,
                    *inverse_output_scale,
                    panel,
                    output,
                    |row, half, value| {
                        let addend =
                            addition.addend(panel.first_row + row, panel.first_column, panel.columns);
                        add_dequantized(addition, addend, half, value)
                    },
                );
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn fbgemm(
    requantization: &Requantization,
    bias: &[f32],
    multiplier: &[f32],
    panel: &FinishedPanel<'_>,
    output: &mut [u8],
) {
    let [bias, multiplier] = [bias, multiplier].map(|constants| load_constants(panel, constants));
    let limits = Limits::before_zero_point(requantization);
    finish_rows(panel, &limits, output, |_, half, sums| {
        _mm256_mul_ps(_mm256_add_ps(_mm256_cvtepi32_ps(sums), bias[half]), multiplier[half])
    });
}

#[target_feature(enable = "avx2")]
fn qnnpack(
    requantization: &Requantization,
    bias: &[i32],
    multiplier: &[f32],
    panel: &FinishedPanel<'_>,
    output: &mut [u8],
) {
    let mut padded = [0; PANEL];
    padded[..panel.columns].copy_from_slice(&bias[panel.first_column..][..panel.columns]);
    let bias = load_sums(&padded);
    let multiplier = load_constants(panel, multiplier);
    let limits = Limits::before_zero_point(requantization);
    finish_rows(panel, &limits, output, |_, half, sums| {
        let sums = add_saturating(sums, bias[half]);
        _mm256_mul_ps(_mm256_cvtepi32_ps(sums), multiplier[half])
    });
}

#[target_feature(enable = "avx2")]
fn onednn(
    requantization: &Requantization,
    [scale, bias]: [&[f32]; 2],
    inverse_output_scale: f32,
    panel: &FinishedPanel<'_>,
    output: &mut [u8],
    add: impl Fn(usize, usize, __m256) -> __m256,
) {
    let [scale, bias] = [scale, bias].map(|constants| load_constants(panel, constants));
    let inverse_output_scale = _mm256_set1_ps(inverse_output_scale);
    let zero_point = _mm256_set1_ps(requantization.zero_point as f32);
    let relu = requantization.relu;
    let limits = Limits::after_zero_point(requantization);
    finish_rows(panel, &limits, output, |row, half, sums| {
        let value = _mm256_add_ps(_mm256_mul_ps(_mm256_cvtepi32_ps(sums), scale[half]), bias[half]);
        let value = add(row, half, value);
        // -0.0 stays in the definition and becomes 0.0 here; the zero point added next hides it.
        let value = if relu { _mm256_max_ps(value, _mm256_setzero_ps()) } else { value };
        _mm256_add_ps(_mm256_mul_ps(value, inverse_output_scale), zero_point)
    });
}

/// `value + f32(f32(q - z) * s)` of one half of a row's addend.
#[target_feature(enable = "avx2")]
fn add_dequantized(addition: &AddAndRequantize<'_>, addend: &[u8], half: usize, value: __m256) -> __m256 {
    let mut padded = [0; PANEL];
    padded[..addend.len()].copy_from_slice(addend);
    let bytes: &[u8; 8] = &padded.as_chunks().0[half];
    let qparams = addition.addend.qparams;
    let q = _mm256_cvtepu8_epi32(_mm_cvtsi64_si128(i64::from_le_bytes(*bytes)));
    let centred = _mm256_sub_epi32(q, _mm256_set1_epi32(qparams.zero_point));
    let dequantized = _mm256_mul_ps(_mm256_cvtepi32_ps(centred), _mm256_set1_ps(qparams.scale));
    _mm256_add_ps(value, dequantized)
}

/// `clamp(rne(value), low, high) + offset`.
struct Limits {
    low: f32,
    high: f32,
    offset: i32,
}

impl Limits {
    /// The zero point is added to the rounded value; at most 255 in magnitude, the limits make the
    /// saturations to `i16` in the definition change nothing.
    fn before_zero_point(requantization: &Requantization) -> Self {
        let Requantization { low, high, zero_point, .. } = *requantization;
        Self { low: (low - zero_point) as f32, high: (high - zero_point) as f32, offset: zero_point }
    }

    /// The zero point is part of the value.
    fn after_zero_point(requantization: &Requantization) -> Self {
        Self { low: requantization.low as f32, high: requantization.high as f32, offset: 0 }
    }
}

/// Writes `clamp(rne(value(row, half, sums)))` for both halves of each row.
#[target_feature(enable = "avx2")]
fn finish_rows(
    panel: &FinishedPanel<'_>,
    limits: &Limits,
    output: &mut [u8],
    value: impl Fn(usize, usize, __m256i) -> __m256,
) {
    let (low, high) = (_mm256_set1_ps(limits.low), _mm256_set1_ps(limits.high));
    let offset = _mm256_set1_epi32(limits.offset);
    for (row, sums) in panel.sums.iter().enumerate() {
        let [s0, s1] = load_sums(sums);
        let [q0, q1] = [(0, s0), (1, s1)].map(|(half, sums)| {
            let value = _mm256_min_ps(_mm256_max_ps(value(row, half, sums), low), high);
            _mm256_add_epi32(_mm256_cvtps_epi32(value), offset)
        });
        // [0-3 8-11 | 4-7 12-15], then in order; all lie in 0..=255, so nothing saturates.
        let words = _mm256_permute4x64_epi64::<0xd8>(_mm256_packs_epi32(q0, q1));
        let bytes = _mm_packus_epi16(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
        let output = &mut output[row * panel.width..][..panel.columns];
        if let Ok(output) = <&mut [u8; PANEL]>::try_from(&mut *output) {
            store_bytes(bytes, output);
        } else {
            let mut padded = [0; PANEL];
            store_bytes(bytes, &mut padded);
            output.copy_from_slice(&padded[..output.len()]);
        }
    }
}

/// `saturating_add`: a sum that wrapped around has another sign than both operands.
#[target_feature(enable = "avx2")]
fn add_saturating(a: __m256i, b: __m256i) -> __m256i {
    let sum = _mm256_add_epi32(a, b);
    let wrapped = _mm256_and_si256(_mm256_xor_si256(a, sum), _mm256_xor_si256(b, sum));
    let limit = _mm256_xor_si256(_mm256_srai_epi32::<31>(a), _mm256_set1_epi32(i32::MAX));
    let [sum, limit, wrapped] = [sum, limit, wrapped].map(|x| _mm256_castsi256_ps(x));
    _mm256_castps_si256(_mm256_blendv_ps(sum, limit, wrapped))
}

/// The constants of the panel's columns, filled up with zeros.
#[target_feature(enable = "avx2")]
fn load_constants(panel: &FinishedPanel<'_>, constants: &[f32]) -> [__m256; 2] {
    let mut padded = [0.0_f32; PANEL];
    padded[..panel.columns].copy_from_slice(&constants[panel.first_column..][..panel.columns]);
    let pointer = padded.as_ptr();
    // SAFETY: sixteen floats are two vectors.
    unsafe { [_mm256_loadu_ps(pointer), _mm256_loadu_ps(pointer.add(8))] }
}

#[target_feature(enable = "avx2")]
fn load_sums(sums: &Sums) -> [__m256i; 2] {
    let pointer = sums.as_ptr().cast::<__m256i>();
    // SAFETY: sixteen sums are two vectors.
    unsafe { [_mm256_loadu_si256(pointer), _mm256_loadu_si256(pointer.add(1))] }
}

#[target_feature(enable = "avx2")]
fn store_bytes(bytes: __m128i, output: &mut [u8; PANEL]) {
    // SAFETY: the array has 16 bytes.
    unsafe { _mm_storeu_si128(output.as_mut_ptr().cast(), bytes) };
}
