//! Tensors in the slots of a run, and the way between them and buffers of bytes.

use ndarray::{Array, IxDyn};
use qkernels::quantize::{
    dequantize_nhwc_to_nchw, dequantize_per_tensor, nchw_to_nhwc, quantize_nchw_to_nhwc, quantize_per_tensor,
};

use super::step::{Action, Output, Step};
use crate::op::{ActivationSpec, MemoryFormat};
use crate::{Error, QTensor, Result, Tensor};

/// What is in a slot.
#[derive(Clone, Debug, Default)]
pub(crate) enum Held {
    #[default]
    Nothing,
    Float(Tensor),
    Int8(QTensor),
}

impl Held {
    pub(super) fn into_float(self) -> Result<Tensor> {
        match self {
            Self::Float(tensor) => Ok(tensor),
            _ => Err(Error::Unsupported("a value that is not there in float".into())),
        }
    }

    pub(super) fn into_int8(self) -> Result<QTensor> {
        match self {
            Self::Int8(tensor) => Ok(tensor),
            _ => Err(Error::Unsupported("a value that is not there in int8".into())),
        }
    }

    pub(super) fn byte_len(&self) -> usize {
        match self {
            Self::Nothing => 0,
            Self::Float(tensor) => size_of::<f32>() * tensor.len(),
            Self::Int8(tensor) => tensor.len(),
        }
    }
}

/// For each step the slots that nobody reads after it.
pub(super) fn released(steps: &[Step], outputs: &[Output], slots: usize) -> Vec<Vec<usize>> {
    let mut is_needed = vec![false; slots];
    for output in outputs {
        if let Output::Slot(slot) = output {
            is_needed[*slot] = true;
        }
    }
    let mut released = vec![Vec::new(); steps.len()];
    for (step, released) in steps.iter().zip(&mut released).rev() {
        for &slot in step.action.slots_read() {
            if !std::mem::replace(&mut is_needed[slot], true) {
                released.push(slot);
            }
        }
        if let Action::Load { output, .. }
        | Action::Tensors { output, .. }
        | Action::Dequantize { output, .. } = step.action
        {
            is_needed[output] = false;
        }
    }
    released
}

/// A float tensor's values in a buffer.
pub(super) fn quantize(x: &Tensor, spec: &ActivationSpec, bytes: &mut [u8]) -> Result<()> {
    let qparams = spec.kernel_qparams();
    let range = spec.qparams().quant_min..=spec.qparams().quant_max;
    let result = match (spec.image(), x.as_slice()) {
        (Some(image), Some(values)) => quantize_nchw_to_nhwc(values, image, qparams, range, bytes),
        (None, Some(values)) => quantize_per_tensor(values, qparams, range, bytes),
        (Some(_), None) if x.is_channels_last() => {
            quantize_per_tensor(x.as_memory_slice().unwrap_or_default(), qparams, range, bytes)
        }
        _ => return quantize(&x.clone().contiguous(), spec, bytes),
    };
    result.map_err(|error| Error::parameter("quantize", error.to_string()))
}

/// A buffer's values in float, in the memory order that PyTorch would have.
pub(super) fn dequantize(bytes: &[u8], spec: &ActivationSpec) -> Result<Tensor> {
    let mut values = vec![0.0; bytes.len()];
    if spec.format() == MemoryFormat::Contiguous {
        dequantize_row_major(bytes, spec, &mut values)?;
        return Tensor::from_vec(spec.shape(), values);
    }
    dequantize_per_tensor(bytes, spec.kernel_qparams(), &mut values).map_err(refused)?;
    in_logical_order(values, spec).map(Tensor::from)
}

/// A buffer's values in float, in row-major order.
pub(super) fn dequantize_row_major(bytes: &[u8], spec: &ActivationSpec, values: &mut [f32]) -> Result<()> {
    match spec.image() {
        Some(image) => dequantize_nhwc_to_nchw(bytes, image, spec.kernel_qparams(), values),
        None => dequantize_per_tensor(bytes, spec.kernel_qparams(), values),
    }
    .map_err(refused)
}

/// A buffer's integers as a tensor, in the memory order that PyTorch would have.
pub(super) fn load(bytes: &[u8], spec: &ActivationSpec) -> Result<QTensor> {
    let integers = in_logical_order(bytes.to_vec(), spec)?;
    let integers = match spec.format() {
        MemoryFormat::Contiguous => integers.as_standard_layout().into_owned(),
        MemoryFormat::ChannelsLast => integers,
    };
    QTensor::from_int_repr(integers, spec.qparams().clone())
}

/// A tensor's integers in a buffer.
pub(super) fn store(tensor: &QTensor, spec: &ActivationSpec, bytes: &mut [u8]) -> Result<()> {
    let misfit = || Error::shape("an activation", format!("{:?} of quint8", spec.shape()), tensor.shape());
    let integers = tensor.int_repr().as_u8().filter(|integers| integers.len() == bytes.len());
    let integers = integers.ok_or_else(misfit)?;
    match (spec.image(), integers.as_slice()) {
        (Some(image), Some(planes)) => return nchw_to_nhwc(planes, image, bytes).map_err(refused),
        (Some(_), None) => {
            let pixels = integers.permuted_axes(IxDyn(&[0, 2, 3, 1]));
            bytes.iter_mut().zip(pixels.iter()).for_each(|(byte, &integer)| *byte = integer);
        }
        (None, _) => bytes.iter_mut().zip(integers.iter()).for_each(|(byte, &integer)| *byte = integer),
    }
    Ok(())
}

/// What lies in a buffer's order, with the extents in the order of its shape.
fn in_logical_order<T>(values: Vec<T>, spec: &ActivationSpec) -> Result<ndarray::ArrayD<T>> {
    let found = values.len();
    let misfit = |_| Error::shape("an activation", format!("{found} values"), spec.shape());
    let Some(image) = spec.image() else {
        return Array::from_shape_vec(IxDyn(spec.shape()), values).map_err(misfit);
    };
    let pixels = [image.batch, image.height, image.width, image.channels];
    let pixels = Array::from_shape_vec(IxDyn(&pixels), values).map_err(misfit)?;
    Ok(pixels.permuted_axes(IxDyn(&[0, 3, 1, 2])))
}

fn refused(error: qkernels::Error) -> Error {
    Error::parameter("an activation", error.to_string())
}
