//! How many threads the kernels use, and the loop that spreads an output over them.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::isa::{Isa, isa};

static NUM_THREADS: AtomicUsize = AtomicUsize::new(0);
static WORK_THRESHOLD: AtomicUsize = AtomicUsize::new(1 << 18);

/// More threads than this are never asked for.
const MOST_THREADS: usize = 1024;

/// Sets how many threads one kernel call may use; 0 means all of the current rayon pool.
///
/// The kernels borrow threads from the rayon pool they are called in (the global one unless the
/// caller installed another), so more than that pool has are never used.
pub fn set_num_threads(threads: usize) {
    NUM_THREADS.store(threads.min(MOST_THREADS), Ordering::Relaxed);
}

/// How many threads one kernel call may use.
pub fn num_threads() -> usize {
    match NUM_THREADS.load(Ordering::Relaxed) {
        0 => rayon::current_num_threads(),
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
    let threads = threads_for(work).min(data.len().div_ceil(chunk_len));
    let chunks = data.chunks_mut(chunk_len).enumerate();
    let isa = isa();
    if threads <= 1 {
        return isa.run(
            #[inline(always)]
            || {
                for (index, chunk) in chunks {
                    body(index, chunk);
                }
            },
        );
    }
    let chunks = Mutex::new(chunks);
    let next = || chunks.lock().unwrap_or_else(PoisonError::into_inner).next();
    on_threads(threads, &|| {
        while let Some((index, chunk)) = next() {
            isa.run(
                #[inline(always)]
                || body(index, chunk),
            );
        }
    });
}

/// Calls `body(index)` for each index below `count` on `threads` threads, compiled for `isa`.
pub(crate) fn for_each_index(isa: Isa, count: usize, threads: usize, body: impl Fn(usize) + Sync) {
    let threads = threads.min(count);
    if threads <= 1 {
        return isa.run(|| (0..count).for_each(body));
    }
    let next = AtomicUsize::new(0);
    on_threads(threads, &|| {
        isa.run(|| {
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                if index >= count {
                    break;
                }
                body(index);
            }
        });
    });
}

/// Calls `worker` on `threads` threads at once, which take the next piece of work when they are done with their last
/// one: a slow core does less. Those that start late find nothing left.
fn on_threads(threads: usize, worker: &(impl Fn() + Sync)) {
    // Unlike a scope, a join keeps its task on the stack and allocates nothing.
    match threads {
        0 | 1 => worker(),
        _ => {
            let half = threads / 2;
            rayon::join(|| on_threads(threads - half, worker), || on_threads(half, worker));
        }
    }
}

/// A chunk length for an elementwise pass over `len` elements: a multiple of `unit`, a few chunks
/// per thread, small enough to stay in cache.
pub(crate) fn elementwise_chunk(len: usize, unit: usize) -> usize {
    let unit = unit.max(1);
    let wanted = (len / (4 * num_threads().max(1))).clamp(4096, 1 << 16);
    wanted.div_ceil(unit).saturating_mul(unit)
}
