//! `quantize_dynamic`: a model with int8 weights in one call, without calibration.

use super::{Converted, Module};
use crate::{DType, QConfigMapping, Result};

/// The model with its `Linear` and recurrent layers on int8 weights, everything else in float: PyTorch's
/// `torch.ao.quantization.quantize_dynamic` with its defaults. Nothing is calibrated: the scale of each layer's input
/// follows from the input itself, at every run.
///
/// For other weights there is [`QConfigMapping::for_dynamic`], for other layers any mapping with
/// [`QConfig::dynamic`](crate::QConfig::dynamic).
///
/// ```
/// use qcore::prelude::*;
///
/// #[quantizable]
/// struct Net {
///     fc: Linear,
/// }
///
/// #[quantizable]
/// impl Net {
///     fn forward(&self, x: Tensor) -> Tensor {
///         relu(self.fc(x))
///     }
/// }
///
/// # fn main() -> qcore::Result<()> {
/// let int8 = qcore::quantize_dynamic(&Net { fc: Linear::new(4, 3) })?;
/// assert_eq!(int8.forward(Tensor::zeros(&[1, 4]))?.shape(), [1, 3]);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// When a parameter is NaN or infinite.
pub fn quantize_dynamic<M: Module>(model: &M) -> Result<Converted<M>> {
    model.prepare(&QConfigMapping::for_dynamic(DType::QInt8)?)?.convert()
}
