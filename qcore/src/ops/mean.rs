//! `mean`: the average over some axes.

use std::sync::Arc;

use qkernels::pool::{MeanExtents, MeanRule};
use serde::{Deserialize, Serialize};

use super::defaults;
use super::inputs::{element_count, exactly, float_or_static, with_eight_bit};
use super::plain::{no_parameters, plain_op};
use super::{Executable, Kernel, Lowering, Op, Planned, PlannedKernel, TensorSpec, unary};
use crate::tensor::{MemoryFormat, Rearrangement, resolve_axis};
use crate::train::{Backward, Gradients, reshaped};
use crate::{Backend, DType, Error, Result, Tensor};

/// The mean over the given axes, which go away or, with `keepdim`, stay with extent 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mean {
    dims: Vec<isize>,
    #[serde(default, skip_serializing_if = "defaults::is_no")]
    keepdim: bool,
}

/// The operation `mean(x, dims, keepdim)`; negative axes count from the end, no axes mean all, and `keepdim` is false
/// if not given. Axes that the tensor does not have are an error when the operation runs.
pub fn mean(dims: impl Into<Vec<isize>>, keepdim: Option<bool>) -> Result<Mean> {
    Ok(Mean { dims: dims.into(), keepdim: keepdim.unwrap_or(false) })
}

const NAME: &str = "mean";

no_parameters!(Mean);

impl Op for Mean {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let shape = pass.input(0)?.shape();
        let (_, gradient) = pass.output()?;
        let kept = Self { keepdim: true, ..self.clone() }.reduction(shape)?;
        let gradient = reshaped(gradient, &kept.output_shape)?.map(|value| value / kept.reduced as f32);
        let repeated = Rearrangement::Broadcast(shape.to_vec()).apply(NAME, gradient.into_shared())?;
        Ok(Gradients::of_input(Tensor::from(repeated).contiguous()))
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let (mean, backend) = (self.clone(), lowering.backend);
        float_or_static(NAME, lowering, move |inputs| {
            let [x] = exactly(NAME, inputs)?;
            mean.reduction(x.shape())?.plan(x, backend)
        })
    }
}

/// How a tensor of some shape is averaged.
struct Reduction {
    /// The kept axes and then the averaged ones.
    order: Vec<usize>,
    /// How many of them are kept.
    kept: usize,
    outer: usize,
    /// How many values each mean is of.
    reduced: usize,
    output_shape: Vec<usize>,
}

impl Mean {
    fn reduction(&self, shape: &[usize]) -> Result<Reduction> {
        let mut is_averaged = vec![self.dims.is_empty(); shape.len()];
        for &dim in &self.dims {
            let axis = resolve_axis(NAME, dim, shape)?;
            if std::mem::replace(&mut is_averaged[axis], true) {
                return Err(Error::parameter(NAME, format!("axis {axis} appears twice in {:?}", self.dims)));
            }
        }
        let (averaged, mut order): (Vec<usize>, Vec<usize>) =
            (0..shape.len()).partition(|&axis| is_averaged[axis]);
        let extents = |axes: &[usize]| axes.iter().map(|&axis| shape[axis]).collect::<Vec<_>>();
        let (outer, reduced) = (extents(&order), extents(&averaged));
        if reduced.contains(&0) {
            return Err(Error::shape(NAME, "at least one value to average", shape));
        }
        let count = |extents: &[usize]| {
            element_count(extents).ok_or_else(|| Error::shape(NAME, "axes that can be addressed", shape))
        };
        let kept = order.len();
        order.extend(averaged);
        Ok(Reduction {
            order,
            kept,
            outer: count(&outer)?,
            reduced: count(&reduced)?,
            output_shape: match self.keepdim {
                true => {
                    (0..shape.len()).map(|axis| if is_averaged[axis] { 1 } else { shape[axis] }).collect()
                }
                false => outer,
            },
        })
    }
}

impl Reduction {
    /// Whether the averaged axes are the last ones.
    fn is_trailing(&self) -> bool {
        self.order.is_sorted()
    }

    /// PyTorch's rule for integers of this tensor.
    fn rule(&self, x: &TensorSpec, backend: Backend) -> MeanRule {
        let is_plane = self.kept == 2 && x.shape().len() == 4 && self.is_trailing();
        if is_plane && backend == Backend::Qnnpack && x.dtype() == Some(DType::QUInt8) {
            MeanRule::CenteredPrime
        } else if self.is_trailing() && x.is_row_major() {
            MeanRule::Raw
        } else {
            MeanRule::Dequantized
        }
    }

