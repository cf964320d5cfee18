//! Sums of convolutions with few channels in a group.
//!
//! A 32-bit lane holds four bytes that an output element looks at in a column of the input, one after the other down
//! the column. Lanes lie in the order of the output, pixels with all their channels, so that neighbouring ones fill
//! vectors however few channels there are; so do the weights, with those of the first channels once more behind the
//! last ones.

#[cfg(target_arch = "x86_64")]
use super::{avx2, avx512};
use crate::isa::Isa;
use crate::panel::{PANEL, QUAD};

/// Neighbouring output elements, and what they look at.
pub(crate) struct NarrowRow<'a> {
    pub(crate) lanes: &'a [i32],
    /// Where the lanes of the first output element are, for each quad of each column of the filter.
    pub(crate) starts: &'a [usize],
    pub(crate) weights: NarrowWeights<'a>,
    /// Output channels; the first output element is of the first one.
    pub(crate) channels: usize,
    /// Where the sums of each channel start, `[channels + PANEL - 1]`.
    pub(crate) initial: &'a [i32],
}

/// The weights of each quad of each column.
#[derive(Clone, Copy)]
pub(crate) enum NarrowWeights<'a> {
    /// As lanes, `[quads][channels + PANEL - 1]`.
    Bytes(&'a [i32]),
    /// As words, those of the first and third byte and those of the others, `[quads][2][channels + PANEL - 1]`.
    Words(&'a [i32]),
}

/// Whether sums are those of bytes, not of words.
pub(crate) fn multiplies_bytes(isa: Isa) -> bool {
    match isa {
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512Vnni(_) | Isa::Amx(..) => true,
        _ => false,
    }
}

impl NarrowRow<'_> {
    /// Sums of whole panels, of elements beyond the last one too.
    pub(crate) fn sum(&self, isa: Isa, sums: &mut [i32]) {
        assert!(sums.len().is_multiple_of(PANEL));
        let row = self.channels + PANEL - 1;
        let weights = match self.weights {
            NarrowWeights::Bytes(weights) => weights.len(),
            NarrowWeights::Words(weights) => weights.len() / 2,
        };
        assert!(self.channels > 0 && self.initial.len() == row && weights == self.starts.len() * row);
        assert!(self.starts.iter().all(|&start| start <= self.lanes.len() - sums.len()));
        match (isa, self.weights) {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: lengths have been checked.
            (Isa::Avx512Vnni(proof) | Isa::Amx(proof, _), NarrowWeights::Bytes(weights)) => unsafe {
                avx512::sum_narrow_row(proof, self, weights, sums);
            },
            (_, NarrowWeights::Words(weights)) => {
                #[cfg(target_arch = "x86_64")]
                if let Some(proof) = isa.avx2() {
                    // SAFETY: lengths have been checked.
                    return unsafe { avx2::sum_narrow_row(proof, self, weights, sums) };
                }
                self.sum_words(weights, sums);
            }
            (_, NarrowWeights::Bytes(_)) => unreachable!("only some instruction sets multiply bytes"),
        }
    }

    /// The definition.
    fn sum_words(&self, weights: &[i32], sums: &mut [i32]) {
        let mut channel = 0;
        for (panel, sums) in sums.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
            sums.copy_from_slice(&self.initial[channel..][..PANEL]);
            for (&start, weights) in self.starts.iter().zip(weights.chunks_exact(2 * self.initial.len())) {
                let lanes = &self.lanes[start + panel * PANEL..][..PANEL];
                let (even, odd) = weights.split_at(self.initial.len());
                let (even, odd) = (&even[channel..][..PANEL], &odd[channel..][..PANEL]);
                for (((sum, lane), even), odd) in sums.iter_mut().zip(lanes).zip(even).zip(odd) {
                    let [b0, b1, b2, b3] = lane.to_le_bytes().map(i32::from);
                    let products = [
                        b0 * i32::from(*even as i16),
                        b2 * (even >> 16),
                        b1 * i32::from(*odd as i16),
                        b3 * (odd >> 16),
                    ];
                    *sum = products.into_iter().fold(*sum, i32::wrapping_add);
                }
            }
            channel = (channel + PANEL) % self.channels;
        }
    }
}

