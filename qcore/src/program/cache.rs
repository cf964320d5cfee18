//! The programs of a model, one for each shape of inputs it has seen.

use std::sync::OnceLock;

use super::Program;
use crate::Result;
use crate::values::Values;

/// So many shapes are remembered; for others the program is made anew at every run.
const MOST: usize = 16;

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
    /// Calls `run` with the program for inputs like `input`, which `record` makes if there is none.
    pub(crate) fn with<I: Values, T>(
        &self,
        input: &I,
        record: impl FnOnce() -> Result<Program>,
        run: impl FnOnce(&Program) -> Result<T>,
    ) -> Result<T> {
        let mut link = &self.first;
        for _ in 0..MOST {
            match link.get() {
                Some(found) if found.program.fits(input) => return run(&found.program),
                Some(other) => link = &other.next,
                None => {
                    // Another thread may be faster; its program may be for another shape, and ours still runs.
                    let program = record()?;
                    return match link.set(Box::new(Link { program, next: OnceLock::new() })) {
                        Ok(()) => run(&link.get().expect("it has just been set").program),
                        Err(ours) => run(&ours.program),
                    };
                }
            }
        }
        run(&record()?)
    }
}

impl Program {
    fn fits(&self, input: &impl Values) -> bool {
        self.inputs
            .iter()
            .enumerate()
            .all(|(index, key)| input.get(index).is_some_and(|tensor| key.fits(tensor)))
    }
}