    fn plan(&self, x: &TensorSpec, backend: Backend) -> Result<Planned> {
        let (kept, averaged) = self.order.split_at(self.kept);
        let extents = |axes: &[usize]| axes.iter().map(|&axis| x.shape()[axis]).collect::<Vec<_>>();
        let product = |axes: &[usize]| extents(axes).iter().product();
        // Where the averaged axes are neighbours in memory, they are read in place.
        let order = x.layout().order();
        let first =
            averaged.first().and_then(|first| order.iter().position(|axis| axis == first)).unwrap_or(0);
        let (outer, rest) = order.split_at(first);
        let (mean_extents, buffer, kept_in_memory, before) = match rest.strip_prefix(averaged) {
            Some(inner) => {
                let mean_extents =
                    MeanExtents { outer: product(outer), reduced: self.reduced, inner: product(inner) };
                (mean_extents, x.buffer(), [outer, inner].concat(), Vec::new())
            }
            None => {
                let mean_extents = MeanExtents { outer: self.outer, reduced: self.reduced, inner: 1 };
                let rows = vec![self.outer, self.reduced];
                let before = vec![Rearrangement::Permute(self.order.clone()), Rearrangement::Reshape(rows)];
                (mean_extents, MemoryFormat::Contiguous, kept.to_vec(), before)
            }
        };
        let means = x.with_shape(&[mean_extents.outer, mean_extents.inner]);
        let kernel = kernel(x, mean_extents, self.rule(x, backend))?;
        let planned = Planned::Kernel(PlannedKernel::new(kernel, vec![means]).inputs([buffer]));
        let place = |axis: &usize| kept_in_memory.iter().position(|kept| kept == axis).unwrap_or(0);
        let after = vec![
            Rearrangement::Reshape(extents(&kept_in_memory)),
            Rearrangement::Permute(kept.iter().map(place).collect()),
            Rearrangement::Reshape(self.output_shape.clone()),
        ];
        let spec = x.with_shape(&self.output_shape);
        Ok(Planned::Around { inputs: vec![before], planned: Box::new(planned), output: after, spec })
    }
}

fn kernel(x: &TensorSpec, extents: MeanExtents, rule: MeanRule) -> Result<Box<dyn Kernel>> {
    let Some(dtype) = x.dtype() else {
        return Ok(unary::<f32, f32>(NAME, move |x, y| qkernels::float::mean_into(extents, x, y)));
    };
    let qparams = x.qparams(NAME)?;
    with_eight_bit!(NAME, dtype, T => {
        Ok(unary::<T, T>(NAME, move |x, y| qkernels::pool::mean(extents, qparams, rule, x, y)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::QTensor;
    use crate::ops::tests::{
        assert_values, channels_last, counting, float, integers, qtensor, run_int8, signed,
    };

    #[test]
    fn axes_go_away_or_stay_as_one() {
        let x = counting(&[2, 3, 2]);
        let y = float(&mean([-1, 0], None).unwrap(), &[&x]).unwrap();
        assert_values(&y, &[3.5, 5.5, 7.5]);
        let y = float(&mean([1], Some(true)).unwrap(), &[&x]).unwrap();
        assert_eq!(y.shape(), [2, 1, 2]);
        assert_values(&y, &[2.0, 3.0, 8.0, 9.0]);
        assert_values(&float(&mean([], None).unwrap(), &[&x]).unwrap(), &[5.5]);
        assert!(float(&mean([0, -3], None).unwrap(), &[&x]).is_err());
        assert!(float(&mean([3], None).unwrap(), &[&x]).is_err());
        assert!(float(&mean([0], None).unwrap(), &[&counting(&[0, 2])]).is_err());
    }

    #[test]
    fn the_rule_follows_axes_memory_format_and_backend() {
        let x = qtensor(&[1, 2, 1, 2], &[2, 3, 4, 6], 1.0, 1);
        let run = |backend, x: &QTensor| {
            integers(&run_int8(&mean([2, 3], None).unwrap(), backend, &[x], x.qparams()).unwrap())
        };
        assert_eq!(run(Backend::Native, &x), [2, 5]);
        assert_eq!(run(Backend::Native, &channels_last(&x)), [3, 5]);
        assert_eq!(run(Backend::Qnnpack, &x), [3, 5]);
        // qnnpack's rule is for quint8: that of the others rounds half of the integer to even, here -125.5.
        assert_eq!(run(Backend::Qnnpack, &signed(&x)), [-126, -123]);
    }
}
