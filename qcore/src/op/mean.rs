//! `mean`: the average over some axes.

use ndarray::IxDyn;
use qkernels::pool::{MeanExtents, MeanRule};
use serde::{Deserialize, Serialize};

use super::arrangement::Arrangement;
use super::inputs::{exactly, exactly_shared, refused, take_one};
use super::kernel::bytewise;
use super::layout::{Activation, Integers, per_tensor, with_integers, with_qparams_of};
use super::plain::plain_record;
use super::{ActivationSpec, Lowering, Op, OutputRule, Planned, QuantizedOp, Rearrangement};
use crate::tensor::resolve_axis;
use crate::{Backend, DType, Error, QTensor, Result, Tensor};

/// The mean over the given axes, which go away or, with `keepdim`, stay with extent 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mean {
    dims: Vec<isize>,
    keepdim: bool,
}

/// The operation `mean(x, dims, keepdim)`; negative axes count from the end, no axes mean all, and `keepdim` is
/// false if not given.
///
/// # Errors
/// Never; axes that the tensor does not have are an error when the operation runs.
pub fn mean(dims: impl Into<Vec<isize>>, keepdim: Option<bool>) -> Result<Mean> {
    Ok(Mean { dims: dims.into(), keepdim: keepdim.unwrap_or(false) })
}

const NAME: &str = "mean";

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
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The integer form; the backend decides how ties are rounded.
    pub fn quantized(&self, backend: Backend) -> QuantizedMean {
        QuantizedMean { mean: self.clone(), backend }
    }

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
        let output_shape = match self.keepdim {
            true => (0..shape.len()).map(|axis| if is_averaged[axis] { 1 } else { shape[axis] }).collect(),
            false => outer.clone(),
        };
        let kept = order.len();
        order.extend(averaged);
        let (outer, reduced) = (outer.iter().product(), reduced.iter().product());
        Ok(Reduction { order, kept, outer, reduced, output_shape })
    }
}

impl Reduction {
    /// Whether the averaged axes are the last ones.
    fn is_trailing(&self) -> bool {
        self.order.is_sorted()
    }

    /// Whether the averaged axes are the two last ones of four.
    fn is_plane(&self, rank: usize) -> bool {
        self.kept == 2 && rank == 4 && self.is_trailing()
    }
}

plain_record!(Mean, QuantizedMean);

impl Op for Mean {
    type Quantized = QuantizedMean;

    fn name(&self) -> &'static str {
        NAME
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::SameAsInput
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        let x = take_one(NAME, inputs)?;
        let reduction = self.reduction(x.shape())?;
        let ordered = Tensor::from(x.into_array().permuted_axes(IxDyn(&reduction.order))).contiguous();
        let means = ordered
            .as_slice()
            .unwrap_or_default()
            .chunks_exact(reduction.reduced)
            .map(|values| {
                let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
                (sum / reduction.reduced as f64) as f32
            })
            .collect();
        Tensor::from_vec(&reduction.output_shape, means)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<QuantizedMean> {
        Ok(self.quantized(lowering.backend))
    }
}

/// [`Mean`] on integers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuantizedMean {
    mean: Mean,
    backend: Backend,
}

impl QuantizedMean {
    fn check(&self) -> Result<()> {
        self.mean.check()
    }

    /// PyTorch's rule for a tensor of `rank` axes.
    fn rule(&self, reduction: &Reduction, rank: usize, is_row_major: bool, dtype: DType) -> MeanRule {
        let is_qnnpack = self.backend == Backend::Qnnpack && dtype == DType::QUInt8;
        if is_qnnpack && reduction.is_plane(rank) {
            MeanRule::CenteredPrime
        } else if reduction.is_trailing() && is_row_major {
            MeanRule::Raw
        } else {
            MeanRule::Dequantized
        }
    }

    fn run<T: Activation>(&self, x: &QTensor, integers: &Integers<T>) -> Result<QTensor> {
        let reduction = self.mean.reduction(integers.shape())?;
        let extents = MeanExtents { outer: reduction.outer, reduced: reduction.reduced, inner: 1 };
        let rule = self.rule(&reduction, integers.ndim(), integers.is_standard_layout(), x.dtype());
        let ordered = integers.view().permuted_axes(IxDyn(&reduction.order));
        let ordered = ordered.as_standard_layout();
        let mut output = vec![T::default(); reduction.outer];
        let values = ordered.as_slice().unwrap_or_default();
        qkernels::pool::mean(extents, per_tensor(NAME, x.qparams())?, rule, values, &mut output)
            .map_err(refused(NAME, x.shape()))?;
        let output = Integers::from_shape_vec(IxDyn(&reduction.output_shape), output)
            .map_err(|_| Error::shape(NAME, format!("shape {:?}", reduction.output_shape), x.shape()))?;
        with_qparams_of(x, output)
    }
}

