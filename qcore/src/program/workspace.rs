//! The memory of one run, kept by its thread for the next one.

use std::cell::Cell;

use super::Held;

/// Where buffers begin: a cache line, and a whole vector of any instruction set.
pub(super) const ALIGNMENT: usize = 64;

/// Bytes for the buffers of a program, and places for its tensors.
#[derive(Debug, Default)]
pub(super) struct Workspace {
    bytes: Vec<u8>,
    slots: Vec<Held>,
}

thread_local! {
    static WORKSPACE: Cell<Workspace> = Cell::default();
}

impl Workspace {
    /// This thread's. A run within a run, which work stealing can cause, gets a new one.
    pub(super) fn take() -> Self {
        WORKSPACE.take()
    }

    pub(super) fn give_back(mut self) {
        // Tensors are the user's memory, not ours to keep.
        self.slots.fill_with(Held::default);
        WORKSPACE.set(self);
    }

    pub(super) fn resize(&mut self, bytes: usize, slots: usize) {
        if self.bytes.len() < bytes + ALIGNMENT {
            // Not `resize`: what the old buffers hold is of no use.
            self.bytes = vec![0; bytes + ALIGNMENT];
        }
        self.slots.resize_with(slots.max(self.slots.len()), Held::default);
    }

    /// The bytes from an aligned address on, and the slots.
    pub(super) fn parts(&mut self) -> (&mut [u8], &mut [Held]) {
        // `align_offset` may decline; unaligned buffers are only slower.
        let offset = self.bytes.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        (&mut self.bytes[offset..], &mut self.slots)
    }
}
