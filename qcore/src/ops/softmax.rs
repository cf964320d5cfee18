//! `softmax` and `log_softmax`: exponentials that add up to 1 along an axis, and their logarithms.

use std::sync::Arc;

use ndarray::Axis;
use qkernels::rows;
use serde::{Deserialize, Serialize};

use super::inputs::{check_dtype, exactly, kernel_error, with_eight_bit};
use super::plain::{no_parameters, plain_op};
use super::{
    Executable, Format, Kernel, Lowering, Op, Planned, PlannedKernel, Precision, TensorSpec, executable,
    per_tensor, unary,
};
use crate::tensor::{MemoryFormat, Rearrangement, resolve_axis};
use crate::train::{Backward, Gradients};
use crate::{QParams, Result, Tensor};

/// Defines one of the two, as a layer and as a function of `(x, dim)`.
macro_rules! along_an_axis {
    ($layer:ident, $name:ident, $meaning:literal) => {
        #[doc = concat!("`", $meaning, "` along an axis, for tensors of any shape.")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $layer {
            dim: isize,
        }

        impl $layer {
            /// Along axis `dim`; a negative one counts from the end.
            pub fn new(dim: isize) -> Self {
                Self { dim }
            }
        }

        #[doc = concat!("The operation `", stringify!($name), "(x, dim)`; a negative axis counts from the end.")]
        /// An axis that the tensor does not have is an error when the operation runs.
        pub fn $name(dim: isize) -> Result<$layer> {
            Ok($layer::new(dim))
        }

        no_parameters!($layer, stringify!($layer));
    };
}

along_an_axis!(Softmax, softmax, "e^x / sum e^x");
along_an_axis!(LogSoftmax, log_softmax, "x - ln sum e^x");

impl Op for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        // dx = y * (dy - sum(dy * y)).
        along_rows("softmax", self.dim, pass, |y, dy, sum| y * (dy - sum), |y, dy| y * dy)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let dim = self.dim;
        match lowering.precision {
            Precision::Float => Ok(float("softmax", dim, rows::softmax_float)),
            Precision::Static => {
                let output = lowering.output_qparams("softmax")?.clone();
                let [input] = lowering.input_qparams("softmax")?;
                quantized(1, &output, per_tensor("softmax", input)?)?;
                Ok(executable("softmax", move |inputs| {
                    let [x] = exactly("softmax", inputs)?;
                    check_dtype("softmax", x, Some(output.dtype))?;
                    let format = Format::of(Some(&output));
                    planned("softmax", dim, x, format, |len| quantized(len, &output, x.qparams("softmax")?))
                }))
            }
            _ => Err(lowering.unsupported("softmax")),
        }
    }
}

impl Op for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        // dx = dy - e^y * sum(dy).
        along_rows("log_softmax", self.dim, pass, |y, dy, sum| dy - y.exp() * sum, |_, dy| dy)
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        match lowering.precision {
            Precision::Float => Ok(float("log_softmax", self.dim, rows::log_softmax_float)),
            _ => Err(lowering.unsupported("log_softmax")),
        }
    }
}

fn float(
    operation: &'static str,
    dim: isize,
    run: fn(usize, &[f32], &mut [f32]) -> qkernels::Result<()>,
) -> Arc<dyn Executable> {
    executable(operation, move |inputs| {
        let [x] = exactly(operation, inputs)?;
        check_dtype(operation, x, None)?;
        planned(operation, dim, x, Format::F32, |len| {
            Ok(unary::<f32, f32>(operation, move |x, y| run(len, x, y)))
        })
    })
}

/// On integers, in rows of `len`.
fn quantized(len: usize, output: &QParams, input: qkernels::QParams) -> Result<Box<dyn Kernel>> {
    let to = per_tensor("softmax", output)?;
    with_eight_bit!("softmax", output.dtype, T => {
        let softmax = rows::Softmax::new::<T>(input, to).map_err(kernel_error("softmax"))?;
        Ok(unary::<T, T>("softmax", move |x, y| softmax.apply(len, x, y)))
    })
}

