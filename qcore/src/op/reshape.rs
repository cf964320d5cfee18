//! `reshape`: the same values in row-major order, in another shape.

use serde::{Deserialize, Serialize};

use super::layout::element_count;
use super::plain::plain_record;
use super::rearrange::{Rearrange, Rearrangement, float, planned, quantized};
use super::{ActivationSpec, Lowering, Op, OutputRule, Planned, QuantizedOp};
use crate::{Error, QTensor, Result, Tensor};

/// One extent of a new shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Extent {
    /// A number; -1, once in a shape, is whatever is left over.
    Is(isize),
    /// The size at this index of those that are only known at run time, like `x.size(0)`.
    Given(usize),
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

    /// [`Op::forward`], with the sizes that [`Extent::Given`] refers to.
    ///
    /// # Errors
    /// When the number of values differs from the shape's, or a size is not there.
    pub fn forward_sized(&self, inputs: &mut [Tensor], sizes: &[usize]) -> Result<Tensor> {
        float(&SizedReshape { reshape: self, sizes }, inputs)
    }

    fn output_shape(&self, found: &[usize], sizes: &[usize]) -> Result<Vec<usize>> {
        let misfit = || {
            let extents = self.extents.iter().map(|extent| match extent {
                Extent::Is(extent) => extent.to_string(),
                Extent::Given(index) => sizes.get(*index).map_or("?".to_owned(), usize::to_string),
            });
            let expected = extents.collect::<Vec<_>>().join(", ");
            Error::shape(NAME, format!("as many values as [{expected}] has"), found)
        };
        let mut free = None;
        let mut shape = Vec::with_capacity(self.extents.len());
        for (axis, extent) in self.extents.iter().enumerate() {
            shape.push(match *extent {
                Extent::Is(-1) => {
                    free = Some(axis);
                    1
                }
                Extent::Is(extent) => usize::try_from(extent).map_err(|_| misfit())?,
                Extent::Given(index) => *sizes.get(index).ok_or_else(|| {
                    Error::parameter(
                        NAME,
                        format!("needs {} run-time sizes, got {}", index.saturating_add(1), sizes.len()),
                    )
                })?,
            });
        }
        let total = element_count(found).ok_or_else(misfit)?;
        let known = element_count(&shape).ok_or_else(misfit)?;
        if let Some(axis) = free {
            if known == 0 || total % known != 0 {
                return Err(misfit());
            }
            shape[axis] = total / known;
        } else if known != total {
            return Err(misfit());
        }
        Ok(shape)
    }
}

/// A reshape of which all sizes are known.
struct SizedReshape<'a> {
    reshape: &'a Reshape,
    sizes: &'a [usize],
}

impl Rearrange for SizedReshape<'_> {
    const NAME: &'static str = NAME;

    fn rearrangement(&self, shape: &[usize]) -> Result<Rearrangement> {
        self.reshape.output_shape(shape, self.sizes).map(Rearrangement::Reshape)
    }
}

plain_record!(Reshape, QuantizedReshape);

impl Op for Reshape {
    type Quantized = QuantizedReshape;

    fn name(&self) -> &'static str {
        NAME
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::SameAsInput
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        self.forward_sized(inputs, &[])
    }

    fn lower(&self, _lowering: &Lowering<'_>) -> Result<QuantizedReshape> {
        Ok(QuantizedReshape { reshape: self.clone() })
    }
}

/// [`Reshape`] on integers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantizedReshape {
    reshape: Reshape,
}

impl QuantizedReshape {
    fn check(&self) -> Result<()> {
        self.reshape.check()
    }

    /// [`QuantizedOp::forward`], with the sizes that [`Extent::Given`] refers to.
    ///
    /// # Errors
    /// As [`Reshape::forward_sized`].
    pub fn forward_sized(&self, inputs: &mut [QTensor], sizes: &[usize]) -> Result<QTensor> {
        quantized(&SizedReshape { reshape: &self.reshape, sizes }, inputs)
    }

    /// [`QuantizedOp::plan`], with the sizes that [`Extent::Given`] refers to.
    ///
    /// # Errors
    /// As [`Reshape::forward_sized`].
    pub fn plan_sized(&self, inputs: &[ActivationSpec], sizes: &[usize]) -> Result<Option<Planned>> {
        planned(&SizedReshape { reshape: &self.reshape, sizes }, inputs).map(Some)
    }
}

impl QuantizedOp for QuantizedReshape {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        self.forward_sized(inputs, &[])
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        self.plan_sized(inputs, &[])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, channels_last, counting, integers, qtensor};

    #[test]
    fn one_extent_may_be_free_and_others_known_late() {
        let batch = reshape(vec![Extent::Given(0), (-1).into()]).unwrap();
        let y = batch.forward_sized(&mut [counting(&[2, 3, 4])], &[2]).unwrap();
        assert_eq!(y.shape(), [2, 12]);
        assert!(batch.forward_sized(&mut [counting(&[2, 3, 4])], &[5]).is_err());
        let message = Op::forward(&batch, &mut [counting(&[2])]).unwrap_err().to_string();
        assert_eq!(message, "reshape: needs 1 run-time sizes, got 0");
        assert!(reshape(vec![Extent::Is(-2)]).is_err());
        assert!(reshape(vec![Extent::Is(-1), Extent::Is(-1)]).is_err());
        let fixed = reshape(vec![3_usize.into(), 3.into()]).unwrap();
        let message = Op::forward(&fixed, &mut [counting(&[2])]).unwrap_err().to_string();
        assert_eq!(message, "reshape expected as many values as [3, 3] has, found shape [2]");
    }

    #[test]
    fn values_come_in_row_major_order_of_the_logical_shape() {
        let x = qtensor(&[1, 2, 1, 2], &[1, 2, 3, 4], 1.0, 0);
        let flat = QuantizedReshape { reshape: reshape(vec![4.into()]).unwrap() };
        assert_eq!(integers(&flat.forward(&mut [channels_last(&x)]).unwrap()), [1, 2, 3, 4]);
        let transposed = Tensor::from(counting(&[2, 2]).into_array().reversed_axes());
        let y = Op::forward(&reshape(vec![4.into()]).unwrap(), &mut [transposed]).unwrap();
        assert_values(&y, &[0.0, 2.0, 1.0, 3.0]);
    }
}
