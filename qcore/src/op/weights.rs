//! What convolutions and linear layers share: a weight, a bias, and the integer form of both.

use std::borrow::Cow;
use std::sync::Arc;

use ndarray::{Array, IxDyn};
use qkernels::mapped_file::MappedBytes;
use qkernels::requantize::{Formula, Requantization, RequantizationParameters, WeightScales};
use serde::{Deserialize, Serialize};

use super::inputs::unusable;
use super::layout::{Integers, integers_of, per_tensor};
use super::{Lowering, layout};
use crate::archive::{Archive, ArchiveWriter};
use crate::parameters::join;
use crate::{Backend, DType, Error, QParams, QTensor, Result, Tensor};

/// What a quantized convolution or linear layer is made of.
///
/// The weight is `qint8`, per tensor or per channel along axis 0; activations are `quint8`; the bias is float, as
/// in PyTorch.
#[derive(Clone, Debug, PartialEq)]
pub struct QuantizedWeights {
    /// The weight; its first axis is that of the output channels.
    pub weight: QTensor,
    /// One value for each output channel.
    pub bias: Option<Tensor>,
    /// Scale and zero point of the input.
    pub input: QParams,
    /// Scale and zero point of the output.
    pub output: QParams,
    /// Whose order of rounding to follow.
    pub backend: Backend,
    /// Whether a ReLU is fused.
    pub relu: bool,
}

/// All of [`QuantizedWeights`] but the integers of the weight, which kernels have packed.
#[derive(Clone, Debug)]
pub(super) struct WeightsInfo {
    /// The shape of the weight.
    pub(super) shape: Vec<usize>,
    /// Its scales and zero points.
    pub(super) qparams: Arc<QParams>,
    pub(super) bias: Option<Tensor>,
    pub(super) input: QParams,
    pub(super) output: QParams,
    pub(super) backend: Backend,
    pub(super) relu: bool,
}

/// A weight in a file.
pub(super) enum StoredWeight {
    Packed(MappedBytes),
    Plain(QTensor),
}

/// What belongs into the record of an operation with weights.
#[derive(Serialize, Deserialize)]
pub(super) struct WeightsRecord {
    input: QParams,
    output: QParams,
    backend: Backend,
    relu: bool,
    bias: bool,
    /// The shape of a packed weight, whose tensor does not show it.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    shape: Option<Vec<usize>>,
}

/// Whose requantization formula the kernels follow.
fn formula(backend: Backend) -> Formula {
    match backend {
        Backend::Native | Backend::Fbgemm | Backend::X86 => Formula::Fbgemm,
        Backend::Qnnpack => Formula::Qnnpack,
        Backend::Onednn => Formula::Onednn,
    }
}

impl QuantizedWeights {
    /// Quantizes a float weight as `lowering` says.
    pub(super) fn lower(
        weight: &Tensor,
        bias: Option<&Tensor>,
        relu: bool,
        lowering: &Lowering<'_>,
    ) -> Result<Self> {
        if let Some((index, value)) = bias.and_then(Tensor::first_non_finite) {
            return Err(Error::NotFinite { what: "the bias".into(), value, index });
        }
        let [input] = lowering.inputs else {
            let message = format!("is lowered with the scales of {} inputs, not of 1", lowering.inputs.len());
            return Err(Error::parameter("a weighted layer", message));
        };
        Ok(Self {
            weight: lowering.quantize_weight(weight)?,
            bias: bias.cloned(),
            input: input.clone(),
            output: lowering.output.clone(),
            backend: lowering.backend,
            relu,
        })
    }

    /// Everything but the integers of the weight.
    pub(super) fn info(&self) -> WeightsInfo {
        WeightsInfo {
            shape: self.weight.shape().to_vec(),
            qparams: self.weight.shared_qparams(),
            bias: self.bias.clone(),
            input: self.input.clone(),
            output: self.output.clone(),
            backend: self.backend,
            relu: self.relu,
        }
    }

    /// The weight in row-major order, if it is one that the kernels take.
    pub(super) fn integers(&self, operation: &'static str) -> Result<Cow<'_, [i8]>> {
        if !matches!(self.weight.qparams().axis, None | Some(0)) {
            return Err(Error::Unsupported(format!(
                "{operation} with weight scales along another axis than 0"
            )));
        }
        let Some(view) = self.weight.int_repr().as_i8() else {
            let dtype = self.weight.dtype().name();
            return Err(Error::Unsupported(format!(
                "{operation} with a weight of {dtype}, kernels take qint8"
            )));
        };
        Ok(match view.to_slice() {
            Some(integers) => Cow::Borrowed(integers),
            None => Cow::Owned(view.iter().copied().collect()),
        })
    }
}

impl WeightsInfo {
    /// The epilogue of the kernels.
    pub(super) fn requantization(&self, operation: &'static str, channels: usize) -> Result<Requantization> {
        for (what, qparams) in [("input", &self.input), ("output", &self.output)] {
            qparams.validate()?;
            if qparams.dtype != DType::QUInt8 {
                let dtype = qparams.dtype.name();
                return Err(Error::Unsupported(format!("{operation} with an {what} of {dtype}, not quint8")));
            }
        }
        let bias = self.bias.clone().map(Tensor::contiguous);
        check_bias(operation, bias.as_ref(), channels)?;
        let scales = &self.qparams.scale;
        let weight_scales = match self.qparams.is_per_channel() {
            true => WeightScales::PerChannel(scales),
            false => WeightScales::PerTensor(self.qparams.tensor_scale()),
        };
        Requantization::new(&RequantizationParameters {
            formula: formula(self.backend),
            channels,
            input_scale: per_tensor(operation, &self.input)?.scale,
            weight_scales,
            bias: bias.as_ref().and_then(Tensor::as_slice),
            output: per_tensor(operation, &self.output)?,
            relu: self.relu,
            quant_min: 0,
            quant_max: 255,
        })
        .map_err(unusable(operation))
    }

