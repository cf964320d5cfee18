//! The filter of one channel over a plane.

use super::{Finish, FloatTile, FloatVector, Portable, portable};
use crate::isa::Isa;
#[cfg(target_arch = "x86_64")]
use crate::kernels::{avx2, avx512};

/// The values of a plane that a filter sees.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Taps<'a> {
    /// Rows of `row_len`.
    pub(crate) values: &'a [f32],
    pub(crate) row_len: usize,
    /// Where each row and each column of taps lies, seen from the first value of its window.
    pub(crate) offsets: [&'a [usize]; 2],
    /// The weight of each tap, `[rows, columns]`.
    pub(crate) filter: &'a [f32],
    /// For one row: all sums are of one channel.
    pub(crate) finish: Finish<'a>,
}

/// Sets row `y` of `output`, of `width`, at `x` to the sum of what the taps see in the window that begins at
/// `y * row_len + x`, each times its weight.
///
/// # Panics
/// If there are no `MAX_COLUMNS` values behind the last window, or the output is not whole rows.
pub(crate) fn sum_taps(isa: Isa, taps: &Taps<'_>, width: usize, output: &mut [f32]) {
    assert!(!output.is_empty() && output.len().is_multiple_of(width));
    assert_eq!(taps.filter.len(), taps.offsets[0].len() * taps.offsets[1].len());
    let window: usize = taps.offsets.iter().filter_map(|offsets| offsets.iter().max()).sum();
    let last = window + (output.len() / width - 1) * taps.row_len + width - 1;
    assert!(last + FloatTile::MAX_COLUMNS <= taps.values.len());
    let lanes = FloatTile::of(isa).lanes;
    let mut x = 0;
    while x < width {
        let vectors = if width - x <= lanes { 1 } else { 2 };
        // The last strip ends where the row ends, if that is as long.
        let start = x.min(width.saturating_sub(vectors * lanes));
        let output = &mut output[start..];
        // SAFETY: what the last tap sees at the end of the last row is within the values, with the widest strip
        // behind it.
        unsafe {
            match isa {
                Isa::Scalar => portable::sum_strip(Portable, vectors, taps, start, width, output),
                #[cfg(target_arch = "x86_64")]
                Isa::Avx2(proof) => avx2::sum_float_strip(proof, vectors, taps, start, width, output),
                #[cfg(target_arch = "x86_64")]
                Isa::AvxVnni(proof) => {
                    avx2::sum_float_strip(proof.avx2(), vectors, taps, start, width, output)
                }
                #[cfg(target_arch = "x86_64")]
                Isa::Avx512Vnni(proof) | Isa::Amx(proof, _) => {
                    avx512::sum_float_strip(proof, vectors, taps, start, width, output)
                }
            }
        }
        x += vectors * lanes;
    }
}

/// Sets `V` vectors of each row, those from column `start` on, at the beginning of `output`.
///
/// # Safety
/// What the taps see in these windows can be read.
#[inline(always)]
pub(in crate::kernels) unsafe fn sum_strip_sized<F: FloatVector, const V: usize>(
    isa: F,
    taps: &Taps<'_>,
    start: usize,
    width: usize,
    output: &mut [f32],
) {
    let finish = VectorFinish::new(isa, &taps.finish);
    let first = taps.values[start..].as_ptr();
    let Taps { row_len, offsets, .. } = *taps;
    // SAFETY: the caller answers for the windows, here and below.
    unsafe {
        match (offsets, taps.filter.first_chunk::<9>()) {
            // The filter stays in registers.
            ([&[top, middle, bottom], &[left, center, right]], Some(filter)) => {
                let filter = filter.map(|weight| isa.splat(weight));
                if [middle, bottom] == [top + row_len, top + 2 * row_len] {
                    let columns = [left, center, right];
                    let first = first.wrapping_add(top);
                    let windows = Overlapping::<F, V>::new(isa, first, row_len, columns, filter);
                    store_sums(isa, windows, &finish, width, output);
                } else {
                    let offsets = [&[top, middle, bottom][..], &[left, center, right]];
                    let windows = Separate { first, row_len, offsets, filter: filter.into_iter() };
                    store_sums::<F, V>(isa, windows, &finish, width, output);
                }
            }
            _ => {
                let filter = taps.filter.iter().map(|&weight| isa.splat(weight));
                store_sums::<F, V>(isa, Separate { first, row_len, offsets, filter }, &finish, width, output);
            }
        }
    }
}

/// Sets `V` vectors, or as many values as `output` has left, every `width` values. If a row is shorter, the next one
/// overwrites the values beyond its end.
///
/// # Safety
/// There are windows for all rows.
#[inline(always)]
unsafe fn store_sums<F: FloatVector, const V: usize>(
    isa: F,
    mut windows: impl Windows<F, V>,
    finish: &VectorFinish<F>,
    width: usize,
    output: &mut [f32],
) {
    let len = V * F::LANES;
    let rows = output.len().div_ceil(width);
    let whole = if output.len() < len { 0 } else { (output.len() - len) / width + 1 };
    for y in 0..whole {
        // SAFETY: the caller answers for the window; behind the first of the row there is place for all values.
        unsafe {
            let sums = windows.next(isa).map(|sum| finish.apply(isa, sum));
            store(isa, sums, output.as_mut_ptr().wrapping_add(y * width));
        }
    }
    for y in whole..rows {
        let mut row = [0.0; FloatTile::MAX_COLUMNS];
        // SAFETY: the caller answers for the window; no strip is wider than the row.
        unsafe {
            let sums = windows.next(isa).map(|sum| finish.apply(isa, sum));
            store(isa, sums, row.as_mut_ptr());
        }
        let output = &mut output[y * width..];
        let len = output.len();
        output.copy_from_slice(&row[..len]);
    }
}

