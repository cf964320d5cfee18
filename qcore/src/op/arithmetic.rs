//! `add`, `sub` and `mul` of two tensors, with broadcasting and perhaps a fused ReLU.

use std::borrow::Cow;

use ndarray::{Array, IxDyn};
use qkernels::elementwise::{self, BinaryQParams};
use serde::{Deserialize, Serialize};

use super::inputs::{exactly, exactly_shared, refused, relu, take};
use super::layout::{
    Activation, Integers, broadcast_in_order, broadcast_shape, from_order, integers_of, memory_order,
    per_tensor,
};
use super::plain::plain_record;
use super::{
    ActivationSpec, FuseReLU, Kernel, Lowering, Op, OutputRule, Planned, QuantizedOp, Rearrangement,
};
use crate::{Backend, DType, Error, QParams, QTensor, Result, Tensor};

/// Which of the three.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Arithmetic {
    Add,
    Sub,
    Mul,
}

impl Arithmetic {
    const fn name(self, relu: bool) -> &'static str {
        match (self, relu) {
            (Self::Add, false) => "add",
            (Self::Add, true) => "add_relu",
            (Self::Sub, false) => "sub",
            (Self::Sub, true) => "sub_relu",
            (Self::Mul, false) => "mul",
            (Self::Mul, true) => "mul_relu",
        }
    }

    fn apply(self, a: f32, b: f32) -> f32 {
        match self {
            Self::Add => a + b,
            Self::Sub => a - b,
            Self::Mul => a * b,
        }
    }

    /// One loop for each operation, with and without ReLU.
    fn float(self, fused: bool, inputs: &mut [Tensor]) -> Result<Tensor> {
        let name = self.name(fused);
        let [a, b] = exactly(name, inputs)?;
        let (a, b) = (take(a), take(b));
        match (self, fused) {
            (Self::Add, false) => broadcast(name, a, b, |a, b| a + b),
            (Self::Add, true) => broadcast(name, a, b, |a, b| relu(a + b)),
            (_, false) => broadcast(name, a, b, |a, b| self.apply(a, b)),
            (_, true) => broadcast(name, a, b, |a, b| relu(self.apply(a, b))),
        }
    }
}

/// `f` of each pair of values, in the place of an operand that has the shape of the result.
fn broadcast(
    operation: &'static str,
    mut a: Tensor,
    b: Tensor,
    f: impl Fn(f32, f32) -> f32 + Sync,
) -> Result<Tensor> {
    let shape = broadcast_shape(operation, a.shape(), b.shape())?;
    if a.shape() == b.shape()
        && let (Some(values), Some(others)) = (a.as_slice_mut(), b.as_slice())
    {
        qkernels::float::zip(values, others, f).map_err(refused(operation, &shape))?;
        return Ok(a);
    }
    if a.shape() == shape {
        let mut output = a.into_array();
        output.zip_mut_with(&b.view(), |a, &b| *a = f(*a, b));
        return Ok(Tensor::from(output));
    }
    let mut output = if b.shape() == shape {
        b.into_array()
    } else {
        let b = b.view();
        let wide = b.broadcast(IxDyn(&shape));
        wide.ok_or_else(|| Error::shape(operation, format!("shape {shape:?}"), b.shape()))?.to_owned()
    };
    output.zip_mut_with(&a.view(), |b, &a| *b = f(a, *b));
    Ok(Tensor::from(output))
}

