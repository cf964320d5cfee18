//! Winograd's transforms of images and products with AVX2.

use std::arch::x86_64::*;

use crate::isa::Avx2;
use crate::panel::Sums;

/// Channels of a vector.
const LANES: usize = 16;

/// `Bt d B` of neighbouring patches, with `Bt = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]`.
///
/// `rows` are the four rows of pixels of the patches, from the first patch on, with `channels` of each pixel; a patch
/// is four pixels wide and begins two pixels after the one before. `transformed` is `[16][position_len]`, each
/// position begins with `[patches][channels]`.
pub(crate) fn transform_patches(
    _: Avx2,
    rows: [&[u8]; 4],
    channels: usize,
    patches: usize,
    transformed: &mut [i16],
    position_len: usize,
) {
    assert!(patches > 0 && channels >= LANES && patches * channels <= position_len);
    assert!(rows.iter().all(|row| row.len() >= (2 * patches + 2) * channels));
    assert!(transformed.len() >= 15 * position_len + patches * channels);
    let transformed = transformed.as_mut_ptr();
    for patch in 0..patches {
        let pixels = rows.map(|row| row[2 * patch * channels..].as_ptr());
        // SAFETY: four pixels begin at `2 * patch`, which is at most `2 * patches - 2`, and the rows have
        // `2 * patches + 2`; the last position has room for all patches, as the assertions say. The proof exists only
        // where AVX2 was detected.
        unsafe { transform_patch(pixels, channels, transformed.add(patch * channels), position_len) };
    }
}

/// # Safety
/// Four pixels of `channels` bytes, at least 16, can be read from each of the `rows`, and from `transformed` on so
/// many words can be written at 16 places `position_len` words apart.
#[target_feature(enable = "avx2")]
unsafe fn transform_patch(rows: [*const u8; 4], channels: usize, transformed: *mut i16, position_len: usize) {
    let mut channel = 0;
    while channel < channels {
        // The last vector may overlap the one before.
        let first = channel.min(channels - LANES);
        let load = |row: usize| -> [__m256i; 4] {
            std::array::from_fn(|x| {
                // SAFETY: sixteen channels from `first` on are in the pixel.
                let bytes = unsafe { _mm_loadu_si128(rows[row].add(x * channels + first).cast()) };
                _mm256_cvtepu8_epi16(bytes)
            })
        };
        let store = |y: usize, [d0, d1, d2, d3]: [__m256i; 4]| {
            let row = [
                _mm256_sub_epi16(d0, d2),
                _mm256_add_epi16(d1, d2),
                _mm256_sub_epi16(d2, d1),
                _mm256_sub_epi16(d1, d3),
            ];
            for (x, vector) in row.into_iter().enumerate() {
                // SAFETY: as for `load`, at one of the 16 places.
                unsafe {
                    let place = transformed.add((4 * y + x) * position_len + first);
                    _mm256_storeu_si256(place.cast(), vector);
                }
            }
        };
        let subtract = |a: [__m256i; 4], b: [__m256i; 4]| -> [__m256i; 4] {
            std::array::from_fn(|x| _mm256_sub_epi16(a[x], b[x]))
        };
        let (d1, d2) = (load(1), load(2));
        store(1, std::array::from_fn(|x| _mm256_add_epi16(d1[x], d2[x])));
        store(2, subtract(d2, d1));
        store(0, subtract(load(0), d2));
        store(3, subtract(d1, load(3)));
        channel += LANES;
    }
}

/// `At m A / 4` of neighbouring patches with one panel, with `At = [1 1 1 0; 0 1 -1 -1]`.
///
/// `products` is `[16][position_len]`, each position begins with the sums of each patch. The upper two pixels of each
/// patch go to `upper`, the lower two to `lower`.
pub(crate) fn transform_products(
    _: Avx2,
    products: &[Sums],
    position_len: usize,
    upper: &mut [[Sums; 2]],
    lower: &mut [[Sums; 2]],
) {
    let patches = upper.len();
    assert!(lower.len() == patches && patches <= position_len);
    assert!(products.len() >= 15 * position_len + patches);
    for (patch, (upper, lower)) in upper.iter_mut().zip(lower).enumerate() {
        // SAFETY: the last position has as many patches, by the assertions; the proof exists only where AVX2 was
        // detected.
        unsafe { transform_product(products.as_ptr().add(patch), position_len, [upper, lower]) };
    }
}

/// # Safety
/// The sums of a panel can be read at 16 places `position_len` sums apart.
#[target_feature(enable = "avx2")]
unsafe fn transform_product(products: *const Sums, position_len: usize, pixels: [&mut [Sums; 2]; 2]) {
    let [upper, lower] = pixels.map(|pixels| pixels.as_mut_ptr().cast::<__m256i>());
    for half in 0..2 {
        let load = |y: usize, x: usize| {
            // SAFETY: a half of the sums at one of the 16 places.
            unsafe {
                _mm256_loadu_si256(products.add((4 * y + x) * position_len).cast::<__m256i>().add(half))
            }
        };
        let column = |x: usize| {
            let [m0, m1, m2, m3] = [load(0, x), load(1, x), load(2, x), load(3, x)];
            let upper = _mm256_add_epi32(_mm256_add_epi32(m0, m1), m2);
            let lower = _mm256_sub_epi32(_mm256_sub_epi32(m1, m2), m3);
            [upper, lower]
        };
        let columns = [column(0), column(1), column(2), column(3)];
        for (row, pixels) in [upper, lower].into_iter().enumerate() {
            let [m0, m1, m2, m3] = columns.map(|column| column[row]);
            let left = _mm256_add_epi32(_mm256_add_epi32(m0, m1), m2);
            let right = _mm256_sub_epi32(_mm256_sub_epi32(m1, m2), m3);
            // SAFETY: a row has two pixels of two vectors each.
            unsafe {
                _mm256_storeu_si256(pixels.add(half), _mm256_srai_epi32::<2>(left));
                _mm256_storeu_si256(pixels.add(2 + half), _mm256_srai_epi32::<2>(right));
            }
        }
    }
}
