//! Dot products of a few rows with a few others: vectors of weights times vectors of values.

use super::{FloatVector, LINE, Portable, Rows, portable, prefetch_line};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};

/// Rows of [`dot_tile`], if it has not one only.
pub(crate) const DOT_ROWS: usize = 3;

/// The most columns of [`dot_tile`].
pub(crate) const DOT_COLUMNS: usize = 4;

/// Dot products of each row of `left` with each of `right`.
pub(crate) type Dots = [[f32; DOT_COLUMNS]; DOT_ROWS];

/// Products that are added up in a vector: where there are more, the error of a sum grows with their parts.
const SUMMED: usize = 1 << 13;

/// Floats from those that are multiplied to those that are fetched: the next rows, or what comes of long ones. A
/// processor sees by itself what it will need of a row, but not of the next one.
const AHEAD: usize = 4096;

/// The dot products, of `depth` floats, of some rows of `left`, one or [`DOT_ROWS`], with some of `right`.
pub(crate) fn dot_tile(isa: Isa, size: [usize; 2], left: Rows<'_>, right: Rows<'_>, depth: usize) -> Dots {
    if depth <= SUMMED {
        return dot_part(isa, size, left, right, depth);
    }
    let mut sums = [[0.0_f64; DOT_COLUMNS]; DOT_ROWS];
    for first in (0..depth).step_by(SUMMED) {
        let [left, right] = [left, right].map(|rows| Rows { values: &rows.values[first..], ..rows });
        let part = dot_part(isa, size, left, right, SUMMED.min(depth - first));
        for (sum, part) in sums.as_flattened_mut().iter_mut().zip(part.as_flattened()) {
            *sum += f64::from(*part);
        }
    }
    sums.map(|sums| sums.map(|sum| sum as f32))
}

/// [`dot_tile`] in one sum.
#[inline(always)]
fn dot_part(isa: Isa, size: [usize; 2], left: Rows<'_>, right: Rows<'_>, depth: usize) -> Dots {
    match isa {
        Isa::Scalar => portable::dot_tile(Portable, size, left, right, depth),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::dot_float_tile(proof, size, left, right, depth),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::dot_float_tile(proof.avx2(), size, left, right, depth),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => {
            avx512::dot_float_tile(proof, size, left, right, depth)
        }
    }
}

/// [`dot_tile`] for `R` and `C` rows.
#[inline(always)]
pub(in crate::kernels) fn dot_sized<F: FloatVector, const R: usize, const C: usize>(
    isa: F,
    left: Rows<'_>,
    right: Rows<'_>,
    depth: usize,
) -> Dots {
    left.check(R, depth);
    right.check(C, depth);
    let mut sums = [[isa.splat(0.0); C]; R];
    let whole = depth / F::LANES * F::LANES;
    let ahead = left.values.as_ptr().wrapping_add((R * left.stride).min(AHEAD));
    for k in (0..whole).step_by(F::LANES) {
        if k.is_multiple_of(LINE) {
            (0..R).for_each(|r| prefetch_line(ahead.wrapping_add(r * left.stride + k)));
        }
        // SAFETY: `check` has seen that each row has `depth` floats, here and below.
        let weights: [F::Vector; R] =
            std::array::from_fn(|r| unsafe { isa.load(left.values.as_ptr().add(r * left.stride + k)) });
        for c in 0..C {
            // SAFETY: as above.
            let values = unsafe { isa.load(right.values.as_ptr().add(c * right.stride + k)) };
            for (sums, &weights) in sums.iter_mut().zip(&weights) {
                sums[c] = isa.multiply_add(weights, values, sums[c]);
            }
        }
    }
    // Rows and columns of a known number, without which the sums are kept in memory.
    let mut dots = Dots::default();
    for (dots, sums) in dots.iter_mut().zip(sums) {
        for (dot, sum) in dots.iter_mut().zip(sums) {
            *dot = isa.sum(sum);
        }
    }
    for k in whole..depth {
        for (r, dots) in dots.iter_mut().enumerate().take(R) {
            for (c, dot) in dots.iter_mut().enumerate().take(C) {
                *dot += left.values[r * left.stride + k] * right.values[c * right.stride + k];
            }
        }
    }
    dots
}
