//! The memory of one run, kept by its thread for the next one.

use std::cell::Cell;

use crate::{Error, Result};

/// Where buffers begin: a cache line, and a whole vector of any instruction set.
pub(super) const ALIGNMENT: usize = 64;

/// Bytes for the buffers of a program.
#[derive(Debug, Default)]
pub(super) struct Workspace(Vec<u8>);

thread_local! {
    static WORKSPACE: Cell<Workspace> = Cell::default();
}

impl Workspace {
    /// This thread's. A run within a run, which work stealing can cause, gets a new one.
    pub(super) fn take() -> Self {
        WORKSPACE.take()
    }

    pub(super) fn give_back(self) {
        WORKSPACE.set(self);
    }

    /// `len` bytes from an aligned address on.
    ///
    /// # Errors
    /// When there is not so much memory.
    pub(super) fn bytes(&mut self, len: usize) -> Result<&mut [u8]> {
        if self.0.len() < len + ALIGNMENT {
            // The contents of the old buffers are not needed.
            self.0 = Vec::new();
            let reserved = self.0.try_reserve_exact(len + ALIGNMENT);
            reserved.map_err(|_| Error::Unsupported(format!("a run that needs {len} bytes of memory")))?;
            self.0.resize(len + ALIGNMENT, 0);
        }
        let address = self.0.as_ptr().addr();
        let offset = address.next_multiple_of(ALIGNMENT) - address;
        Ok(&mut self.0[offset..offset + len])
    }
}
