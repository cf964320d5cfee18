//! Checks of inputs that all operations share, and errors of kernels in the operation's name.

use std::sync::Arc;

use super::{Activation, Executable, Lowering, Planned, Precision, TensorSpec, executable, per_tensor};
use crate::{DType, Error, QParams, Result};

/// The inputs, if there are `N`.
pub(super) fn exactly<'a, const N: usize>(
    operation: &'static str,
    inputs: &'a [TensorSpec],
) -> Result<&'a [TensorSpec; N]> {
    let found = inputs.len();
    inputs.try_into().map_err(|_| Error::parameter(operation, format!("takes {N} tensors, got {found}")))
}

/// `Ok` if the elements of an input are of this type; `None` are floats.
pub(super) fn check_dtype(
    operation: &'static str,
    input: &TensorSpec,
    expected: Option<DType>,
) -> Result<()> {
    if input.dtype() == expected {
        return Ok(());
    }
    let [found, expected] = [input.dtype(), expected].map(|dtype| dtype.unwrap_or(DType::Float32).name());
    Err(Error::Unsupported(format!("{operation} on {found}, where {expected} was planned")))
}

/// An error unless an input has the scale that an operation was lowered for.
pub(super) fn check_qparams(operation: &'static str, expected: &QParams, x: &TensorSpec) -> Result<()> {
    let (found, expected) = (x.qparams(operation)?, per_tensor(operation, expected)?);
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

/// The error of an operation that has no kernel for such elements.
pub(super) fn unsupported_dtype(operation: &'static str, dtype: DType) -> Error {
    Error::Unsupported(format!("{operation} on {}", dtype.name()))
}

/// Evaluates `$body` with `$T` as the type of 8-bit integers of a dtype.
macro_rules! with_eight_bit {
    ($operation:expr, $dtype:expr, $T:ident => $body:expr) => {
        match $dtype {
            $crate::DType::QUInt8 => {
                type $T = u8;
                $body
            }
            $crate::DType::QInt8 => {
                type $T = i8;
                $body
            }
            other => Err($crate::ops::inputs::unsupported_dtype($operation, other)),
        }
    };
}
pub(super) use with_eight_bit;

/// An executable for float and for integers: `plan` looks at the formats of its inputs.
pub(super) fn float_or_static(
    operation: &'static str,
    lowering: &Lowering<'_>,
    plan: impl Fn(&[TensorSpec]) -> Result<Planned> + Send + Sync + 'static,
) -> Result<Arc<dyn Executable>> {
    match lowering.precision {
        Precision::Float | Precision::Static => Ok(executable(operation, plan)),
        _ => Err(lowering.unsupported(operation)),
    }
}

/// Whether a ReLU is fused behind an operation on integers, which takes no other activation.
pub(super) fn is_relu_fused(operation: &'static str, lowering: &Lowering<'_>) -> Result<bool> {
    match lowering.activation {
        None => Ok(false),
        Some(Activation::ReLU) => Ok(true),
        Some(Activation::ReLU6) => {
            Err(Error::Unsupported(format!("{operation} with a fused relu6 on integers")))
        }
    }
}

/// The four extents of `[N, C, H, W]`.
pub(super) fn image_extents(operation: &'static str, shape: &[usize]) -> Result<[usize; 4]> {
    let extents = <[usize; 4]>::try_from(shape).map_err(|_| {
        Error::shape(operation, format!("[N, C, H, W]{}", missing_batch(shape.len() == 3)), shape)
    })?;
    if extents[1..].contains(&0) {
        return Err(Error::shape(operation, "[N, C, H, W] with channels and pixels", shape));
    }
    Ok(extents)
}

/// What to say behind the expected shape, if an input has all axes but that of the batch.
pub(super) fn missing_batch(is_missing: bool) -> &'static str {
    if is_missing { " (the batch axis is missing, add one: `x.unsqueeze(0)?`)" } else { "" }
}

/// The number of elements of a shape, if they can be addressed. As in ndarray, that is so without the empty axes too,
/// so that no product of extents overflows.
pub(crate) fn element_count(shape: &[usize]) -> Option<usize> {
    let mut extents = shape.iter().filter(|&&extent| extent > 0);
    let count = extents.try_fold(1_usize, |count, &extent| count.checked_mul(extent))?;
    isize::try_from(count).ok()?;
    Some(if shape.contains(&0) { 0 } else { count })
}

/// A kernel's error as one of `operation`.
pub(super) fn kernel_error(operation: &'static str) -> impl Fn(qkernels::Error) -> Error + Copy {
    move |error| Error::kernel(operation, error)
}

/// A kernel's error as one of `operation`, which saw an input of this shape.
pub(super) fn kernel_error_on<'a>(
    operation: &'static str,
    shape: &'a [usize],
) -> impl Fn(qkernels::Error) -> Error + Copy + 'a {
    move |error| match Error::kernel(operation, error) {
        Error::Parameter { operation, message } => {
            Error::parameter(operation, format!("{message} (input shape {shape:?})"))
        }
        other => other,
    }
}
