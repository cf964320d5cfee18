//! The memory of one run, and the workspaces that are kept for the next ones.

use std::sync::{Mutex, PoisonError};
use std::thread::{self, ThreadId};

use qkernels::memory;

use crate::{Error, Result};

/// Where buffers begin: a cache line, and a whole vector of any instruction set.
pub(super) const ALIGNMENT: usize = 64;

/// Bytes for the buffers of a program.
#[derive(Debug, Default)]
pub(super) struct Workspace(Vec<u8>);

impl Workspace {
    /// `len` bytes from an aligned address on.
    ///
    /// # Errors
    /// When there is not so much memory.
    pub(super) fn bytes(&mut self, len: usize) -> Result<&mut [u8]> {
        let needed = len.saturating_add(ALIGNMENT);
        if self.0.len() < needed {
            // The contents of the old buffers are not needed.
            self.0 = Vec::new();
            self.0 = memory::zeroed("a run's activations", needed)
                .map_err(|error| Error::kernel("a run", error))?;
        }
        let address = self.0.as_ptr().addr();
        let offset = address.next_multiple_of(ALIGNMENT) - address;
        Ok(&mut self.0[offset..offset + len])
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// The workspaces of a network, as many as it has had runs at the same time.
///
/// Each remembers the thread that had it last, in whose caches it may still be. Threads that come for the first time
/// take over those of others, so that their number stays that of the runs.
#[derive(Debug, Default)]
pub(super) struct Workspaces(Mutex<Vec<(ThreadId, Workspace)>>);

impl Workspaces {
    /// A workspace for this thread. A run within a run, which work stealing can cause, gets another one.
    pub(super) fn take(&self) -> Workspace {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = thread::current().id();
        let position = kept.iter().position(|&(owner, _)| owner == own).or(kept.len().checked_sub(1));
        position.map(|position| kept.swap_remove(position).1).unwrap_or_default()
    }

    /// Keeps a workspace for the next run, if none needs a smaller one.
    pub(super) fn give_back(&self, workspace: Workspace, largest: usize) {
        if workspace.len() <= largest.saturating_add(ALIGNMENT) {
            let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push((thread::current().id(), workspace));
        }
    }

    /// Frees those that are larger than any run needs; those of runs under way are freed when they come back.
    pub(super) fn shrink(&self, largest: usize) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|(_, workspace)| workspace.len() <= largest.saturating_add(ALIGNMENT));
    }

    /// Frees all that are not in use.
    pub(super) fn clear(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Vec::new();
    }

    /// Bytes of those that are not in use.
    pub(super) fn byte_len(&self) -> usize {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().map(|(_, workspace)| workspace.len()).sum()
    }
}
