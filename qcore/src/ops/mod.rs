//! `Op`: one operation. One file an operation: its parameters, its lowering to each precision, its form in a file.
//!
//! An operation is a layer with its parameters (`Conv2d`), or a function with its arguments (`max_pool2d(x, 3)`),
//! which where PyTorch has both are one type. A network's nodes own operations; [`Op::lower`] makes an
//! [`Executable`] of one, in float as in any other precision.
//!
//! ```
//! use qcore::ops::{Conv2d, MaxPool2d};
//! use qcore::{Layer, Tensor};
//!
//! let conv = Conv2d::new(3, 8, 3).stride(2).padding(1).bias(false);
//! let y = conv.forward(Tensor::zeros(&[1, 3, 32, 32]))?;
//! let y = MaxPool2d::new((2, 2)).forward(y)?;
//! assert_eq!(y.shape(), [1, 8, 8, 8]);
//! # Ok::<(), qcore::Error>(())
//! ```
//!
//! Constructors of layers never fail: a layer with wrong parameters gives an error when it is used. A new layer has
//! weights drawn from PyTorch's distribution, but always the same ones for a layer of the same type and sizes;
//! real ones come from a state dict.

mod abs;
mod activation;
mod adaptive_avg_pool;
mod arithmetic;
mod avg_pool;
mod batch_norm;
mod broadcast;
mod cat;
mod chunk;
mod clamp;
mod conv;
mod conv_transpose;
mod defaults;
mod elementwise;
mod elu;
mod embedding;
mod embedding_bag;
mod executable;
mod exp;
mod expand;
mod flatten;
mod gelu;
mod group_norm;
mod hardsigmoid;
mod hardswish;
mod identity;
mod init;
mod inputs;
mod kernel;
mod layer_norm;
mod leaky_relu;
mod linear;
mod lowering;
mod matmul;
mod max_pool;
mod mean;
mod mish;
mod narrow;
mod neg;
mod normalization;
mod packed_weight;
mod pad;
mod permute;
mod pixel_shuffle;
mod plain;
mod pointwise;
mod pool;
mod prelu;
mod product;
mod rearranging;
mod recurrent;
mod relu;
mod reshape;
mod scalar;
mod sigmoid;
mod silu;
mod size;
mod softmax;
mod spec;
mod sqrt;
mod square;
mod squeeze;
mod stack;
mod tanh;
#[cfg(test)]
mod tests;
mod threshold;
mod upsample;
mod volume;
mod weighted;
mod weights;

use std::fmt::Debug;
use std::sync::Arc;

use crate::model::Parameters;
use crate::train::{Backward, Gradients, of_moved_values};
use crate::{QParams, Result, Tensor};

pub use abs::{Abs, abs};
pub use activation::Activation;
pub use adaptive_avg_pool::{
    AdaptiveAvgPool, AdaptiveAvgPool1d, AdaptiveAvgPool2d, adaptive_avg_pool1d, adaptive_avg_pool2d,
};
pub use arithmetic::{Add, Maximum, Minimum, Mul, Sub, add, maximum, minimum, mul, sub};
pub use avg_pool::{AvgPool, AvgPool1d, AvgPool2d, avg_pool1d, avg_pool2d};
pub use batch_norm::{BatchNorm, BatchNorm1d, BatchNorm2d, BatchNorm3d, BatchNormParameters};
pub use cat::{Cat, cat};
pub use chunk::{Chunk, Split, chunk, split};
pub use clamp::{Clamp, Hardtanh, clamp, hardtanh};
pub use conv::{Conv, Conv1d, Conv2d, Conv3d};
pub use conv_transpose::{ConvTranspose, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d};
pub use elementwise::elementwise;
pub use elu::{CELU, ELU, celu, elu};
pub use embedding::Embedding;
pub use embedding_bag::{BagMode, EmbeddingBag};
pub use executable::{Executable, Part, Planned, PlannedKernel, executable};
pub use exp::{Exp, exp};
pub use expand::{Expand, expand};
pub use flatten::{Flatten, flatten};
pub use gelu::{GELU, gelu};
pub use group_norm::{GroupNorm, InstanceNorm, InstanceNorm1d, InstanceNorm2d, InstanceNorm3d};
pub use hardsigmoid::{Hardsigmoid, hardsigmoid};
pub use hardswish::{Hardswish, hardswish};
pub use identity::{Dequant, Dropout, Identity, Quant, dequant, dropout, quant};
pub use kernel::{Kernel, KernelCost, Output, Post, binary, unary};
pub use layer_norm::LayerNorm;
pub use leaky_relu::{LeakyReLU, leaky_relu};
pub use linear::Linear;
pub use lowering::{Lowering, Precision};
pub use matmul::{Matmul, matmul};
pub use max_pool::{MaxPool, MaxPool1d, MaxPool2d, max_pool1d, max_pool2d};
pub use mean::{Mean, mean};
pub use mish::{Mish, mish};
pub use narrow::{Narrow, Select, narrow, select};
pub use neg::{Neg, neg};
pub use pad::{ConstantPad2d, Pad, PadMode, ReflectionPad2d, ReplicationPad2d, ZeroPad2d, pad};
pub use permute::{Permute, Transpose, permute, transpose};
pub use pixel_shuffle::{PixelShuffle, PixelUnshuffle, pixel_shuffle, pixel_unshuffle};
pub use prelu::PReLU;
pub use qcatalogue::OutputRule;
pub use recurrent::{GRU, GRUCell, LSTM, LSTMCell, Nonlinearity, RNNCell};
pub use relu::{ReLU, ReLU6, relu, relu6};
pub use reshape::{Extent, Reshape, reshape};
pub use scalar::{AddScalar, MulScalar, add_scalar, mul_scalar};
pub use sigmoid::{Sigmoid, sigmoid};
pub use silu::{SiLU, silu};
pub use size::{Integer, Size, integer, pair};
pub use softmax::{LogSoftmax, Softmax, log_softmax, softmax};
pub use spec::{Format, TensorSpec};
pub use sqrt::{Sqrt, sqrt};
pub use square::{Square, square};
pub use squeeze::{Squeeze, Unsqueeze, squeeze, unsqueeze};
pub use stack::{Stack, stack};
pub use tanh::{Tanh, tanh};
pub use threshold::{Threshold, threshold};
pub use upsample::{Upsample, UpsampleMode, interpolate};

