//! `squeeze` and `unsqueeze`: axes of extent 1 go away or come.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plain::{no_parameters, plain_op};
use super::rearranging::rearranging;
use super::{Executable, Lowering, Op};
use crate::tensor::{Rearrangement, resolve_axis};
use crate::{Error, Result};

/// The axis `dim` goes away if its extent is 1; without `dim` all such axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Squeeze {
    dim: Option<isize>,
}

/// The operation `squeeze(x, dim)`; all axes of extent 1 if not given, negative counts from the end. An axis that the tensor
/// does not have is an error when the operation runs.
pub fn squeeze(dim: Option<isize>) -> Result<Squeeze> {
    Ok(Squeeze { dim })
}

const SQUEEZE: &str = "squeeze";

no_parameters!(Squeeze);

impl Op for Squeeze {
    fn name(&self) -> &'static str {
        SQUEEZE
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let dim = self.dim;
        rearranging(SQUEEZE, lowering, move |shape| {
            let only = dim.map(|dim| resolve_axis(SQUEEZE, dim, shape)).transpose()?;
            let goes = |axis: usize| shape[axis] == 1 && only.is_none_or(|only| only == axis);
            let kept = (0..shape.len()).filter(|&axis| !goes(axis)).map(|axis| shape[axis]).collect();
            Ok(vec![Rearrangement::Reshape(kept)])
        })
    }
}

/// An axis of extent 1 comes before axis `dim`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unsqueeze {
    dim: isize,
}

/// The operation `unsqueeze(x, dim)`; negative counts from the end, and -1 is behind the last axis. A place that the tensor
/// does not have is an error when the operation runs.
pub fn unsqueeze(dim: isize) -> Result<Unsqueeze> {
    Ok(Unsqueeze { dim })
}

const UNSQUEEZE: &str = "unsqueeze";

/// `shape` with an axis of extent 1 before axis `dim`.
pub(super) fn unsqueezed(operation: &'static str, dim: isize, shape: &[usize]) -> Result<Vec<usize>> {
    let places = shape.len() as isize + 1;
    let axis = if dim < 0 { dim.saturating_add(places) } else { dim };
    if !(0..places).contains(&axis) {
        return Err(Error::shape(operation, format!("a tensor with a place for axis {dim}"), shape));
    }
    let mut shape = shape.to_vec();
    shape.insert(axis as usize, 1);
    Ok(shape)
}

no_parameters!(Unsqueeze);

impl Op for Unsqueeze {
    fn name(&self) -> &'static str {
        UNSQUEEZE
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let dim = self.dim;
        rearranging(UNSQUEEZE, lowering, move |shape| {
            Ok(vec![Rearrangement::Reshape(unsqueezed(UNSQUEEZE, dim, shape)?)])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{counting, float, int8, integers, qtensor};

    #[test]
    fn axes_of_extent_one_come_and_go() {
        let shape = |op: &dyn Op, shape: &[usize]| float(op, &[&counting(shape)]).map(|y| y.shape().to_vec());
        assert_eq!(shape(&squeeze(None).unwrap(), &[1, 2, 1]).unwrap(), [2]);
        assert_eq!(shape(&squeeze(Some(-1)).unwrap(), &[1, 2, 1]).unwrap(), [1, 2]);
        assert_eq!(shape(&squeeze(Some(1)).unwrap(), &[1, 2, 1]).unwrap(), [1, 2, 1]);
        assert!(shape(&squeeze(Some(3)).unwrap(), &[1, 2, 1]).is_err());
        assert_eq!(shape(&unsqueeze(0).unwrap(), &[2, 3]).unwrap(), [1, 2, 3]);
        assert_eq!(shape(&unsqueeze(-1).unwrap(), &[2, 3]).unwrap(), [2, 3, 1]);
        assert!(shape(&unsqueeze(3).unwrap(), &[2, 3]).is_err());
        assert!(shape(&unsqueeze(isize::MIN).unwrap(), &[2, 3]).is_err());
    }

    #[test]
    fn integers_stay_in_order() {
        let x = qtensor(&[1, 2, 1, 2], &[1, 2, 3, 4], 1.0, 0);
        let y = int8(&squeeze(Some(2)).unwrap(), &[&x]).unwrap();
        assert_eq!((y.shape(), integers(&y)), (&[1, 2, 2][..], vec![1, 2, 3, 4]));
    }
}
