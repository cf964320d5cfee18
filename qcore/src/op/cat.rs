//! `cat`: tensors put one after the other along an axis.

use std::sync::Arc;

use ndarray::{Array, ArrayViewD, Axis, Dimension, IxDyn, Slice, concatenate};
use qkernels::elementwise;
use serde::{Deserialize, Serialize};

use super::arrangement::Arrangement;
use super::inputs::unusable;
use super::layout::{
    Activation, Integers, MemoryFormat, element_count, from_order, integers_of, map_in_memory_order,
    memory_order, per_tensor,
};
use super::plain::plain_record;
use super::{ActivationSpec, Kernel, Lowering, Op, OutputRule, Piece, Planned, QuantizedOp};
use crate::tensor::resolve_axis;
use crate::{DType, Error, QParams, QTensor, Result, Tensor};

/// Any number of tensors, one after the other along an axis; the other extents are equal.
///
/// In int8 an input with the output's scale is copied, another is brought to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cat {
    dim: isize,
}

/// The operation `cat([..], dim)`; `dim` is 0 if not given, and negative counts from the end.
///
/// # Errors
/// Never; an axis that the tensors do not have is an error when the operation runs.
pub fn cat(dim: Option<isize>) -> Result<Cat> {
    Ok(Cat { dim: dim.unwrap_or(0) })
}

impl Cat {
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// The axis and the shape of the result.
    fn plan(&self, shapes: &[&[usize]]) -> Result<(usize, Vec<usize>)> {
        let Some((first, rest)) = shapes.split_first() else {
            return Err(Error::parameter("cat", "needs at least one tensor"));
        };
        let axis = resolve_axis("cat", self.dim, first)?;
        let mut shape = first.to_vec();
        for other in rest {
            let mut expected = first.to_vec();
            if let Some(&extent) = other.get(axis) {
                expected[axis] = extent;
            }
            if *other != expected {
                return Err(Error::shape("cat", format!("{expected:?} (up to axis {axis})"), other));
            }
            shape[axis] = shape[axis].saturating_add(other[axis]);
        }
        if element_count(&shape).is_none() {
            return Err(Error::shape("cat", "a result that can be addressed", &shape));
        }
        Ok((axis, shape))
    }

    /// The integer form, whose output has the parameters `output`.
    ///
    /// # Errors
    /// When `output` is per channel or not 8-bit.
    pub fn quantized(&self, output: &QParams) -> Result<QuantizedCat> {
        let quantized = QuantizedCat { cat: *self, output: output.clone() };
        quantized.check()?;
        Ok(quantized)
    }
}

plain_record!(Cat, QuantizedCat);

impl Op for Cat {
    type Quantized = QuantizedCat;

    fn name(&self) -> &'static str {
        "cat"
    }

    fn output_rule(&self) -> OutputRule {
        OutputRule::Shared
    }

    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
        let shapes: Vec<&[usize]> = inputs.iter().map(Tensor::shape).collect();
        let (axis, shape) = self.plan(&shapes)?;
        let views: Vec<ArrayViewD<'_, f32>> = inputs.iter().map(Tensor::view).collect();
        concatenate(Axis(axis), &views)
            .map(Tensor::from)
            .map_err(|error| Error::shape("cat", format!("tensors that fit together ({error})"), &shape))
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<QuantizedCat> {
        self.quantized(lowering.output)
    }
}

/// [`Cat`] on integers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizedCat {
    cat: Cat,
    output: QParams,
}

impl QuantizedCat {
    fn check(&self) -> Result<()> {
        self.output.validate()?;
        let qparams = per_tensor("cat", &self.output)?;
        match self.output.dtype {
            DType::QUInt8 => qparams.check::<u8>(),
            DType::QInt8 => qparams.check::<i8>(),
            other => return Err(Error::Unsupported(format!("cat into {}", other.name()))),
        }
        .map_err(unusable("cat"))
    }

    /// The result lies in memory as the first input does.
    fn run<T: Activation>(&self, inputs: &[QTensor]) -> Result<QTensor> {
        let shapes: Vec<&[usize]> = inputs.iter().map(QTensor::shape).collect();
        let (axis, shape) = self.cat.plan(&shapes)?;
        let order = memory_order(&integers_of::<T>("cat", &inputs[0])?.view());
        let position = order.iter().position(|&ordered| ordered == axis).unwrap_or(axis);
        let ordered_shape: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
        let mut output = Array::from_elem(IxDyn(&ordered_shape), T::default());
        let mut start = 0;
        for input in inputs {
            let integers = self.in_output_scale::<T>(input)?.permuted_axes(IxDyn(&order));
            let end = start + integers.raw_dim().slice()[position];
            output.slice_axis_mut(Axis(position), Slice::from(start..end)).assign(&integers);
            start = end;
        }
        let output = from_order(output, &order).into_shared();
        QTensor::from_int_repr(T::into_repr(output), self.output.clone())
    }

