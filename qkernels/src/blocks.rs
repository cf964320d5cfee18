//! Channels in blocks of a fixed size, whose intermediate results stay in registers.

/// A computation for some neighbouring channels.
pub(crate) trait Block {
    /// Computes channels `first..first + N`. To be marked `#[inline(always)]`.
    ///
    /// Loops over arrays of N elements become a few vector instructions; loops over slices, whose length
    /// the compiler would have to find out, do not.
    fn compute<const N: usize>(&mut self, first: usize);
}

/// Covers all channels with the largest blocks that fit; the last one overlaps the one before, and the
/// channels they share are computed twice.
#[inline(always)]
pub(crate) fn for_each_block(channels: usize, block: &mut impl Block) {
    match channels {
        64.. => cover::<64>(channels, block),
        16.. => cover::<16>(channels, block),
        4.. => cover::<4>(channels, block),
        _ => cover::<1>(channels, block),
    }
}

#[inline(always)]
fn cover<const N: usize>(channels: usize, block: &mut impl Block) {
    let mut first = 0;
    while first < channels {
        block.compute::<N>(first.min(channels - N));
        first += N;
    }
}

/// `values[first..first + N]`; panics as indexing does.
#[inline(always)]
pub(crate) fn at<T, const N: usize>(values: &[T], first: usize) -> &[T; N] {
    match values[first..].first_chunk() {
        Some(block) => block,
        None => panic!("{N} values from {first} on, of {}", values.len()),
    }
}

/// [`at`], to be written.
#[inline(always)]
pub(crate) fn at_mut<T, const N: usize>(values: &mut [T], first: usize) -> &mut [T; N] {
    let len = values.len();
    match values[first..].first_chunk_mut() {
        Some(block) => block,
        None => panic!("{N} values from {first} on, of {len}"),
    }
}

/// `to[i] = f(a[i], b[i])`, for slices of equal length.
#[inline(always)]
pub(crate) fn zip_blocks<A: Copy>(a: &[A], b: &[A], to: &mut [A], f: impl Fn(A, A) -> A) {
    struct Zip<'a, A, F>(&'a [A], &'a [A], &'a mut [A], F);

    impl<A: Copy, F: Fn(A, A) -> A> Block for Zip<'_, A, F> {
        #[inline(always)]
        fn compute<const N: usize>(&mut self, first: usize) {
            let (a, b) = (at::<A, N>(self.0, first), at::<A, N>(self.1, first));
            // A loop, as `from_fn` of so many would be a call.
            let to = at_mut::<A, N>(self.2, first);
            for (i, to) in to.iter_mut().enumerate() {
                *to = (self.3)(a[i], b[i]);
            }
        }
    }

    for_each_block(to.len(), &mut Zip(a, b, to, f));
}
