//! `flatten`: neighbouring axes become one.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inputs::element_count;
use super::plain::{no_parameters, plain_op};
use super::rearranging::rearranging;
use super::{Executable, Homogeneity, Lowering, Op};
use crate::tensor::{Rearrangement, resolve_axis};
use crate::{Error, Result};

/// The axes from `start_dim` to `end_dim` become one, in row-major order: as a layer `[N, C, H, W]` to
/// `[N, C * H * W]` by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flatten {
    start_dim: isize,
    end_dim: isize,
}

impl Default for Flatten {
    fn default() -> Self {
        Self { start_dim: 1, end_dim: -1 }
    }
}

impl Flatten {
    /// All axes but the first become one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The first axis to join; negative counts from the end.
    #[must_use]
    pub fn start_dim(self, start_dim: isize) -> Self {
        Self { start_dim, ..self }
    }

    /// The last axis to join; negative counts from the end.
    #[must_use]
    pub fn end_dim(self, end_dim: isize) -> Self {
        Self { end_dim, ..self }
    }

    fn output_shape(&self, shape: &[usize]) -> Result<Vec<usize>> {
        if shape.is_empty() {
            return Ok(vec![1]);
        }
        let start = resolve_axis(NAME, self.start_dim, shape)?;
        let end = resolve_axis(NAME, self.end_dim, shape)?;
        if start > end {
            let message = format!("start_dim {} comes after end_dim {}", self.start_dim, self.end_dim);
            return Err(Error::parameter(NAME, message));
        }
        let Some(joined) = element_count(&shape[start..=end]) else {
            return Err(Error::shape(NAME, "axes whose product can be addressed", shape));
        };
        Ok([&shape[..start], &[joined], &shape[end + 1..]].concat())
    }
}

/// The operation `flatten(x, start_dim, end_dim)`; from 0 to the last axis if not given, negative counts from the
/// end. Axes that the tensor does not have are an error when the operation runs.
pub fn flatten(start_dim: Option<isize>, end_dim: Option<isize>) -> Result<Flatten> {
    Ok(Flatten { start_dim: start_dim.unwrap_or(0), end_dim: end_dim.unwrap_or(-1) })
}

const NAME: &str = "flatten";

no_parameters!(Flatten, "Flatten");

impl Op for Flatten {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let flatten = *self;
        rearranging(NAME, lowering, move |shape| {
            Ok(vec![Rearrangement::Reshape(flatten.output_shape(shape)?)])
        })
    }

    fn homogeneity(&self) -> Homogeneity {
        match self {
            Self { start_dim: 1, end_dim: -1 } => Homogeneity::Flattening,
            _ => Homogeneity::No,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{channels_last, counting, float, int8, integers, qtensor};

    #[test]
    fn axes_are_counted_from_either_end() {
        let shape = |flatten: Flatten, shape: &[usize]| {
            float(&flatten, &[&counting(shape)]).map(|y| y.shape().to_vec())
        };
        let function = |start, end| flatten(start, end).unwrap();
        assert_eq!(shape(function(None, None), &[2, 3, 4]).unwrap(), [24]);
        assert_eq!(shape(function(Some(1), None), &[2, 3, 4]).unwrap(), [2, 12]);
        assert_eq!(shape(Flatten::new(), &[2, 3, 4]).unwrap(), [2, 12]);
        assert_eq!(shape(Flatten::new().start_dim(0).end_dim(-2), &[2, 3, 4]).unwrap(), [6, 4]);
        assert_eq!(shape(function(None, None), &[]).unwrap(), [1]);
        assert!(shape(function(Some(2), Some(1)), &[2, 3, 4]).is_err());
        assert!(shape(function(Some(3), None), &[2, 3, 4]).is_err());
    }

    #[test]
    fn integers_come_in_row_major_order() {
        let x = channels_last(&qtensor(&[1, 2, 1, 2], &[1, 2, 3, 4], 1.0, 0));
        let y = int8(&Flatten::new(), &[&x]).unwrap();
        assert_eq!((y.shape(), integers(&y)), (&[1, 4][..], vec![1, 2, 3, 4]));
    }
}
