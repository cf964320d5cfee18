//! `ProgramOutput`: an output where the program left it.

use ndarray::{Array, ArrayD, IxDyn};
use qkernels::QuantizedInteger;
use qkernels::elements;
use qkernels::memory;
use qkernels::quantize::{dequantize_nhwc_to_nchw, dequantize_per_tensor};

use crate::ops::{Format, TensorSpec};
use crate::tensor::{AnyTensor, Layout, MemoryFormat};
use crate::{DType, Error, IntRepr, QTensor, Result, Tensor};

/// An output where the program left it: floats in row-major order, or integers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ProgramOutput<'a> {
    bytes: &'a [u8],
    spec: &'a TensorSpec,
}

impl<'a> ProgramOutput<'a> {
    pub(super) fn new(bytes: &'a [u8], spec: &'a TensorSpec) -> Self {
        Self { bytes, spec }
    }

    /// The output in float, in row-major order.
    pub(crate) fn to_tensor(self) -> Result<Tensor> {
        let mut values = self.buffer(self.spec.len())?;
        self.write(&mut values)?;
        Tensor::from_vec(self.spec.shape(), values)
    }

    fn buffer<T: elements::Element>(self, len: usize) -> Result<Vec<T>> {
        memory::zeroed(format_args!("an output of shape {:?}", self.spec.shape()), len).map_err(failed)
    }

    /// The output in float, in the memory of `tensor` if its shape fits and nobody shares it.
    pub(crate) fn write_to(self, tensor: &mut Tensor) -> Result<()> {
        if tensor.shape() == self.spec.shape()
            && let Some(values) = tensor.as_slice_mut()
        {
            return self.write(values);
        }
        *tensor = self.to_tensor()?;
        Ok(())
    }

    fn write(self, values: &mut [f32]) -> Result<()> {
        match self.spec.dtype() {
            None => {
                let found = elements::view::<f32>(self.bytes).map_err(failed)?;
                if found.len() != values.len() {
                    return Err(Error::shape(
                        "an output",
                        format!("{} values", found.len()),
                        self.spec.shape(),
                    ));
                }
                values.copy_from_slice(found);
                Ok(())
            }
            Some(DType::QInt8) => self.dequantize::<i8>(values),
            Some(_) => self.dequantize::<u8>(values),
        }
    }

    fn dequantize<T: QuantizedInteger + elements::Element>(self, values: &mut [f32]) -> Result<()> {
        let integers = elements::view::<T>(self.bytes).map_err(failed)?;
        let qparams = self.spec.qparams("an output")?;
        match (self.spec.buffer(), self.spec.image()) {
            (MemoryFormat::ChannelsLast, Some(image)) => {
                dequantize_nhwc_to_nchw(integers, image, qparams, values)
            }
            _ => dequantize_per_tensor(integers, qparams, values),
        }
        .map_err(failed)
    }

    /// The output as it is.
    pub(super) fn to_any(self) -> Result<AnyTensor> {
        match self.spec.format() {
            Format::F32 => self.to_tensor().map(AnyTensor::Float),
            Format::Quantized(_) => self.to_qtensor().map(AnyTensor::Quantized),
        }
    }

    /// The output's integers, in the memory order that PyTorch would have.
    fn to_qtensor(self) -> Result<QTensor> {
        let Format::Quantized(qparams) = self.spec.format() else {
            return Err(Error::Unsupported("integers of a float output".into()));
        };
        let integers = match qparams.dtype {
            DType::QInt8 => IntRepr::QInt8(self.in_pytorch_order::<i8>()?.into_shared()),
            DType::QInt32 => IntRepr::QInt32(self.in_pytorch_order::<i32>()?.into_shared()),
            _ => IntRepr::QUInt8(self.in_pytorch_order::<u8>()?.into_shared()),
        };
        QTensor::from_int_repr(integers, std::sync::Arc::clone(qparams))
    }

    fn in_pytorch_order<T: elements::Element>(self) -> Result<ArrayD<T>> {
        let found = elements::view::<T>(self.bytes).map_err(failed)?;
        let mut values = self.buffer(found.len())?;
        values.copy_from_slice(found);
        let array = in_order(values, &self.spec.layout())?;
        match self.spec.memory_format() {
            MemoryFormat::Contiguous => Ok(array.as_standard_layout().into_owned()),
            format => {
                let order = Layout::in_format(self.spec.shape(), format).order();
                let inner = array.permuted_axes(IxDyn(&order)).as_standard_layout().into_owned();
                Ok(in_axes(inner, &order))
            }
        }
    }
}

/// Dense values of this layout, with the axes of its shape.
fn in_order<T>(values: Vec<T>, layout: &Layout) -> Result<ArrayD<T>> {
    let found = values.len();
    let order = layout.order();
    let extents: Vec<usize> = order.iter().map(|&axis| layout.shape()[axis]).collect();
    let array = Array::from_shape_vec(IxDyn(&extents), values)
        .map_err(|_| Error::shape("an output", format!("{found} values"), layout.shape()))?;
    Ok(in_axes(array, &order))
}

/// Undoes a permutation of axes.
fn in_axes<T>(array: ArrayD<T>, order: &[usize]) -> ArrayD<T> {
    let mut inverse = vec![0; order.len()];
    for (position, &axis) in order.iter().enumerate() {
        inverse[axis] = position;
    }
    array.permuted_axes(IxDyn(&inverse))
}

fn failed(error: qkernels::Error) -> Error {
    Error::kernel("an output", error)
}
