//! `matmul`: the product of matrices, in batches that broadcast.

use std::sync::Arc;

use qkernels::elementwise::BinaryQParams;
use qkernels::float::matmul_into;
use qkernels::geometry::MatmulGeometry;
use qkernels::matmul::QuantizedMatmul;
use qkernels::{EightBit, elements};
use serde::{Deserialize, Serialize};

use super::inputs::{check_dtype, element_count, exactly, kernel_error, with_eight_bit};
use super::kernel::input;
use super::plain::{no_parameters, plain_op};
use super::{
    Executable, Format, Kernel, KernelCost, Lowering, Op, Output, Planned, PlannedKernel, Precision,
    TensorSpec, executable, per_tensor,
};
use crate::program::evaluate_float;
use crate::tensor::{MemoryFormat, Rearrangement};
use crate::train::{Backward, Gradients, reshaped, summed_to};
use crate::{Error, QParams, Result, Tensor};

/// The product of the last two axes, `[.., M, K]` and `[.., K, N]` to `[.., M, N]`; the axes before them broadcast.
///
/// As in PyTorch a first operand `[K]` is a row and a second one `[K]` a column, whose axis the output does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matmul;

/// The operation `matmul(a, b)`.
pub fn matmul() -> Result<Matmul> {
    Ok(Matmul)
}

const NAME: &str = "matmul";

no_parameters!(Matmul);

impl Op for Matmul {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        match lowering.precision {
            Precision::Float => Ok(executable(NAME, |inputs| {
                let [a, b] = exactly(NAME, inputs)?;
                check_dtype(NAME, a, None)?;
                check_dtype(NAME, b, None)?;
                let product = Product::new(a.shape(), b.shape())?;
                product.planned(b, Format::F32, |geometry| Ok(Box::new(FloatMatmul { geometry })))
            })),
            Precision::Static => {
                let output = lowering.output_qparams(NAME)?.clone();
                let [a, b] = lowering.input_qparams(NAME)?;
                // Scales that the kernel would refuse are an error now.
                let geometry = Product::new(&[1, 1], &[1, 1])?.geometry(false)?;
                quantized(geometry, [per_tensor(NAME, a)?, per_tensor(NAME, b)?], &output)?;
                Ok(executable(NAME, move |inputs| {
                    let [a, b] = exactly(NAME, inputs)?;
                    check_dtype(NAME, a, Some(output.dtype))?;
                    check_dtype(NAME, b, Some(output.dtype))?;
                    let inputs = [a.qparams(NAME)?, b.qparams(NAME)?];
                    let product = Product::new(a.shape(), b.shape())?;
                    product.planned(b, Format::of(Some(&output)), |geometry| {
                        quantized(geometry, inputs, &output)
                    })
                }))
            }
            _ => Err(lowering.unsupported(NAME)),
        }
    }

    /// `da = dy b^T` and `db = a^T dy`, summed over what was repeated.
    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let [a, b] = [pass.input(0)?, pass.input(1)?];
        let (_, gradient) = pass.output()?;
        let product = Product::new(a.shape(), b.shape())?;
        let gradient = reshaped(gradient, &[&product.batch[..], &[product.rows, product.columns]].concat())?;
        let of = |operand: &Tensor, shape: &[usize]| reshaped(operand.clone().contiguous(), shape);
        let transposed = |operand: Tensor| {
            let rank = operand.shape().len();
            Rearrangement::Permute(swapped(rank)).apply(NAME, operand.into_shared()).map(Tensor::from)
        };
        let times = |a, b| evaluate_float(self.lower(&Lowering::float())?.as_ref(), vec![a, b]);
        let a_gradient = times(gradient.clone(), transposed(of(b, &product.right)?)?)?;
        let b_gradient = times(transposed(of(a, &product.left)?)?, gradient)?;
        let back = |gradient: Tensor, matrices: &[usize], operand: &Tensor| {
            reshaped(summed_to(gradient, matrices)?, operand.shape()).map(Some)
        };
        let inputs = vec![back(a_gradient, &product.left, a)?, back(b_gradient, &product.right, b)?];
        Ok(Gradients { inputs, parameters: Vec::new() })
    }
}

/// Two operands of these shapes.
struct Product {
    /// The operands as matrices.
    left: Vec<usize>,
    right: Vec<usize>,
    /// The axes before the matrices, of the output.
    batch: Vec<usize>,
    rows: usize,
    depth: usize,
    columns: usize,
    output: Vec<usize>,
}

