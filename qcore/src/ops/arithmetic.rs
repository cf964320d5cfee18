//! `add`, `sub`, `mul`, `maximum` and `minimum` of two tensors, with broadcasting.

use std::sync::Arc;

use qkernels::elementwise::{self, BinaryQParams, zip_floats};
use qkernels::{EightBit, float};
use serde::{Deserialize, Serialize};

use super::activation::limit;
use super::broadcast::Operands;
use super::inputs::{check_dtype, exactly, is_relu_fused, kernel_error, unsupported_dtype};
use super::kernel::binary_post;
use super::plain::{no_parameters, plain_op};
use super::{
    Activation, Executable, Format, Kernel, Lowering, Op, Planned, Post, Precision, TensorSpec, binary,
    executable, per_tensor,
};
use crate::tensor::{MemoryFormat, Rearrangement};
use crate::train::{Backward, Gradients, summed_to};
use crate::{Backend, DType, Error, QParams, Result, Tensor};

/// Which of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Arithmetic {
    Add,
    Sub,
    Mul,
    Maximum,
    Minimum,
}

/// Defines the operation of one kind.
macro_rules! arithmetic_operation {
    ($operation:ident, $constructor:ident, $meaning:literal) => {
        #[doc = concat!("`", $meaning, "`, broadcasting as PyTorch does.")]
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $operation;

        #[doc = concat!("The operation `", $meaning, "`.")]
        pub fn $constructor() -> Result<$operation> {
            Ok($operation)
        }

        no_parameters!($operation);

        impl Op for $operation {
            fn name(&self) -> &'static str {
                Arithmetic::$operation.name()
            }

            plain_op!();

            fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
                Arithmetic::$operation.lower(lowering)
            }

            fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
                Arithmetic::$operation.backward(pass)
            }
        }
    };
}

arithmetic_operation!(Add, add, "a + b");
arithmetic_operation!(Sub, sub, "a - b");
arithmetic_operation!(Mul, mul, "a * b");
arithmetic_operation!(Maximum, maximum, "max(a, b)");
arithmetic_operation!(Minimum, minimum, "min(a, b)");

type Elementwise<T> = fn(&BinaryQParams, &[T], &[T], &mut [T]) -> qkernels::Result<()>;

