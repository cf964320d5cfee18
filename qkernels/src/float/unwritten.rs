//! Outputs that are not zeroed before they are written.

use std::mem::MaybeUninit;

use crate::error::{Error, Result};

/// `len` values as `write` sets them.
///
/// # Errors
/// If there is not so much memory: a size may be a slip, or come from somebody else's file.
///
/// # Safety
/// `write` sets every value.
pub(super) unsafe fn fill(len: usize, write: impl FnOnce(&mut [MaybeUninit<f32>])) -> Result<Vec<f32>> {
    let mut values = Vec::new();
    if values.try_reserve_exact(len).is_err() {
        return Err(Error::geometry(format!("an output of {len} values does not fit into memory")));
    }
    let unwritten = &mut values.spare_capacity_mut()[..len];
    if cfg!(debug_assertions) {
        // What `write` forgets shows in tests.
        unwritten.fill(MaybeUninit::new(f32::NAN));
    }
    write(unwritten);
    // SAFETY: so many were reserved, and the caller answers for what is in them.
    unsafe { values.set_len(len) };
    Ok(values)
}