/// A column of windows, each a row below the one before.
trait Windows<F: FloatVector, const V: usize> {
    /// The sums of the next one.
    ///
    /// # Safety
    /// `V` vectors can be read from what each tap sees in it.
    unsafe fn next(&mut self, isa: F) -> [F::Vector; V];
}

/// One after the other.
struct Separate<'a, W> {
    first: *const f32,
    row_len: usize,
    offsets: [&'a [usize]; 2],
    filter: W,
}

impl<F: FloatVector, W: Iterator<Item = F::Vector> + Clone, const V: usize> Windows<F, V>
    for Separate<'_, W>
{
    #[inline(always)]
    unsafe fn next(&mut self, isa: F) -> [F::Vector; V] {
        // In two parts that take turns, so that a product does not wait for the one before it.
        let [mut part, mut other] = [[isa.splat(0.0); V]; 2];
        let mut filter = self.filter.clone();
        for row in self.offsets[0] {
            for (column, weight) in self.offsets[1].iter().zip(&mut filter) {
                let seen = self.first.wrapping_add(row + column);
                for (v, sum) in part.iter_mut().enumerate() {
                    // SAFETY: the caller answers for it.
                    let values = unsafe { isa.load(seen.wrapping_add(v * F::LANES)) };
                    *sum = isa.multiply_add(weight, values, *sum);
                }
                std::mem::swap(&mut part, &mut other);
            }
        }
        self.first = self.first.wrapping_add(self.row_len);
        std::array::from_fn(|v| isa.add(part[v], other[v]))
    }
}

/// Of 3x3 filters whose rows see neighbouring rows: each of these is read once, for the three windows that see it.
struct Overlapping<F: FloatVector, const V: usize> {
    row: *const f32,
    row_len: usize,
    columns: [usize; 3],
    filter: [F::Vector; 9],
    /// The sums of the window that has seen its first row, and of the one that has seen two.
    under_way: [[F::Vector; V]; 2],
}

impl<F: FloatVector, const V: usize> Overlapping<F, V> {
    /// # Safety
    /// As of [`next`](Windows::next), for the first two rows.
    #[inline(always)]
    unsafe fn new(
        isa: F,
        row: *const f32,
        row_len: usize,
        columns: [usize; 3],
        filter: [F::Vector; 9],
    ) -> Self {
        let under_way = [[isa.splat(0.0); V]; 2];
        let mut windows = Self { row, row_len, columns, filter, under_way };
        for _ in 0..2 {
            // SAFETY: the caller answers for the rows.
            unsafe { windows.next(isa) };
        }
        windows
    }
}

impl<F: FloatVector, const V: usize> Windows<F, V> for Overlapping<F, V> {
    /// Those of the window that the next row is the last of.
    #[inline(always)]
    unsafe fn next(&mut self, isa: F) -> [F::Vector; V] {
        let [first, second] = self.under_way;
        let mut sums = [[isa.splat(0.0); V], first, second];
        for (x, &column) in self.columns.iter().enumerate() {
            for v in 0..V {
                // SAFETY: the caller answers for it.
                let values = unsafe { isa.load(self.row.wrapping_add(column + v * F::LANES)) };
                for (y, sums) in sums.iter_mut().enumerate() {
                    sums[v] = isa.multiply_add(self.filter[3 * y + x], values, sums[v]);
                }
            }
        }
        let [first, second, last] = sums;
        self.under_way = [first, second];
        self.row = self.row.wrapping_add(self.row_len);
        last
    }
}

/// # Safety
/// The vectors can be written to `to`, one after the other.
#[inline(always)]
unsafe fn store<F: FloatVector, const V: usize>(isa: F, vectors: [F::Vector; V], to: *mut f32) {
    for (v, vector) in vectors.into_iter().enumerate() {
        // SAFETY: the caller answers for it.
        unsafe { isa.store(to.wrapping_add(v * F::LANES), vector) };
    }
}

/// A [`Finish`] for vectors of one channel.
pub(super) struct VectorFinish<F: FloatVector> {
    scale: F::Vector,
    offset: F::Vector,
    limits: [F::Vector; 2],
}

impl<F: FloatVector> VectorFinish<F> {
    #[inline(always)]
    pub(super) fn new(isa: F, finish: &Finish<'_>) -> Self {
        let [scale, offset] = finish.affine[0].map(|value| isa.splat(value));
        Self { scale, offset, limits: finish.limits.map(|limit| isa.splat(limit)) }
    }

    #[inline(always)]
    pub(super) fn apply(&self, isa: F, sum: F::Vector) -> F::Vector {
        let [low, high] = self.limits;
        isa.clamp(isa.multiply_add(sum, self.scale, self.offset), low, high)
    }
}
