//! Weights of convolutions and linear layers: a weight and a bias, own or from a file, float or quantized.

use std::borrow::Cow;
use std::sync::Arc;

use ndarray::{Array, IxDyn};
use qkernels::file_bytes::SharedBytes;
use qkernels::linear::PackedLinear;
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};

use super::inputs::{is_relu_fused, kernel_error};
use super::{Lowering, Precision, per_tensor};
use crate::network::{StoredTensors, TensorWriter};
use crate::{Backend, DType, Error, QParams, QTensor, Result, Tensor};

/// Whose requantization formula the kernels follow.
fn formula(backend: Backend) -> Formula {
    match backend {
        Backend::Native | Backend::Fbgemm | Backend::X86 => Formula::Fbgemm,
        Backend::Qnnpack => Formula::Qnnpack,
        Backend::Onednn => Formula::Onednn,
    }
}

/// `[channels]`, or nothing.
pub(super) fn check_bias(operation: &'static str, bias: Option<&Tensor>, channels: usize) -> Result<()> {
    match bias {
        Some(bias) if bias.shape() != [channels] => {
            Err(Error::shape(operation, format!("a bias of shape [{channels}]"), bias.shape()))
        }
        _ => Ok(()),
    }
}

/// A weight through half precision, which saturates (NUMERICS section 1).
pub(super) fn rounded_to_half(weight: Tensor) -> Tensor {
    crate::tensor::round_to_float16(&weight)
}

/// Whether a weight takes nothing from the input.
pub(super) fn is_zero(weight: &Tensor) -> bool {
    weight.view().iter().all(|&weight| weight == 0.0)
}

/// The float weight and bias of a layer: its own, or those of a file.
pub(super) fn float_weights(
    weight: &Tensor,
    bias: Option<&Tensor>,
    lowering: &Lowering<'_>,
) -> Result<(Tensor, Option<Tensor>)> {
    match lowering.stored() {
        None => Ok((weight.clone(), bias.cloned())),
        // The bias may have come from a batch norm, so that the layer knows nothing of it.
        Some(stored) => Ok((stored.get("weight")?, stored.find("bias")?)),
    }
}

/// The tensors that [`float_weights`] reads.
pub(super) fn save_float(
    tensors: &mut TensorWriter<'_>,
    weight: &Tensor,
    bias: Option<&Tensor>,
) -> Result<()> {
    tensors.put("weight", weight);
    save_bias(Names::USUAL, tensors, bias);
    Ok(())
}

fn save_bias(names: Names<'_>, tensors: &mut TensorWriter<'_>, bias: Option<&Tensor>) {
    if let Some(bias) = bias {
        tensors.put(names.bias, bias);
    }
}

/// The names of a weight and its bias in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Names<'a> {
    pub(super) weight: &'a str,
    pub(super) bias: &'a str,
}

impl Names<'static> {
    /// Of a layer with one weight.
    pub(super) const USUAL: Self = Self { weight: "weight", bias: "bias" };
}

/// The metadata of a quantized weight, whose integers kernels have packed: `qint8`, per tensor or per
/// channel along axis 0. The bias is float, as in PyTorch.
#[derive(Clone, Debug)]
pub(super) struct WeightInfo {
    /// Its first axis is that of the output channels.
    pub(super) shape: Vec<usize>,
    pub(super) qparams: Arc<QParams>,
    pub(super) bias: Option<Tensor>,
}

/// The integers of a quantized weight.
pub(super) enum WeightIntegers {
    /// In PyTorch's order.
    Plain(QTensor),
    /// As kernels read them, in the memory of the file.
    Packed(SharedBytes),
}

impl WeightInfo {
    /// The weight, which in a layer is of this `shape`, and the bias, quantized as `lowering` says, or those of a file.
    pub(super) fn quantized(
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        shape: &[usize],
        lowering: &Lowering<'_>,
    ) -> Result<(Self, WeightIntegers)> {
        Self::quantized_as(Names::USUAL, operation, weight, bias, shape, lowering)
    }

