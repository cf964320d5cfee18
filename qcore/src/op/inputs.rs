//! What every operation does with its inputs: count them, take them, and name itself in a kernel's error.

use crate::{Error, Result, Tensor};

/// The inputs, if there are `N`.
pub(super) fn exactly<'a, const N: usize, T>(
    operation: &'static str,
    inputs: &'a mut [T],
) -> Result<&'a mut [T; N]> {
    let found = inputs.len();
    inputs.try_into().map_err(|_| Error::parameter(operation, format!("takes {N} tensors, got {found}")))
}

/// [`exactly`] for inputs that stay where they are.
pub(super) fn exactly_shared<'a, const N: usize, T>(
    operation: &'static str,
    inputs: &'a [T],
) -> Result<&'a [T; N]> {
    let found = inputs.len();
    inputs.try_into().map_err(|_| Error::parameter(operation, format!("takes {N} tensors, got {found}")))
}

/// The only input, taken out of its place so that nobody else holds its data.
pub(super) fn take_one(operation: &'static str, inputs: &mut [Tensor]) -> Result<Tensor> {
    let [x] = exactly(operation, inputs)?;
    Ok(take(x))
}

pub(super) fn take(x: &mut Tensor) -> Tensor {
    std::mem::replace(x, Tensor::zeros(&[0]))
}

/// `count` zeros for an operation to write to.
///
/// # Errors
/// When there is not so much memory: a size may be a slip, or come from somebody else's file.
pub(super) fn zeros<T: Copy + Default>(operation: &'static str, count: usize) -> Result<Vec<T>> {
    // Small outputs need no question; `vec!` alone gets its zeros from the system without writing them.
    const LARGE: usize = 1 << 26;
    if count > LARGE && Vec::<T>::new().try_reserve_exact(count).is_err() {
        let message = format!("an output of {count} values does not fit into memory");
        return Err(Error::parameter(operation, message));
    }
    Ok(vec![T::default(); count])
}

/// The four extents of `[N, C, H, W]`.
pub(super) fn image_extents(operation: &'static str, shape: &[usize]) -> Result<[usize; 4]> {
    let extents =
        <[usize; 4]>::try_from(shape).map_err(|_| Error::shape(operation, "[N, C, H, W]", shape))?;
    if extents[1..].contains(&0) {
        return Err(Error::shape(operation, "[N, C, H, W] with channels and pixels", shape));
    }
    Ok(extents)
}

/// Turns a kernel's refusal into an error of `operation`, which saw an input of shape `shape`.
pub(super) fn refused<'a>(
    operation: &'static str,
    shape: &'a [usize],
) -> impl Fn(qkernels::Error) -> Error + Copy + 'a {
    move |error| Error::parameter(operation, format!("{error} (input shape {shape:?})"))
}

/// Turns a kernel's refusal into an error of `operation`, before there is any input.
pub(super) fn unusable(operation: &'static str) -> impl Fn(qkernels::Error) -> Error + Copy {
    move |error| Error::parameter(operation, error.to_string())
}

/// A ReLU that lets NaN through, as PyTorch's.
pub(super) fn relu(x: f32) -> f32 {
    if x < 0.0 { 0.0 } else { x }
}

/// `relu` if it was fused, otherwise the tensor as it is.
pub(super) fn relu_if(fused: bool, x: Tensor) -> Tensor {
    if fused { x.map(relu) } else { x }
}