/// A kernel on rows of the axis `dim`, which is brought to the end where it is not there.
fn planned(
    operation: &'static str,
    dim: isize,
    x: &TensorSpec,
    format: Format,
    kernel: impl FnOnce(usize) -> Result<Box<dyn Kernel>>,
) -> Result<Planned> {
    let shape = x.shape();
    let axis = resolve_axis(operation, dim, shape)?;
    let mut order: Vec<usize> = (0..shape.len()).filter(|&other| other != axis).collect();
    order.push(axis);
    let mut back = vec![0; order.len()];
    order.iter().enumerate().for_each(|(place, &axis)| back[axis] = place);
    let rows: Vec<usize> = order.iter().map(|&axis| shape[axis]).collect();
    let output = TensorSpec::new(&rows, format.clone()).in_buffer(MemoryFormat::Contiguous);
    let planned = PlannedKernel::new(kernel(shape[axis])?, vec![output]).inputs([MemoryFormat::Contiguous]);
    Ok(Planned::Around {
        inputs: vec![vec![Rearrangement::Permute(order)]],
        planned: Box::new(Planned::Kernel(planned)),
        output: vec![Rearrangement::Permute(back)],
        spec: x.with_format(format),
    })
}

/// The gradient `of(y, dy, sum)` of each value, with the sum of `term(y, dy)` along the axis.
fn along_rows(
    operation: &'static str,
    dim: isize,
    pass: &Backward<'_>,
    of: impl Fn(f32, f32, f32) -> f32,
    term: impl Fn(f32, f32) -> f32,
) -> Result<Gradients> {
    let (output, gradient) = pass.output()?;
    let axis = Axis(resolve_axis(operation, dim, output.shape())?);
    let mut gradient = gradient.into_array();
    for (mut gradients, outputs) in gradient.lanes_mut(axis).into_iter().zip(output.view().lanes(axis)) {
        let terms = gradients.iter().zip(outputs).map(|(&dy, &y)| f64::from(term(y, dy)));
        let sum = terms.sum::<f64>() as f32;
        gradients.iter_mut().zip(outputs).for_each(|(dy, &y)| *dy = of(y, *dy, sum));
    }
    Ok(Gradients::of_input(Tensor::from(gradient)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;
    use crate::ops::tests::{float, integers, qtensor, run_int8, tensor, u8_qparams};

    #[test]
    fn rows_add_up_to_one_along_any_axis() {
        let x = tensor(&[2, 3], &[1.0, 2.0, 3.0, -1.0, 0.0, 1000.0]);
        for dim in [0, 1, -1] {
            let y = float(&Softmax::new(dim), &[&x]).unwrap();
            let axis = ndarray::Axis(dim.rem_euclid(2) as usize);
            for sum in y.view().sum_axis(axis) {
                assert!((sum - 1.0).abs() < 1e-6, "{sum}");
            }
        }
        // PyTorch's values.
        let y = float(&log_softmax(1).unwrap(), &[&x]).unwrap();
        let expected = [-2.407_606, -1.407_606, -0.407_606, -1001.0, -1000.0, 0.0];
        for (found, expected) in y.view().iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{found} in place of {expected}");
        }
        assert!(float(&Softmax::new(2), &[&x]).is_err());
    }

    /// e^0 / (1 + e^-1 + e^-2) is 170.3 steps of 1/256.
    #[test]
    fn integers_are_steps_of_the_output() {
        let x = qtensor(&[1, 3], &[10, 12, 14], 0.5, 3);
        let y = run_int8(&Softmax::new(1), Backend::Native, &[&x], &u8_qparams(1.0 / 256.0, 0)).unwrap();
        assert_eq!(integers(&y), [23, 63, 170]);
        let y = run_int8(&Softmax::new(0), Backend::Native, &[&x], &u8_qparams(1.0 / 256.0, 0)).unwrap();
        assert_eq!(integers(&y), [255; 3]);
    }
}
