//! Winograd's transforms of patches and products.

use super::taps::VectorFinish;
use super::{Finish, FloatVector, Portable, portable};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};

/// Of a patch `[4, 4]`.
pub(crate) const POSITIONS: usize = 16;

/// Neighbouring patches.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PatchRun {
    /// Where the first one begins in the plane.
    pub(crate) source: usize,
    /// Where the transformed first one goes, within a position.
    pub(crate) place: usize,
    pub(crate) len: usize,
}

/// Patches of one plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Patches<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) row_len: usize,
    pub(crate) runs: &'a [PatchRun],
}

/// `Bt d B` of patches `d`, with `Bt = [1 0 -1 0; 0 1 1 0; 0 -1 1 0; 0 1 0 -1]`, to `[POSITIONS][position_len]`.
///
/// Runs are written in whole vectors, one after the other: what comes behind a run is overwritten.
///
/// # Panics
/// If the last vector of a run is not within the values and the positions.
pub(crate) fn transform_patches(
    isa: Isa,
    patches: &Patches<'_>,
    transformed: &mut [f32],
    position_len: usize,
) {
    match isa {
        Isa::Scalar => portable::transform_patches(Portable, patches, transformed, position_len),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::transform_float_patches(proof, patches, transformed, position_len),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => {
            avx2::transform_float_patches(proof.avx2(), patches, transformed, position_len);
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => {
            avx512::transform_float_patches(proof, patches, transformed, position_len);
        }
    }
}

/// [`transform_patches`] in vectors of `F`.
#[inline(always)]
pub(in crate::kernels) fn transform_patches_with<F: FloatVector>(
    isa: F,
    patches: &Patches<'_>,
    transformed: &mut [f32],
    position_len: usize,
) {
    let Patches { values, row_len, runs } = *patches;
    for run in runs {
        let len = run.len.next_multiple_of(F::LANES);
        assert!(run.source + 3 * row_len + 2 * len + 2 <= values.len());
        assert!((POSITIONS - 1) * position_len + run.place + len <= transformed.len());
        for first in (0..len).step_by(F::LANES) {
            let source = values.as_ptr().wrapping_add(run.source + 2 * first);
            let place = transformed.as_mut_ptr().wrapping_add(run.place + first);
            let load = |y: usize| -> [F::Vector; 4] {
                let pairs = |x: usize| {
                    let row = source.wrapping_add(y * row_len + x);
                    // SAFETY: the assertion above bounds the last row of the run's last patches.
                    unsafe { isa.unzip(isa.load(row), isa.load(row.wrapping_add(F::LANES))) }
                };
                let ([d0, d1], [d2, d3]) = (pairs(0), pairs(2));
                [d0, d1, d2, d3]
            };
            let store = |y: usize, [d0, d1, d2, d3]: [F::Vector; 4]| {
                let row = [isa.sub(d0, d2), isa.add(d1, d2), isa.sub(d2, d1), isa.sub(d1, d3)];
                for (x, vector) in row.into_iter().enumerate() {
                    // SAFETY: the assertion above bounds the run's last vector within the position.
                    unsafe { isa.store(place.wrapping_add((4 * y + x) * position_len), vector) };
                }
            };
            let sub = |a: [F::Vector; 4], b: [F::Vector; 4]| std::array::from_fn(|x| isa.sub(a[x], b[x]));
            let [d1, d2] = [load(1), load(2)];
            store(1, std::array::from_fn(|x| isa.add(d1[x], d2[x])));
            store(2, sub(d2, d1));
            store(0, sub(load(0), d2));
            store(3, sub(d1, load(3)));
        }
    }
}

/// `At m A` of the products `m` `[POSITIONS][position_len]` of neighbouring patches, with
/// `At = [1 1 1 0; 0 1 -1 -1]`, and what `finish` makes of it: two pixels of each patch go to each of the rows.
///
/// # Panics
/// If the rows are not equally long, or there are not products for them in whole vectors.
pub(crate) fn transform_products(
    isa: Isa,
    products: &[f32],
    position_len: usize,
    finish: Finish<'_>,
    rows: [&mut [f32]; 2],
) {
    match isa {
        Isa::Scalar => portable::transform_products(Portable, products, position_len, finish, rows),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::transform_float_products(proof, products, position_len, finish, rows),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => {
            avx2::transform_float_products(proof.avx2(), products, position_len, finish, rows);
        }
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => {
            avx512::transform_float_products(proof, products, position_len, finish, rows);
        }
    }
}

/// [`transform_products`] in vectors of `F`.
#[inline(always)]
pub(in crate::kernels) fn transform_products_with<F: FloatVector>(
    isa: F,
    products: &[f32],
    position_len: usize,
    finish: Finish<'_>,
    [upper, lower]: [&mut [f32]; 2],
) {
    let patches = upper.len() / 2;
    assert!(upper.len() == lower.len() && upper.len().is_multiple_of(2 * F::LANES));
    assert!((POSITIONS - 1) * position_len + patches <= products.len());
    let finish = VectorFinish::new(isa, &finish);
    for first in (0..patches).step_by(F::LANES) {
        let products = products.as_ptr().wrapping_add(first);
        let column = |x: usize| {
            let [m0, m1, m2, m3] = std::array::from_fn(|y| {
                // SAFETY: the assertion above bounds the last vector of the last position.
                unsafe { isa.load(products.wrapping_add((4 * y + x) * position_len)) }
            });
            [isa.add(isa.add(m0, m1), m2), isa.sub(isa.sub(m1, m2), m3)]
        };
        let columns = [column(0), column(1), column(2), column(3)];
        for (y, row) in [&mut *upper, &mut *lower].into_iter().enumerate() {
            let [m0, m1, m2, m3] = columns.map(|column| column[y]);
            let left = finish.apply(isa, isa.add(isa.add(m0, m1), m2));
            let right = finish.apply(isa, isa.sub(isa.sub(m1, m2), m3));
            let row = row.as_mut_ptr().wrapping_add(2 * first);
            for (half, vector) in isa.zip(left, right).into_iter().enumerate() {
                // SAFETY: the rows are whole pairs of vectors.
                unsafe { isa.store(row.wrapping_add(half * F::LANES), vector) };
            }
        }
    }
}
