//! `Lowering`: the precision, backend and formats that an operation is lowered to, and the source of its weights.

use super::{Activation, BatchNormParameters, Format};
use crate::network::StoredTensors;
use crate::observer::MinMaxObserver;
use crate::{Backend, Error, FloatQParams, Observer, QParams, QTensor, Result, Tensor};

pub use qcatalogue::Precision;

/// The target of [`Op::lower`](super::Op::lower): precision, backend and formats, and the source of the weights.
#[derive(Debug)]
pub struct Lowering<'a> {
    /// How to compute.
    pub precision: Precision,
    /// Whose formula to follow.
    pub backend: Backend,
    /// The formats of the data inputs.
    pub inputs: &'a [Format],
    /// The formats of the outputs.
    pub outputs: &'a [Format],
    /// The activation that is fused behind it.
    pub activation: Option<Activation>,
    /// The batch norm behind a float convolution and before the activation.
    pub(crate) batch_norm: Option<&'a BatchNormParameters>,
    /// Whether the batch norm behind a linear layer runs apart; see [`Op::folds_matrices`](super::Op::folds_matrices).
    pub(crate) is_apart: bool,
    weights: Weights<'a>,
}

/// Where the weights of a lowered operation come from.
#[derive(Debug)]
enum Weights<'a> {
    /// The operation's own, quantized by this observer if they must be.
    Own(Box<dyn Observer>),
    /// The tensors that [`Executable::save`](super::Executable::save) wrote.
    Stored(&'a StoredTensors<'a>),
}

impl<'a> Lowering<'a> {
    /// To single precision, with the operation's own weights.
    pub fn float() -> Self {
        Self::new(Precision::Float, Backend::default(), &[], &[], Box::new(MinMaxObserver::new()))
    }

    /// With the operation's own weights, quantized by `weight_observer` if they must be.
    pub fn new(
        precision: Precision,
        backend: Backend,
        inputs: &'a [Format],
        outputs: &'a [Format],
        weight_observer: Box<dyn Observer>,
    ) -> Self {
        let weights = Weights::Own(weight_observer);
        let (activation, batch_norm, is_apart) = (None, None, false);
        Self { precision, backend, inputs, outputs, activation, batch_norm, is_apart, weights }
    }

    /// With the activation that is fused behind the operation.
    #[must_use]
    pub fn with_activation(self, activation: Option<Activation>) -> Self {
        Self { activation, ..self }
    }

    /// With a batch norm behind a float convolution, unfolded; see [`Op::takes_batch_norm`](super::Op::takes_batch_norm).
    pub(crate) fn with_batch_norm(self, batch_norm: Option<&'a BatchNormParameters>) -> Self {
        Self { batch_norm, ..self }
    }

    /// With the batch norm behind a linear layer apart, or folded.
    pub(crate) fn with_batch_norm_apart(self, is_apart: bool) -> Self {
        Self { is_apart, ..self }
    }

    /// With weights from a file.
    pub(crate) fn with_stored(self, tensors: &'a StoredTensors<'a>) -> Self {
        Self { weights: Weights::Stored(tensors), ..self }
    }

    /// The tensors of a file that the operation takes its weights from, in place of its own.
    pub fn stored(&self) -> Option<&'a StoredTensors<'a>> {
        match self.weights {
            Weights::Own(_) => None,
            Weights::Stored(tensors) => Some(tensors),
        }
    }

    /// A float tensor of the operation: `own`, or the one that [`TensorWriter::put`](crate::TensorWriter::put) wrote
    /// in its place.
    ///
    /// # Errors
    /// When the file does not have it.
    pub fn tensor(&self, name: &str, own: &Tensor) -> Result<Tensor> {
        match self.stored() {
            Some(file) => file.get(name),
            None => Ok(own.clone()),
        }
    }

    /// The format of the only output, of an operation that computes in float or with calibrated scales.
    ///
    /// # Errors
    /// In every other precision, and when there is another number of outputs.
    pub fn output_format(&self, operation: &'static str) -> Result<Format> {
        match self.precision {
            Precision::Float => Ok(Format::F32),
            Precision::Static => Ok(Format::of(Some(self.output_qparams(operation)?))),
            _ => Err(self.unsupported(operation)),
        }
    }

    /// Quantizes a weight by the qconfig's weight observer, which sees it once.
    ///
    /// # Errors
    /// When the weight is not finite.
    pub fn quantize_weight(&self, weight: &Tensor) -> Result<QTensor> {
        QTensor::quantize(weight, &self.weight_qparams(weight)?)
    }

    /// The parameters that the qconfig's weight observer gives a weight, which it sees once.
    ///
    /// # Errors
    /// When the weight is not finite.
    pub(super) fn weight_qparams(&self, weight: &Tensor) -> Result<QParams> {
        let qparams = self.observe_weight(weight)?.calculate_qparams()?;
        qparams.validate()?;
        Ok(qparams)
    }

    /// [`weight_qparams`](Self::weight_qparams) with a float zero point for each row.
    ///
    /// # Errors
    /// When the weight is not finite, or the qconfig's weight observer gives no such parameters.
    pub(super) fn float_weight_qparams(&self, weight: &Tensor) -> Result<FloatQParams> {
        let qparams = self.observe_weight(weight)?.calculate_float_qparams()?;
        qparams.validate()?;
        Ok(qparams)
    }

    /// The qconfig's weight observer, after it has seen a weight.
    fn observe_weight(&self, weight: &Tensor) -> Result<Box<dyn Observer>> {
        let Weights::Own(observer) = &self.weights else {
            return Err(Error::Unsupported("a weight of a file, quantized once more".into()));
        };
        if let Some((index, value)) = weight.first_non_finite() {
            return Err(Error::NotFinite { what: "the weight".into(), value, index });
        }
        let mut observer = observer.clone();
        observer.observe(weight)?;
        Ok(observer)
    }

    /// Scale and zero point of each of the `N` inputs.
    ///
    /// # Errors
    /// When there is another number of them, or one is float.
    pub fn input_qparams<const N: usize>(&self, operation: &'static str) -> Result<[&'a QParams; N]> {
        let found: Vec<&QParams> =
            self.inputs.iter().filter_map(|format| format.qparams().map(|q| &**q)).collect();
        let count = found.len();
        found.try_into().map_err(|_| {
            Error::parameter(operation, format!("is lowered with the scales of {count} inputs, not of {N}"))
        })
    }

    /// Scale and zero point of the only output.
    ///
    /// # Errors
    /// When there is another number of outputs, or it is float.
    pub fn output_qparams(&self, operation: &'static str) -> Result<&'a QParams> {
        match self.outputs {
            [Format::Quantized(qparams)] => Ok(qparams),
            _ => Err(Error::parameter(operation, "is lowered without the scale of its output")),
        }
    }

    /// The error of an operation that cannot be lowered so.
    pub fn unsupported(&self, operation: &str) -> Error {
        Error::Unsupported(format!("{operation} in the precision `{}`", self.precision))
    }
}
