//! Copies of every `stride`-th value of rows.

use crate::kernels::float::Rows;

/// `to[i] = from[i * stride]`
///
/// # Panics
/// If `from` is too short.
#[inline(always)]
pub(super) fn copy(from: &[f32], stride: usize, to: &mut [f32]) {
    let len = to.len();
    copy_rows(Rows { values: from, stride: from.len().max(1) }, stride, to, len.max(1), len);
}

/// Copies `len` values to each of the rows of `to`, which begin `row_stride` values apart.
///
/// # Panics
/// If a slice is too short.
#[inline(always)]
pub(super) fn copy_rows(from: Rows<'_>, stride: usize, to: &mut [f32], row_stride: usize, len: usize) {
    let to = to.chunks_mut(row_stride).map(|to| &mut to[..len]);
    let rows = from.values.chunks(from.stride).zip(to);
    match (stride, len) {
        (_, 0) => {}
        (1, 1..4) => rows.for_each(|(from, to)| copy_one_by_one(from, 1, to)),
        (1, 4..8) => rows.for_each(|(from, to)| copy_vectors::<4, _>(from, to)),
        (1, _) => rows.for_each(|(from, to)| copy_vectors::<8, _>(from, to)),
        (2, _) => rows.for_each(|(from, to)| copy_every_second(from, to)),
        _ => rows.for_each(|(from, to)| copy_one_by_one(from, stride, to)),
    }
}

#[inline(always)]
fn copy_one_by_one(from: &[f32], stride: usize, to: &mut [f32]) {
    assert!(to.is_empty() || (to.len() - 1) * stride < from.len());
    for (to, &from) in to.iter_mut().zip(from.iter().step_by(stride)) {
        *to = from;
    }
}

/// `copy_from_slice` for short rows.
#[inline(always)]
pub(super) fn copy_contiguous<T: Copy>(from: &[T], to: &mut [T]) {
    match to.len() {
        0..4 => to.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
        4..8 => copy_vectors::<4, T>(from, to),
        _ => copy_vectors::<8, T>(from, to),
    }
}

/// `copy_from_slice` for at least `N` values, in registers: rows of late layers are so short that a call costs more
/// than the copy.
#[inline(always)]
fn copy_vectors<const N: usize, T: Copy>(from: &[T], to: &mut [T]) {
    let from = &from[..to.len()];
    for (from, to) in from.chunks_exact(N).zip(to.chunks_exact_mut(N)) {
        to.copy_from_slice(from);
    }
    // The last vector overlaps the one before it.
    let last = to.len() - N;
    to[last..].copy_from_slice(&from[last..]);
}

/// In pairs, which become shuffles of vectors.
#[inline(always)]
fn copy_every_second(from: &[f32], to: &mut [f32]) {
    if let Some((last, to)) = to.split_last_mut() {
        *last = from[2 * to.len()];
        for (to, pair) in to.iter_mut().zip(from.chunks_exact(2)) {
            *to = pair[0];
        }
    }
}