/// Defines the float operation of one kind.
macro_rules! arithmetic_operation {
    ($operation:ident, $constructor:ident, $meaning:literal) => {
        #[doc = concat!("`", $meaning, "`, broadcasting as PyTorch does; perhaps followed by a ReLU.")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $operation {
            relu: bool,
        }

        #[doc = concat!("The operation `", $meaning, "`.")]
        ///
        /// # Errors
        /// Never.
        pub fn $constructor() -> Result<$operation> {
            Ok($operation { relu: false })
        }

        impl $operation {
            fn check(&self) -> Result<()> {
                Ok(())
            }
        }

        plain_record!($operation);

        impl FuseReLU for $operation {
            fn fuse_relu(self) -> Self {
                Self { relu: true }
            }
        }

        impl Op for $operation {
            type Quantized = QuantizedArithmetic;

            fn name(&self) -> &'static str {
                Arithmetic::$operation.name(self.relu)
            }

            fn output_rule(&self) -> OutputRule {
                OutputRule::Observed
            }

            fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor> {
                Arithmetic::$operation.float(self.relu, inputs)
            }

            fn lower(&self, lowering: &Lowering<'_>) -> Result<QuantizedArithmetic> {
                let quantized = self.quantized(lowering.output, lowering.backend)?;
                quantized.check_inputs(lowering.inputs)?;
                Ok(quantized)
            }
        }

        impl $operation {
            /// The integer form, whose output has the parameters `output`.
            ///
            /// # Errors
            /// When `output` is per channel or not 8-bit.
            pub fn quantized(&self, output: &QParams, backend: Backend) -> Result<QuantizedArithmetic> {
                let kind = Arithmetic::$operation;
                let quantized =
                    QuantizedArithmetic { kind, relu: self.relu, backend, output: output.clone() };
                quantized.check()?;
                Ok(quantized)
            }
        }
    };
}

arithmetic_operation!(Add, add, "a + b");
arithmetic_operation!(Sub, sub, "a - b");
arithmetic_operation!(Mul, mul, "a * b");

/// [`Add`], [`Sub`] or [`Mul`] on integers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QuantizedArithmetic {
    kind: Arithmetic,
    relu: bool,
    backend: Backend,
    output: QParams,
}

plain_record!(QuantizedArithmetic);

impl QuantizedArithmetic {
    fn check(&self) -> Result<()> {
        self.output.validate()?;
        let name = self.kind.name(self.relu);
        per_tensor(name, &self.output)?;
        match self.output.dtype {
            DType::QUInt8 | DType::QInt8 => Ok(()),
            other => Err(Error::Unsupported(format!("{name} into {}", other.name()))),
        }
    }

    /// Refuses at conversion the scales that the kernel would refuse at every run: qnnpack's `add` takes only
    /// some ratios of input to output scale. The kernel looks at the scales first, so no values are needed.
    fn check_inputs(&self, inputs: &[QParams]) -> Result<()> {
        let empty = |qparams: &QParams| match qparams.dtype {
            DType::QInt8 => QTensor::from_int_repr(Array::<i8, IxDyn>::zeros(IxDyn(&[0])), qparams.clone()),
            _ => QTensor::from_int_repr(Array::<u8, IxDyn>::zeros(IxDyn(&[0])), qparams.clone()),
        };
        let mut empty = inputs.iter().map(empty).collect::<Result<Vec<_>>>()?;
        self.forward(&mut empty).map(drop)
    }

    fn function<T: Activation>(&self) -> Elementwise<T> {
        match self.kind {
            Arithmetic::Add => elementwise::add,
            Arithmetic::Sub => elementwise::sub,
            Arithmetic::Mul => elementwise::mul,
        }
    }

    fn u8_function(&self) -> Elementwise<u8> {
        match (self.kind, self.backend) {
            (Arithmetic::Add, Backend::Qnnpack) => elementwise::add_qnnpack,
            _ => self.function(),
        }
    }

    fn run<T: Activation>(&self, a: &QTensor, b: &QTensor, kernel: Elementwise<T>) -> Result<QTensor> {
        let name = self.kind.name(self.relu);
        let qparams = BinaryQParams {
            a: per_tensor(name, a.qparams())?,
            b: per_tensor(name, b.qparams())?,
            output: per_tensor(name, &self.output)?,
            relu: self.relu,
        };
        let (a, b) = (integers_of::<T>(name, a)?, integers_of::<T>(name, b)?);
        let output = combine(name, a, b, |a, b, output| kernel(&qparams, a, b, output))?;
        QTensor::from_int_repr(T::into_repr(output), self.output.clone())
    }
}

