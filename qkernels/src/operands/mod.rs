//! The operands of the integer product, as it and its micro-kernels see them: where rows of activations lie, and in
//! what order packed weights are multiplied.

mod chains;
mod pairs;
mod rows;
#[cfg(target_arch = "x86_64")]
mod windows;

pub(crate) use chains::{Chains, FindChains};
pub(crate) use pairs::{LargeQuad, PairBounds};
pub(crate) use rows::{LocatedRows, Rows, RunBuffers, RunTable};
#[cfg(target_arch = "x86_64")]
pub(crate) use windows::{PaddedWindows, Windows};