impl Product {
    fn new(a: &[usize], b: &[usize]) -> Result<Self> {
        let left = match *a {
            [depth] => vec![1, depth],
            _ => a.to_vec(),
        };
        let right = match *b {
            [depth] => vec![depth, 1],
            _ => b.to_vec(),
        };
        let (&[ref left_batch @ .., rows, depth], &[ref right_batch @ .., right_depth, columns]) =
            (&left[..], &right[..])
        else {
            return Err(Error::shape(NAME, "tensors with axes", if a.is_empty() { a } else { b }));
        };
        if depth != right_depth {
            return Err(Error::shape(NAME, format!("[.., {depth}, N] for a first operand {a:?}"), b));
        }
        let batch = super::broadcast::broadcast_shape(NAME, left_batch, right_batch)?;
        let mut output = batch.clone();
        output.extend((a.len() > 1).then_some(rows));
        output.extend((b.len() > 1).then_some(columns));
        if element_count(&output).is_none() {
            return Err(Error::shape(NAME, "matrices whose product can be addressed", b));
        }
        Ok(Self { batch, rows, depth, columns, output, left, right })
    }

    /// The plan of a kernel for contiguous operands. The right matrices may lie transposed, and are read so.
    fn planned(
        &self,
        b: &TensorSpec,
        format: Format,
        kernel: impl FnOnce(MatmulGeometry) -> Result<Box<dyn Kernel>>,
    ) -> Result<Planned> {
        let is_transposed = b.shape().len() > 1 && b.is_transposed();
        let geometry = self.geometry(is_transposed)?;
        let matrices = [&self.batch[..], &[self.rows, self.columns]].concat();
        let output = TensorSpec::new(&matrices, format.clone()).in_buffer(MemoryFormat::Contiguous);
        let planned =
            PlannedKernel::new(kernel(geometry)?, vec![output]).inputs([MemoryFormat::Contiguous; 2]);
        let right = match is_transposed {
            true => Rearrangement::Permute(swapped(self.right.len())),
            false => Rearrangement::Reshape(self.right.clone()),
        };
        Ok(Planned::Around {
            inputs: vec![vec![Rearrangement::Reshape(self.left.clone())], vec![right]],
            planned: Box::new(Planned::Kernel(planned)),
            output: vec![Rearrangement::Reshape(self.output.clone())],
            spec: TensorSpec::new(&self.output, format),
        })
    }

    fn geometry(&self, is_transposed: bool) -> Result<MatmulGeometry> {
        let Self { left, right, batch, rows, depth, columns, .. } = self;
        let [left_batch, right_batch] = [left, right].map(|shape| &shape[..shape.len() - 2]);
        let count = element_count(batch).unwrap_or(0);
        let matrices = element_count(left_batch).unwrap_or(0);
        // One right matrix for all: the left ones are one long matrix.
        let geometry = if count == matrices && right_batch.iter().all(|&extent| extent == 1) {
            let pairs = if count > 0 { vec![[0, 0]] } else { Vec::new() };
            MatmulGeometry::new([count.saturating_mul(*rows), *depth, *columns], pairs, is_transposed)
        } else {
            let mut pairs = Vec::new();
            qkernels::memory::reserve("the pairs of a product", &mut pairs, count)
                .map_err(kernel_error(NAME))?;
            let [of_left, of_right] = [left_batch, right_batch].map(|own| strides(own, batch));
            let mut index = vec![0; batch.len()];
            for _ in 0..count {
                let place =
                    |strides: &[usize]| index.iter().zip(strides).map(|(index, stride)| index * stride).sum();
                pairs.push([place(&of_left), place(&of_right)]);
                for (index, &extent) in index.iter_mut().zip(batch).rev() {
                    *index = (*index + 1) % extent;
                    if *index > 0 {
                        break;
                    }
                }
            }
            MatmulGeometry::new([*rows, *depth, *columns], pairs, is_transposed)
        };
        geometry.map_err(kernel_error(NAME))
    }
}

/// Matrices from one index of each axis of `batch` to the next, of an operand with the axes `own`; 0 where it repeats.
fn strides(own: &[usize], batch: &[usize]) -> Vec<usize> {
    let mut strides = vec![0; batch.len()];
    let mut stride = 1;
    for (to, &extent) in strides.iter_mut().rev().zip(own.iter().rev()) {
        *to = if extent == 1 { 0 } else { stride };
        stride *= extent;
    }
    strides
}

/// The axes with the last two exchanged, of which there are two at least.
fn swapped(rank: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..rank).collect();
    order.swap(rank - 2, rank - 1);
    order
}

/// The kernel for integers with these parameters.
fn quantized(
    geometry: MatmulGeometry,
    [a, b]: [qkernels::QParams; 2],
    output: &QParams,
) -> Result<Box<dyn Kernel>> {
    let qparams = BinaryQParams { a, b, output: per_tensor(NAME, output)?, relu: false };
    with_eight_bit!(NAME, output.dtype, T => {
        let matmul = QuantizedMatmul::<T>::new(&qparams).map_err(kernel_error(NAME))?;
        Ok(Box::new(StaticMatmul { geometry, matmul }))
    })
}

#[derive(Debug)]
struct StaticMatmul<T> {
    geometry: MatmulGeometry,
    matmul: QuantizedMatmul<T>,
}

