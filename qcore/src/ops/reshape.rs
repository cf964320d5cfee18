//! `reshape`: the same values in row-major order, in another shape.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::inputs::{element_count, float_or_static};
use super::plain::{no_parameters, plain_op};
use super::{Executable, Lowering, Op, Planned, TensorSpec};
use crate::tensor::{Rearrangement, resolve_axis};
use crate::{Error, Result};

/// One extent of a new shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// A number; -1, once in a shape, is whatever is left over.
    Is(isize),
    /// The size of an input along an axis, like `x.size(0)`.
    SizeOf {
        /// Which of the operation's inputs: 0 is the one that is reshaped.
        input: usize,
        /// Which of its axes; negative counts from the end.
        dim: isize,
    },
    /// `a + b`.
    Sum(Box<[Extent; 2]>),
    /// `a - b`.
    Difference(Box<[Extent; 2]>),
    /// `a * b`.
    Product(Box<[Extent; 2]>),
    /// `a / b`, rounded down.
    Quotient(Box<[Extent; 2]>),
}

impl Extent {
    fn operands(&self) -> Option<&[Extent; 2]> {
        match self {
            Self::Is(_) | Self::SizeOf { .. } => None,
            Self::Sum(operands)
            | Self::Difference(operands)
            | Self::Product(operands)
            | Self::Quotient(operands) => Some(operands),
        }
    }

    /// The input of the highest number that it asks for a size.
    fn last_input(&self) -> usize {
        match self {
            Self::SizeOf { input, .. } => *input,
            extent => {
                let operands = extent.operands().into_iter().flatten();
                operands.map(Self::last_input).max().unwrap_or(0)
            }
        }
    }

    /// The number for inputs of these shapes, of which there are as many as [`Extent::last_input`] says.
    fn value(&self, inputs: &[TensorSpec]) -> Result<isize> {
        let calculated = |result: Option<isize>, what: &str| {
            let sizes =
                || inputs.iter().map(|input| format!("{:?}", input.shape())).collect::<Vec<_>>().join(", ");
            let misfit = || Error::parameter(NAME, format!("{what} for inputs of shape {}", sizes()));
            result.filter(|&result| result >= 0).ok_or_else(misfit)
        };
        let operands = match self.operands() {
            Some([left, right]) => (left.value(inputs)?, right.value(inputs)?),
            None => (0, 0),
        };
        match (self, operands) {
            (Self::Is(extent), _) => Ok(*extent),
            (Self::SizeOf { input, dim }, _) => {
                let shape = inputs[*input].shape();
                Ok(isize::try_from(shape[resolve_axis(NAME, *dim, shape)?]).unwrap_or(isize::MAX))
            }
            (Self::Sum(_), (left, right)) => {
                calculated(left.checked_add(right), "a sum of sizes is no extent")
            }
            (Self::Difference(_), (left, right)) => {
                calculated(left.checked_sub(right), "a difference of sizes is no extent")
            }
            (Self::Product(_), (left, right)) => {
                calculated(left.checked_mul(right), "a product of sizes is no extent")
            }
            (Self::Quotient(_), (left, right)) => {
                calculated(left.checked_div(right), "a quotient of sizes is no extent")
            }
        }
    }
}

macro_rules! extent_from {
    ($($integer:ty),+) => {$(
        impl From<$integer> for Extent {
            fn from(extent: $integer) -> Self {
                // More than `isize` can hold is refused by the operation: no tensor is that large.
                Self::Is(isize::try_from(extent).unwrap_or(isize::MAX))
            }
        }
    )+};
}
extent_from!(i32, isize, usize);

/// The same values in row-major order, in another shape.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reshape {
    extents: Vec<Extent>,
}

/// The operation `reshape(x, extents)`.
///
/// # Errors
/// When an extent is less than -1, or more than one is -1.
pub fn reshape(extents: Vec<Extent>) -> Result<Reshape> {
    let operation = Reshape { extents };
    operation.check()?;
    Ok(operation)
}

const NAME: &str = "reshape";

impl Reshape {
    fn check(&self) -> Result<()> {
        if let Some(Extent::Is(extent)) =
            self.extents.iter().find(|extent| matches!(extent, Extent::Is(..-1)))
        {
            return Err(Error::parameter(NAME, format!("extent {extent} is less than -1")));
        }
        if self.extents.iter().filter(|extent| **extent == Extent::Is(-1)).count() > 1 {
            return Err(Error::parameter(NAME, "more than one extent is -1"));
        }
        Ok(())
    }

    fn output_shape(&self, inputs: &[TensorSpec]) -> Result<Vec<usize>> {
        let takes = self.shape_inputs().saturating_add(1);
        let Some(x) = inputs.first().filter(|_| inputs.len() == takes) else {
            return Err(Error::parameter(NAME, format!("takes {takes} tensors, got {}", inputs.len())));
        };
        let mut extents = Vec::with_capacity(self.extents.len());
        for extent in &self.extents {
            extents.push(extent.value(inputs)?);
        }
        let misfit = || Error::shape(NAME, format!("as many values as {extents:?} has"), x.shape());
        // The extent that is inferred counts as 1 until it is known.
        let mut shape: Vec<usize> =
            extents.iter().map(|&extent| usize::try_from(extent).unwrap_or(1)).collect();
        let total = element_count(x.shape()).ok_or_else(misfit)?;
        let known = element_count(&shape).ok_or_else(misfit)?;
        match extents.iter().position(|&extent| extent == -1) {
            Some(axis) if known > 0 && total % known == 0 => shape[axis] = total / known,
            None if known == total => {}
            _ => return Err(misfit()),
        }
        Ok(shape)
    }
}