impl Arithmetic {
    fn backward(self, pass: &Backward<'_>) -> Result<Gradients> {
        let (a, b) = (pass.input(0)?, pass.input(1)?);
        let (_, gradient) = pass.output()?;
        // Each operand is repeated to the shape of the result, of which the gradient has as many values.
        let times = |operand: &Tensor| {
            let factor = Rearrangement::Broadcast(gradient.shape().to_vec());
            let factor = factor.apply(self.name(), operand.clone().into_shared())?;
            Ok::<_, Error>(Tensor::from(&gradient.view() * &factor.view()))
        };
        // All to the one that is the result; where both are, half to each.
        let shares = |is_taken: fn(f32, f32) -> bool| {
            let repeated = |operand: &Tensor| {
                let shape = Rearrangement::Broadcast(gradient.shape().to_vec());
                shape.apply(self.name(), operand.clone().into_shared()).map(|x| Tensor::from(x).contiguous())
            };
            let (a, b) = (repeated(a)?, repeated(b)?);
            let [mut of_a, mut of_b] = [gradient.clone(), gradient.clone()];
            let pairs = a.as_slice().unwrap_or_default().iter().zip(b.as_slice().unwrap_or_default());
            let gradients = of_a.as_slice_mut().unwrap_or_default().iter_mut();
            for (((&a, &b), of_a), of_b) in pairs.zip(gradients).zip(of_b.as_slice_mut().unwrap_or_default())
            {
                *of_a *= if is_taken(a, b) {
                    1.0
                } else if is_taken(b, a) {
                    0.0
                } else {
                    0.5
                };
                *of_b *= if is_taken(b, a) {
                    1.0
                } else if is_taken(a, b) {
                    0.0
                } else {
                    0.5
                };
            }
            Ok::<_, Error>((of_a, of_b))
        };
        let (of_a, of_b) = match self {
            Self::Add => (gradient.clone(), gradient.clone()),
            Self::Sub => (gradient.clone(), gradient.clone().map(|value| -value)),
            Self::Mul => (times(b)?, times(a)?),
            Self::Maximum => shares(|a, b| a > b)?,
            Self::Minimum => shares(|a, b| a < b)?,
        };
        let inputs = vec![Some(summed_to(of_a, a.shape())?), Some(summed_to(of_b, b.shape())?)];
        Ok(Gradients { inputs, parameters: Vec::new() })
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Sub => "sub",
            Self::Mul => "mul",
            Self::Maximum => "maximum",
            Self::Minimum => "minimum",
        }
    }

    fn lower(self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let name = self.name();
        match lowering.precision {
            Precision::Float => {
                let limits = Activation::limits_of(lowering.activation);
                Ok(executable(name, move |inputs| self.plan_float(inputs, limits)))
            }
            Precision::Static => {
                let quantized = QuantizedArithmetic {
                    kind: self,
                    backend: lowering.backend,
                    output: lowering.output_qparams(name)?.clone(),
                    relu: is_relu_fused(name, lowering)?,
                };
                let [a, b] = lowering.input_qparams(name)?;
                // Scales that the kernel would refuse are an error now.
                quantized.kernel([per_tensor(name, a)?, per_tensor(name, b)?], None)?;
                Ok(executable(name, move |inputs| quantized.plan(inputs)))
            }
            _ => Err(lowering.unsupported(name)),
        }
    }

    fn plan_float(self, inputs: &[TensorSpec], limits: [f32; 2]) -> Result<Planned> {
        let name = self.name();
        let [a, b] = exactly(name, inputs)?;
        check_dtype(name, a, None)?;
        check_dtype(name, b, None)?;
        let operands = Operands::new(name, a, b)?;
        let images = operands.images;
        // One loop for each operation.
        let kernel = match self {
            Self::Add => float_kernel(name, images, move |a, b| limit(a + b, limits)),
            Self::Sub => float_kernel(name, images, move |a, b| limit(a - b, limits)),
            Self::Mul => float_kernel(name, images, move |a, b| limit(a * b, limits)),
            Self::Maximum => float_kernel(name, images, move |a, b| limit(larger(a, b), limits)),
            Self::Minimum => float_kernel(name, images, move |a, b| limit(-larger(-a, -b), limits)),
        };
        Ok(operands.planned(kernel, Format::F32, MemoryFormat::Contiguous))
    }
}

/// One of them on integers.
#[derive(Clone, Debug)]
struct QuantizedArithmetic {
    kind: Arithmetic,
    backend: Backend,
    relu: bool,
    output: QParams,
}

impl QuantizedArithmetic {
    fn plan(&self, inputs: &[TensorSpec]) -> Result<Planned> {
        let name = self.kind.name();
        let [a, b] = exactly(name, inputs)?;
        check_dtype(name, a, Some(self.output.dtype))?;
        check_dtype(name, b, Some(self.output.dtype))?;
        let operands = Operands::new(name, a, b)?;
        let kernel = self.kernel([a.qparams(name)?, b.qparams(name)?], operands.images)?;
        Ok(operands.planned(kernel, Format::of(Some(&self.output)), MemoryFormat::ChannelsLast))
    }

    /// The kernel for operands with these parameters.
    ///
    /// # Errors
    /// When it would refuse them at every run: qnnpack's `add` takes only some ratios of input to output scale.
    fn kernel(&self, [a, b]: [qkernels::QParams; 2], images: Option<usize>) -> Result<Box<dyn Kernel>> {
        let name = self.kind.name();
        let qparams = BinaryQParams { a, b, output: per_tensor(name, &self.output)?, relu: self.relu };
        match (self.output.dtype, self.kind) {
            (DType::QUInt8, Arithmetic::Add) if self.backend == Backend::Qnnpack => {
                integer_kernel::<u8>(name, elementwise::add_qnnpack, qparams, images, None)
            }
            (DType::QUInt8, Arithmetic::Add) => {
                let post = images.is_none().then_some(Post::Add(qparams));
                integer_kernel::<u8>(name, elementwise::add, qparams, images, post)
            }
            (DType::QUInt8, kind) => integer_kernel::<u8>(name, kind.function(), qparams, images, None),
            (DType::QInt8, kind) => integer_kernel::<i8>(name, kind.function(), qparams, images, None),
            (other, _) => Err(unsupported_dtype(name, other)),
        }
    }
}