type Elementwise<T> = fn(&BinaryQParams, &[T], &[T], &mut [T]) -> qkernels::Result<()>;

/// The kernel's results for each pair of integers. Operands of one shape and memory order are not copied, and
/// the result lies as they do.
fn combine<T: Activation>(
    operation: &'static str,
    a: &Integers<T>,
    b: &Integers<T>,
    kernel: impl FnOnce(&[T], &[T], &mut [T]) -> qkernels::Result<()>,
) -> Result<Integers<T>> {
    let shape = broadcast_shape(operation, a.shape(), b.shape())?;
    let order = match b.shape() == shape && a.shape() != shape {
        true => memory_order(&b.view()),
        false if a.shape() == shape => memory_order(&a.view()),
        false => (0..shape.len()).collect(),
    };
    let misfit = || Error::shape(operation, format!("shape {shape:?}"), b.shape());
    let a = broadcast_in_order(a, &shape, &order).ok_or_else(misfit)?;
    let b = broadcast_in_order(b, &shape, &order).ok_or_else(misfit)?;
    let (left, right) = (row_major_slice(&a), row_major_slice(&b));
    let mut output = vec![T::default(); left.len()];
    kernel(&left, &right, &mut output).map_err(refused(operation, &shape))?;
    let ordered = Array::from_shape_vec(a.raw_dim(), output).map_err(|_| misfit())?;
    Ok(from_order(ordered, &order).into_shared())
}

fn row_major_slice<'a, T: Activation>(array: &'a ndarray::CowArray<'_, T, IxDyn>) -> Cow<'a, [T]> {
    match array.as_slice() {
        Some(values) => Cow::Borrowed(values),
        None => Cow::Owned(array.iter().copied().collect()),
    }
}

impl QuantizedOp for QuantizedArithmetic {
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor> {
        let [a, b] = exactly(self.kind.name(self.relu), inputs)?;
        match self.output.dtype {
            DType::QUInt8 => self.run(a, b, self.u8_function()),
            _ => self.run(a, b, self.function::<i8>()),
        }
    }

    /// A second operand with one value for each channel of each image is repeated by the kernel, all else before it.
    fn plan(&self, inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        if self.output.dtype != DType::QUInt8 {
            return Ok(None);
        }
        let name = self.kind.name(self.relu);
        let [a, b] = exactly_shared(name, inputs)?;
        let shape = broadcast_shape(name, a.shape(), b.shape())?;
        let [a_image, b_image] =
            [a, b].map(|operand| operand.image().map(|image| (image.batch, image.channels)));
        let is_row = a.shape() == shape && matches!(b.shape(), [_, _, 1, 1]) && a_image == b_image;
        let images = if is_row && b.shape() != shape { a_image.map_or(1, |(batch, _)| batch) } else { 1 };
        let qparams = BinaryQParams {
            a: a.kernel_qparams(),
            b: b.kernel_qparams(),
            output: per_tensor(name, &self.output)?,
            relu: self.relu,
        };
        let kernel = ArithmeticKernel {
            function: self.u8_function(),
            qparams,
            images,
            is_plain_addition: self.kind == Arithmetic::Add
                && self.backend != Backend::Qnnpack
                && (b.shape() == shape || !is_row),
        };
        let whole = [a, b].into_iter().find(|operand| operand.shape() == shape).cloned();
        let spec = whole.unwrap_or_else(|| a.with_shape(&shape)).with_qparams(&self.output);
        let planned = Planned::Kernel(Box::new(kernel), spec.clone());
        if is_row || (a.shape() == shape && b.shape() == shape) {
            return Ok(Some(planned));
        }
        let repeated = |operand: &ActivationSpec| match operand.shape() == shape {
            true => Vec::new(),
            false => vec![Rearrangement::Broadcast(shape.clone())],
        };
        let inputs = vec![repeated(a), repeated(b)];
        Ok(Some(Planned::Around { inputs, planned: Box::new(planned), output: Vec::new(), spec }))
    }
}