    /// [`quantized`](Self::quantized) of tensors that are called by these names in a file.
    pub(super) fn quantized_as(
        names: Names<'_>,
        operation: &'static str,
        weight: &Tensor,
        bias: Option<&Tensor>,
        shape: &[usize],
        lowering: &Lowering<'_>,
    ) -> Result<(Self, WeightIntegers)> {
        if let Some(stored) = lowering.stored() {
            return Self::stored(names, stored, shape);
        }
        if let Some((index, value)) = bias.and_then(Tensor::first_non_finite) {
            return Err(Error::NotFinite { what: "the bias".into(), value, index });
        }
        let mut qparams = lowering.weight_qparams(weight)?;
        if !matches!(qparams.axis, None | Some(0)) {
            return Err(Error::Unsupported(format!(
                "{operation} with weight scales along another axis than 0"
            )));
        }
        if let (Some(bias), Precision::Static) = (bias, lowering.precision) {
            hold_bias(operation, &mut qparams, weight, bias, lowering)?;
        }
        let weight = QTensor::quantize(weight, &qparams)?;
        let (shape, qparams) = (weight.shape().to_vec(), weight.shared_qparams());
        Ok((Self { shape, qparams, bias: bias.cloned() }, WeightIntegers::Plain(weight)))
    }

    fn stored(
        names: Names<'_>,
        stored: &StoredTensors<'_>,
        shape: &[usize],
    ) -> Result<(Self, WeightIntegers)> {
        let bias = stored.find(names.bias)?;
        let Some((packed, qparams)) = stored.get_packed(names.weight)? else {
            let weight = stored.get_quantized(names.weight)?;
            let (shape, qparams) = (weight.shape().to_vec(), weight.shared_qparams());
            return Ok((Self { shape, qparams, bias }, WeightIntegers::Plain(weight)));
        };
        let (shape, channels) = (shape.to_vec(), qparams.scale.len());
        if qparams.is_per_channel() && (qparams.axis != Some(0) || shape.first() != Some(&channels)) {
            return Err(stored.error(names.weight, &format!("its scales do not fit its shape {shape:?}")));
        }
        Ok((Self { shape, qparams: Arc::new(qparams), bias }, WeightIntegers::Packed(packed)))
    }

    /// Writes a packed weight and the bias.
    pub(super) fn save_packed<'a>(
        &self,
        tensors: &mut TensorWriter<'_>,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> Result<()> {
        self.save_packed_as(Names::USUAL, tensors, parts)
    }

    fn save_packed_as<'a>(
        &self,
        names: Names<'_>,
        tensors: &mut TensorWriter<'_>,
        parts: impl Iterator<Item = &'a [u8]>,
    ) -> Result<()> {
        tensors.put_packed(names.weight, &self.qparams, parts)?;
        save_bias(names, tensors, self.bias.as_ref());
        Ok(())
    }

    /// Writes a matrix as it is packed, or plain, if it is too deep for that.
    pub(super) fn save_matrix(
        &self,
        operation: &'static str,
        names: Names<'_>,
        tensors: &mut TensorWriter<'_>,
        packed: &PackedLinear,
    ) -> Result<()> {
        if let Some(bytes) = packed.packed() {
            return self.save_packed_as(names, tensors, std::iter::once(bytes));
        }
        let weight = self.weight(packed.unpack());
        let gone = || Error::Unsupported(format!("a weight of {operation} that is not there"));
        tensors.put_quantized(names.weight, &weight.ok_or_else(gone)?)?;
        save_bias(names, tensors, self.bias.as_ref());
        Ok(())
    }

    /// Writes a weight in PyTorch's order and the bias.
    pub(super) fn save_plain(&self, tensors: &mut TensorWriter<'_>, weight: &QTensor) -> Result<()> {
        tensors.put_quantized("weight", weight)?;
        save_bias(Names::USUAL, tensors, self.bias.as_ref());
        Ok(())
    }

    /// The weight with these integers, in row-major order.
    pub(super) fn weight(&self, integers: Vec<i8>) -> Option<QTensor> {
        let integers = Array::from_shape_vec(IxDyn(&self.shape), integers).ok()?;
        QTensor::from_int_repr(integers, Arc::clone(&self.qparams)).ok()
    }

    pub(super) fn scales(&self) -> WeightScales<'_> {
        match self.qparams.is_per_channel() {
            true => WeightScales::PerChannel(&self.qparams.scale),
            false => WeightScales::PerTensor(self.qparams.tensor_scale()),
        }
    }

    /// The epilogue of the kernels between activations of `lowering`'s scales.
    pub(super) fn requantization(
        &self,
        operation: &'static str,
        channels: usize,
        lowering: &Lowering<'_>,
    ) -> Result<Requantization> {
        let [input] = lowering.input_qparams(operation)?;
        let output = lowering.output_qparams(operation)?;
        for (what, qparams) in [("input", input), ("output", output)] {
            if qparams.dtype != DType::QUInt8 {
                let dtype = qparams.dtype.name();
                return Err(Error::Unsupported(format!("{operation} with an {what} of {dtype}, not quint8")));
            }
        }
        let bias = self.bias.clone().map(Tensor::contiguous);
        check_bias(operation, bias.as_ref(), channels)?;
        Requantization::new(&RequantizationParameters {
            formula: formula(lowering.backend),
            channels,
            input_scale: per_tensor(operation, input)?.scale,
            weight_scales: self.scales(),
            bias: bias.as_ref().and_then(Tensor::as_slice),
            output: per_tensor(operation, output)?,
            relu: is_relu_fused(operation, lowering)?,
            quant_min: 0,
            quant_max: 255,
        })
        .map_err(kernel_error(operation))
    }
}

