//! Rows dealt out, every second value to one of two places.

use super::{FloatVector, Portable, Rows, portable};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};

/// Where values of each row go.
#[derive(Debug)]
pub(crate) struct Unzipped<'a> {
    /// The first, third, ... and the second, fourth, ... of each row.
    pub(crate) values: [&'a mut [f32]; 2],
    /// How many of each row.
    pub(crate) lens: [usize; 2],
    /// From one row to the next.
    pub(crate) stride: usize,
}

/// Deals as many rows out as there is place for: `values[0][i] = from[2 * i]` and `values[1][i] = from[2 * i + 1]`.
///
/// # Panics
/// If a row is too short.
pub(crate) fn unzip_rows(isa: Isa, from: Rows<'_>, to: Unzipped<'_>) {
    match isa {
        Isa::Scalar => portable::unzip_rows(Portable, from, to),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::unzip_float_rows(proof, from, to),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::unzip_float_rows(proof.avx2(), from, to),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => avx512::unzip_float_rows(proof, from, to),
    }
}

/// [`unzip_rows`] in vectors of `F`, or of four for shorter rows.
#[inline(always)]
pub(in crate::kernels) fn unzip_rows_with<F: FloatVector>(isa: F, from: Rows<'_>, to: Unzipped<'_>) {
    let [first, second] = to.values;
    let pairs = to.lens[0].min(to.lens[1]);
    let rows = first.chunks_mut(to.stride).zip(second.chunks_mut(to.stride));
    for (from, (first, second)) in from.values.chunks(from.stride).zip(rows) {
        let (first, second) = (&mut first[..to.lens[0]], &mut second[..to.lens[1]]);
        let done = if pairs >= F::LANES {
            unzip(isa, from, [&mut first[..pairs], &mut second[..pairs]]);
            pairs
        } else if pairs >= Portable::LANES {
            unzip(Portable, from, [&mut first[..pairs], &mut second[..pairs]]);
            pairs
        } else {
            0
        };
        for (place, to) in first.iter_mut().enumerate().skip(done) {
            *to = from[2 * place];
        }
        for (place, to) in second.iter_mut().enumerate().skip(done) {
            *to = from[2 * place + 1];
        }
    }
}

/// Pairs that fill a vector or more.
#[inline(always)]
fn unzip<F: FloatVector>(isa: F, from: &[f32], [first, second]: [&mut [f32]; 2]) {
    let pairs = first.len();
    assert!(F::LANES <= pairs && pairs == second.len() && 2 * pairs <= from.len());
    let mut unzip_from = |pair: usize| {
        // SAFETY: `pair` is at most `pairs - LANES`, so that two vectors can be read, and one be written to each.
        unsafe {
            let from = from.as_ptr().add(2 * pair);
            let [firsts, seconds] = isa.unzip(isa.load(from), isa.load(from.add(F::LANES)));
            isa.store(first.as_mut_ptr().add(pair), firsts);
            isa.store(second.as_mut_ptr().add(pair), seconds);
        }
    };
    for pair in (0..pairs - F::LANES).step_by(F::LANES) {
        unzip_from(pair);
    }
    // The last vector overlaps the one before it.
    unzip_from(pairs - F::LANES);
}
