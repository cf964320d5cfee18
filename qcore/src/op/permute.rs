//! `permute` and `transpose`: axes change places, nothing is copied.

use serde::{Deserialize, Serialize};

use super::rearrange::{Rearrange, Rearrangement, rearranging_operation};
use crate::tensor::resolve_axis;
use crate::{Error, Result};

/// Axis `i` of the result is axis `dims[i]` of the input.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permute {
    dims: Vec<isize>,
}

/// The operation `permute(x, dims)`; negative axes count from the end.
///
/// # Errors
/// Never; whether `dims` names each axis once shows when the operation runs.
pub fn permute(dims: impl Into<Vec<isize>>) -> Result<Permute> {
    Ok(Permute { dims: dims.into() })
}

impl Permute {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Rearrange for Permute {
    const NAME: &'static str = "permute";

    fn rearrangement(&self, shape: &[usize]) -> Result<Rearrangement> {
        if self.dims.len() != shape.len() {
            return Err(Error::shape(Self::NAME, format!("{} axes", self.dims.len()), shape));
        }
        let mut is_taken = vec![false; shape.len()];
        let mut order = Vec::with_capacity(shape.len());
        for &dim in &self.dims {
            let axis = resolve_axis(Self::NAME, dim, shape)?;
            if std::mem::replace(&mut is_taken[axis], true) {
                return Err(Error::parameter(
                    Self::NAME,
                    format!("axis {axis} appears twice in {:?}", self.dims),
                ));
            }
            order.push(axis);
        }
        Ok(Rearrangement::Permute(order))
    }
}

rearranging_operation!(Permute);

/// Two axes change places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transpose {
    dim0: isize,
    dim1: isize,
}

/// The operation `transpose(x, dim0, dim1)`; negative axes count from the end.
///
/// # Errors
/// Never; axes that the tensor does not have are an error when the operation runs.
pub fn transpose(dim0: isize, dim1: isize) -> Result<Transpose> {
    Ok(Transpose { dim0, dim1 })
}

impl Transpose {
    fn check(&self) -> Result<()> {
        Ok(())
    }
}

impl Rearrange for Transpose {
    const NAME: &'static str = "transpose";

    fn rearrangement(&self, shape: &[usize]) -> Result<Rearrangement> {
        let first = resolve_axis(Self::NAME, self.dim0, shape)?;
        let second = resolve_axis(Self::NAME, self.dim1, shape)?;
        let mut order: Vec<usize> = (0..shape.len()).collect();
        order.swap(first, second);
        Ok(Rearrangement::Permute(order))
    }
}

rearranging_operation!(Transpose);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Op;
    use crate::op::tests::{assert_values, counting};

    #[test]
    fn each_axis_is_named_once() {
        let y = Op::forward(&permute([1, 0]).unwrap(), &mut [counting(&[2, 3])]).unwrap();
        assert_values(&y, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        let y = Op::forward(&transpose(-1, 0).unwrap(), &mut [counting(&[2, 3])]).unwrap();
        assert_values(&y, &[0.0, 3.0, 1.0, 4.0, 2.0, 5.0]);
        for dims in [vec![0, 0], vec![0, -2], vec![0], vec![0, 2]] {
            assert!(Op::forward(&permute(dims).unwrap(), &mut [counting(&[2, 3])]).is_err());
        }
    }
}
