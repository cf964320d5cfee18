//! Buffers of bytes seen as elements of a type, and elements as bytes.

use std::fmt::Debug;

use crate::error::{Error, Result};
use crate::kernels::TransposeTile;
use crate::qparams::EightBit;

/// A type of the elements of buffers: `u8`, `i8`, `u16`, `i16`, `i32` or `f32`.
///
/// It has no padding, and any bytes of its size and alignment are a value. No other crate can implement it.
pub trait Element: Copy + Default + PartialEq + Debug + Send + Sync + 'static + TransposeTile {}

impl Element for u8 {}
impl Element for i8 {}
impl Element for u16 {}
impl Element for i16 {}
impl Element for i32 {}
impl Element for f32 {}

/// The elements that `bytes` are.
///
/// # Errors
/// If the bytes do not begin at a multiple of the alignment of `T`, or are not whole elements.
pub fn view<T: Element>(bytes: &[u8]) -> Result<&[T]> {
    // SAFETY: any bytes are elements, as `Element` says; `align_to` sees to alignment and bounds.
    let (before, elements, after) = unsafe { bytes.align_to::<T>() };
    if before.is_empty() && after.is_empty() { Ok(elements) } else { Err(not_elements::<T>(bytes.len())) }
}

/// [`view`], to be written.
///
/// # Errors
/// As for `view`.
pub fn view_mut<T: Element>(bytes: &mut [u8]) -> Result<&mut [T]> {
    let len = bytes.len();
    // SAFETY: as in `view`, and any elements are bytes again.
    let (before, elements, after) = unsafe { bytes.align_to_mut::<T>() };
    if before.is_empty() && after.is_empty() { Ok(elements) } else { Err(not_elements::<T>(len)) }
}

/// Bytes as integers of eight bits.
pub(crate) fn eight_bits_mut<T: EightBit>(bytes: &mut [u8]) -> &mut [T] {
    match view_mut(bytes) {
        Ok(integers) => integers,
        Err(_) => unreachable!("every byte is an integer of eight bits"),
    }
}

/// The bytes of some elements, in the order of this machine.
pub fn bytes<T: Element>(elements: &[T]) -> &[u8] {
    // SAFETY: the elements have no padding, so that each of their bytes is a `u8`; a `u8` lies anywhere.
    unsafe { std::slice::from_raw_parts(elements.as_ptr().cast(), size_of_val(elements)) }
}

/// [`bytes`], to be written.
pub fn bytes_mut<T: Element>(elements: &mut [T]) -> &mut [u8] {
    // SAFETY: as in `bytes`; the borrow is exclusive, and any bytes are elements.
    unsafe { std::slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), size_of_val(elements)) }
}

fn not_elements<T>(len: usize) -> Error {
    let name = std::any::type_name::<T>();
    Error::parameter(format!("a buffer of {len} bytes is not whole and aligned elements of type {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_seen_where_they_lie() {
        let mut values = [1.0_f32, -2.5, 3.0];
        let expected: Vec<u8> = values.iter().flat_map(|value| value.to_ne_bytes()).collect();
        assert_eq!(bytes(&values), expected);
        assert_eq!(view::<f32>(bytes(&values)), Ok(&values[..]));
        view_mut::<f32>(bytes_mut(&mut values)).unwrap()[1] = 7.0;
        assert_eq!(values, [1.0, 7.0, 3.0]);
    }

    #[test]
    fn misaligned_and_partial_elements_are_errors() {
        let mut values = [0_i32; 3];
        let bytes = bytes_mut(&mut values);
        for (range, is_whole) in [(0..12, true), (4..12, true), (12..12, true), (1..9, false), (0..10, false)]
        {
            assert_eq!(view::<i32>(&bytes[range.clone()]).is_ok(), is_whole, "{range:?}");
            assert_eq!(view_mut::<i32>(&mut bytes[range.clone()]).is_ok(), is_whole, "{range:?}");
        }
        assert_eq!(view::<u16>(&bytes[2..8]).map(<[u16]>::len), Ok(3));
        assert_eq!(view::<u8>(&bytes[1..8]).map(<[u8]>::len), Ok(7));
        assert!(view::<i32>(&[]).is_ok());
    }
}