/// [`NarrowRow::sum`] on vectors.
#[cfg(target_arch = "x86_64")]
pub(super) trait NarrowVectors: Copy {
    /// Lanes of a vector.
    const LANES: usize;
    /// Rows of weights that a quad has.
    const WEIGHTS: usize;
    type Vector: Copy;

    /// # Safety
    /// A vector can be read.
    unsafe fn load(self, from: *const i32) -> Self::Vector;

    /// # Safety
    /// A vector can be written.
    unsafe fn store(self, vector: Self::Vector, to: *mut i32);

    fn add_products(
        self,
        sums: Self::Vector,
        lanes: Self::Vector,
        weights: [Self::Vector; 2],
    ) -> Self::Vector;
}

/// # Safety
/// The lengths are those that [`NarrowRow::sum`] checks.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) unsafe fn sum_row<V: NarrowVectors>(
    isa: V,
    row: &NarrowRow<'_>,
    weights: &[i32],
    sums: &mut [i32],
) {
    /// Vectors whose sums are computed together.
    const GROUP: usize = 4;

    let step = V::LANES % row.channels;
    let next = |channel: usize| {
        let next = channel + step;
        if next < row.channels { next } else { next - row.channels }
    };
    let mut channel = 0;
    let mut first = 0;
    while first + GROUP * V::LANES <= sums.len() {
        let mut channels = [channel; GROUP];
        for v in 1..GROUP {
            channels[v] = next(channels[v - 1]);
        }
        // SAFETY: as the caller promises.
        unsafe { sum_vectors::<V, GROUP>(isa, row, weights, channels, sums.as_mut_ptr().add(first), first) };
        channel = next(channels[GROUP - 1]);
        first += GROUP * V::LANES;
    }
    while first < sums.len() {
        // SAFETY: as the caller promises.
        unsafe { sum_vectors::<V, 1>(isa, row, weights, [channel], sums.as_mut_ptr().add(first), first) };
        channel = next(channel);
        first += V::LANES;
    }
}

/// # Safety
/// `N` vectors of sums can be written, `first` of them are before those, and each channel is one of the row's.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
unsafe fn sum_vectors<V: NarrowVectors, const N: usize>(
    isa: V,
    row: &NarrowRow<'_>,
    weights: &[i32],
    channels: [usize; N],
    sums: *mut i32,
    first: usize,
) {
    let row_len = row.initial.len();
    // SAFETY: from every channel on there are as many elements as a panel has; lanes begin so far before the end that
    // all sums have some.
    unsafe {
        let mut totals = [isa.load(row.initial.as_ptr().add(channels[0])); N];
        for (total, channel) in totals.iter_mut().zip(channels) {
            *total = isa.load(row.initial.as_ptr().add(channel));
        }
        let mut weights = weights.as_ptr();
        for &start in row.starts {
            let lanes = row.lanes.as_ptr().add(start + first);
            for (v, (total, channel)) in totals.iter_mut().zip(channels).enumerate() {
                let weights = weights.add(channel);
                let weights = [isa.load(weights), isa.load(weights.add((V::WEIGHTS - 1) * row_len))];
                *total = isa.add_products(*total, isa.load(lanes.add(v * V::LANES)), weights);
            }
            weights = weights.add(V::WEIGHTS * row_len);
        }
        for (v, total) in totals.into_iter().enumerate() {
            isa.store(total, sums.add(v * V::LANES));
        }
    }
}

