//! The filter of one channel over a plane.

use super::{Finish, FloatTile, FloatVector, Portable, portable};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};

/// What a filter sees of a plane.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps<'a> {
    /// Rows of `row_len`.
    pub(crate) values: &'a [f32],
    pub(crate) row_len: usize,
    /// Where each tap lies, seen from the first value of its window.
    pub(crate) offsets: &'a [usize],
    /// The weight of each tap.
    pub(crate) filter: &'a [f32],
    /// For one row: all sums are of one channel.
    pub(crate) finish: Finish<'a>,
}

/// Sets row `y` of `output`, of `width`, at `x` to the sum of `filter[t] * values[offsets[t] + y * row_len + x]`.
///
/// # Panics
/// If there are no `MOST_COLUMNS` values behind the last window.
pub(crate) fn sum_taps(isa: Isa, taps: &Taps<'_>, width: usize, output: &mut [f32]) {
    match isa {
        Isa::Scalar => portable::sum_taps(Portable, taps, width, output),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2(proof) => avx2::sum_float_taps(proof, taps, width, output),
        #[cfg(target_arch = "x86_64")]
        Isa::AvxVnni(proof) => avx2::sum_float_taps(proof.avx2(), taps, width, output),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(proof) => avx512::sum_float_taps(proof, taps, width, output),
    }
}

/// [`sum_taps`] on one instruction set.
#[inline(always)]
pub(in crate::kernels) fn sum_taps_of<F: FloatVector>(
    isa: F,
    taps: &Taps<'_>,
    width: usize,
    output: &mut [f32],
) {
    let rows = output.len() / width;
    let last = taps.offsets.iter().max().map_or(0, |offset| offset + (rows - 1) * taps.row_len + width - 1);
    assert!(last + FloatTile::MOST_COLUMNS <= taps.values.len() && taps.offsets.len() == taps.filter.len());
    for y in 0..rows {
        let mut x = 0;
        while x < width {
            let window = y * taps.row_len + x;
            let place = y * width + x;
            // What lies beyond the end of the row is overwritten by the next one.
            x += if width - x > F::LANES {
                sum_taps_at::<F, 2>(isa, taps, window, &mut output[place..])
            } else {
                sum_taps_at::<F, 1>(isa, taps, window, &mut output[place..])
            };
        }
    }
}

/// Sets `V` vectors of sums, or so many as there are; how many values they are.
#[inline(always)]
fn sum_taps_at<F: FloatVector, const V: usize>(
    isa: F,
    taps: &Taps<'_>,
    window: usize,
    output: &mut [f32],
) -> usize {
    let len = V * F::LANES;
    let values = taps.values[window..].as_ptr();
    let mut sums = [isa.splat(0.0); V];
    for (&offset, &weight) in taps.offsets.iter().zip(taps.filter) {
        let weight = isa.splat(weight);
        for (v, sum) in sums.iter_mut().enumerate() {
            // SAFETY: `sum_taps_of` has seen that behind the last tap of the last window there are enough values.
            let values = unsafe { isa.load(values.add(offset + v * F::LANES)) };
            *sum = isa.multiply_add(weight, values, *sum);
        }
    }
    let [scale, offset] = taps.finish.affine[0].map(|value| isa.splat(value));
    let [low, high] = taps.finish.limits.map(|value| isa.splat(value));
    let mut rest = [0.0; FloatTile::MOST_COLUMNS];
    let whole = output.len() >= len;
    let to = if whole { output.as_mut_ptr() } else { rest.as_mut_ptr() };
    for (v, &sum) in sums.iter().enumerate() {
        let sum = isa.clamp(isa.multiply_add(sum, scale, offset), low, high);
        // SAFETY: both have place for `len` values.
        unsafe { isa.store(to.add(v * F::LANES), sum) };
    }
    if !whole {
        output.copy_from_slice(&rest[..output.len()]);
    }
    len
}
