//! How many threads the kernels use, and the loop that spreads an output over them.

mod pool;
mod shares;
mod team;

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::isa::{Isa, isa};
use shares::Shares;
use team::work_together;

static NUM_THREADS: AtomicUsize = AtomicUsize::new(0);
static WORK_THRESHOLD: AtomicUsize = AtomicUsize::new(1 << 18);

/// More threads than this are never asked for.
const MAX_THREADS: usize = 1024;

/// Where [`set_num_threads`] says nothing: the environment variable `QKERNELS_NUM_THREADS` if it is a number above 0,
/// else what the system lets this process use.
static DEFAULT_NUM_THREADS: LazyLock<usize> = LazyLock::new(|| {
    let wanted = std::env::var("QKERNELS_NUM_THREADS").ok();
    let wanted = wanted.and_then(|number| number.trim().parse().ok()).filter(|number| *number > 0);
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    wanted.unwrap_or_else(available).min(MAX_THREADS)
});

/// Sets how many threads one kernel call may use; 0 means the default: the environment variable `QKERNELS_NUM_THREADS`,
/// or else as many as the system lets this process use.
///
/// The calling thread is one of them. The others are the kernels' own and serve all callers, so there is never more than
/// one less of them than the largest number asked for; no pool of the host's, such as rayon's, is used. They are made when
/// they are first needed; where the system gives none, the calling thread works alone. A helper stays at hand, busily
/// waiting, until nothing has come for 200 microseconds or its waiting exceeds its work by 50. Where many threads call
/// models at once, 1 is best.
pub fn set_num_threads(threads: usize) {
    NUM_THREADS.store(threads.min(MAX_THREADS), Ordering::Relaxed);
}

/// How many threads one kernel call may use.
pub fn num_threads() -> usize {
    match NUM_THREADS.load(Ordering::Relaxed) {
        0 => *DEFAULT_NUM_THREADS,
        threads => threads,
    }
}

/// Sets below how many multiply-adds a kernel stays on the calling thread.
pub fn set_work_threshold(operations: usize) {
    WORK_THRESHOLD.store(operations, Ordering::Relaxed);
}

/// Below how many multiply-adds (or operations of that weight) a kernel stays on the calling thread.
pub fn work_threshold() -> usize {
    WORK_THRESHOLD.load(Ordering::Relaxed)
}

/// How many threads are worth using for `work` multiply-adds.
pub(crate) fn threads_for(work: usize) -> usize {
    if work < work_threshold() { 1 } else { num_threads() }
}

/// Calls `body(index, chunk)` for each chunk of `chunk_len` elements of `data`, the last one maybe
/// shorter, on as many threads as `work` multiply-adds deserve, compiled for the instruction set in use.
pub(crate) fn for_each_chunk<T: Send>(
    data: &mut [T],
    chunk_len: usize,
    work: usize,
    body: impl Fn(usize, &mut [T]) + Sync,
) {
    let chunk_len = chunk_len.max(1);
    let chunks = Chunks { start: data.as_mut_ptr(), len: data.len(), chunk_len };
    for_each_index(
        isa(),
        data.len().div_ceil(chunk_len),
        threads_for(work),
        #[inline(always)]
        |index| {
            // SAFETY: no index comes twice, and `data` is borrowed until all have passed.
            body(index, unsafe { chunks.chunk(index) });
        },
    );
}

/// Calls `body(index, a, b)` for chunks of the same length at the same place of two slices, which are equally long; else
/// as [`for_each_chunk`].
pub(crate) fn for_each_chunk_of_two<A: Send, B: Send>(
    a: &mut [A],
    b: &mut [B],
    chunk_len: usize,
    work: usize,
    body: impl Fn(usize, &mut [A], &mut [B]) + Sync,
) {
    assert_eq!(a.len(), b.len());
    let chunk_len = chunk_len.max(1);
    let len = a.len();
    let a = Chunks { start: a.as_mut_ptr(), len, chunk_len };
    let b = Chunks { start: b.as_mut_ptr(), len, chunk_len };
    for_each_index(
        isa(),
        len.div_ceil(chunk_len),
        threads_for(work),
        #[inline(always)]
        |index| {
            // SAFETY: no index comes twice, and both slices are borrowed until all have passed.
            let (a, b) = unsafe { (a.chunk(index), b.chunk(index)) };
            body(index, a, b);
        },
    );
}

/// A slice in chunks, each of which one thread writes.
struct Chunks<T> {
    start: *mut T,
    len: usize,
    chunk_len: usize,
}

// SAFETY: a shared reference gives access to the elements only through `chunk`, whose caller promises that no two
// threads have the same.
unsafe impl<T: Send> Sync for Chunks<T> {}

impl<T> Chunks<T> {
    /// # Safety
    /// The slice is alive, and nothing else refers to this chunk.
    #[inline(always)]
    unsafe fn chunk<'a>(&self, index: usize) -> &'a mut [T] {
        let first = (index * self.chunk_len).min(self.len);
        let len = self.chunk_len.min(self.len - first);
        // SAFETY: the range lies in the slice, and the caller answers for the rest.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(first), len) }
    }
}

/// Calls `body(index)` for each index below `count` on `threads` threads, compiled for `isa`.
#[inline]
pub(crate) fn for_each_index(isa: Isa, count: usize, threads: usize, body: impl Fn(usize) + Sync) {
    let threads = threads.min(count);
    if threads <= 1 {
        return isa.run(
            #[inline(always)]
            || {
                for index in 0..count {
                    body(index);
                }
            },
        );
    }
    let shares = Shares::new(count, threads);
    work_together(threads - 1, &|thread| {
        isa.run(
            #[inline(always)]
            || {
                while let Some(index) = shares.next(thread) {
                    body(index);
                }
            },
        );
    });
}

/// A chunk length for an elementwise pass over `len` elements: a multiple of `unit`, a few chunks
/// per thread, small enough to stay in cache.
pub(crate) fn elementwise_chunk(len: usize, unit: usize) -> usize {
    let unit = unit.max(1);
    let wanted = (len / (4 * num_threads().max(1))).clamp(4096, 1 << 16);
    wanted.div_ceil(unit).saturating_mul(unit)
}