impl Arithmetic {
    fn function<T: EightBit>(self) -> Elementwise<T> {
        match self {
            Self::Add => elementwise::add,
            Self::Sub => elementwise::sub,
            Self::Mul => elementwise::mul,
            Self::Maximum => |qparams, a, b, output| zip_floats(qparams, larger, a, b, output),
            Self::Minimum => {
                |qparams, a, b, output| zip_floats(qparams, |a, b| -larger(-a, -b), a, b, output)
            }
        }
    }
}

/// The larger one; NaN if one is.
fn larger(a: f32, b: f32) -> f32 {
    if a > b || a.is_nan() { a } else { b }
}

/// `f` of each pair of values. With `images`, each value of the second operand belongs to a plane of the first.
fn float_kernel(
    name: &'static str,
    images: Option<usize>,
    f: impl Fn(f32, f32) -> f32 + Copy + Send + Sync + 'static,
) -> Box<dyn Kernel> {
    binary::<f32, f32>(name, move |a, b, output| {
        if images.is_none() {
            return float::zip_into(a, b, output, f);
        }
        let plane = a.len().checked_div(b.len()).unwrap_or(0).max(1);
        let mut planes = a.chunks(plane).zip(b).zip(output.chunks_mut(plane));
        planes.try_for_each(|((a, &b), output)| float::map_into(a, output, |a| f(a, b)))
    })
}