#[doc(hidden)]
pub use weighted::{Homogeneity, Weighted};

pub(crate) use inputs::element_count;
pub(crate) use spec::per_tensor;

/// One operation. Its tensors are those that [`Parameters`] visits.
///
/// Its precisions and the source of its output's scale are a row of the catalogue, found by [`Op::name`]; the
/// provided methods read them there. An operation of your own overrides them: an example is in `tests/tests/own`.
pub trait Op: Parameters + Debug + Send + Sync + 'static {
    /// Unique among operations: the function's name, or the layer's if there is no function, as PyTorch spells it.
    fn name(&self) -> &'static str;

    /// The parameters of the operation in a file, besides its tensors.
    ///
    /// # Errors
    /// When a value has no JSON form.
    fn config(&self) -> Result<serde_json::Value>;

    /// The operation, to be shared. Its tensors are not copied.
    fn shared(&self) -> Arc<dyn Op>;

    /// The operation with its weights prepared for kernels, in the precision of `lowering`.
    ///
    /// # Errors
    /// When the parameters do not fit together, a weight is not finite, or the precision or a scale is not one that
    /// kernels take.
    fn lower(&self, lowering: &Lowering<'_>) -> Result<Arc<dyn Executable>>;

    /// The gradients of its inputs and parameters from those of its outputs, in float, for training.
    ///
    /// An operation that only moves values need not say it: it follows from the plan.
    ///
    /// # Errors
    /// When it has none, or a shape does not fit.
    fn backward(&self, pass: &Backward<'_>) -> Result<Gradients> {
        of_moved_values(self.shared().as_ref(), pass)
    }

    /// Where the scale of its output comes from; its own observer, if the catalogue does not say.
    fn output_rule(&self) -> OutputRule {
        qcatalogue::operation(self.name()).map_or(OutputRule::Observed, |row| row.output)
    }

    /// The precisions that it can be lowered to; only float, if the catalogue does not say.
    fn precisions(&self) -> &[Precision] {
        qcatalogue::operation(self.name()).map_or(&[Precision::Float], |row| row.precisions)
    }

    /// How many tensors it makes.
    fn output_count(&self) -> usize {
        1
    }

    /// How many of its last inputs are read for their shapes alone.
    fn shape_inputs(&self) -> usize {
        0
    }

    /// Whether its output is the same for every input: then a range of a single value is no sign of poor data.
    fn ignores_input(&self) -> bool {
        false
    }

    /// For [`OutputRule::Derived`]: the output's parameters from the input's.
    ///
    /// # Errors
    /// When the operation's number is not finite.
    fn derive_output(&self, input: &QParams) -> Result<QParams> {
        Ok(input.clone())
    }

    /// The operation that does this and then `batch_norm` as in evaluation (NUMERICS section 13); `None` if there is
    /// none.
    fn fold_batch_norm(&self, batch_norm: &BatchNormParameters) -> Option<Result<Arc<dyn Op>>> {
        let _ = batch_norm;
        None
    }

    /// Whether a batch norm is folded into it for inputs of two dimensions alone: of others it normalizes another axis.
    #[doc(hidden)]
    fn folds_matrices(&self) -> bool {
        false
    }

    /// Its weight and bias, if its outputs are sums of products with them.
    #[doc(hidden)]
    fn as_weighted(&self) -> Option<Weighted<'_>> {
        None
    }

    /// The same operation with another weight of the same shape, and another bias or one where there was none; `None`
    /// unless it [is weighted](Op::as_weighted).
    #[doc(hidden)]
    fn with_weights(&self, weight: Tensor, bias: Option<Tensor>) -> Option<Arc<dyn Op>> {
        let _ = (weight, bias);
        None
    }

    /// Which positive factors of its input it hands on.
    #[doc(hidden)]
    fn homogeneity(&self) -> Homogeneity {
        Homogeneity::No
    }

    /// Whether in float a batch norm can follow in its pass, with its weights as they are.
    #[doc(hidden)]
    fn takes_batch_norm(&self) -> bool {
        false
    }

    /// The parameters, if it is a batch norm, which may be folded into the layer before it.
    fn as_batch_norm(&self) -> Option<&BatchNormParameters> {
        None
    }

    /// The weight of a batch in the running statistics, of a batch norm.
    #[doc(hidden)]
    fn momentum(&self) -> f64 {
        0.1
    }

    /// Whether quantization-aware training rounds its parameter `weight`.
    #[doc(hidden)]
    fn has_fake_quantized_weight(&self) -> bool {
        let role = qcatalogue::operation(self.name()).map(|row| row.role);
        matches!(role, Some(qcatalogue::Role::Conv | qcatalogue::Role::Linear))
    }

    /// The activation, if it is one that may run in the kernel before it.
    fn as_activation(&self) -> Option<Activation> {
        None
    }
}
