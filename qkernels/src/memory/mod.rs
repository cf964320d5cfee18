//! How much memory one call may take, and buffers that are refused where there is no more.
//!
//! Shapes and files decide how much memory a call asks for. A request beyond the limit is an error, where the system
//! would end the process.

mod available;

use std::alloc::{Layout, alloc_zeroed};
use std::fmt::Display;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::elements::Element;
use crate::error::{Error, Result};

/// Stands for the memory that the machine has available.
const NOT_SET: usize = usize::MAX;

/// Up to so many bytes nobody asks the system how much there is, which takes as long as writing a few megabytes.
const UNCHECKED: usize = 32 << 20;

static LIMIT: AtomicUsize = AtomicUsize::new(NOT_SET);

/// Sets how many bytes one call may take; `None` means as many as the machine has available when it asks.
///
/// A call is the run of a network, or of one operation on tensors: its activations, scratch and outputs. Weights count
/// when they are made. Whatever asks for more gets [`Error::Memory`].
pub fn set_memory_limit(bytes: Option<usize>) {
    LIMIT.store(bytes.unwrap_or(NOT_SET), Ordering::Relaxed);
}

/// How many bytes one call may take now: what was set, or what the machine has available.
///
/// On Linux that is the least of the system's available memory, of what the control groups of the process leave, and of
/// its address space's limit; elsewhere nothing is known, and only requests that the allocator refuses are errors.
pub fn memory_limit() -> usize {
    match LIMIT.load(Ordering::Relaxed) {
        NOT_SET => available::bytes(),
        limit => limit,
    }
}

/// `Ok` if `bytes` are within the limit; `what` says in the error who asked.
///
/// # Errors
/// If they are not.
pub fn check(what: impl Display, bytes: usize) -> Result<()> {
    if bytes <= UNCHECKED && LIMIT.load(Ordering::Relaxed) == NOT_SET {
        return Ok(());
    }
    let limit = memory_limit();
    if bytes <= limit { Ok(()) } else { Err(refusal(what, bytes, limit)) }
}

/// [`check`] of memory that is held from one call to the next: only a limit that was set refuses it.
///
/// # Errors
/// If there is such a limit, and `bytes` are more.
pub fn check_held(what: impl Display, bytes: usize) -> Result<()> {
    if LIMIT.load(Ordering::Relaxed) == NOT_SET { Ok(()) } else { check(what, bytes) }
}

/// `Ok` if `bytes` can be allocated now, for code that cannot fail when it allocates them.
///
/// # Errors
/// If they are beyond the limit, or the allocator refuses them.
pub fn check_free(what: impl Display, bytes: usize) -> Result<()> {
    check(&what, bytes)?;
    let reserved = bytes <= UNCHECKED || Vec::<u8>::new().try_reserve_exact(bytes).is_ok();
    if reserved { Ok(()) } else { Err(refused(what, bytes)) }
}

/// `len` zeros.
///
/// # Errors
/// If they are beyond the limit, or the allocator refuses them.
pub fn zeroed<T: Element>(what: impl Display, len: usize) -> Result<Vec<T>> {
    check(&what, len.saturating_mul(size_of::<T>()))?;
    let Ok(layout) = Layout::array::<T>(len) else { return Err(refused(what, usize::MAX)) };
    if layout.size() == 0 {
        return Ok(Vec::new());
    }
    // SAFETY: the layout has a size.
    let start = unsafe { alloc_zeroed(layout) }.cast::<T>();
    if start.is_null() {
        return Err(refused(what, layout.size()));
    }
    // SAFETY: the global allocator gave this memory for the layout of `len` elements; zero bytes are elements, as any
    // bytes are.
    Ok(unsafe { Vec::from_raw_parts(start, len, len) })
}

/// Makes room for `additional` more elements.
///
/// # Errors
/// If all of them together are beyond the limit, or the allocator refuses them.
pub fn reserve<T>(what: impl Display, values: &mut Vec<T>, additional: usize) -> Result<()> {
    let bytes = values.len().saturating_add(additional).saturating_mul(size_of::<T>());
    check(&what, bytes)?;
    values.try_reserve_exact(additional).map_err(|_| refused(what, bytes))
}

/// The error of a request that the allocator refused: the limit is what there was, and surely less than was asked for.
fn refused(what: impl Display, bytes: usize) -> Error {
    refusal(what, bytes, memory_limit().min(bytes.saturating_sub(1)))
}

fn refusal(what: impl Display, bytes: usize, limit: usize) -> Error {
    Error::Memory { what: what.to_string(), bytes, limit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_addressed_is_refused() {
        for len in [usize::MAX, usize::MAX / 4, isize::MAX as usize, 1 << 60] {
            let error = zeroed::<f32>("a tensor", len).unwrap_err();
            let Error::Memory { what, bytes, limit } = error else { panic!("{error}") };
            assert_eq!((what.as_str(), bytes), ("a tensor", len.saturating_mul(4)));
            assert!(limit < bytes);
            assert!(check_free("a tensor", len).is_err());
            assert!(reserve("a list", &mut vec![1_u64], len).is_err());
        }
    }

    #[test]
    fn what_there_is_is_zero() {
        assert_eq!(zeroed::<f32>("a tensor", 1000), Ok(vec![0.0; 1000]));
        assert_eq!(zeroed::<u8>("a tensor", 0), Ok(Vec::new()));
        assert!(zeroed::<i32>("a tensor", UNCHECKED).is_ok(), "128 MB are there on any machine");
    }

    #[test]
    fn the_machine_has_some_memory() {
        assert!(available::bytes() > 1 << 20);
    }
}
