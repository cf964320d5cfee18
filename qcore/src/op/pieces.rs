//! `chunk` and `split`: one piece of a tensor, cut along an axis.

use serde::{Deserialize, Serialize};

use super::rearrange::{Rearrange, Rearrangement, rearranging_operation};
use crate::tensor::resolve_axis;
use crate::{Error, Result};

/// Piece `piece` of those of length `size` along `axis`; the last may be shorter.
fn piece_of(
    operation: &'static str,
    shape: &[usize],
    axis: usize,
    size: usize,
    piece: usize,
) -> Result<Rearrangement> {
    let extent = shape[axis];
    let Some(start) = piece.checked_mul(size).filter(|&start| start < extent.max(1)) else {
        let pieces = extent.max(1).div_ceil(size);
        let message =
            format!("axis {axis} of extent {extent} gives {pieces} pieces, piece {piece} is not there");
        return Err(Error::parameter(operation, message));
    };
    Ok(Rearrangement::Cut { axis, range: start..start.saturating_add(size).min(extent) })
}

/// One of `chunks` pieces of nearly equal length along an axis, as PyTorch cuts them: each is
/// `ceil(extent / chunks)` long but the last, and there may be fewer than asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chunk {
    chunks: usize,
    dim: isize,
    piece: usize,
}

/// The operation that gives piece `piece` of `chunk(x, chunks, dim)`; `dim` is 0 if not given.
///
/// # Errors
/// When `chunks` is 0.
pub fn chunk(chunks: usize, dim: Option<isize>, piece: usize) -> Result<Chunk> {
    let operation = Chunk { chunks, dim: dim.unwrap_or(0), piece };
    operation.check()?;
    Ok(operation)
}

impl Chunk {
    fn check(&self) -> Result<()> {
        if self.chunks == 0 {
            return Err(Error::parameter("chunk", "chunks must not be 0"));
        }
        Ok(())
    }
}

impl Rearrange for Chunk {
    const NAME: &'static str = "chunk";

    fn rearrangement(&self, shape: &[usize]) -> Result<Rearrangement> {
        let axis = resolve_axis(Self::NAME, self.dim, shape)?;
        let size = shape[axis].div_ceil(self.chunks).max(1);
        piece_of(Self::NAME, shape, axis, size, self.piece)
    }
}

rearranging_operation!(Chunk);

/// One of the pieces of length `split_size` along an axis; the last may be shorter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Split {
    split_size: usize,
    dim: isize,
    piece: usize,
}

/// The operation that gives piece `piece` of `split(x, split_size, dim)`; `dim` is 0 if not given.
///
/// # Errors
/// When `split_size` is 0.
pub fn split(split_size: usize, dim: Option<isize>, piece: usize) -> Result<Split> {
    let operation = Split { split_size, dim: dim.unwrap_or(0), piece };
    operation.check()?;
    Ok(operation)
}

impl Split {
    fn check(&self) -> Result<()> {
        if self.split_size == 0 {
            return Err(Error::parameter("split", "split_size must not be 0"));
        }
        Ok(())
    }
}

impl Rearrange for Split {
    const NAME: &'static str = "split";

    fn rearrangement(&self, shape: &[usize]) -> Result<Rearrangement> {
        let axis = resolve_axis(Self::NAME, self.dim, shape)?;
        piece_of(Self::NAME, shape, axis, self.split_size, self.piece)
    }
}

rearranging_operation!(Split);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Op;
    use crate::op::tests::{assert_values, counting};

    #[test]
    fn the_last_piece_may_be_shorter_or_missing() {
        let chunk = |piece| Op::forward(&chunk(4, Some(-1), piece).unwrap(), &mut [counting(&[5])]);
        assert_values(&chunk(0).unwrap(), &[0.0, 1.0]);
        assert_values(&chunk(2).unwrap(), &[4.0]);
        let message = chunk(3).unwrap_err().to_string();
        assert_eq!(message, "chunk: axis 0 of extent 5 gives 3 pieces, piece 3 is not there");
        let split = |size, piece| Op::forward(&split(size, None, piece).unwrap(), &mut [counting(&[3, 1])]);
        assert_values(&split(2, 1).unwrap(), &[2.0]);
        assert!(split(2, usize::MAX).is_err());
        assert!(super::chunk(0, None, 0).is_err());
        assert!(super::split(0, None, 0).is_err());
    }
}
