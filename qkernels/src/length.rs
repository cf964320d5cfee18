//! Checks that slices have the length their shape implies, and products that may not overflow.

use crate::error::{Error, Result};

/// `Ok` if `slice` has `expected` elements; `what` names the argument in the error.
pub(crate) fn check<T>(what: &'static str, slice: &[T], expected: usize) -> Result<()> {
    if slice.len() == expected { Ok(()) } else { Err(Error::Length { what, expected, actual: slice.len() }) }
}

/// The product of `factors`, or an error naming the tensor that would be too large to address. It is to be addressable
/// without the empty axes too, so that no part of the product overflows.
pub(crate) fn product(what: &'static str, factors: &[usize]) -> Result<usize> {
    let mut extents = factors.iter().filter(|&&factor| factor > 0);
    let product = extents
        .try_fold(1_usize, |product, &factor| product.checked_mul(factor))
        .filter(|&product| isize::try_from(product).is_ok())
        .ok_or_else(|| Error::geometry(format!("{what} of shape {factors:?} is too large to address")))?;
    Ok(if factors.contains(&0) { 0 } else { product })
}

/// The part of `slice` that holds `rows` rows of `width` elements, which begin `stride` elements apart; `what` names
/// the argument in the error.
pub(crate) fn strided<'a, T>(
    what: &'static str,
    slice: &'a mut [T],
    rows: usize,
    width: usize,
    stride: usize,
) -> Result<&'a mut [T]> {
    if stride < width {
        return Err(Error::parameter(format!(
            "{what}: a stride of {stride} is less than the {width} elements of a row"
        )));
    }
    let len = match rows.checked_sub(1) {
        None => 0,
        Some(gaps) => product(what, &[gaps, stride])?.saturating_add(width),
    };
    let actual = slice.len();
    slice.get_mut(..len).ok_or(Error::Length { what, expected: len, actual })
}