    pub(super) fn input_zero_point(&self) -> i32 {
        self.input.tensor_zero_point()
    }

    /// The integers of an input, which must have the scale that this was made for.
    pub(super) fn input<'a>(&self, operation: &'static str, x: &'a QTensor) -> Result<&'a Integers<u8>> {
        self.check_input(operation, x.qparams())?;
        integers_of(operation, x)
    }

    /// An error unless an input has the scale that this was made for.
    pub(super) fn check_input(&self, operation: &'static str, qparams: &QParams) -> Result<()> {
        let (found, expected) = (per_tensor(operation, qparams)?, per_tensor(operation, &self.input)?);
        if found == expected {
            return Ok(());
        }
        Err(Error::parameter(
            operation,
            format!(
                "was made for inputs of scale {} and zero point {}, got scale {} and zero point {}",
                expected.scale, expected.zero_point, found.scale, found.zero_point
            ),
        ))
    }

    /// A result with the output's scale and zero point.
    pub(super) fn output(&self, integers: Integers<u8>) -> Result<QTensor> {
        QTensor::from_int_repr(<u8 as layout::Activation>::into_repr(integers), self.output.clone())
    }

    /// The weight with these integers, in row-major order.
    pub(super) fn weight(&self, integers: Vec<i8>) -> Option<QTensor> {
        let integers = Array::from_shape_vec(IxDyn(&self.shape), integers).ok()?;
        QTensor::from_int_repr(integers, Arc::clone(&self.qparams)).ok()
    }

    /// Writes the bias and a packed weight, and gives what belongs into the operation's record.
    pub(super) fn save_packed<'a>(
        &self,
        archive: &mut ArchiveWriter,
        path: &str,
        pieces: impl Iterator<Item = &'a [u8]>,
    ) -> Result<WeightsRecord> {
        let name = join(path, "weight");
        archive.put(&join(&name, "qparams"), &*self.qparams)?;
        archive.put_packed(&name, pieces);
        Ok(self.record(archive, path, Some(self.shape.clone())))
    }

    /// Writes the bias and a weight in PyTorch's order, and gives what belongs into the operation's record.
    pub(super) fn save_plain(
        &self,
        archive: &mut ArchiveWriter,
        path: &str,
        weight: &QTensor,
    ) -> Result<WeightsRecord> {
        archive.put_qtensor(&join(path, "weight"), weight)?;
        Ok(self.record(archive, path, None))
    }

    fn record(&self, archive: &mut ArchiveWriter, path: &str, shape: Option<Vec<usize>>) -> WeightsRecord {
        save_bias(archive, path, self.bias.as_ref());
        WeightsRecord {
            input: self.input.clone(),
            output: self.output.clone(),
            backend: self.backend,
            relu: self.relu,
            bias: self.bias.is_some(),
            shape,
        }
    }

    pub(super) fn load(archive: &Archive, path: &str, record: WeightsRecord) -> Result<(Self, StoredWeight)> {
        let WeightsRecord { input, output, backend, relu, bias, shape } = record;
        input.validate()?;
        output.validate()?;
        let name = join(path, "weight");
        let weight = match archive.packed(&name)? {
            Some(packed) => StoredWeight::Packed(packed),
            None => StoredWeight::Plain(archive.qtensor(&name)?),
        };
        let (shape, qparams) = match (&weight, shape) {
            (StoredWeight::Plain(weight), _) => (weight.shape().to_vec(), weight.shared_qparams()),
            (StoredWeight::Packed(_), Some(shape)) => {
                let qparams: QParams = archive.get(&join(&name, "qparams"))?;
                qparams.validate()?;
                let channels = qparams.scale.len();
                if qparams.is_per_channel() && (qparams.axis != Some(0) || shape.first() != Some(&channels)) {
                    return Err(
                        archive.error(format!("tensor `{name}`: its scales do not fit its shape {shape:?}"))
                    );
                }
                (shape, Arc::new(qparams))
            }
            (StoredWeight::Packed(_), None) => {
                return Err(archive.error(format!("tensor `{name}`: is packed, and has no shape")));
            }
        };
        let bias = load_bias(archive, path, bias)?;
        Ok((Self { shape, qparams, bias, input, output, backend, relu }, weight))
    }
}

impl StoredWeight {
    /// The weight with everything else, if it is stored in PyTorch's order.
    pub(super) fn into_plain(
        self,
        info: WeightsInfo,
    ) -> std::result::Result<QuantizedWeights, (WeightsInfo, MappedBytes)> {
        match self {
            Self::Packed(packed) => Err((info, packed)),
            Self::Plain(weight) => {
                let WeightsInfo { bias, input, output, backend, relu, .. } = info;
                Ok(QuantizedWeights { weight, bias, input, output, backend, relu })
            }
        }
    }
}

pub(super) fn save_bias(archive: &mut ArchiveWriter, path: &str, bias: Option<&Tensor>) {
    if let Some(bias) = bias {
        archive.put_tensor(&join(path, "bias"), bias);
    }
}

pub(super) fn load_bias(archive: &Archive, path: &str, is_there: bool) -> Result<Option<Tensor>> {
    is_there.then(|| archive.tensor(&join(path, "bias"))).transpose()
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
