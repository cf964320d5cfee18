//! `Op`: one quantizable operation, its float meaning and its integer form. One file an operation.

mod adaptive_avg_pool2d;
mod arithmetic;
mod arrangement;
mod avg_pool2d;
mod batch_norm;
mod cat;
mod clamp;
mod conv2d;
mod fitted_weight;
mod flatten;
mod float_conv2d;
mod fold;
mod identity;
mod inputs;
mod kernel;
mod layout;
mod linear;
mod max_pool2d;
mod mean;
mod pair;
mod permute;
mod pieces;
mod plain;
mod rearrange;
mod relu;
mod reshape;
mod scalar;
#[cfg(test)]
mod tests;
mod weights;

use std::fmt::Debug;

use crate::archive::Record;
use crate::{Backend, Error, Observer, QParams, QTensor, Result, Tensor};

pub use adaptive_avg_pool2d::{AdaptiveAvgPool2d, QuantizedAdaptiveAvgPool2d, adaptive_avg_pool2d};
pub use arithmetic::{Add, Mul, QuantizedArithmetic, Sub, add, mul, sub};
pub use avg_pool2d::{AvgPool2d, QuantizedAvgPool2d, avg_pool2d};
pub use batch_norm::{BatchNorm, QuantizedBatchNorm};
pub use cat::{Cat, QuantizedCat, cat};
pub use clamp::{Clamp, ReLU6, clamp, relu6};
pub use conv2d::{Conv2d, Conv2dOptions, QuantizedConv2d};
pub use flatten::{Flatten, flatten};
pub use float_conv2d::FloatConv2d;
pub use identity::{Dequant, Dropout, Identity, Quant, dequant, dropout, quant};
pub use kernel::{ActivationSpec, Kernel, KernelCost, Piece, Planned};
pub use linear::{Linear, QuantizedLinear};
pub use max_pool2d::{MaxPool2d, QuantizedMaxPool2d, max_pool2d};
pub use mean::{Mean, QuantizedMean, mean};
pub use pair::{Pair, pair};
pub use permute::{Permute, Transpose, permute, transpose};
pub use pieces::{Chunk, Split, chunk, split};
pub use rearrange::Rearrangement;
pub use relu::{ReLU, relu};
pub use reshape::{Extent, QuantizedReshape, Reshape, reshape};
pub use scalar::{AddScalar, MulScalar, add_scalar, mul_scalar};
pub use weights::QuantizedWeights;

pub(crate) use arrangement::Arrangement;
pub(crate) use batch_norm::{Spatial, Statistics};
pub(crate) use fitted_weight::FittedWeightCache;
pub(crate) use layout::MemoryFormat;

/// Where the scale of an operation's output comes from (NUMERICS sections 14 and 16).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutputRule {
    /// Its own observer: weighted layers, `add`, `sub`, `mul`.
    Observed,
    /// The scale of its input: pools, `relu`, `clamp`, `mean`, everything that only moves values.
    SameAsInput,
    /// All inputs and the output share one observer: `cat`.
    Shared,
    /// Computed from the scale of its input: `add_scalar`, `mul_scalar`.
    Derived,
    /// The user's own `quant(x)`: from float to int8, observed.
    Quantize,
    /// The user's own `dequant(x)`: to float, and what follows stays there until `quant`.
    Dequantize,
}

/// One operation, perhaps with a batch norm folded in and a ReLU fused.
pub trait Op: Clone + Debug + Record + Send + Sync + 'static {
    /// What runs once every scale is known.
    type Quantized: QuantizedOp;

    /// PyTorch's name of the operation, e.g. `ConvReLU2d`.
    fn name(&self) -> &'static str;

    /// Where the output's scale comes from.
    fn output_rule(&self) -> OutputRule;

    /// The float meaning. The inputs are the operation's to consume: a caller who still needs one passes a
    /// clone.
    ///
    /// # Errors
    /// When a shape does not fit.
    fn forward(&self, inputs: &mut [Tensor]) -> Result<Tensor>;

    /// The integer form.
    ///
    /// # Errors
    /// When a weight is not finite or the backend refuses the scales.
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Self::Quantized>;

    /// For [`OutputRule::Derived`]: the output's parameters from the input's.
    ///
    /// # Errors
    /// When the operation's scalar is not finite.
    fn derive_output(&self, input: &QParams) -> Result<QParams> {
        Ok(input.clone())
    }
}

/// The integer form of an [`Op`].
pub trait QuantizedOp: Debug + Record + Send + Sync + 'static {
    /// Runs on integers.
    ///
    /// # Errors
    /// When a shape does not fit.
    fn forward(&self, inputs: &mut [QTensor]) -> Result<QTensor>;

    /// How it runs on buffers for inputs like these, with the results of [`forward`](Self::forward); `None` if
    /// it only runs on tensors.
    ///
    /// # Errors
    /// When a shape does not fit.
    fn plan(&self, _inputs: &[ActivationSpec]) -> Result<Option<Planned>> {
        Ok(None)
    }

    /// The quantized weight, if it has one.
    fn weight(&self) -> Option<QTensor> {
        None
    }
}

/// What [`Op::lower`] is told.
#[derive(Debug)]
pub struct Lowering<'a> {
    /// Whose formula to follow.
    pub backend: Backend,
    /// Parameters of each input.
    pub inputs: &'a [QParams],
    /// Parameters of the output.
    pub output: &'a QParams,
    weight_observer: Box<dyn Observer>,
}

impl<'a> Lowering<'a> {
    /// Quantizes the operation's weights by `weight_observer`.
    pub fn new(
        backend: Backend,
        inputs: &'a [QParams],
        output: &'a QParams,
        weight_observer: Box<dyn Observer>,
    ) -> Self {
        Self { backend, inputs, output, weight_observer }
    }

    /// Quantizes a weight by the qconfig's weight observer, which sees it once.
    ///
    /// # Errors
    /// When the weight is not finite.
    pub fn quantize_weight(&self, weight: &Tensor) -> Result<QTensor> {
        if let Some((index, value)) = weight.first_non_finite() {
            return Err(Error::NotFinite { what: "the weight".into(), value, index });
        }
        let mut observer = self.weight_observer.clone();
        observer.observe(weight)?;
        QTensor::quantize(weight, &observer.calculate_qparams()?)
    }
}

/// A batch norm can be folded into this operation's weights.
pub trait FoldBatchNorm<B>: Sized {
    /// The operation that does both, in evaluation mode (NUMERICS section 13).
    ///
    /// # Errors
    /// When the channel counts differ.
    fn fold_batch_norm(self, batch_norm: &B) -> Result<Self>;
}

/// A ReLU can be fused behind this operation.
#[diagnostic::on_unimplemented(message = "a ReLU cannot be fused behind `{Self}`")]
pub trait FuseReLU: Sized {
    /// The operation that does both.
    #[must_use]
    fn fuse_relu(self) -> Self;
}