impl<T: EightBit> Kernel for StaticMatmul<T> {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let [a, b] = [elements::view(input(inputs, 0))?, elements::view(input(inputs, 1))?];
        self.matmul.run(&self.geometry, a, b, elements::view_mut(bytes)?)
    }

    fn cost(&self) -> KernelCost {
        cost(&self.geometry)
    }
}

fn cost(geometry: &MatmulGeometry) -> KernelCost {
    KernelCost { multiply_accumulates: geometry.work() as u64, ..KernelCost::default() }
}

#[derive(Debug)]
struct FloatMatmul {
    geometry: MatmulGeometry,
}

impl Kernel for FloatMatmul {
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, .. }] = outputs else { return Ok(()) };
        let [a, b] = [elements::view(input(inputs, 0))?, elements::view(input(inputs, 1))?];
        matmul_into(&self.geometry, a, b, elements::view_mut(bytes)?)
    }

    fn cost(&self) -> KernelCost {
        cost(&self.geometry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;
    use crate::ops::tests::{
        assert_values, channels_last, counting, float, i8_qparams, integers, qtensor, run_int8, signed,
        tensor, u8_qparams,
    };

    /// The shape and the values of a product of counting tensors.
    fn product(a: &[usize], b: &[usize]) -> Result<(Vec<usize>, Vec<f32>)> {
        let y = float(&Matmul, &[&counting(a), &counting(b)])?;
        Ok((y.shape().to_vec(), y.view().iter().copied().collect()))
    }

    #[test]
    fn vectors_are_rows_and_columns() {
        assert_eq!(product(&[3], &[3]).unwrap(), (vec![], vec![5.0]));
        assert_eq!(product(&[2, 3], &[3]).unwrap(), (vec![2], vec![5.0, 14.0]));
        assert_eq!(product(&[2], &[2, 3]).unwrap(), (vec![3], vec![3.0, 4.0, 5.0]));
        assert_eq!(product(&[2], &[2, 2, 1]).unwrap(), (vec![2, 1], vec![1.0, 3.0]));
        assert_eq!(product(&[2, 0], &[0, 1]).unwrap(), (vec![2, 1], vec![0.0, 0.0]));
        assert_eq!(product(&[0, 2], &[2, 1]).unwrap(), (vec![0, 1], vec![]));
    }

    #[test]
    fn batches_broadcast() {
        let (shape, values) = product(&[2, 1, 1, 2], &[3, 2, 1]).unwrap();
        assert_eq!(shape, [2, 3, 1, 1]);
        assert_eq!(values, [1.0, 3.0, 5.0, 3.0, 13.0, 23.0]);
        let (shape, values) = product(&[2, 2, 2], &[2, 1]).unwrap();
        assert_eq!((shape, values), (vec![2, 2, 1], vec![1.0, 3.0, 5.0, 7.0]));
        let message = product(&[2, 3], &[2, 3]).unwrap_err().to_string();
        assert_eq!(message, "matmul expected [.., 3, N] for a first operand [2, 3], found shape [2, 3]");
        assert!(product(&[2, 1, 3], &[3, 3, 1]).is_err());
        assert!(product(&[], &[1]).is_err());
    }

    #[test]
    fn integers_are_multiplied_in_any_memory_format() {
        let a = qtensor(&[1, 2, 1, 2], &[1, 2, 3, 4], 1.0, 1);
        let b = qtensor(&[1, 2, 2, 2], &[0, 1, 2, 3, 4, 5, 6, 7], 0.5, 0);
        let output = u8_qparams(1.0, 3);
        // 0.5 * ([0, 1] [[0, 1], [2, 3]]) and 0.5 * ([2, 3] [[4, 5], [6, 7]]), ties to even.
        let expected = [3 + 1, 3 + 2, 3 + 13, 3 + 16];
        for [a, b] in [[a.clone(), b.clone()], [channels_last(&a), channels_last(&b)]] {
            let y = run_int8(&Matmul, Backend::Native, &[&a, &b], &output).unwrap();
            assert_eq!((integers(&y), y.shape()), (expected.to_vec(), &[1, 2, 1, 2][..]));
            let inputs = [&signed(&a), &signed(&b)];
            let y = run_int8(&Matmul, Backend::Native, &inputs, &i8_qparams(1.0, -125)).unwrap();
            assert_eq!(integers(&y), expected.map(|integer| integer - 128));
        }
    }

    #[test]
    fn gradients_are_summed_over_what_was_repeated() {
        let (a, b) = (counting(&[2, 1, 2]), counting(&[2, 1]));
        let y = float(&Matmul, &[&a, &b]).unwrap();
        let pass = Backward {
            inputs: &[a, b],
            outputs: std::slice::from_ref(&y),
            gradients: &[tensor(&[2, 1, 1], &[1.0, 10.0])],
        };
        let gradients = Matmul.backward(&pass).unwrap().inputs;
        assert_values(gradients[0].as_ref().unwrap(), &[0.0, 1.0, 0.0, 10.0]);
        assert_values(gradients[1].as_ref().unwrap(), &[20.0, 31.0]);
    }
}