/// `lanes[i]` has byte `i` of each row.
#[inline(always)]
pub(crate) fn interleave_rows(rows: [&[u8]; QUAD], lanes: &mut [i32]) {
    use crate::blocks::{Block, at, at_mut, for_each_block};

    struct Interleave<'a>([&'a [u8]; QUAD], &'a mut [i32]);

    impl Block for Interleave<'_> {
        #[inline(always)]
        fn compute<const N: usize>(&mut self, first: usize) {
            let [r0, r1, r2, r3] = self.0;
            let [r0, r1] = [at::<u8, N>(r0, first), at::<u8, N>(r1, first)];
            let [r2, r3] = [at::<u8, N>(r2, first), at::<u8, N>(r3, first)];
            let lanes: &mut [i32; N] = at_mut(self.1, first);
            for (i, lane) in lanes.iter_mut().enumerate() {
                *lane = i32::from_le_bytes([r0[i], r1[i], r2[i], r3[i]]);
            }
        }
    }

    for_each_block(lanes.len(), &mut Interleave(rows, lanes));
}

/// `lanes[i]` has the four bytes from byte `first` of group `i` on, of those of each group of `channels` bytes in
/// each of `rows`, one row after the other.
#[inline(always)]
pub(crate) fn gather_rows(channels: usize, first: usize, rows: &[&[u8]], lanes: &mut [i32]) {
    match channels {
        1 => interleave_rows(std::array::from_fn(|i| rows[first + i]), lanes),
        2 => gather::<2>(first, rows, lanes),
        3 => gather::<3>(first, rows, lanes),
        4 => gather::<4>(first, rows, lanes),
        5 => gather::<5>(first, rows, lanes),
        6 => gather::<6>(first, rows, lanes),
        7 => gather::<7>(first, rows, lanes),
        8 => gather::<8>(first, rows, lanes),
        _ => unreachable!("groups are narrow"),
    }
}

#[inline(always)]
fn gather<const C: usize>(first: usize, rows: &[&[u8]], lanes: &mut [i32]) {
    let row = |i: usize| &rows[(first + i) / C].as_chunks::<C>().0[..lanes.len()];
    let channel = |i: usize| (first + i) % C;
    if C.is_multiple_of(QUAD) {
        let (groups, channel) = (row(0), channel(0));
        for (lane, group) in lanes.iter_mut().zip(groups) {
            *lane = i32::from_le_bytes(group.as_chunks::<QUAD>().0[channel / QUAD]);
        }
        return;
    }
    if C == 2 {
        let [upper, lower] = [row(0), row(2)];
        for ((lane, upper), lower) in lanes.iter_mut().zip(upper).zip(lower) {
            *lane = i32::from_le_bytes([upper[0], upper[1], lower[0], lower[1]]);
        }
        return;
    }
    let rows: [&[[u8; C]]; QUAD] = std::array::from_fn(row);
    let channels: [usize; QUAD] = std::array::from_fn(channel);
    for (i, lane) in lanes.iter_mut().enumerate() {
        *lane = i32::from_le_bytes(std::array::from_fn(|j| rows[j][i][channels[j]]));
    }
}

/// `to[i] = from[i / times]`; `to` has room for a panel more.
#[inline(always)]
pub(crate) fn repeat_lanes(times: usize, from: &[i32], to: &mut [i32]) {
    match times {
        1 => to[..from.len()].copy_from_slice(from),
        2 => repeat::<2>(from, to),
        3 => repeat::<3>(from, to),
        4 => repeat::<4>(from, to),
        8 => repeat::<8>(from, to),
        5..=PANEL => {
            for (i, &lane) in from.iter().enumerate() {
                // What is too much is replaced by the next one.
                *crate::blocks::at_mut(to, i * times) = [lane; PANEL];
            }
        }
        _ => {
            for (to, &lane) in to.chunks_exact_mut(times).zip(from) {
                to.fill(lane);
            }
        }
    }
}

#[inline(always)]
fn repeat<const TIMES: usize>(from: &[i32], to: &mut [i32]) {
    for (to, &lane) in to.as_chunks_mut::<TIMES>().0.iter_mut().zip(from) {
        *to = [lane; TIMES];
    }
}
