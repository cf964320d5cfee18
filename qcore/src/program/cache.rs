//! The programs of a network, one for each shape of inputs it has seen.

use std::sync::OnceLock;

use super::Program;
use crate::network::Network;
use crate::{Result, Tensor};

/// As many shapes are remembered; for others the program is made anew at every run.
const MAX: usize = 16;

/// Programs in a list that only grows: looking one up takes no lock.
#[derive(Debug, Default)]
pub(crate) struct Programs {
    first: OnceLock<Box<Link>>,
}

#[derive(Debug)]
struct Link {
    program: Program,
    next: OnceLock<Box<Link>>,
}

impl Programs {
    /// Calls `run` with the program of `network` for inputs like these, which is made if there is none.
    pub(crate) fn with<T>(
        &self,
        network: &Network,
        inputs: &[&Tensor],
        run: impl FnOnce(&Program) -> Result<T>,
    ) -> Result<T> {
        let mut link = &self.first;
        for _ in 0..MAX {
            match link.get() {
                Some(found) if found.program.fits(inputs) => return run(&found.program),
                Some(other) => link = &other.next,
                None => {
                    // Another thread may be faster; its program may be for another shape, and ours still runs.
                    let program = Program::record(network, inputs)?;
                    return match link.set(Box::new(Link { program, next: OnceLock::new() })) {
                        Ok(()) => link.get().map_or_else(|| unreachable!(), |link| run(&link.program)),
                        Err(ours) => run(&ours.program),
                    };
                }
            }
        }
        run(&Program::record(network, inputs)?)
    }
}

impl Program {
    fn fits(&self, inputs: &[&Tensor]) -> bool {
        self.inputs.len() == inputs.len()
            && self.inputs.iter().zip(inputs).all(|(key, input)| key.fits(input))
    }
}