/// Widens the scales of a weight where its bias, counted in steps of the sums, is more than the formula can add: qnnpack
/// adds it as an `i32`, in which PyTorch lets it saturate.
///
/// # Errors
/// When no scale is wide enough; the error names the channel.
fn hold_bias(
    operation: &'static str,
    qparams: &mut QParams,
    weight: &Tensor,
    bias: &Tensor,
    lowering: &Lowering<'_>,
) -> Result<()> {
    let [input] = lowering.input_qparams(operation)?;
    let most_steps = match formula(lowering.backend) {
        Formula::Qnnpack => {
            // What is left beside the products of an output, and for rounding in f32.
            let products = weight.len() / bias.len().max(1) * (255 * 128);
            f64::from(i32::MAX) - (products.min(1 << 30) + 4096) as f64
        }
        Formula::Fbgemm | Formula::Onednn => 1e30,
    };
    for (channel, &bias) in bias.view().iter().enumerate() {
        let index = if qparams.is_per_channel() { channel } else { 0 };
        let Some(scale) = qparams.scale.get_mut(index) else { continue };
        let needed = f64::from(bias.abs()) / (f64::from(input.tensor_scale()) * most_steps);
        if needed <= f64::from(*scale) {
            continue;
        }
        *scale = (needed as f32).next_up();
        if !scale.is_finite() {
            let input = input.tensor_scale();
            let message =
                format!("the bias {bias} of channel {channel} is too large for an input of scale {input}");
            return Err(Error::parameter(operation, message));
        }
    }
    Ok(())
}

/// The weight of a linear layer, `[outputs, inputs]`, packed for kernels.
pub(super) fn packed_matrix(
    operation: &'static str,
    [outputs, inputs]: [usize; 2],
    info: &WeightInfo,
    integers: WeightIntegers,
) -> Result<Arc<PackedLinear>> {
    if info.shape != [outputs, inputs] {
        let expected = format!("a weight of shape [{outputs}, {inputs}]");
        return Err(Error::shape(operation, expected, &info.shape));
    }
    let zero_points = &info.qparams.zero_point;
    let packed = match integers {
        WeightIntegers::Packed(packed) => PackedLinear::from_packed(packed, zero_points, outputs, inputs),
        WeightIntegers::Plain(weight) => {
            PackedLinear::new(&row_major_integers(operation, &weight)?, zero_points, outputs, inputs)
        }
    };
    packed.map(Arc::new).map_err(kernel_error(operation))
}

/// The integers of a weight in row-major order, if they are of the type that kernels take.
pub(super) fn row_major_integers<'a>(operation: &'static str, weight: &'a QTensor) -> Result<Cow<'a, [i8]>> {
    let Some(view) = weight.int_repr().as_i8() else {
        let dtype = weight.dtype().name();
        return Err(Error::Unsupported(format!("{operation} with a weight of {dtype}, kernels take qint8")));
    };
    Ok(match view.to_slice() {
        Some(integers) => Cow::Borrowed(integers),
        None => Cow::Owned(view.iter().copied().collect()),
    })
}