/// [`QuantizedArithmetic`] on operands of one shape, or with a second one that is repeated for each pixel.
#[derive(Debug)]
struct ArithmeticKernel {
    function: Elementwise<u8>,
    qparams: BinaryQParams,
    /// Parts of both operands that belong together.
    images: usize,
    /// Not of qnnpack, which rounds in another way than a convolution's epilogue can.
    is_plain_addition: bool,
}

impl Kernel for ArithmeticKernel {
    fn run(&self, inputs: &[&[u8]], output: &mut [u8], _pitch: usize) -> qkernels::Result<()> {
        let input = |index: usize| inputs.get(index).copied().unwrap_or_default();
        let (a, b) = (input(0), input(1));
        let [a_len, b_len, output_len] =
            [a.len(), b.len(), output.len()].map(|len| (len / self.images.max(1)).max(1));
        a.chunks(a_len)
            .zip(b.chunks(b_len))
            .zip(output.chunks_mut(output_len))
            .try_for_each(|((a, b), output)| (self.function)(&self.qparams, a, b, output))
    }

    fn as_addition(&self) -> Option<BinaryQParams> {
        self.is_plain_addition.then_some(self.qparams)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::op::tests::{assert_values, channels_last, integers, qtensor, tensor, u8_qparams};

    #[test]
    fn operands_broadcast_both_ways() {
        let (row, column) = (tensor(&[1, 2], &[1.0, 2.0]), tensor(&[2, 1], &[10.0, 20.0]));
        let sub = sub().unwrap();
        let y = Op::forward(&sub, &mut [row.clone(), column.clone()]).unwrap();
        assert_values(&y, &[-9.0, -8.0, -19.0, -18.0]);
        let matrix = tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        assert_values(
            &Op::forward(&sub, &mut [row.clone(), matrix.clone()]).unwrap(),
            &[0.0, 0.0, -2.0, -2.0],
        );
        let y = Op::forward(&sub.fuse_relu(), &mut [matrix.clone(), row]).unwrap();
        assert_values(&y, &[0.0, 0.0, 2.0, 2.0]);
        let message = Op::forward(&sub, &mut [matrix, tensor(&[3], &[0.0; 3])]).unwrap_err().to_string();
        assert_eq!(message, "sub expected a shape that broadcasts with [2, 2], found shape [3]");
    }

    #[test]
    fn a_shared_operand_is_not_changed() {
        let x = tensor(&[2], &[1.0, 2.0]);
        assert_values(&Op::forward(&add().unwrap(), &mut [x.clone(), x.clone()]).unwrap(), &[2.0, 4.0]);
        assert_values(&x, &[1.0, 2.0]);
    }

    #[test]
    fn integers_do_not_depend_on_the_memory_order() {
        let bytes: Vec<u8> = (0..24).collect();
        let a = qtensor(&[1, 2, 3, 4], &bytes, 0.5, 4);
        let b = qtensor(&[2, 1, 1], &[10, 30], 1.0, 20);
        let quantized = mul().unwrap().quantized(&u8_qparams(1.0, 128), Backend::Native).unwrap();
        let y = quantized.forward(&mut [a.clone(), b.clone()]).unwrap();
        // (q - 4) * 0.5 * (10 - 20) + 128 for the first channel.
        assert_eq!(integers(&y)[..3], [148, 143, 138]);
        let other = quantized.forward(&mut [channels_last(&a), b]).unwrap();
        assert_eq!(other, y);
        assert_eq!(other.int_repr().as_u8().unwrap().strides(), [24, 1, 8, 2]);
    }

    #[test]
    fn qnnpack_refuses_what_it_refuses_in_pytorch() {
        let x = qtensor(&[1], &[1], 1.0, 0);
        let quantized = add().unwrap().quantized(&u8_qparams(1e-3, 0), Backend::Qnnpack).unwrap();
        assert!(quantized.forward(&mut [x.clone(), x]).is_err());
    }
}
