//! `cat`: tensors put one after the other along an axis.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use ndarray::{Axis, Slice};
use qkernels::elements::{self, Element};
use qkernels::elementwise::{self, CatInput};
use serde::{Deserialize, Serialize};

use super::inputs::{check_dtype, element_count, kernel_error, with_eight_bit};
use super::kernel::input;
use super::plain::{no_parameters, plain_op};
use super::{
    Executable, Format, Kernel, Lowering, Op, Output, Part, Planned, Precision, TensorSpec, executable,
    per_tensor,
};
use crate::tensor::resolve_axis;
use crate::train::{Backward, Gradients};
use crate::{Error, Result, Tensor};

/// Any number of tensors, one after the other along an axis; the other extents are equal.
///
/// In int8 an input with the output's scale is copied, another is brought to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cat {
    dim: isize,
}

/// The operation `cat([..], dim)`; `dim` is 0 if not given, and negative counts from the end. An axis that the
/// tensors do not have is an error when the operation runs.
pub fn cat(dim: Option<isize>) -> Result<Cat> {
    Ok(Cat { dim: dim.unwrap_or(0) })
}

const NAME: &str = "cat";

no_parameters!(Cat);

impl Op for Cat {
    fn name(&self) -> &'static str {
        NAME
    }

    plain_op!();

    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        let (output, gradient) = pass.output()?;
        let axis = resolve_axis(NAME, self.dim, output.shape())?;
        let mut start = 0;
        let inputs = pass.inputs.iter().map(|input| {
            let end = start + input.shape()[axis];
            let part = gradient.view().slice_axis(Axis(axis), Slice::from(start..end)).to_owned();
            start = end;
            Some(Tensor::from(part))
        });
        Ok(Gradients { inputs: inputs.collect(), parameters: Vec::new() })
    }

    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>> {
        let cat = *self;
        match lowering.precision {
            Precision::Float => Ok(executable(NAME, move |inputs| {
                cat.plan(inputs, Format::F32, |_, width| Ok(rows::<f32>(width, true, copy_rows)))
            })),
            Precision::Static => {
                let output = lowering.output_qparams(NAME)?.clone();
                with_eight_bit!(NAME, output.dtype, T => {
                    let to = per_tensor(NAME, &output)?;
                    to.check::<T>().map_err(kernel_error(NAME))?;
                    let format = Format::of(Some(&output));
                    Ok(executable(NAME, move |inputs| {
                        cat.plan(inputs, format.clone(), |input, width| {
                            let qparams = input.qparams(NAME)?;
                            Ok(rows::<T>(width, qparams == to, move |values, width, output, stride| {
                                elementwise::cat_into(CatInput { values, qparams }, width, to, output, stride)
                            }))
                        })
                    }))
                })
            }
            _ => Err(lowering.unsupported(NAME)),
        }
    }
}

impl Cat {
    /// A part of the output for each input; `kernel` makes the one that writes it, from the length of a row.
    fn plan(
        &self,
        inputs: &[TensorSpec],
        format: Format,
        kernel: impl Fn(&TensorSpec, usize) -> Result<Box<dyn Kernel>>,
    ) -> Result<Planned> {
        let (axis, shape) = self.output_shape(inputs)?;
        let memory_format = inputs[0].without_gaps().memory_format();
        let spec = TensorSpec::in_format(&shape, memory_format, format);
        let buffer = spec.buffer();
        // Elements from one index of the axis to the next, and how often the axis is gone through.
        let step = spec.layout().strides()[axis];
        let times = spec.len() / (step * shape[axis]).max(1);
        let mut parts = Vec::with_capacity(inputs.len());
        let mut offset = 0;
        for input in inputs {
            check_dtype(NAME, input, spec.dtype())?;
            let len = input.shape()[axis] * step;
            let [width, pixel_stride] = match times {
                // One run is dense: its pixels are those of whatever makes the input.
                1 => [input.clone().in_buffer(buffer).pixel_stride(); 2],
                _ => [len, step * shape[axis]],
            };
            parts.push(Part { kernel: kernel(input, width)?, offset, pixel_stride, input: buffer });
            offset += len;
        }
        Ok(Planned::Parts(parts, spec))
    }

    /// The axis and the shape of the result.
    fn output_shape(&self, inputs: &[TensorSpec]) -> Result<(usize, Vec<usize>)> {
        let Some((first, rest)) = inputs.split_first() else {
            return Err(Error::parameter(NAME, "needs at least one tensor"));
        };
        let axis = resolve_axis(NAME, self.dim, first.shape())?;
        let mut shape = first.shape().to_vec();
        for other in rest {
            let mut expected = first.shape().to_vec();
            if let Some(&extent) = other.shape().get(axis) {
                expected[axis] = extent;
            }
            if other.shape() != expected {
                return Err(Error::shape(NAME, format!("{expected:?} (up to axis {axis})"), other.shape()));
            }
            shape[axis] = shape[axis].saturating_add(expected[axis]);
        }
        if element_count(&shape).is_none() {
            return Err(Error::shape(NAME, "a result that can be addressed", &shape));
        }
        Ok((axis, shape))
    }
}

fn copy_rows<T: Copy>(rows: &[T], width: usize, output: &mut [T], stride: usize) -> qkernels::Result<()> {
    for (row, output) in rows.chunks_exact(width).zip(output.chunks_mut(stride)) {
        output[..width].copy_from_slice(row);
    }
    Ok(())
}