/// `function` of each pair of integers. With `images`, each integer of the second operand belongs to a channel of one
/// of so many images.
fn integer_kernel<T: EightBit>(
    name: &'static str,
    function: Elementwise<T>,
    qparams: BinaryQParams,
    images: Option<usize>,
    post: Option<Post>,
) -> Result<Box<dyn Kernel>> {
    function(&qparams, &[], &[], &mut []).map_err(kernel_error(name))?;
    Ok(binary_post::<T, T>(name, post, move |a, b, output| {
        let Some(images) = images else { return function(&qparams, a, b, output) };
        let [a_len, b_len, output_len] =
            [a.len(), b.len(), output.len()].map(|len| (len / images.max(1)).max(1));
        let mut images = a.chunks(a_len).zip(b.chunks(b_len)).zip(output.chunks_mut(output_len));
        images.try_for_each(|((a, b), output)| function(&qparams, a, b, output))
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::tests::{
        assert_values, channels_last, counting, float, float_with, i8_qparams, integers, lower_int8, qtensor,
        run_int8, signed, strides, tensor, u8_qparams,
    };

    #[test]
    fn operands_broadcast_both_ways() {
        let (row, column) = (tensor(&[1, 2], &[1.0, 2.0]), tensor(&[2, 1], &[10.0, 20.0]));
        assert_values(&float(&Sub, &[&row, &column]).unwrap(), &[-9.0, -8.0, -19.0, -18.0]);
        let matrix = tensor(&[2, 2], &[1.0, 2.0, 3.0, 4.0]);
        assert_values(&float(&Sub, &[&row, &matrix]).unwrap(), &[0.0, 0.0, -2.0, -2.0]);
        let relu = float_with(&Sub, Some(Activation::ReLU), &[&matrix, &row]).unwrap();
        assert_values(&relu, &[0.0, 0.0, 2.0, 2.0]);
        let relu6 = float_with(&Mul, Some(Activation::ReLU6), &[&matrix, &row]).unwrap();
        assert_values(&relu6, &[1.0, 4.0, 3.0, 6.0]);
        let message = float(&Sub, &[&matrix, &tensor(&[3], &[0.0; 3])]).unwrap_err().to_string();
        assert_eq!(message, "sub expected a shape that broadcasts with [2, 2], found shape [3]");
        assert!(float(&Add, &[&matrix]).is_err());
    }

    #[test]
    fn a_value_for_each_channel_of_each_image_is_repeated() {
        let scales = tensor(&[2, 2, 1, 1], &[1.0, 10.0, 100.0, 1000.0]);
        let y = float(&Mul, &[&counting(&[2, 2, 1, 2]), &scales]).unwrap();
        assert_values(&y, &[0.0, 1.0, 20.0, 30.0, 400.0, 500.0, 6000.0, 7000.0]);
        let a = qtensor(&[2, 2, 1, 2], &[0, 1, 2, 3, 4, 5, 6, 7], 1.0, 0);
        let b = qtensor(&[2, 2, 1, 1], &[1, 2, 3, 4], 1.0, 0);
        for a in [&a, &channels_last(&a)] {
            let y = run_int8(&Mul, Backend::Native, &[a, &b], &u8_qparams(1.0, 0)).unwrap();
            assert_eq!(integers(&y), [0, 1, 4, 6, 12, 15, 24, 28]);
            assert_eq!(strides(&y), strides(a));
        }
    }

    #[test]
    fn integers_do_not_depend_on_the_memory_format() {
        let bytes: Vec<u8> = (0..24).collect();
        let a = qtensor(&[1, 2, 3, 4], &bytes, 0.5, 4);
        let b = qtensor(&[2, 1, 1], &[10, 30], 1.0, 20);
        let output = u8_qparams(1.0, 128);
        let y = run_int8(&Mul, Backend::Native, &[&a, &b], &output).unwrap();
        // (q - 4) * 0.5 * (10 - 20) + 128 for the first channel.
        assert_eq!(integers(&y)[..3], [148, 143, 138]);
        let other = run_int8(&Mul, Backend::Native, &[&channels_last(&a), &b], &output).unwrap();
        assert_eq!(other, y);
        assert_eq!(strides(&other), [24, 1, 8, 2]);
        let inputs = [&signed(&a), &signed(&b)];
        let y = run_int8(&Mul, Backend::Native, &inputs, &i8_qparams(1.0, 0)).unwrap();
        assert_eq!(integers(&y)[..3], [20, 15, 10]);
    }

    #[test]
    fn the_larger_and_the_smaller_are_brought_to_the_scale_of_the_output() {
        let (a, b) = (tensor(&[3], &[1.0, -2.0, f32::NAN]), tensor(&[1], &[0.5]));
        let y = float(&Maximum, &[&a, &b]).unwrap();
        assert_eq!(y.as_slice().unwrap()[..2], [1.0, 0.5]);
        assert!(y.as_slice().unwrap()[2].is_nan());
        assert!(float(&Minimum, &[&b, &a]).unwrap().as_slice().unwrap()[2].is_nan());
        let (a, b) = (qtensor(&[1, 1, 1, 2], &[10, 20], 0.5, 10), qtensor(&[1, 1, 1, 1], &[7], 1.0, 4));
        let output = u8_qparams(0.25, 100);
        assert_eq!(integers(&run_int8(&Maximum, Backend::Native, &[&a, &b], &output).unwrap()), [112, 120]);
        assert_eq!(integers(&run_int8(&Minimum, Backend::Native, &[&a, &b], &output).unwrap()), [100, 112]);
    }

    #[test]
    fn the_gradient_goes_to_the_larger_one() {
        let (a, b) = (tensor(&[3], &[1.0, 2.0, 3.0]), tensor(&[1], &[2.0]));
        let y = float(&Maximum, &[&a, &b]).unwrap();
        let gradients = [tensor(&[3], &[1.0, 10.0, 100.0])];
        let pass = Backward { inputs: &[a, b], outputs: &[y], gradients: &gradients };
        let gradients = Maximum.backward(&pass).unwrap().inputs;
        assert_values(gradients[0].as_ref().unwrap(), &[0.0, 5.0, 100.0]);
        assert_values(gradients[1].as_ref().unwrap(), &[6.0]);
    }

    #[test]
    fn operands_are_of_the_outputs_type() {
        let x = qtensor(&[1], &[1], 1.0, 0);
        let output = u8_qparams(1.0, 0);
        assert!(run_int8(&Add, Backend::Native, &[&x, &signed(&x)], &output).is_err());
        assert!(run_int8(&Add, Backend::Native, &[&x, &x], &i8_qparams(1.0, 0)).is_err());
    }

    #[test]
    fn qnnpack_refuses_what_it_refuses_in_pytorch() {
        let x = u8_qparams(1.0, 0);
        let lower = |output| lower_int8(&Add, Backend::Qnnpack, None, &[&x, &x], &output);
        assert!(lower(u8_qparams(1e-3, 0)).is_err());
        assert!(lower(u8_qparams(1.0, 0)).is_ok());
    }
}
