//! Copies of every `stride`-th value.

/// `to[i] = from[i * stride]`
///
/// # Panics
/// If `from` is too short.
#[inline(always)]
pub(super) fn copy(from: &[f32], stride: usize, to: &mut [f32]) {
    match stride {
        1 => copy_neighbours(from, to),
        2 => copy_every_second(from, to),
        _ => {
            assert!(to.is_empty() || (to.len() - 1) * stride < from.len());
            for (to, &from) in to.iter_mut().zip(from.iter().step_by(stride)) {
                *to = from;
            }
        }
    }
}

#[inline(always)]
fn copy_neighbours(from: &[f32], to: &mut [f32]) {
    let from = &from[..to.len()];
    match to.len() {
        0..4 => copy_one_by_one(from, to),
        4..8 => copy_vectors::<4>(from, to),
        _ => copy_vectors::<8>(from, to),
    }
}

#[inline(always)]
fn copy_one_by_one(from: &[f32], to: &mut [f32]) {
    for (to, &from) in to.iter_mut().zip(from) {
        *to = from;
    }
}

/// `copy_from_slice` for at least `N` values, in registers: rows of late layers are so short that a call costs more
/// than the copy.
#[inline(always)]
fn copy_vectors<const N: usize>(from: &[f32], to: &mut [f32]) {
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