impl QuantizedOp for QuantizedMean {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [x] = exactly(NAME, inputs)?;
        with_integers!(NAME, x, integers => self.run(x, integers))
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let [x] = exactly_shared(NAME, inputs)?;
        let reduction = self.mean.reduction(x.shape())?;
        let rule = self.rule(&reduction, x.shape().len(), x.is_row_major(), DType::QUInt8);
        let qparams = x.kernel_qparams();
        let kernel = |extents: MeanExtents| {
            let output = x.with_shape(&[extents.outer, extents.inner]);
            bytewise(&output, move |input, output| {
                qkernels::pool::mean(extents, qparams, rule, input, output)
            })
        };
        let (kept, averaged) = reduction.order.split_at(reduction.kept);
        let extent = |axes: &[usize]| axes.iter().map(|&axis| x.shape()[axis]).product();
        // Where the averaged axes are neighbours in memory, they are read as they lie.
        let order = Arrangement::of_buffer(x.shape()).order();
        let first =
            averaged.first().and_then(|first| order.iter().position(|axis| axis == first)).unwrap_or(0);
        let (outer, rest) = order.split_at(first);
        let inner = rest.strip_prefix(averaged);
        let (planned, kept_in_memory, before) = match inner {
            Some(inner) => {
                let extents =
                    MeanExtents { outer: extent(outer), reduced: reduction.reduced, inner: extent(inner) };
                (kernel(extents), [outer, inner].concat(), Vec::new())
            }
            None => {
                let extents = MeanExtents { outer: reduction.outer, reduced: reduction.reduced, inner: 1 };
                let rows = vec![reduction.outer, reduction.reduced];
                let before =
                    vec![Rearrangement::Permute(reduction.order.clone()), Rearrangement::Reshape(rows)];
                (kernel(extents), kept.to_vec(), before)
            }
        };
        let place = |axis: &usize| kept_in_memory.iter().position(|kept| kept == axis).unwrap_or(0);
        let after = vec![
            Rearrangement::Reshape(kept_in_memory.iter().map(|&axis| x.shape()[axis]).collect()),
            Rearrangement::Permute(kept.iter().map(place).collect()),
            Rearrangement::Reshape(reduction.output_shape.clone()),
        ];
        let spec = x.with_shape(&reduction.output_shape);
        Ok(Some(Planned::Around { inputs: vec![before], planned: Box::new(planned), output: after, spec }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, channels_last, counting, integers, qtensor};

    #[test]
    fn axes_go_away_or_stay_as_one() {
        let x = counting(&[2, 3, 2]);
        let y = Op::forward(&mean([-1, 0], None).unwrap(), &mut [x.clone()]).unwrap();
        assert_values(&y, &[3.5, 5.5, 7.5]);
        let y = Op::forward(&mean([1], Some(true)).unwrap(), &mut [x.clone()]).unwrap();
        assert_eq!(y.shape(), [2, 1, 2]);
        assert_values(&y, &[2.0, 3.0, 8.0, 9.0]);
        assert_values(&Op::forward(&mean([], None).unwrap(), &mut [x.clone()]).unwrap(), &[5.5]);
        assert!(Op::forward(&mean([0, -3], None).unwrap(), &mut [x.clone()]).is_err());
        assert!(Op::forward(&mean([3], None).unwrap(), &mut [x]).is_err());
        assert!(Op::forward(&mean([0], None).unwrap(), &mut [counting(&[0, 2])]).is_err());
    }

    #[test]
    fn the_rule_follows_axes_memory_order_and_backend() {
        let x = qtensor(&[1, 2, 1, 2], &[2, 3, 4, 6], 1.0, 1);
        let run = |backend, x: &QTensor| {
            integers(&mean([2, 3], None).unwrap().quantized(backend).forward(&mut [x.clone()]).unwrap())
        };
        assert_eq!(run(Backend::Native, &x), [2, 5]);
        assert_eq!(run(Backend::Native, &channels_last(&x)), [3, 5]);
        assert_eq!(run(Backend::Qnnpack, &x), [3, 5]);
    }
}