no_parameters!(Reshape);

impl Op for Reshape {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        self.check()?;
        let reshape = self.clone();
        float_or_static(NAME, lowering, move |inputs| {
            let shape = reshape.output_shape(inputs)?;
            Ok(Planned::Rearranged(vec![Rearrangement::Reshape(shape)]))
        })
    }

    fn shape_inputs(&self) -> usize {
        self.extents.iter().map(Extent::last_input).max().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    use crate::Tensor;
    use crate::ops::tests::{
        assert_values, channels_last, counting, float, int8, integers, qtensor, refuses,
    };

    #[test]
    fn one_extent_may_be_free_and_others_those_of_tensors() {
        let own_size = reshape(vec![Extent::SizeOf { input: 0, dim: 0 }, (-1).into()]).unwrap();
        assert_eq!(own_size.shape_inputs(), 0);
        assert_eq!(float(&own_size, &[&counting(&[2, 3, 4])]).unwrap().shape(), [2, 12]);
        let others = reshape(vec![Extent::SizeOf { input: 1, dim: -2 }, (-1).into()]).unwrap();
        assert_eq!(others.shape_inputs(), 1);
        let of = |shape: &[usize]| float(&others, &[&counting(&[2, 3, 4]), &counting(shape)]);
        assert_eq!(of(&[6, 7]).unwrap().shape(), [6, 4]);
        assert!(of(&[5, 7]).is_err());
        assert!(of(&[6]).is_err());
        let message = float(&others, &[&counting(&[2])]).unwrap_err().to_string();
        assert_eq!(message, "reshape: takes 2 tensors, got 1");
        let fixed = reshape(vec![3_usize.into(), 3.into()]).unwrap();
        let message = float(&fixed, &[&counting(&[2])]).unwrap_err().to_string();
        assert_eq!(message, "reshape expected as many values as [3, 3] has, found shape [2]");
    }

    #[test]
    fn extents_are_calculated_from_sizes() {
        let size = |dim| Extent::SizeOf { input: 0, dim };
        let of = |left: Extent, right: Extent| Box::new([left, right]);
        // `x.reshape((n, 2, c / 2, h * w + 0))`
        let shuffled = reshape(vec![
            size(0),
            2.into(),
            Extent::Quotient(of(size(1), 2.into())),
            Extent::Sum(of(Extent::Product(of(size(2), size(3))), Extent::Difference(of(size(0), size(0))))),
        ]);
        let shuffled = shuffled.unwrap();
        assert_eq!(shuffled.shape_inputs(), 0);
        assert_eq!(float(&shuffled, &[&counting(&[1, 6, 2, 5])]).unwrap().shape(), [1, 2, 3, 10]);
        let reloaded: Reshape = serde_json::from_value(json!(shuffled)).unwrap();
        assert_eq!(reloaded, shuffled);
        for wrong in [
            Extent::Quotient(of(size(0), 0.into())),
            Extent::Difference(of(1.into(), size(0))),
            Extent::Product(of(isize::MAX.into(), size(0))),
        ] {
            let message = float(&reshape(vec![wrong, (-1).into()]).unwrap(), &[&counting(&[2, 3])]);
            assert!(
                message.unwrap_err().to_string().contains("of sizes is no extent for inputs of shape [2, 3]")
            );
        }
    }

    #[test]
    fn extents_that_make_no_shape_are_refused() {
        assert!(reshape(vec![Extent::Is(-2)]).is_err());
        assert!(reshape(vec![Extent::Is(-1), Extent::Is(-1)]).is_err());
        assert!(refuses::<Reshape>(json!({"extents": [{"is": -1}, {"is": -1}]})));
        assert!(!refuses::<Reshape>(json!({"extents": [{"is": -1}, {"is": 2}]})));
        let x = counting(&[4]);
        assert!(float(&reshape(vec![usize::MAX.into(), 4.into()]).unwrap(), &[&x]).is_err());
        let far = reshape(vec![Extent::SizeOf { input: usize::MAX, dim: 0 }]).unwrap();
        assert!(float(&far, &[&x]).is_err());
    }

    #[test]
    fn values_come_in_row_major_order_of_the_logical_shape() {
        let flat = reshape(vec![4.into()]).unwrap();
        let x = qtensor(&[1, 2, 1, 2], &[1, 2, 3, 4], 1.0, 0);
        assert_eq!(integers(&int8(&flat, &[&channels_last(&x)]).unwrap()), [1, 2, 3, 4]);
        let transposed = Tensor::from(counting(&[2, 2]).into_array().reversed_axes());
        assert_values(&float(&flat, &[&transposed]).unwrap(), &[0.0, 2.0, 1.0, 3.0]);
    }
}
