//! `chunk` and `split`: one chunk of a tensor, cut along an axis.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plain::{no_parameters, plain_op};
use super::rearranging::rearranging;
use super::{Executable, Lowering, Op};
use crate::tensor::{Rearrangement, resolve_axis};
use crate::{Error, Result};

/// Chunk `index` of the chunks of length `size` along `axis`; the last may be shorter.
fn chunk_of(
    operation: &'static str,
    shape: &[usize],
    axis: usize,
    size: usize,
    index: usize,
) -> Result<Rearrangement> {
    let extent = shape[axis];
    let Some(start) = index.checked_mul(size).filter(|&start| start < extent.max(1)) else {
        let count = extent.max(1).div_ceil(size);
        let message =
            format!("axis {axis} of extent {extent} gives {count} chunks, chunk {index} is not there");
        return Err(Error::parameter(operation, message));
    };
    Ok(Rearrangement::Slice { axis, range: start..start.saturating_add(size).min(extent) })
}

/// One of `chunks` chunks of nearly equal length along an axis, as PyTorch cuts them: each is
/// `ceil(extent / chunks)` long but the last, and there may be fewer than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    chunks: usize,
    dim: isize,
    /// Which of the chunks; `chunk` in files.
    #[serde(rename = "chunk")]
    index: usize,
}

/// The operation that gives chunk `index` of `chunk(x, chunks, dim)`; `dim` is 0 if not given.
///
/// # Errors
/// When `chunks` is 0.
pub fn chunk(chunks: usize, dim: Option<isize>, index: usize) -> Result<Chunk> {
    let operation = Chunk { chunks, dim: dim.unwrap_or(0), index };
    operation.check()?;
    Ok(operation)
}

const CHUNK: &str = "chunk";

impl Chunk {
    fn check(&self) -> Result<()> {
        if self.chunks == 0 {
            return Err(Error::parameter(CHUNK, "chunks must not be 0"));
        }
        Ok(())
    }

    fn rearrangement(&self, shape: &[usize]) -> Result<Rearrangement> {
        let axis = resolve_axis(CHUNK, self.dim, shape)?;
        let size = shape[axis].div_ceil(self.chunks).max(1);
        chunk_of(CHUNK, shape, axis, size, self.index)
    }
}

no_parameters!(Chunk);

impl Op for Chunk {
    fn name(&self) -> &'static str {
        CHUNK
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check()?;
        let chunk = *self;
        rearranging(CHUNK, lowering, move |shape| Ok(vec![chunk.rearrangement(shape)?]))
    }
}

/// One of the chunks of length `split_size` along an axis; the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    split_size: usize,
    dim: isize,
    /// Which of the chunks; `chunk` in files.
    #[serde(rename = "chunk")]
    index: usize,
}

/// The operation that gives chunk `index` of `split(x, split_size, dim)`; `dim` is 0 if not given.
///
/// # Errors
/// When `split_size` is 0.
pub fn split(split_size: usize, dim: Option<isize>, index: usize) -> Result<Split> {
    let operation = Split { split_size, dim: dim.unwrap_or(0), index };
    operation.check()?;
    Ok(operation)
}

const SPLIT: &str = "split";

impl Split {
    fn check(&self) -> Result<()> {
        if self.split_size == 0 {
            return Err(Error::parameter(SPLIT, "split_size must not be 0"));
        }
        Ok(())
    }

    fn rearrangement(&self, shape: &[usize]) -> Result<Rearrangement> {
        let axis = resolve_axis(SPLIT, self.dim, shape)?;
        chunk_of(SPLIT, shape, axis, self.split_size, self.index)
    }
}

no_parameters!(Split);

impl Op for Split {
    fn name(&self) -> &'static str {
        SPLIT
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check()?;
        let split = *self;
        rearranging(SPLIT, lowering, move |shape| Ok(vec![split.rearrangement(shape)?]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::ops::tests::{assert_values, counting, float, int8, integers, qtensor, refuses};

    #[test]
    fn the_last_chunk_may_be_shorter_or_missing() {
        let chunk = |index| float(&chunk(4, Some(-1), index).unwrap(), &[&counting(&[5])]);
        assert_values(&chunk(0).unwrap(), &[0.0, 1.0]);
        assert_values(&chunk(2).unwrap(), &[4.0]);
        let message = chunk(3).unwrap_err().to_string();
        assert_eq!(message, "chunk: axis 0 of extent 5 gives 3 chunks, chunk 3 is not there");
        let split = |size, index| float(&split(size, None, index).unwrap(), &[&counting(&[3, 1])]);
        assert_values(&split(2, 1).unwrap(), &[2.0]);
        assert!(split(2, usize::MAX).is_err());
        assert!(super::chunk(0, None, 0).is_err());
        assert!(super::split(0, None, 0).is_err());
        assert!(refuses::<Chunk>(json!({"chunks": 0, "dim": 0, "chunk": 0})));
        assert!(refuses::<Split>(json!({"split_size": 0, "dim": 0, "chunk": 0})));
    }

    #[test]
    fn integers_are_cut_along_any_axis() {
        let x = qtensor(&[1, 4, 1, 2], &[0, 1, 2, 3, 4, 5, 6, 7], 1.0, 0);
        assert_eq!(integers(&int8(&chunk(2, Some(1), 1).unwrap(), &[&x]).unwrap()), [4, 5, 6, 7]);
        assert_eq!(integers(&int8(&split(1, Some(-1), 1).unwrap(), &[&x]).unwrap()), [1, 3, 5, 7]);
    }
}
