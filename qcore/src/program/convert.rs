//! The conversions between float and integers, and the order in which they read.

use std::sync::Arc;

use qkernels::QuantizedInteger;
use qkernels::elements::Element;
use qkernels::quantize::{
    dequantize_nhwc_to_nchw, dequantize_per_tensor, quantize_nchw_to_nhwc, quantize_per_tensor,
};

use super::NonFinite;
use crate::ops::{Format, Kernel, TensorSpec, unary};
use crate::tensor::MemoryFormat;
use crate::{DType, Error, QParams, Result};

/// The spec of a float value that is read as integers.
pub(super) fn quantized(spec: &TensorSpec, qparams: Arc<QParams>) -> TensorSpec {
    usual_buffer(spec, Format::Quantized(qparams))
}

/// The spec of integers that are read in float.
pub(super) fn dequantized(spec: &TensorSpec) -> TensorSpec {
    usual_buffer(spec, Format::F32)
}

/// Elements of another kind, in the buffer that is usual for them.
fn usual_buffer(spec: &TensorSpec, format: Format) -> TensorSpec {
    let buffer = TensorSpec::new(spec.shape(), format.clone()).buffer();
    spec.with_format(format).in_buffer(buffer)
}

/// The order in which the conversion reads, and the kernel, which refuses floats that are NaN or infinite or saturates
/// them.
pub(super) fn kernel(
    from: &TensorSpec,
    to: &TensorSpec,
    non_finite: NonFinite,
) -> Result<(MemoryFormat, Box<dyn Kernel>)> {
    // Images change their order on the way; everything else keeps the order of its result.
    let changes_order = from.image().is_some() && from.buffer() != to.buffer();
    let read = if changes_order { from.buffer() } else { to.buffer() };
    let dtype = from.dtype().or(to.dtype());
    let kernel = match dtype {
        Some(DType::QUInt8) => typed::<u8>(from, to, changes_order, non_finite)?,
        Some(DType::QInt8) => typed::<i8>(from, to, changes_order, non_finite)?,
        other => {
            let name = other.map_or("floats", DType::name);
            return Err(Error::Unsupported(format!("a conversion of {name}")));
        }
    };
    Ok((read, kernel))
}

fn typed<T: QuantizedInteger + Element>(
    from: &TensorSpec,
    to: &TensorSpec,
    changes_order: bool,
    non_finite: NonFinite,
) -> Result<Box<dyn Kernel>> {
    let image = from.image().filter(|_| changes_order);
    if let Format::Quantized(qparams) = to.format() {
        let (kernel_qparams, range) = (to.qparams("quantize")?, qparams.quant_min..=qparams.quant_max);
        return Ok(unary::<f32, T>("quantize", move |input, output| {
            let found = match image {
                Some(image) => quantize_nchw_to_nhwc(input, image, kernel_qparams, range.clone(), output),
                None => quantize_per_tensor(input, kernel_qparams, range.clone(), output),
            };
            match (found?, non_finite) {
                (0, _) | (_, NonFinite::Saturate) => Ok(()),
                (_, NonFinite::Refuse) => qkernels::Error::not_finite(input).map_or(Ok(()), Err),
            }
        }));
    }
    let qparams = from.qparams("dequantize")?;
    Ok(unary::<T, f32>("dequantize", move |input, output| match image {
        Some(image) => dequantize_nhwc_to_nchw(input, image, qparams, output),
        None => dequantize_per_tensor(input, qparams, output),
    }))
}
