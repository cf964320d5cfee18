//! Hints to the processor about memory that will be needed soon.

use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};

/// Brings the cache line of an address into the cache; any address is allowed.
#[inline(always)]
pub(crate) fn prefetch<T>(address: *const T) {
    // SAFETY: a prefetch reads nothing and never faults.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}
