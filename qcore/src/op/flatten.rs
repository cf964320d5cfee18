//! `flatten`: neighbouring axes become one.

use serde::{Deserialize, Serialize};

use super::rearrange::{Rearrange, Rearrangement, rearranging_operation};
use crate::tensor::resolve_axis;
use crate::{Error, Result};

/// The axes from `start_dim` to `end_dim` become one, in row-major order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flatten {
    start_dim: isize,
    end_dim: isize,
}

/// The operation `flatten(x, start_dim, end_dim)`; from 0 to the last axis if not given, negative counts from
/// the end.
///
/// # Errors
/// Never; axes that the tensor does not have are an error when the operation runs.
pub fn flatten(start_dim: Option<isize>, end_dim: Option<isize>) -> Result<Flatten> {
    Ok(Flatten { start_dim: start_dim.unwrap_or(0), end_dim: end_dim.unwrap_or(-1) })
}

impl Flatten {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    fn output_shape(&self, shape: &[usize]) -> Result<Vec<usize>> {
        if shape.is_empty() {
            return Ok(vec![1]);
        }
        let start = resolve_axis("flatten", self.start_dim, shape)?;
        let end = resolve_axis("flatten", self.end_dim, shape)?;
        if start > end {
            let message = format!("start_dim {} comes after end_dim {}", self.start_dim, self.end_dim);
            return Err(Error::parameter("flatten", message));
        }
        let joined = shape[start..=end].iter().product();
        Ok([&shape[..start], &[joined], &shape[end + 1..]].concat())
    }
}

impl Rearrange for Flatten {
    const NAME: &'static str = "flatten";

    fn rearrangement(&self, shape: &[usize]) -> Result<Rearrangement> {
        self.output_shape(shape).map(Rearrangement::Reshape)
    }
}

rearranging_operation!(Flatten);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::Op;
    use crate::op::tests::counting;

    #[test]
    fn axes_are_counted_from_either_end() {
        let shape = |start, end, shape: &[usize]| {
            Op::forward(&flatten(start, end).unwrap(), &mut [counting(shape)]).map(|y| y.shape().to_vec())
        };
        assert_eq!(shape(None, None, &[2, 3, 4]).unwrap(), [24]);
        assert_eq!(shape(Some(1), None, &[2, 3, 4]).unwrap(), [2, 12]);
        assert_eq!(shape(Some(0), Some(-2), &[2, 3, 4]).unwrap(), [6, 4]);
        assert_eq!(shape(None, None, &[]).unwrap(), [1]);
        assert!(shape(Some(2), Some(1), &[2, 3, 4]).is_err());
        assert!(shape(Some(3), None, &[2, 3, 4]).is_err());
    }
}
