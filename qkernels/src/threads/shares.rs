//! Who does what: indices dealt out to threads.

use std::sync::atomic::{AtomicUsize, Ordering};

/// More threads than this have shares in common.
const MAX_SHARES: usize = 16;

/// The indices below a number, a share of neighbours for each thread.
///
/// A thread begins with its own share and then takes from the others, so a slow core does less. That the shares of a
/// thread are the same part of each layer keeps what it wrote in its own cache for the next one.
pub(super) struct Shares {
    count: usize,
    shares: usize,
    /// The next index of each share.
    next: [OwnLine; MAX_SHARES],
}

/// Two threads that count in one cache line wait for each other.
#[derive(Default)]
#[repr(align(64))]
struct OwnLine(AtomicUsize);

impl Shares {
    /// `0..count` for `threads` threads, one at least.
    pub(super) fn new(count: usize, threads: usize) -> Self {
        let shares = threads.min(MAX_SHARES);
        let next: [OwnLine; MAX_SHARES] = Default::default();
        for (share, next) in next.iter().enumerate().take(shares) {
            next.0.store(start(count, shares, share), Ordering::Relaxed);
        }
        Self { count, shares, next }
    }

    /// An index that nobody had yet, if one is left.
    pub(super) fn next(&self, thread: usize) -> Option<usize> {
        (thread..thread + self.shares).find_map(|share| {
            let share = share % self.shares;
            let end = start(self.count, self.shares, share + 1);
            let index = self.next[share].0.fetch_add(1, Ordering::Relaxed);
            (index < end).then_some(index)
        })
    }
}

/// Where a share starts. Without a product that could overflow.
fn start(count: usize, shares: usize, share: usize) -> usize {
    count / shares * share + (count % shares).min(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_index_comes_once_whoever_asks() {
        for (count, threads) in [(0, 1), (1, 3), (7, 2), (100, 16), (33, 40)] {
            let shares = Shares::new(count, threads);
            let mut indices: Vec<_> = (0..).map_while(|turn| shares.next(turn * turn % threads)).collect();
            indices.sort_unstable();
            assert_eq!(indices, (0..count).collect::<Vec<_>>());
        }
    }

    #[test]
    fn a_thread_begins_with_its_own_share() {
        let shares = Shares::new(10, 3);
        assert_eq!([0, 1, 2].map(|thread| shares.next(thread)), [Some(0), Some(4), Some(7)]);
        assert_eq!([2, 2, 2, 2].map(|thread| shares.next(thread)), [Some(8), Some(9), Some(1), Some(2)]);
    }
}
