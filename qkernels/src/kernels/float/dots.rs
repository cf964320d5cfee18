//! Dot products of a few rows with a few others: vectors of weights times vectors of values.

use super::{FloatVector, Portable, Rows, portable};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};

/// Rows of [`dot_tile`], if it has not one only.
pub(crate) const DOT_ROWS: usize = 3;

/// The most columns of [`dot_tile`].
pub(crate) const DOT_COLUMNS: usize = 4;

/// Dot products of each row of `left` with each of `right`.
pub(crate) type Dots = [[f32; DOT_COLUMNS]; DOT_ROWS];

/// The dot products, of `depth` floats, of some rows of `left`, one or [`DOT_ROWS`], with some of `right`.
pub(crate) fn dot_tile(isa: Isa, size: [usize; 2], left: Rows<'_>, right: Rows<'_>, depth: usize) -> Dots {
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
    for k in (0..whole).step_by(F::LANES) {
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
