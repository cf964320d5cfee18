//! The programs of a network for the shapes of inputs that came last, and the memory in which they run.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use super::workspace::Workspaces;
use super::{Profile, Program, ProgramOutput};
use crate::network::Network;
use crate::{Result, Tensor};

/// So many shapes are remembered if nobody says otherwise. A program takes about a kilobyte a layer.
const SHAPES: usize = 64;

/// Programs, and how long ago each was used; the one that was not used for longest makes room for a new one.
#[derive(Debug)]
pub(crate) struct Programs {
    recent: RwLock<Vec<Recent>>,
    /// As many are kept.
    shapes: AtomicUsize,
    /// Counts uses.
    clock: AtomicU64,
    /// Bytes of the largest workspace that a program here needs.
    largest: AtomicUsize,
    workspaces: Workspaces,
}

#[derive(Debug)]
struct Recent {
    program: Arc<Program>,
    last_use: AtomicU64,
}

impl Default for Programs {
    fn default() -> Self {
        Self {
            recent: RwLock::default(),
            shapes: AtomicUsize::new(SHAPES),
            clock: AtomicU64::new(0),
            largest: AtomicUsize::new(0),
            workspaces: Workspaces::default(),
        }
    }
}

impl Programs {
    /// Runs `network` on `inputs`; `take` gets the outputs, one after the other.
    pub(crate) fn run(
        &self,
        network: &Network,
        inputs: &[&Tensor],
        take: &mut dyn FnMut(usize, ProgramOutput<'_>) -> Result<()>,
    ) -> Result<()> {
        let program = self.get(network, inputs)?;
        let mut workspace = self.workspaces.take();
        let result = program.run(&mut workspace, inputs, take);
        self.workspaces.give_back(workspace, self.largest.load(Ordering::Relaxed));
        result
    }

    /// [`Programs::run`] with a look at the clock around every step.
    pub(crate) fn profile(&self, network: &Network, inputs: &[&Tensor]) -> Result<Profile> {
        let program = self.get(network, inputs)?;
        let mut workspace = self.workspaces.take();
        let result = program.profile(&mut workspace, inputs);
        self.workspaces.give_back(workspace, self.largest.load(Ordering::Relaxed));
        result
    }

    /// The program of `network` for inputs like these, which is made if there is none.
    pub(crate) fn get(&self, network: &Network, inputs: &[&Tensor]) -> Result<Arc<Program>> {
        let recent = self.recent.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = recent.iter().find(|recent| recent.program.fits(inputs)) {
            // Threads that bring one shape again and again only read.
            if found.last_use.load(Ordering::Relaxed) != self.clock.load(Ordering::Relaxed) {
                found.last_use.store(self.clock.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            }
            return Ok(Arc::clone(&found.program));
        }
        drop(recent);
        let program = Arc::new(Program::record(network, inputs)?);
        self.remember(&program, inputs);
        Ok(program)
    }

    fn remember(&self, program: &Arc<Program>, inputs: &[&Tensor]) {
        let mut recent = self.recent.write().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have been faster.
        if recent.iter().any(|recent| recent.program.fits(inputs)) {
            return;
        }
        let last_use = AtomicU64::new(self.clock.fetch_add(1, Ordering::Relaxed) + 1);
        recent.push(Recent { program: Arc::clone(program), last_use });
        self.forget(&mut recent);
    }

    /// Forgets the programs that are too many, and frees the memory that only they needed.
    fn forget(&self, recent: &mut Vec<Recent>) {
        let excess = recent.len().saturating_sub(self.shapes.load(Ordering::Relaxed));
        for _ in 0..excess {
            let oldest =
                recent.iter().enumerate().min_by_key(|(_, recent)| recent.last_use.load(Ordering::Relaxed));
            if let Some((oldest, _)) = oldest {
                recent.swap_remove(oldest);
            }
        }
        let largest = recent.iter().map(|recent| recent.program.workspace_len()).max().unwrap_or(0);
        self.largest.store(largest, Ordering::Relaxed);
        if excess > 0 {
            self.workspaces.shrink(largest);
        }
    }

    /// Sets how many shapes are remembered.
    pub(crate) fn set_shapes(&self, shapes: usize) {
        self.shapes.store(shapes, Ordering::Relaxed);
        self.forget(&mut self.recent.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Frees the memory that no run is using.
    pub(crate) fn release_memory(&self) {
        self.workspaces.clear();
    }

    /// Bytes that are kept for the next runs.
    pub(crate) fn held_bytes(&self) -> usize {
        self.workspaces.byte_len()
    }
}

impl Program {
    fn fits(&self, inputs: &[&Tensor]) -> bool {
        self.inputs.len() == inputs.len()
            && self.inputs.iter().zip(inputs).all(|(key, input)| key.fits(input))
    }
}