/// Brings dense rows of `width` elements to where they belong by `write`, which sees them, their width, the output
/// from the first one on, and from where to where one follows the other there.
fn rows<T: Element>(
    width: usize,
    is_copy: bool,
    write: impl Fn(&[T], usize, &mut [T], usize) -> qkernels::Result<()> + Send + Sync + 'static,
) -> Box<dyn Kernel> {
    Box::new(RowsKernel { width, is_copy, write, element: PhantomData })
}

struct RowsKernel<T, F> {
    width: usize,
    /// Whether the elements stay as they are.
    is_copy: bool,
    write: F,
    element: PhantomData<fn(T)>,
}

impl<T, F> fmt::Debug for RowsKernel<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl<T, F> Kernel for RowsKernel<T, F>
where
    T: Element,
    F: Fn(&[T], usize, &mut [T], usize) -> qkernels::Result<()> + Send + Sync,
{
    fn run(&self, inputs: &[&[u8]], outputs: &mut [Output<'_>], _: &mut [u8]) -> qkernels::Result<()> {
        let [Output { bytes, pixel_stride }] = outputs else { return Ok(()) };
        let (rows, output) = (elements::view::<T>(input(inputs, 0))?, elements::view_mut::<T>(bytes)?);
        if rows.is_empty() || self.width == 0 {
            return Ok(());
        }
        // An input that is dense as a whole is one row.
        let width = if *pixel_stride == self.width { rows.len() } else { self.width };
        let stride = width.max(*pixel_stride);
        let expected = (rows.len() / width - 1) * stride + width;
        if output.len() < expected {
            return Err(qkernels::Error::Length { what: "output", expected, actual: output.len() });
        }
        (self.write)(rows, width, &mut output[..expected], stride)
    }

    fn takes_pixel_stride(&self) -> bool {
        true
    }

    fn as_copy(&self) -> Option<usize> {
        self.is_copy.then_some(self.width)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Backend;
    use crate::ops::tests::{
        assert_values, channels_last, counting, float, i8_qparams, integers, qtensor, run_int8, signed,
        strides, tensor, u8_qparams,
    };

    #[test]
    fn tensors_follow_each_other_along_the_axis() {
        let (a, b) = (tensor(&[1, 2], &[1.0, 2.0]), tensor(&[1, 1], &[3.0]));
        assert_values(&float(&cat(Some(-1)).unwrap(), &[&a, &b]).unwrap(), &[1.0, 2.0, 3.0]);
        let image = counting(&[2, 1, 1, 2]);
        let y = float(&cat(Some(1)).unwrap(), &[&image, &image]).unwrap();
        assert_values(&y, &[0.0, 1.0, 0.0, 1.0, 2.0, 3.0, 2.0, 3.0]);
        let y = float(&cat(None).unwrap(), &[&image, &image]).unwrap();
        assert_values(&y, &[0.0, 1.0, 2.0, 3.0, 0.0, 1.0, 2.0, 3.0]);
        let nothing = tensor(&[1, 0], &[]);
        assert_values(&float(&cat(Some(1)).unwrap(), &[&a, &nothing, &b]).unwrap(), &[1.0, 2.0, 3.0]);
        assert!(float(&cat(None).unwrap(), &[&a, &b]).is_err());
        assert!(float(&cat(Some(2)).unwrap(), &[&a]).is_err());
        assert!(float(&cat(None).unwrap(), &[]).is_err());
    }

    #[test]
    fn another_scale_is_brought_to_the_outputs() {
        let a = qtensor(&[1, 1, 1, 2], &[1, 2], 1.0, 0);
        let b = qtensor(&[1, 2, 1, 2], &[10, 11, 12, 13], 0.5, 10);
        let cat = |a: &_, b: &_, output| run_int8(&cat(Some(1)).unwrap(), Backend::Native, &[a, b], &output);
        let y = cat(&a, &b, u8_qparams(1.0, 0)).unwrap();
        assert_eq!(integers(&y), [1, 2, 0, 0, 1, 2]);
        assert_eq!(cat(&channels_last(&a), &channels_last(&b), u8_qparams(1.0, 0)).unwrap(), y);
        let y = cat(&signed(&a), &signed(&b), i8_qparams(1.0, -128)).unwrap();
        assert_eq!(integers(&y), [-127, -126, -128, -128, -127, -126]);
        assert!(cat(&a, &signed(&b), u8_qparams(1.0, 0)).is_err());
    }

    #[test]
    fn the_result_has_the_memory_format_of_the_first() {
        let x = qtensor(&[1, 2, 1, 2], &[1, 2, 3, 4], 1.0, 0);
        let cat = |first: &_, second: &_| {
            let output = u8_qparams(1.0, 0);
            run_int8(&cat(Some(3)).unwrap(), Backend::Native, &[first, second], &output).unwrap()
        };
        let y = cat(&channels_last(&x), &x);
        assert_eq!((strides(&y), integers(&y)), (vec![8, 1, 8, 2], vec![1, 2, 1, 2, 3, 4, 3, 4]));
        assert_eq!(strides(&cat(&x, &channels_last(&x))), [8, 4, 4, 1]);
    }
}
