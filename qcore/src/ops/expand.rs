//! `expand`: a tensor repeated along axes of extent 1.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inputs::element_count;
use super::plain::{no_parameters, plain_op};
use super::rearranging::rearranging;
use super::{Executable, Lowering, Op};
use crate::tensor::Rearrangement;
use crate::{Error, Result};

/// The tensor repeated along axes of extent 1, and along new ones in front.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Expand {
    sizes: Vec<isize>,
}

/// The operation `expand(x, sizes)`; an axis of size -1 stays as it is. A tensor that does not fit is an error when the
/// operation runs.
pub fn expand(sizes: impl Into<Vec<isize>>) -> Result<Expand> {
    Ok(Expand { sizes: sizes.into() })
}

const NAME: &str = "expand";

no_parameters!(Expand);

impl Op for Expand {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let expand = self.clone();
        rearranging(NAME, lowering, move |shape| Ok(vec![Rearrangement::Broadcast(expand.shape(shape)?)]))
    }
}

impl Expand {
    fn shape(&self, shape: &[usize]) -> Result<Vec<usize>> {
        let refused = || Error::shape(NAME, format!("a tensor that repeats to {:?}", self.sizes), shape);
        let added = self.sizes.len().checked_sub(shape.len()).ok_or_else(refused)?;
        let old = std::iter::repeat_n(None, added).chain(shape.iter().copied().map(Some));
        let extents = self.sizes.iter().zip(old).map(|(&size, old)| match (usize::try_from(size), old) {
            (Err(_), Some(old)) if size == -1 => Some(old),
            (Ok(size), None | Some(1)) => Some(size),
            (Ok(size), Some(old)) => (size == old).then_some(size),
            (Err(_), _) => None,
        });
        let expanded: Vec<usize> = extents.collect::<Option<_>>().ok_or_else(refused)?;
        element_count(&expanded).ok_or_else(refused)?;
        Ok(expanded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{assert_values, counting, float, int8, integers, qtensor};

    #[test]
    fn values_repeat_along_axes_of_extent_one_and_new_ones() {
        let x = counting(&[2, 1]);
        let expanded = |sizes: &[isize]| float(&expand(sizes).unwrap(), &[&x]);
        assert_values(&expanded(&[-1, 2]).unwrap(), &[0.0, 0.0, 1.0, 1.0]);
        let y = expanded(&[2, 2, 1]).unwrap();
        assert_eq!(y.shape(), [2, 2, 1]);
        assert_values(&y, &[0.0, 1.0, 0.0, 1.0]);
        for sizes in [&[2][..], &[3, 1], &[-1, -1, 1, 2], &[-2, 1], &[-1, 2, 1], &[2, isize::MAX]] {
            assert!(expanded(sizes).is_err(), "{sizes:?}");
        }
    }

    #[test]
    fn integers_repeat() {
        let x = qtensor(&[1, 2, 1, 1], &[3, 4], 1.0, 0);
        assert_eq!(
            integers(&int8(&expand([2, -1, 1, 2]).unwrap(), &[&x]).unwrap()),
            [3, 3, 4, 4, 3, 3, 4, 4]
        );
    }
}