    fn in_output_scale<T: Activation>(&self, input: &QTensor) -> Result<Integers<T>> {
        let integers = integers_of::<T>("cat", input)?;
        let (from, to) = (per_tensor("cat", input.qparams())?, per_tensor("cat", &self.output)?);
        if from == to {
            return Ok(integers.clone());
        }
        map_in_memory_order("cat", integers, |input, output| {
            elementwise::requantize(input, from, to, false, output)
        })
    }
}

impl QuantizedOp for QuantizedCat {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        match self.output.dtype {
            DType::QInt8 => self.run::<i8>(inputs),
            _ => self.run::<u8>(inputs),
        }
    }

    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        let shapes: Vec<&[usize]> = inputs.iter().map(ActivationSpec::shape).collect();
        let (axis, shape) = self.cat.plan(&shapes)?;
        let format = inputs.first().map_or(MemoryFormat::Contiguous, |input| input.settled().format());
        let Some(spec) = ActivationSpec::new(&shape, format, Arc::new(self.output.clone())) else {
            return Ok(None);
        };
        // Bytes from one index of the axis to the next, and how often the axis is gone through.
        let buffer = Arrangement::of_buffer(&shape);
        let step = buffer.strides()[axis];
        let times = spec.byte_len() / (step * shape[axis]).max(1);
        let (to, mut offset) = (per_tensor("cat", &self.output)?, 0);
        let piece = |input: &ActivationSpec| {
            let len = input.shape()[axis] * step;
            // What is one piece is dense as a whole.
            let [width, pitch] = if times == 1 { [input.pitch(); 2] } else { [len, step * shape[axis]] };
            let from = input.kernel_qparams();
            let kernel = Box::new(CopyKernel { width, rescale: (from != to).then_some((from, to)) });
            offset += len;
            Piece { kernel, offset: offset - len, pitch }
        };
        let pieces = inputs.iter().map(piece).collect();
        Ok(Some(Planned::Pieces(pieces, spec)))
    }
}

/// Copies dense rows of `width` bytes into wider ones.
#[derive(Debug)]
struct CopyKernel {
    width: usize,
    /// From one scale to another, where they differ.
    rescale: Option<(qkernels::QParams, qkernels::QParams)>,
}

impl Kernel for CopyKernel {
    fn run(&self, inputs: &[&[u8]], output: &mut [u8], pitch: usize) -> qkernels::Result<()> {
        let input = inputs.first().copied().unwrap_or_default();
        if self.width == 0 {
            return Ok(());
        }
        let width = if pitch == self.width { input.len() } else { self.width };
        let rows = input.chunks_exact(width.max(1)).zip(output.chunks_mut(pitch.max(width)));
        for (row, output) in rows {
            let output = &mut output[..width];
            match self.rescale {
                None => output.copy_from_slice(row),
                Some((from, to)) => elementwise::requantize(row, from, to, false, output)?,
            }
        }
        Ok(())
    }

    fn takes_pitch(&self) -> bool {
        true
    }

    fn as_copy(&self) -> Option<usize> {
        self.rescale.is_none().then_some(self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, channels_last, integers, qtensor, tensor, u8_qparams};

    #[test]
    fn tensors_follow_each_other_along_the_axis() {
        let (a, b) = (tensor(&[1, 2], &[1.0, 2.0]), tensor(&[1, 1], &[3.0]));
        let y = Op::forward(&cat(Some(-1)).unwrap(), &mut [a.clone(), b.clone()]).unwrap();
        assert_values(&y, &[1.0, 2.0, 3.0]);
        assert!(Op::forward(&cat(None).unwrap(), &mut [a.clone(), b]).is_err());
        assert!(Op::forward(&cat(Some(2)).unwrap(), &mut [a]).is_err());
        assert!(Op::forward(&cat(None).unwrap(), &mut []).is_err());
    }

    #[test]
    fn another_scale_is_brought_to_the_outputs() {
        let a = qtensor(&[1, 1, 1, 2], &[1, 2], 1.0, 0);
        let b = qtensor(&[1, 2, 1, 2], &[10, 11, 12, 13], 0.5, 10);
        let quantized = cat(Some(1)).unwrap().quantized(&u8_qparams(1.0, 0)).unwrap();
        let y = quantized.forward(&mut [a.clone(), b.clone()]).unwrap();
        assert_eq!(integers(&y), [1, 2, 0, 0, 1, 2]);
        assert_eq!(quantized.forward(&mut [channels_last(&a), channels_last(&b)]).unwrap(), y);
    }
}
