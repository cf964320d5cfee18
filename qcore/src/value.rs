//! `Value`: an activation inside a converted model, in float, in int8, or in both.

use std::sync::{Arc, OnceLock};

use crate::{Error, QParams, QTensor, Result, Tensor};

/// An activation that knows how to change its domain.
///
/// Its producer made it in one domain; the first consumer that wants the other one causes the conversion,
/// and all clones share the result. So a value is quantized, or dequantized, at most once.
#[derive(Clone, Debug)]
pub struct Value {
    forms: Arc<Forms>,
}

#[derive(Debug)]
struct Forms {
    float: OnceLock<Tensor>,
    quantized: OnceLock<QTensor>,
    /// How to quantize, when a consumer wants that.
    qparams: Option<QParams>,
}

impl Value {
    /// A float value; `qparams` is there if some consumer runs in int8.
    pub(crate) fn float(tensor: Tensor, qparams: Option<QParams>) -> Self {
        Self { forms: Arc::new(Forms { float: OnceLock::from(tensor), quantized: OnceLock::new(), qparams }) }
    }

    pub(crate) fn quantized(tensor: QTensor) -> Self {
        Self {
            forms: Arc::new(Forms {
                float: OnceLock::new(),
                quantized: OnceLock::from(tensor),
                qparams: None,
            }),
        }
    }

    fn shape(&self) -> &[usize] {
        match (self.forms.quantized.get(), self.forms.float.get()) {
            (Some(quantized), _) => quantized.shape(),
            (None, Some(float)) => float.shape(),
            (None, None) => &[],
        }
    }

    /// The extent of axis `dim`; negative counts from the end.
    ///
    /// # Errors
    /// When there is no such axis.
    pub fn size(&self, dim: isize) -> Result<usize> {
        let shape = self.shape();
        Ok(shape[crate::tensor::resolve_axis("size", dim, shape)?])
    }

    /// The value in float. The data is unshared if this was the last holder.
    pub(crate) fn into_float(self) -> Result<Tensor> {
        if self.forms.float.get().is_none()
            && let Some(quantized) = self.forms.quantized.get()
        {
            // Another thread may have been faster; both results are the same.
            let _ = self.forms.float.set(quantized.dequantize());
        }
        let float = match Arc::try_unwrap(self.forms) {
            Ok(forms) => forms.float.into_inner(),
            Err(shared) => shared.float.get().cloned(),
        };
        float.ok_or_else(|| Error::Unsupported("a value without data".into()))
    }

    /// The value in int8. The data is unshared if this was the last holder.
    pub(crate) fn into_quantized(self) -> Result<QTensor> {
        if self.forms.quantized.get().is_none()
            && let Some(float) = self.forms.float.get()
        {
            let Some(qparams) = &self.forms.qparams else {
                return Err(Error::Unsupported(
                    "a float value that was never observed in an int8 operation".into(),
                ));
            };
            let _ = self.forms.quantized.set(QTensor::quantize(float, qparams)?);
        }
        let quantized = match Arc::try_unwrap(self.forms) {
            Ok(forms) => forms.quantized.into_inner(),
            Err(shared) => shared.quantized.get().cloned(),
        };
        quantized.ok_or_else(|| Error::Unsupported("a value without data".into()))
    }
}
