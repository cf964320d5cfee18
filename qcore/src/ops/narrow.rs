//! `narrow` and `select`: a part of an axis, or one index of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::plain::{no_parameters, plain_op};
use super::rearranging::rearranging;
use super::{Executable, Lowering, Op};
use crate::tensor::{Rearrangement, resolve_axis};
use crate::{Error, Result};

/// `length` indices of axis `dim`, from `start` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Narrow {
    dim: isize,
    start: isize,
    length: usize,
}

/// The operation `narrow(x, dim, start, length)`; a negative axis or start counts from the end. What the tensor does not have
/// is an error when the operation runs.
pub fn narrow(dim: isize, start: isize, length: usize) -> Result<Narrow> {
    Ok(Narrow { dim, start, length })
}

/// The indices from `start` on, which may count from the end.
fn part(
    operation: &'static str,
    shape: &[usize],
    dim: isize,
    start: isize,
    length: usize,
) -> Result<Rearrangement> {
    let axis = resolve_axis(operation, dim, shape)?;
    let extent = shape[axis];
    let first = if start < 0 { extent.checked_sub(start.unsigned_abs()) } else { Some(start.unsigned_abs()) };
    let range = first.and_then(|first| Some(first..first.checked_add(length)?));
    match range.filter(|range| range.end <= extent) {
        Some(range) => Ok(Rearrangement::Slice { axis, range }),
        None => {
            let message = format!("axis {axis} of extent {extent} has no {length} indices from {start} on");
            Err(Error::parameter(operation, message))
        }
    }
}

const NARROW: &str = "narrow";

no_parameters!(Narrow);

impl Op for Narrow {
    fn name(&self) -> &'static str {
        NARROW
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let Self { dim, start, length } = *self;
        rearranging(NARROW, lowering, move |shape| Ok(vec![part(NARROW, shape, dim, start, length)?]))
    }
}

/// One index of axis `dim`, which goes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Select {
    dim: isize,
    index: isize,
}

/// The operation `select(x, dim, index)`; a negative axis or index counts from the end. What the tensor does not have is an
/// error when the operation runs.
pub fn select(dim: isize, index: isize) -> Result<Select> {
    Ok(Select { dim, index })
}

const SELECT: &str = "select";

no_parameters!(Select);

impl Op for Select {
    fn name(&self) -> &'static str {
        SELECT
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let Self { dim, index } = *self;
        rearranging(SELECT, lowering, move |shape| {
            let slice = part(SELECT, shape, dim, index, 1)?;
            let mut kept = shape.to_vec();
            kept.remove(resolve_axis(SELECT, dim, shape)?);
            Ok(vec![slice, Rearrangement::Reshape(kept)])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, counting, float, int8, integers, qtensor, tensor};
    use crate::train::Backward;

    #[test]
    fn indices_count_from_either_end() {
        let x = counting(&[2, 3]);
        let narrowed = |dim, start, length| float(&narrow(dim, start, length).unwrap(), &[&x]);
        assert_values(&narrowed(1, 1, 2).unwrap(), &[1.0, 2.0, 4.0, 5.0]);
        assert_values(&narrowed(-1, -1, 1).unwrap(), &[2.0, 5.0]);
        assert!(narrowed(0, 0, 0).unwrap().is_empty());
        assert_values(&float(&select(0, -1).unwrap(), &[&x]).unwrap(), &[3.0, 4.0, 5.0]);
        let message = narrowed(1, 2, 2).unwrap_err().to_string();
        assert_eq!(message, "narrow: axis 1 of extent 3 has no 2 indices from 2 on");
        for (dim, start, length) in [(2, 0, 1), (1, -4, 1), (1, isize::MIN, 1), (1, 1, usize::MAX)] {
            assert!(narrowed(dim, start, length).is_err());
        }
        assert!(float(&select(0, 2).unwrap(), &[&x]).is_err());
    }

    #[test]
    fn integers_are_cut_along_any_axis() {
        let x = qtensor(&[1, 2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7], 1.0, 0);
        assert_eq!(integers(&int8(&narrow(1, 1, 1).unwrap(), &[&x]).unwrap()), [4, 5, 6, 7]);
        let y = int8(&select(3, 0).unwrap(), &[&x]).unwrap();
        assert_eq!((y.shape(), integers(&y)), (&[1, 2, 2][..], vec![0, 2, 4, 6]));
    }

    #[test]
    fn the_gradient_of_a_part_is_zero_elsewhere() {
        let (x, y) = (counting(&[2, 3]), counting(&[2]));
        let gradients = [tensor(&[2], &[7.0, 8.0])];
        let pass = Backward { inputs: &[x], outputs: &[y], gradients: &gradients };
        let gradients = select(1, 1).unwrap().backward(&pass).unwrap();
        assert_values(gradients.inputs[0].as_ref().unwrap(), &[0.0, 7.0, 0.0, 0.0, 8.0, 0.0]);
    }
}
