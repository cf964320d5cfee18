//! `permute` and `transpose`: axes change places.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plain::{no_parameters, plain_op};
use super::rearranging::rearranging;
use super::{Executable, Lowering, Op};
use crate::tensor::{Rearrangement, resolve_axis};
use crate::{Error, Result};

/// Axis `i` of the result is axis `dims[i]` of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permute {
    dims: Vec<isize>,
}

/// The operation `permute(x, dims)`; negative axes count from the end. Whether `dims` names each axis once shows when
/// the operation runs.
pub fn permute(dims: impl Into<Vec<isize>>) -> Result<Permute> {
    Ok(Permute { dims: dims.into() })
}

const PERMUTE: &str = "permute";

fn permutation(dims: &[isize], shape: &[usize]) -> Result<Rearrangement> {
    if dims.len() != shape.len() {
        return Err(Error::shape(PERMUTE, format!("{} axes", dims.len()), shape));
    }
    let mut is_taken = vec![false; shape.len()];
    let mut order = Vec::with_capacity(shape.len());
    for &dim in dims {
        let axis = resolve_axis(PERMUTE, dim, shape)?;
        if std::mem::replace(&mut is_taken[axis], true) {
            return Err(Error::parameter(PERMUTE, format!("axis {axis} appears twice in {dims:?}")));
        }
        order.push(axis);
    }
    Ok(Rearrangement::Permute(order))
}

no_parameters!(Permute);

impl Op for Permute {
    fn name(&self) -> &'static str {
        PERMUTE
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let dims = self.dims.clone();
        rearranging(PERMUTE, lowering, move |shape| Ok(vec![permutation(&dims, shape)?]))
    }
}

/// Two axes change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transpose {
    dim0: isize,
    dim1: isize,
}

/// The operation `transpose(x, dim0, dim1)`; negative axes count from the end. Axes that the tensor does not have are
/// an error when the operation runs.
pub fn transpose(dim0: isize, dim1: isize) -> Result<Transpose> {
    Ok(Transpose { dim0, dim1 })
}

const TRANSPOSE: &str = "transpose";

no_parameters!(Transpose);

impl Op for Transpose {
    fn name(&self) -> &'static str {
        TRANSPOSE
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let Self { dim0, dim1 } = *self;
        rearranging(TRANSPOSE, lowering, move |shape| {
            let first = resolve_axis(TRANSPOSE, dim0, shape)?;
            let second = resolve_axis(TRANSPOSE, dim1, shape)?;
            let mut order: Vec<usize> = (0..shape.len()).collect();
            order.swap(first, second);
            Ok(vec![Rearrangement::Permute(order)])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, counting, float, int8, integers, qtensor};

    #[test]
    fn each_axis_is_named_once() {
        let y = float(&permute([1, 0]).unwrap(), &[&counting(&[2, 3])]).unwrap();
        assert_values(&y, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let y = float(&transpose(-1, 0).unwrap(), &[&counting(&[2, 3])]).unwrap();
        assert_values(&y, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        for dims in [vec![0, 0], vec![0, -2], vec![0], vec![0, 2], vec![isize::MIN, 1]] {
            assert!(float(&permute(dims).unwrap(), &[&counting(&[2, 3])]).is_err());
        }
    }

    #[test]
    fn integers_move_as_floats_do() {
        let x = qtensor(&[1, 2, 1, 3], &[0, 1, 2, 3, 4, 5], 1.0, 0);
        let y = int8(&permute([0, 2, 3, 1]).unwrap(), &[&x]).unwrap();
        assert_eq!((y.shape(), integers(&y)), (&[1, 1, 3, 2][..], vec![0, 3, 1, 4, 2, 5]));
    }
}
